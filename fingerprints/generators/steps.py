"""What a generator's training step sees: real images and a seed, both functions of (seed, step)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fingerprints.data.datamodule import EpochSteps, StepLoader


@dataclass(frozen=True)
class RealBatch:
    """Real images of one step.

    Attributes:
        images: `(n, 1, S, S)` uint8.
        step: The step, from 0.
        seed: Seed of what else is random in it.
    """

    images: Tensor
    step: int
    seed: int


class _Steps(Dataset):
    """Draws the images of a step without replacement within each pass over them."""

    def __init__(self, images: NDArray[np.uint8], *, batch_size: int, steps: int, seed: int) -> None:
        self.images = torch.from_numpy(np.ascontiguousarray(images)).unsqueeze(1)
        self.batch_size, self.steps, self.seed = batch_size, steps, seed

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, at: tuple[int, int]) -> RealBatch:
        _, step = at
        n = len(self.images)
        positions = range(step * self.batch_size, (step + 1) * self.batch_size)
        orders = {
            p: np.random.default_rng([self.seed, 1, p]).permutation(n) for p in {p // n for p in positions}
        }
        rows = np.array([orders[position // n][position % n] for position in positions])
        seed = int(np.random.SeedSequence([self.seed, 2, step]).generate_state(1, np.uint64)[0] >> 1)
        return RealBatch(images=self.images[torch.from_numpy(rows)], step=step, seed=seed)


class RealImages(pl.LightningDataModule):
    """Steps over the real images that a generator is trained on; one epoch is the whole training.

    Args:
        images: `(n, S, S)` uint8.
        batch_size: Images a step.
        steps: Steps of the training.
        seed: Seed of the order.
    """

    def __init__(self, images: NDArray[np.uint8], *, batch_size: int, steps: int, seed: int) -> None:
        super().__init__()
        self.steps = _Steps(images, batch_size=batch_size, steps=steps, seed=seed)

    def train_dataloader(self) -> DataLoader:
        """All steps, in order."""
        return StepLoader(self.steps, EpochSteps(len(self.steps)))

    def transfer_batch_to_device(
        self, batch: RealBatch, device: torch.device, dataloader_idx: int
    ) -> RealBatch:
        """Pixels go to the device, the rest stays."""
        return RealBatch(images=batch.images.to(device), step=batch.step, seed=batch.seed)
