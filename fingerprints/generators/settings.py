"""Settings of the designs of a generator, and of planted copies; nothing here needs torch.

The digest that identifies a training (`fit.Training.identity`) depends on the names of classes and fields
and on the order of fields: if one of them changes, no finished generator is recognised any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fingerprints.core.options import option, register

LARGEST_DECAY = 0.99999
# Kinds of changes of planted copies; `planted.CHANGES` has their functions.
PlantedKind = Literal["exact", "noise", "shift", "rotation", "contrast", "blend"]


@dataclass(frozen=True, kw_only=True)
class DiffAugment:
    """Differentiable augmentation (`diff_augment.augment`): random changes of images in [-1, 1]."""

    brightness: float = option(
        0.25, least=0, most=1, help="range of the shift of grey level, as a share of the grey range"
    )
    contrast: float = option(
        0.5, least=0, most=1, help="range of the factor about the image's mean: 0.5 means 0.75 to 1.25"
    )
    translation: float = option(
        0.125, least=0, most=0.5, help="largest whole-pixel shift, as a share of the side; filled with black"
    )
    cutout: float = option(
        0.0, least=0, most=1, help="side of a square set to mid-grey, as a share of the image's side"
    )
    enabled: bool = option(True, help="whether images are changed at all")


LEARNT = DiffAugment(enabled=False)  # default of designs that would learn to generate augmented images


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """Common settings of all designs."""

    name: ClassVar[str]
    max_steps: int | None = option(None, least=1, help="training steps; null: the number of the scale")

    @property
    def batch_size(self) -> int:
        """Real images per step, in all processes together; every design has it as an option."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings(GeneratorSettings):
    """Common settings of both GAN designs."""

    latent: int = option(128, least=1, most=65_536, help="length of a latent vector")
    width: int = option(16, least=1, most=4096, help="channels of the generator at full size")
    discriminator_width: int = option(
        24, least=1, most=4096, help="channels of the discriminator at half size"
    )
    widest: int = option(192, least=1, most=65_536, help="largest number of channels at any level")
    batch_size: int = option(16, least=2, most=65_536, help="real images per step, and generated ones")
    lr: float = option(3e-4, above=0, help="learning rate of Adam, for both networks")
    beta1: float = option(0.0, least=0, most=0.9999, help="first decay of Adam")
    beta2: float = option(0.99, least=0, most=LARGEST_DECAY, help="second decay of Adam")
    ema: float = option(
        0.998, least=0, most=LARGEST_DECAY, help="decay of the averaged weights, which make the images"
    )
    augment: DiffAugment = option(
        DiffAugment(), help="changes of real and generated images before the discriminator"
    )


@register("generator", part="fingerprints.generators.gan:GANModule")
@dataclass(frozen=True, kw_only=True)
class GANSettings(AdversarialSettings):
    """The convolutional GAN."""

    name: ClassVar[str] = "gan"


@register("generator", part="fingerprints.generators.style:StyleGANModule")
@dataclass(frozen=True, kw_only=True)
class StyleGANSettings(AdversarialSettings):
    """The style-based GAN; styles have the length of latent vectors."""

    name: ClassVar[str] = "stylegan"
    mapping: int = option(2, least=1, most=64, help="layers of the mapping network")


@register("generator", part="fingerprints.generators.vae:VAEModule")
@dataclass(frozen=True, kw_only=True)
class VAESettings(GeneratorSettings):
    """The variational autoencoder."""

    name: ClassVar[str] = "vae"
    latent: int = option(32, least=1, most=65_536, help="length of a latent vector")
    width: int = option(16, least=1, most=4096, help="channels of encoder and decoder at full size")
    widest: int = option(128, least=1, most=65_536, help="most channels at any level")
    beta: float = option(
        40.0, least=0, help="weight of the prior (Higgins et al. 2017); 1 is the bound on the likelihood"
    )
    batch_size: int = option(16, least=2, most=65_536, help="images a step")
    lr: float = option(1e-3, above=0, help="learning rate of Adam")
    ema: float = option(
        0.99, least=0, most=LARGEST_DECAY, help="decay of the averaged weights, which make the images"
    )
    augment: DiffAugment = option(LEARNT, help="changes of the training images; they are learnt")


@register("generator", part="fingerprints.generators.diffusion:DiffusionModule")
@dataclass(frozen=True, kw_only=True)
class DiffusionSettings(GeneratorSettings):
    """The diffusion model."""

    name: ClassVar[str] = "diffusion"
    patch: int = option(2, least=1, most=64, help="side in pixels of the blocks that become channels")
    channels: tuple[int, ...] = option(
        (32, 64, 64), least=1, help="channels of each level of the U-Net; each level is half the size"
    )
    layers: int = option(1, least=1, most=64, help="residual blocks per level")
    attention: bool = option(True, help="whether the coarsest level has self-attention")
    batch_size: int = option(16, least=2, most=65_536, help="images a step")
    lr: float = option(1e-3, above=0, help="learning rate of AdamW")
    warmup: int = option(100, least=0, help="steps over which the learning rate rises")
    ema: float = option(
        0.995, least=0, most=LARGEST_DECAY, help="decay of the averaged weights, which make the images"
    )
    sampling_steps: int = option(50, least=1, most=1000, help="steps of DDIM")
    augment: DiffAugment = option(LEARNT, help="changes of the training images; they are learnt")


@dataclass(frozen=True, kw_only=True)
class PlantedSettings:
    """Changed copies of training images among the generated ones."""

    fraction: float = option(0.0, least=0, most=1, help="share of the generated images that are replaced")
    kinds: tuple[PlantedKind, ...] = option(
        ("noise", "shift", "contrast"), help="kinds of changes; each copy gets one kind at random"
    )
