"""Settings of every reduction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fingerprints.core.options import option, register


@dataclass(frozen=True, kw_only=True)
class ReductionSettings:
    """Properties and options of every reduction."""

    name: ClassVar[str]
    normalise: Literal["none", "l2", "standard"] = option(
        "none", help="features first: unit length of each image, or mean 0 and deviation 1 of each feature"
    )

    @property
    def changes(self) -> bool:
        """Whether the decision gets anything but the encoder's own embeddings."""
        return self.name != "none" or self.normalise != "none"

    @property
    def transductive(self) -> bool:
        """Whether it computes all images of a call together, so that it cannot place new images."""
        return False


@register("reduction", part="fingerprints.reductions.none:NoReduction")
@dataclass(frozen=True, kw_only=True)
class NoReductionSettings(ReductionSettings):
    """No reduction: embeddings are used unchanged."""

    name: ClassVar[str] = "none"


@register("reduction", part="fingerprints.reductions.pca:PCAReduction")
@dataclass(frozen=True, kw_only=True)
class PCASettings(ReductionSettings):
    """PCA: reduction.variance=0.95 or reduction.components=N (with reduction.variance=null)."""

    name: ClassVar[str] = "pca"
    variance: float | None = option(0.95, above=0, most=1, help="share of the variance to keep")
    components: int | None = option(None, least=1, most=1_000_000, help="number to keep; needs variance=null")
    scope: Literal["training", "asked"] = option(
        "training", help="images that it is fitted on; asked: those that a clustering clusters"
    )

    @property
    def transductive(self) -> bool:
        """With `scope=asked`."""
        return self.scope == "asked"


@register("reduction", part="fingerprints.reductions.autoencoder:AutoencoderReduction")
@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings(ReductionSettings):
    """The middle layer (code) of a small autoencoder."""

    name: ClassVar[str] = "autoencoder"
    latent: int = option(64, least=1, most=65_536, help="width of the code")
    hidden: int = option(256, least=1, most=65_536, help="width of the layers before and after the code")
    epochs: int = option(30, least=1, most=1_000_000)


@register("reduction", part="fingerprints.reductions.tsne:TSNEReduction")
@dataclass(frozen=True, kw_only=True)
class TSNESettings(ReductionSettings):
    """t-SNE to two dimensions; it cannot place new images."""

    name: ClassVar[str] = "tsne"
    perplexity: float = option(30.0, above=0, help="approximate number of neighbours to preserve")
    iterations: int = option(1000, least=250, most=1_000_000)

    @property
    def transductive(self) -> bool:
        """Always."""
        return True
