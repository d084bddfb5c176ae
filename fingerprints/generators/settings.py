"""Settings of every design of generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from fingerprints.core.options import option, plain, register

Planted = Literal["exact", "noise", "shift", "rotation", "contrast", "blend"]  # kinds of planted copies


@dataclass(frozen=True, kw_only=True)
class DiffAugmentSettings:
    """Differentiable augmentation, of training images and of what the discriminator of a GAN sees."""

    enabled: bool = option(True)
    brightness: float = option(0.25, least=0, most=1, help="largest change, as a share of the range")
    contrast: float = option(0.5, least=0, most=1, help="largest change about the mean, as a factor")
    translation: float = option(0.125, least=0, most=0.5, help="largest shift, as a share of the side")
    cutout: float = option(0.0, least=0, most=1, help="side of a blank square, as a share")


_ON = DiffAugmentSettings()
_OFF = DiffAugmentSettings(enabled=False)


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """What every design has."""

    name: ClassVar[str]
    max_steps: int | None = option(None, least=1, help="steps of training; null: as the scale says")
    batch_size: int = option(16, least=2, most=65_536, help="images a step")
    lr: float = option(1e-3, above=0, help="learning rate")
    ema: float = option(0.99, least=0, most=0.99999, help="decay of the weights' moving average")
    augment: DiffAugmentSettings = _OFF

    def facts(self) -> dict[str, Any]:
        """All that makes the training what it is, but its length: plain data."""
        return {key: value for key, value in plain(self).items() if key not in ("name", "max_steps")}


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings(GeneratorSettings):
    """Networks and optimisation that both designs of a GAN have."""

    latent: int = option(128, least=1, most=65_536, help="length of a latent vector")
    width: int = option(16, least=1, most=4096, help="channels of the generator at full size")
    discriminator_width: int = option(24, least=1, most=4096, help="of the discriminator at half size")
    widest: int = option(192, least=1, most=65_536, help="most channels at any level")
    lr: float = option(3e-4, above=0, help="learning rate of Adam, for both networks")
    beta1: float = option(0.0, least=0, most=0.9999, help="first decay of Adam")
    beta2: float = option(0.99, least=0, most=0.99999, help="second decay of Adam")
    ema: float = option(0.998, least=0, most=0.99999, help="decay of the weights' moving average")
    augment: DiffAugmentSettings = _ON


@register("generator", part="fingerprints.generators.gan:GANModule")
@dataclass(frozen=True, kw_only=True)
class GANSettings(AdversarialSettings):
    """A convolutional GAN for few images: spectral norm, differentiable augmentation, averaged weights."""

    name: ClassVar[str] = "gan"


@register("generator", part="fingerprints.generators.style:StyleGANModule")
@dataclass(frozen=True, kw_only=True)
class StyleGANSettings(AdversarialSettings):
    """A style-based GAN: mapping network, features modulated by its output, noise at every level."""

    name: ClassVar[str] = "stylegan"
    mapping: int = option(2, least=1, most=64, help="layers of the mapping network")


@register("generator", part="fingerprints.generators.vae:VAEModule")
@dataclass(frozen=True, kw_only=True)
class VAESettings(GeneratorSettings):
    """A variational autoencoder with a calibrated decoder: smooth images."""

    name: ClassVar[str] = "vae"
    latent: int = option(32, least=1, most=65_536, help="length of a latent vector")
    width: int = option(16, least=1, most=4096, help="channels at full size, of encoder and decoder")
    widest: int = option(128, least=1, most=65_536, help="most channels at any level")
    beta: float = option(40.0, least=0, help="weight of the prior (Higgins et al. 2017)")


@register("generator", part="fingerprints.generators.diffusion:DiffusionModule")
@dataclass(frozen=True, kw_only=True)
class DiffusionSettings(GeneratorSettings):
    """A denoising diffusion model on blocks of pixels, sampled by DDIM (diffusers)."""

    name: ClassVar[str] = "diffusion"
    patch: int = option(2, least=1, most=64, help="pixels a side of the blocks that become channels")
    channels: tuple[int, ...] = option((32, 64, 64), least=1, help="of each level of the U-Net")
    layers: int = option(1, least=1, most=64, help="residual blocks a level")
    attention: bool = option(True, help="whether the coarsest level attends to itself")
    warmup: int = option(100, least=0, help="steps over which the rate rises")
    ema: float = option(0.995, least=0, most=0.99999, help="decay of the weights' moving average")
    sampling_steps: int = option(50, least=1, most=1000, help="steps of DDIM")
