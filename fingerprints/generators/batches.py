"""Input of a generator's training step: real images and a seed, both functions of (seed, step)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fingerprints.data.datamodule import EpochSteps, StepLoader


@dataclass(frozen=True)
class RealBatch:
    """One process' share of the real images of one step.

    Attributes:
        images: `(n, 1, S, S)` uint8.
        step: The step, from 0.
        seed: Seed of all other randomness in the step; the same for all processes.
        rank: Number of the share.
        world: Number of processes.
    """

    images: Tensor
    step: int
    seed: int
    rank: int = 0
    world: int = 1

    @property
    def count(self) -> int:
        """Number of images in all shares together."""
        return len(self.images) * self.world

    def share(self, values: Tensor) -> Tensor:
        """This process' rows of `(count, ...)`, on the device of its images.

        Every world-th row, so that groups of images with a fixed distance in the batch
        (`gan.batch_deviation`) stay together.
        """
        return values[self.rank :: self.world].to(self.images.device)

    def pixels(self) -> Tensor:
        """`(n, 1, S, S)` float32 in [-1, 1]."""
        return self.images.float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)


class _Steps(Dataset):
    """Draws the images of a step without replacement within each pass over them."""

    def __init__(self, images: NDArray[np.uint8], *, batch_size: int, steps: int, seed: int) -> None:
        self.images = torch.from_numpy(np.ascontiguousarray(images)).unsqueeze(1)
        self.batch_size, self.steps, self.seed = batch_size, steps, seed
        self.rank, self.world = 0, 1

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
        mine = self.images[torch.from_numpy(rows[self.rank :: self.world])]
        return RealBatch(images=mine, step=step, seed=seed, rank=self.rank, world=self.world)


class GeneratorData(pl.LightningDataModule):
    """Steps over the real images that a generator is trained on; one epoch is the whole training.

    Args:
        images: `(n, S, S)` uint8.
        batch_size: Images per step, in all processes together.
        steps: Steps of the training.
        seed: Seed of the order.
    """

    def __init__(self, images: NDArray[np.uint8], *, batch_size: int, steps: int, seed: int) -> None:
        super().__init__()
        self.steps = _Steps(images, batch_size=batch_size, steps=steps, seed=seed)

    def train_dataloader(self) -> DataLoader:
        """All steps in order, with this process' share of each."""
        if self.trainer is not None:
            self.steps.rank, self.steps.world = self.trainer.global_rank, self.trainer.world_size
        return StepLoader(self.steps, EpochSteps(len(self.steps)))

    def transfer_batch_to_device(
        self, batch: RealBatch, device: torch.device, dataloader_idx: int
    ) -> RealBatch:
        """Move the pixels to the device; the rest stays on the CPU."""
        return replace(batch, images=batch.images.to(device))
