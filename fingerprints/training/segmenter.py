"""The segmenter: a U-Net trained on images and lung masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from fingerprints.images.unet import UNet, check_side
from fingerprints.training.hardware import make_trainer
from fingerprints.training.settings import TrainerSettings


@dataclass(frozen=True)
class SegmenterSettings:
    """Network and optimisation.

    Attributes:
        widths: Channels of each level of the U-Net.
        batch_size: Images per step.
        lr: Highest learning rate of AdamW, used from the first step and lowered to 0 along a cosine.
        flip: Mirror left and right with probability one half.
        shift: Largest whole-pixel shift along each axis, as a share of the side; edge pixels are repeated.
        brightness: Largest change of grey levels: they are raised to a power between `1 / (1 + b)` and
            `1 + b`. The network standardises images, so that an offset or a factor would have no effect.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128)
    batch_size: int = 4
    lr: float = 2e-3
    flip: bool = True
    shift: float = 0.1
    brightness: float = 0.5


def soft_dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """`(n,)`: 1 minus the soft Dice of `(n, 1, S, S)` (Milletari et al. 2016, V-Net, section 3).

    1 is added to numerator and denominator, so that an empty mask with an empty prediction has loss 0.
    """
    chances = torch.sigmoid(logits).flatten(1)
    truth = masks.flatten(1)
    both = 2 * (chances * truth).sum(dim=1) + 1
    return 1 - both / (chances.sum(dim=1) + truth.sum(dim=1) + 1)


def segmentation_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy plus the Dice loss, mean over images `(n, 1, S, S)`; masks are 0 or 1."""
    return functional.binary_cross_entropy_with_logits(logits, masks) + soft_dice_loss(logits, masks).mean()


def augmented(
    images: Tensor, masks: Tensor, draws: Tensor, *, settings: SegmenterSettings
) -> tuple[Tensor, Tensor]:
    """Images and masks, both mirrored and shifted in the same way; grey levels change in images only.

    Args:
        images: `(n, 1, S, S)` float in [0, 1].
        masks: `(n, 1, S, S)`.
        draws: `(n, 4)` in [0, 1).
        settings: Strength of the changes.
    """
    n, _, height, width = images.shape
    both = torch.cat([images, masks], dim=1)
    if settings.flip:
        both = torch.where(draws[:, 0].lt(0.5)[:, None, None, None], both.flip(3), both)
    offsets = [
        ((2 * draws[:, i] - 1) * settings.shift * side).round().long()
        for i, side in ((1, height), (2, width))
    ]
    rows = (torch.arange(height, device=images.device)[None] + offsets[0][:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device)[None] + offsets[1][:, None]).clamp(0, width - 1)
    at = torch.arange(n, device=images.device)[:, None, None]
    both = both.movedim(1, 3)[at, rows[:, :, None], columns[:, None, :]].movedim(3, 1)
    power = (1 + settings.brightness) ** (2 * draws[:, 3] - 1)
    return both[:, :1] ** power[:, None, None, None], both[:, 1:]


class SegmenterModule(pl.LightningModule):
    """Training of a U-Net; the changes of an image depend on (seed, step, position in the batch) only.

    Args:
        network: The U-Net.
        settings: Optimisation and augmentation.
        seed: Seed of the augmentation.
        steps: Steps of the whole training.
    """

    def __init__(self, network: UNet, *, settings: SegmenterSettings, seed: int, steps: int) -> None:
        super().__init__()
        self.network, self.settings, self.seed, self.steps = network, settings, seed, steps

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Loss of augmented images `(n, S, S)` uint8 and their masks `(n, S, S)` bool."""
        images, masks = (part.unsqueeze(1).float() for part in batch)
        rng = torch.Generator().manual_seed((self.seed << 31) ^ self.global_step)
        draws = torch.rand(len(images), 4, generator=rng).to(images.device)
        images, masks = augmented(images / 255, masks, draws, settings=self.settings)
        loss = segmentation_loss(self.network(images), masks)
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> tuple[list, list]:
        """AdamW; its learning rate falls along a cosine, step by step."""
        optimiser = torch.optim.AdamW(self.parameters(), lr=self.settings.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)
        return [optimiser], [{"scheduler": schedule, "interval": "step"}]


def fit_segmenter(
    images: NDArray[np.uint8],
    masks: NDArray[np.bool_],
    *,
    settings: SegmenterSettings,
    trainer: TrainerSettings,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
) -> UNet:
    """A U-Net trained on `(n, S, S)` images and masks, on the CPU and in evaluation mode.

    Args:
        images: uint8.
        masks: True in the lungs.
        settings: Network and optimisation.
        trainer: Resolved hardware and epochs.
        seed: Seed of initial weights, order and augmentation.
        callbacks: Callbacks of Lightning.

    Raises:
        FingerprintsError: If the image side does not fit the number of levels.
    """
    check_side(images.shape[-1], settings.widths)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = UNet(settings.widths)
    data = TensorDataset(torch.from_numpy(images), torch.from_numpy(masks))
    order = torch.Generator().manual_seed(seed)
    loader = DataLoader(data, batch_size=settings.batch_size, shuffle=True, generator=order)
    module = SegmenterModule(network, settings=settings, seed=seed, steps=len(loader) * trainer.max_epochs)
    make_trainer(trainer, callbacks=list(callbacks), validate=False).fit(module, loader)
    return network.cpu().eval()
