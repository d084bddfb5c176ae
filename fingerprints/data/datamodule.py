"""LightningDataModules that yield real/generated pairs, or labelled images.

Batches are passed on as row numbers; pixels are gathered from the image store when a batch reaches its
device. If the store fits into GPU memory, it is kept there; so no loader processes are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from fingerprints.data.index import Index
from fingerprints.data.pairs import PairBatch, PairPools, PairStrategy, RandomPairs, pools
from fingerprints.data.store import ImageStore

# A store larger than this share of the free GPU memory stays on the host.
RESIDENT_SHARE = 0.5

StrategyFactory = Callable[[PairPools, ImageStore], PairStrategy]


@dataclass(frozen=True)
class ImageBatch:
    """One process' share of a batch, with its pixels; in a batch of labelled images the right side is empty.

    Attributes:
        left: `(a, 1, S, S)` uint8; three channels if a filter made colour images.
        right: `(b, 1, S, S)` uint8; `b == a` if `aligned`.
        left_classes: `(a,)` int64; -1 marks a row that only fills up the share.
        right_classes: `(b,)` int64.
        left_rows: `(a,)` store rows.
        right_rows: `(b,)` store rows.
        positions: `(a + b,)` positions in the global batch.
        images: Images in the global batch.
        aligned: Whether only row i pairs with row i.
        epoch: Epoch the batch belongs to.
        step: Step within the epoch.
    """

    left: Tensor
    right: Tensor
    left_classes: Tensor
    right_classes: Tensor
    left_rows: Tensor
    right_rows: Tensor
    positions: Tensor
    images: int
    aligned: bool
    epoch: int
    step: int

    def __len__(self) -> int:
        return len(self.left)


class PixelSource:
    """Gathers images by row, on a given device.

    Args:
        store: The image store.
    """

    def __init__(self, store: ImageStore) -> None:
        self._images = store.images
        self._resident: Tensor | None = None

    def gather(self, rows: np.ndarray, device: torch.device) -> Tensor:
        """`(n, 1, S, S)` uint8 on `device`; `(n, 3, S, S)` if the store has colour images."""
        if self._resident is None and device.type == "cuda" and self._fits(device):
            self._resident = torch.from_numpy(np.array(self._images)).to(device)
        if self._resident is not None:
            return self._with_channels(self._resident[torch.from_numpy(rows).to(device)])
        return self._with_channels(torch.from_numpy(self._images[rows])).to(device)

    def _with_channels(self, images: Tensor) -> Tensor:
        return images.unsqueeze(1) if images.ndim == 3 else images

    def _fits(self, device: torch.device) -> bool:
        free, _ = torch.cuda.mem_get_info(device)
        return self._images.nbytes < RESIDENT_SHARE * free


@dataclass(frozen=True)
class PlannedStep:
    """One process' share of a training or validation step, before its pixels are gathered."""

    pairs: PairBatch
    aligned: bool
    epoch: int
    step: int


class _Steps(Dataset):
    """Maps (epoch, step) to one process' share of the global batch."""

    def __init__(self, strategy: PairStrategy, *, rank: int, world: int) -> None:
        self.strategy, self.rank, self.world = strategy, rank, world

    def __len__(self) -> int:
        return self.strategy.steps

    def __getitem__(self, at: tuple[int, int]) -> PlannedStep:
        epoch, step = at
        pairs = self.strategy.batch(epoch, step).share(self.rank, self.world)
        return PlannedStep(pairs=pairs, aligned=self.strategy.aligned, epoch=epoch, step=step)


class EpochSteps(Sampler):
    """Yields (epoch, step); Lightning sets the epoch with `set_epoch`.

    Args:
        steps: Steps per epoch.
        fixed_epoch: The epoch of all steps, in place of the one that Lightning sets.
    """

    def __init__(self, steps: int, *, fixed_epoch: int | None = None) -> None:
        self.steps, self.epoch, self.fixed = steps, 0, fixed_epoch
        self.next = 0  # the next step: not 0 after a resume within an epoch

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the following steps; ignored if the epoch is fixed."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[int, int]]:
        # A generator, because on resume Lightning makes the iterator before it sets the epoch.
        for step in range(self.next, self.steps):
            self.next = (step + 1) % self.steps
            yield (self.epoch if self.fixed is None else self.fixed), step


