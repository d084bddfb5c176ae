"""Settings of every reduction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fingerprints.core.options import option, register


@dataclass(frozen=True, kw_only=True)
class ReductionSettings:
    """What every reduction states.

    Attributes:
        transductive: Whether it places the images that it is asked about together, and no new ones.
    """

    name: ClassVar[str]
    transductive: ClassVar[bool] = False


@register("reduction", part="fingerprints.reductions.none:NoReduction")
@dataclass(frozen=True, kw_only=True)
class NoReductionSettings(ReductionSettings):
    """Embeddings as they are."""

    name: ClassVar[str] = "none"


@register("reduction", part="fingerprints.reductions.pca:PCAReduction")
@dataclass(frozen=True, kw_only=True)
class PCASettings(ReductionSettings):
    """Principal components: reduction.variance=0.95 or reduction.components=N."""

    name: ClassVar[str] = "pca"
    variance: float | None = option(0.95, above=0, most=1, help="share of the variance to keep")
    components: int | None = option(None, least=1, most=1_000_000, help="or a number of components")


@register("reduction", part="fingerprints.reductions.autoencoder:AutoencoderReduction")
@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings(ReductionSettings):
    """The code of a small autoencoder."""

    name: ClassVar[str] = "autoencoder"
    latent: int = option(64, least=1, most=65_536, help="width of the code")
    hidden: int = option(256, least=1, most=65_536, help="width of the layers around it")
    epochs: int = option(30, least=1, most=1_000_000)


@register("reduction", part="fingerprints.reductions.tsne:TSNEReduction")
@dataclass(frozen=True, kw_only=True)
class TSNESettings(ReductionSettings):
    """A plane in which neighbours stay neighbours, of the images asked about."""

    name: ClassVar[str] = "tsne"
    transductive: ClassVar[bool] = True
    perplexity: float = option(30.0, above=0, help="about how many neighbours count")
    iterations: int = option(1000, least=250, most=1_000_000)
