"""Settings of attacks that compare densities: of the generated images, and of a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fingerprints.core.options import option, register
from fingerprints.decisions.scores.settings import ScoreSettings


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class MonteCarloSettings(ScoreSettings):
    """Share of the generated images that are near a real image (task usage)."""

    name: ClassVar[str] = "monte_carlo"
    score: ClassVar[str] = "fingerprints.decisions.scores.monte_carlo:score"
    joint: ClassVar[bool] = True
    near: Literal["median", "percentile"] = option(
        "median",
        help="what is near: half of the images asked about have a generated image within the distance "
        "(median), or a share of all pairs is within it (percentile)",
    )
    percent: float = option(
        0.1, above=0, most=50, help="near=percentile: pairs within the distance, in percent; published 0.1, 1"
    )
    weight: Literal["one", "log"] = option(
        "one", help="what a near image counts: one, or minus the log of its distance"
    )
    member: Literal["image", "group"] = option(
        "image", help="what is a member: an image, or a whole group (patient), whose images share their mean"
    )


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class DomiasSettings(ScoreSettings):
    """Density of the generated images over that of a reference (task usage)."""

    name: ClassVar[str] = "domias"
    score: ClassVar[str] = "fingerprints.decisions.scores.domias:score"
    learn: ClassVar[str] = "fingerprints.decisions.scores.domias:learn"
    density: Literal["kde", "gaussian"] = option(
        "kde",
        help="kde: Gaussian kernels as wide as Scott's rule says; gaussian: a single normal distribution",
    )
    components: int | None = option(
        20,
        least=1,
        most=100_000,
        help="principal components of generated and reference images; null: all that there are",
    )

    @property
    def learns_reference(self) -> bool:
        """Always."""
        return True


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class LoganSettings(ScoreSettings):
    """A discriminator of generated and reference images (task usage)."""

    name: ClassVar[str] = "logan"
    score: ClassVar[str] = "fingerprints.decisions.scores.logan:score"
    learn: ClassVar[str] = "fingerprints.decisions.scores.logan:learn"
    discriminator: Literal["logistic", "network"] = option(
        "logistic", help="logistic regression, or a network with one hidden layer"
    )
    C: float = option(1.0, above=0, help="discriminator=logistic: inverse weight of the penalty")
    hidden: int = option(64, least=1, most=100_000, help="discriminator=network: hidden units")
    alpha: float = option(0.01, least=0, help="discriminator=network: weight decay")

    @property
    def learns_reference(self) -> bool:
        """Always."""
        return True


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class CalibratedNeighbourSettings(ScoreSettings):
    """Nearest generated image against nearest real image of another patient (task usage)."""

    name: ClassVar[str] = "calibrated_neighbour"
    score: ClassVar[str] = "fingerprints.decisions.scores.calibrated_neighbour:score"
    joint: ClassVar[bool] = True
    by: Literal["difference", "ratio"] = option(
        "difference", help="how both distances are compared: subtracted, or the log of their ratio"
    )