class StepLoader(DataLoader):
    """A loader of planned steps that saves its position within the epoch, for checkpoints during an epoch."""

    def __init__(self, steps: Dataset, sampler: EpochSteps) -> None:
        super().__init__(steps, batch_size=None, sampler=sampler, num_workers=0)
        self.steps = sampler

    def state_dict(self) -> dict[str, int]:
        """The next step."""
        return {"next": self.steps.next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue with the step that the checkpoint names."""
        self.steps.next = state["next"]


class StepDataModule(pl.LightningDataModule):
    """Training and validation steps, planned by strategies.

    Args:
        store: The pixels.
        train: Plans the training batches.
        validation: Plans the validation batches, the same in every epoch; `None` without held-out images.
    """

    def __init__(self, store: ImageStore, *, train: PairStrategy, validation: PairStrategy | None) -> None:
        super().__init__()
        self.pixels = PixelSource(store)
        self.train_strategy, self.validation_strategy = train, validation

    def train_dataloader(self) -> DataLoader:
        """One process' share of every training batch."""
        return self._loader(self.train_strategy, fixed_epoch=None)

    def val_dataloader(self) -> DataLoader | list:
        """One process' share of the validation pairs; an empty list without held-out images."""
        if self.validation_strategy is None:
            return []
        return self._loader(self.validation_strategy, fixed_epoch=0)

    def _loader(self, strategy: PairStrategy, *, fixed_epoch: int | None) -> DataLoader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        steps = _Steps(strategy, rank=rank, world=world)
        return StepLoader(steps, EpochSteps(strategy.steps, fixed_epoch=fixed_epoch))

    def transfer_batch_to_device(
        self, batch: PlannedStep, device: torch.device, dataloader_idx: int
    ) -> ImageBatch:
        """Replace row numbers by pixels on the device."""
        pairs = batch.pairs
        positions = np.concatenate([pairs.left_positions, pairs.right_positions])
        return ImageBatch(
            left=self.pixels.gather(pairs.left, device),
            right=self.pixels.gather(pairs.right, device),
            left_classes=torch.from_numpy(pairs.left_classes).to(device),
            right_classes=torch.from_numpy(pairs.right_classes).to(device),
            left_rows=torch.from_numpy(pairs.left).to(device),
            right_rows=torch.from_numpy(pairs.right).to(device),
            positions=torch.from_numpy(positions),
            images=pairs.images,
            aligned=batch.aligned,
            epoch=batch.epoch,
            step=batch.step,
        )


class PairDataModule(StepDataModule):
    """Training pairs drawn by a strategy; validation pairs always drawn by the published protocol.

    Neither image of a validation pair is used in training. Validation pairs are the same in every epoch and
    for every strategy, so that validation figures are comparable.

    Args:
        index: The data set.
        store: Its pixels.
        strategy: Makes the training strategy from the pools and the pixels.
        train: Rows of the index to train on.
        validation: Rows held out, or `None`.
        seed: Seed of the run.
        validation_batch: Pairs in a validation batch.
    """

    def __init__(
        self,
        index: Index,
        store: ImageStore,
        *,
        strategy: StrategyFactory,
        train: pd.DataFrame,
        validation: pd.DataFrame | None,
        seed: int,
        validation_batch: int = 64,
    ) -> None:
        held_pairs: PairStrategy | None = None
        if validation is not None and len(validation):
            held = pools(index.task, validation, index.classes)
            held_pairs = RandomPairs(
                held, batch_size=validation_batch, seed=seed, pairs_per_epoch=max(200, len(held.left))
            )
        planned = strategy(pools(index.task, train, index.classes), store)
        super().__init__(store, train=planned, validation=held_pairs)
