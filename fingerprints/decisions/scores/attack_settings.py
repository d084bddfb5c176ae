"""Settings of attacks beyond the published systems: detection of copies, and shadow generators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fingerprints.core.options import option, register
from fingerprints.decisions.scores.settings import Cut, ScoreSettings
from fingerprints.decisions.settings import Need


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class CopiesSettings(ScoreSettings):
    """Best match with a generated image, also if shifted, turned or mirrored (task usage)."""

    name: ClassVar[str] = "copies"
    score: ClassVar[str] = "fingerprints.decisions.scores.copies:score"
    needs: ClassVar[tuple[Need, ...]] = ("unreduced",)
    cut: Cut = option("reference", help="as in decision=distance; reference: what unused images do not reach")
    patch: int = option(16, least=4, most=4096, help="side of the patches in pixels")
    share: float = option(
        0.25,
        least=0,
        most=1,
        help="a match counts as much as this share of its patches at most (0: the worst)",
    )
    slack: int = option(1, least=0, most=16, help="pixels that each patch may move on its own")
    shift: int = option(
        4, least=0, most=64, help="pixels that a copy may be shifted, at most an eighth of the side"
    )
    angle: float = option(5.0, least=0, most=45, help="degrees that a copy may be turned, beside turns by 90")
    mirrored: bool = option(True, help="whether a copy may be mirrored or turned by 90, 180 or 270 degrees")
    candidates: int = option(
        64, least=1, most=100_000, help="generated images that are compared closely, by coarse similarity"
    )
    finalists: int = option(4, least=1, most=100_000, help="those compared by patches, by global alignment")

    @property
    def needs_pixels(self) -> bool:
        """Always."""
        return True


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class ShadowSettings(ScoreSettings):
    """Likelihood ratio from generators that were trained with and without each candidate (task usage)."""

    name: ClassVar[str] = "shadow"
    score: ClassVar[str] = "fingerprints.decisions.scores.shadow:score"
    learn: ClassVar[str] = "fingerprints.decisions.scores.shadow:learn"
    needs: ClassVar[tuple[Need, ...]] = ("unreduced",)
    uses_shadow: ClassVar[bool] = True
    base: Literal["distance", "similarity", "copies"] = option(
        "distance", help="decision whose score, with its defaults, is compared (copies: needs encoder=pixels)"
    )
    mode: Literal["online", "offline"] = option(
        "online", help="online: with against without the candidate; offline: only generators without it"
    )
    variance: Literal["shared", "own"] = option(
        "shared", help="one variance for all candidates, or one each (for 16 generators or more)"
    )

    @property
    def needs_pixels(self) -> bool:
        """True with `base=copies`."""
        return self.base == "copies"
