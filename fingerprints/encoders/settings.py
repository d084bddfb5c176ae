"""Settings of every encoder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import chosen, option, register

TORCHVISION = (
    *("mobilenet_v2", "mobilenet_v3", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("efficientnet_b0", "densenet121", "vgg16", "vgg19", "inception_v3", "squeezenet"),
)
TIMM = ("inception_resnet_v2", "xception", "dinov2", "mae", "vit_large", "efficientnet_lite0")
HUB = ("blip", "blip_large", "blip2")
RANDOM = "none"  # value of `weights` for random weights
VERSIONS = ("v1", "v2")  # values of `weights` for torchvision's first and second ImageNet weights of a model
HAVE_V2 = ("mobilenet_v2", "mobilenet_v3", "resnet50", "resnet101", "resnet152")


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """Properties and options of every encoder.

    `name` is a field if one class serves several options; otherwise it is a class variable.

    Attributes:
        gives_errors: Whether embeddings are maps of reconstruction errors.
    """

    gives_errors: ClassVar[bool] = False
    projection: int | None = option(
        None, least=1, most=65_536, help="width of a linear layer that is trained on pairs; null: none"
    )

    @property
    def has_random_weights(self) -> bool:
        """Whether a pretrained encoder has random weights, so that no published result is comparable."""
        return False

    def without_weights(self) -> EncoderSettings:
        """The same encoder with random weights; a checkpoint then replaces all of them."""
        return self


@dataclass(frozen=True, kw_only=True)
class TrainedFromScratchSettings(EncoderSettings):
    """Options of the networks that are trained from scratch."""

    weights: str | None = option(None, help="file with initial weights; null: random")

    def without_weights(self) -> EncoderSettings:
        """With random weights."""
        return replace(self, weights=None)


@register("encoder", part="fingerprints.encoders.siamese_cnn:SiameseCNN")
@dataclass(frozen=True, kw_only=True)
class SiameseCNNSettings(TrainedFromScratchSettings):
    """The Siamese encoder as published [A25]: four blocks, dense 256."""

    name: ClassVar[str] = "siamese_cnn"
    channels: tuple[int, ...] = option((16, 32, 64, 128), least=1, help="filters of each block")
    embedding: int | None = option(256, least=1, most=65_536, help="units of the dense layer; null: none")
    final_relu: bool = option(True)
    batch_norm: bool = option(False)
    downsampling: Literal["max_pool", "stride"] = option("max_pool")
    standardise: bool = option(False, help="scale each image to mean 0 and standard deviation 1 first")


@register("encoder", part="fingerprints.encoders.custom_cnn:CustomCNN")
@dataclass(frozen=True, kw_only=True)
class CustomCNNSettings(TrainedFromScratchSettings):
    """The CNN of GAN-Amis: conv, batch norm, ReLU, max-pooling; its classifier is trained on top of it."""

    name: ClassVar[str] = "custom_cnn"
    channels: tuple[int, ...] = option((32, 64, 128, 128), least=1, help="filters of each block")
    embedding: int = option(256, least=1, most=65_536, help="units of the dense layer")


@register("encoder", part="fingerprints.encoders.autoencoder:ErrorMaps")
@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings(TrainedFromScratchSettings):
    """Error maps of an autoencoder of images; for training=reconstruction."""

    name: ClassVar[str] = "autoencoder"
    gives_errors: ClassVar[bool] = True
    side: int | None = option(
        128, least=2, most=4096, help="side to which images are scaled; null: full size"
    )
    channels: tuple[int, ...] = option(
        (32, 64, 128, 256), least=1, help="filters of each convolution, each with stride 2"
    )
    latent: int = option(128, least=1, most=65_536, help="width of the code")


@register("encoder", *TORCHVISION, *TIMM, part="fingerprints.encoders.pretrained:PretrainedEncoder")
@dataclass(frozen=True, kw_only=True)
class PretrainedSettings(EncoderSettings):
    """A pretrained backbone, with a projection head to train on pairs."""

    name: str = option()
    weights: str = option(
        "default",
        help="default (downloaded, or from a package), v1 or v2 (torchvision: the first weights, nearest "
        "to Keras, or second), none (random), or a file",
    )
    input_size: int | None = option(
        None, least=1, most=4096, help="input side in pixels; null: that of the weights"
    )
    projection: int | None = option(
        256, least=1, most=65_536, help="width of a linear layer that is trained on pairs; null: none"
    )

    def __post_init__(self) -> None:
        known = VERSIONS[: 1 + (self.name in HAVE_V2)] if self.name in TORCHVISION else ()
        if self.weights in VERSIONS and self.weights not in known:
            raise FingerprintsError(
                f"Encoder '{self.name}' has no weights {self.weights}.",
                where=f"encoder.weights={self.weights}",
                fix=f"encoder.weights={known[-1] if known else 'default'}",
            )

    @property
    def has_random_weights(self) -> bool:
        """With `weights=none`."""
        return self.weights == RANDOM

    def without_weights(self) -> EncoderSettings:
        """With random weights."""
        return replace(self, weights=RANDOM)


@register("encoder", *HUB, part="fingerprints.encoders.hub:HubEncoder")
@dataclass(frozen=True, kw_only=True)
class HubSettings(PretrainedSettings):
    """A vision encoder of `transformers` (extra hub)."""

    model: str | None = option(None, help="model id for weights=default; null: the usual one")


@register("encoder", part="fingerprints.encoders.handcrafted:LBPEncoder")
@dataclass(frozen=True, kw_only=True)
class LBPSettings(EncoderSettings):
    """Local binary patterns: a histogram of uniform patterns, or one number as printed in [A24]."""

    name: ClassVar[str] = "lbp"
    points: int = option(8, least=1, most=24)
    radius: float = option(1.0, above=0, most=64)
    as_number: bool = option(False)


@register("encoder", part="fingerprints.encoders.handcrafted:PixelsEncoder")
@dataclass(frozen=True, kw_only=True)
class PixelsSettings(EncoderSettings):
    """The pixels themselves, downscaled to side x side."""

    name: ClassVar[str] = "pixels"
    side: int | None = option(32, least=1, most=4096, help="side in pixels; null: full size")


@register("encoder", part="fingerprints.encoders.handcrafted:ResidualEncoder")
@dataclass(frozen=True, kw_only=True)
class ResidualSettings(EncoderSettings):
    """Noise residual, folded to one tile, and co-occurrences (Marra et al. 2019, Cozzolino et al. 2017)."""

    name: ClassVar[str] = "residual"
    sigma: float = option(1.0, above=0, most=64, help="sigma of the Gaussian filter, in pixels")
    period: int = option(8, least=1, most=256, help="side of the tile in pixels")
    step: float = option(2.0, above=0, most=255, help="width of a co-occurrence bin in grey levels")
    as_map: bool = option(False, help="use the whole residual as features")


@register("encoder", part="fingerprints.encoders.handcrafted:SpectrumEncoder")
@dataclass(frozen=True, kw_only=True)
class SpectrumSettings(EncoderSettings):
    """Log power spectrum: averaged over directions, and on a grid (Durall et al., Frank et al. 2020)."""

    name: ClassVar[str] = "spectrum"
    azimuthal: bool = option(True, help="use the spectrum averaged over directions")
    grid: int | None = option(32, least=2, most=1024, help="side of the grid; null: none")


@register("encoder", part="fingerprints.encoders.concatenated:ConcatenatedEncoder")
@dataclass(frozen=True, kw_only=True)
class ConcatenatedSettings(EncoderSettings):
    """Concatenated features of several encoders: 'encoder.encoders=[dinov2,lbp]'."""

    name: ClassVar[str] = "concatenated"
    encoders: tuple[EncoderSettings, ...] = chosen(
        "encoder", help="names, or mappings such as {name: resnet18, input_size: 96}"
    )

    def __post_init__(self) -> None:
        if not self.encoders or any(isinstance(entry, ConcatenatedSettings) for entry in self.encoders):
            raise FingerprintsError(
                "Concatenated encoders cannot contain another concatenated encoder."
                if self.encoders
                else "There are no encoders to concatenate.",
                where="encoder.encoders",
                fix="give one list of encoders: 'encoder.encoders=[dinov2,lbp]', with the quotes",
            )

    @property
    def has_random_weights(self) -> bool:
        """True if one of the encoders has random weights."""
        return any(entry.has_random_weights for entry in self.encoders)

    def without_weights(self) -> EncoderSettings:
        """Every encoder with random weights."""
        return replace(self, encoders=tuple(entry.without_weights() for entry in self.encoders))
