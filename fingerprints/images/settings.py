"""Settings of filters and regions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from fingerprints.core.options import option, register


@dataclass(frozen=True, kw_only=True)
class FilterSettings:
    """Settings of a filter. The part of a filter is a function of images, with its options as keywords."""

    name: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class SidedFilterSettings(FilterSettings):
    """Settings of a filter that can be applied to the real or to the generated images alone."""

    domain: Literal["both", "real", "generated"] = option("both", help="images that are filtered")


@register("filter", part="fingerprints.images.filters:unfiltered")
@dataclass(frozen=True, kw_only=True)
class NoFilterSettings(FilterSettings):
    """Images, unchanged."""

    name: ClassVar[str] = "none"


@register("filter", part="fingerprints.images.filters:equalize")
@dataclass(frozen=True, kw_only=True)
class EqualizeSettings(FilterSettings):
    """Histogram equalisation."""

    name: ClassVar[str] = "equalize"


@register("filter", part="fingerprints.images.filters:laplacian")
@dataclass(frozen=True, kw_only=True)
class LaplacianSettings(FilterSettings):
    """Second derivative, absolute or signed."""

    name: ClassVar[str] = "laplacian"
    signed: bool = option(False, help="true: zero becomes mid-grey; false: absolute value")


@register("filter", part="fingerprints.images.filters:binarize")
@dataclass(frozen=True, kw_only=True)
class BinarizeSettings(FilterSettings):
    """Black and white, by Otsu's threshold or a fixed grey level."""

    name: ClassVar[str] = "binarize"
    threshold: int | None = option(None, least=0, most=255, help="null: Otsu's threshold of each image")


@register("filter", part="fingerprints.images.filters:contrast")
@dataclass(frozen=True, kw_only=True)
class ContrastSettings(FilterSettings):
    """Percentile stretch, or contrast-limited adaptive equalisation (CLAHE)."""

    name: ClassVar[str] = "contrast"
    method: Literal["stretch", "clahe"] = option("stretch")
    low: float = option(2.0, least=0, most=100, help="percentile that becomes black (stretch)")
    high: float = option(98.0, least=0, most=100, help="percentile that becomes white (stretch)")
    clip_limit: float = option(0.01, above=0, most=1, help="largest share of pixels per grey level (clahe)")
    tiles: int = option(8, least=1, most=1024, help="tiles along a side (clahe)")


@register("filter", part="fingerprints.images.filters:denoise")
@dataclass(frozen=True, kw_only=True)
class DenoiseSettings(FilterSettings):
    """Grey-level opening or closing."""

    name: ClassVar[str] = "denoise"
    operation: Literal["opening", "closing", "both"] = option("opening")
    radius: int = option(1, least=1, most=64, help="radius of the disc, in pixels")


@register("filter", part="fingerprints.images.filters:noise")
@dataclass(frozen=True, kw_only=True)
class NoiseSettings(SidedFilterSettings):
    """Gaussian or salt-and-pepper noise, the same for the same image; on all images or on one side alone."""

    name: ClassVar[str] = "noise"
    kind: Literal["gaussian", "salt_pepper"] = option("gaussian")
    amount: float = option(
        0.05, least=0, most=1, help="gaussian: standard deviation; salt_pepper: share of pixels"
    )
    seed: int = option(0, least=0, most=2**32 - 1)


@register("filter", part="fingerprints.images.filters:colorize")
@dataclass(frozen=True, kw_only=True)
class ColorizeSettings(FilterSettings):
    """A colour map of matplotlib: three channels."""

    name: ClassVar[str] = "colorize"
    colormap: str = option("viridis")


@dataclass(frozen=True, kw_only=True)
class RegionSettings:
    """Settings of a region.

    Attributes:
        masked: Whether the region needs lung masks.
    """

    name: ClassVar[str]
    masked: ClassVar[bool] = False


@register("region")
@dataclass(frozen=True, kw_only=True)
class FullRegionSettings(RegionSettings):
    """The whole image."""

    name: ClassVar[str] = "full"


@dataclass(frozen=True, kw_only=True)
class MaskedRegionSettings(RegionSettings):
    """Settings of a region with lung masks."""

    masked: ClassVar[bool] = True
    mask: Literal["threshold", "unet", "folder"] = option("threshold", help="where lung masks come from")
    weights: Path | None = option(None, help="mask=unet: file of weights written by `segment`")
    folder: Path | None = option(None, help="mask=folder: folder of mask files, named like the images")
    crop: bool = option(True, help="cut to the bounding box of the mask")


@register("region")
@dataclass(frozen=True, kw_only=True)
class LungRegionSettings(MaskedRegionSettings):
    """Lungs only, cut to their bounding box."""

    name: ClassVar[str] = "lung"


@register("region")
@dataclass(frozen=True, kw_only=True)
class OuterRegionSettings(MaskedRegionSettings):
    """Everything but the lungs."""

    name: ClassVar[str] = "outer"
