"""Pairs of real and generated images, and the strategies that draw them.

The images of a training step are a pure function of (seed, epoch, step): a strategy draws the rows of
the *global* batch, and each process takes its share of them. The number of processes, workers or earlier
steps has no influence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import Task
from fingerprints.data.groups import thumbnails
from fingerprints.data.settings import AllPairingSettings, NearestPairingSettings, RandomPairingSettings

PAD = -1  # class of a filler: a row that only makes the shares of all processes equally long

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class PairPools:
    """The images that pairs are drawn from, for the left and for the right side of a pair.

    Left images are real and right images are generated; in the task `model`, which has no real images, both
    are generated. A pair is positive if its two classes are equal.

    Attributes:
        left: `(n,)` store rows.
        left_classes: `(n,)` class numbers.
        right: `(m,)` store rows.
        right_classes: `(m,)` class numbers.
        names: Class names, by number.
    """

    left: Rows
    left_classes: NDArray[np.int64]
    right: Rows
    right_classes: NDArray[np.int64]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not np.intersect1d(self.left_classes, self.right_classes).size:
            raise FingerprintsError(
                "No positive pair can be formed: no class has images on both sides.",
                fix="check the labels of real and generated images",
            )
        if len(np.union1d(self.left_classes, self.right_classes)) < 2:
            raise FingerprintsError(
                "No negative pair can be formed: all images are of one class.",
                fix="check the labels of real and generated images",
            )


def pools(task: Task, rows: pd.DataFrame, classes: Sequence[str]) -> PairPools:
    """The pools of a task from rows of the index (training or validation).

    `subset`: real and generated; pairs of the same subset are positive. `usage`: real and generated;
    every generated image comes from used images, so (used, generated) is positive and
    (not used, generated) negative. `model`: generated and generated; pairs of the same generator are
    positive.
    """
    code = {name: number for number, name in enumerate(classes)}
    rows = rows.sort_index()
    generated = rows[rows["domain"] == "generated"]
    real = rows[rows["domain"] == "real"] if task.has_real else generated
    real = real[real["label"].isin(list(classes))]
    label = task.generated_label
    right_labels = list(generated["label"]) if label is None else [label] * len(generated)
    return PairPools(
        left=real.index.to_numpy(dtype=np.int64),
        left_classes=np.array([code[label] for label in real["label"]], dtype=np.int64),
        right=generated.index.to_numpy(dtype=np.int64),
        right_classes=np.array([code[label] for label in right_labels], dtype=np.int64),
        names=tuple(classes),
    )


@dataclass(frozen=True)
class PairBatch:
    """Rows of one batch, or of one process' share of it.

    Attributes:
        left: Store rows of left images.
        left_classes: Their classes; `PAD` marks a filler.
        right: Store rows of right images.
        right_classes: Their classes; `PAD` marks a filler.
        left_positions: Positions of the left images in the global batch, for augmentation.
        right_positions: Positions of the right images; they continue after those of the left images.
        images: Number of images in the global batch.
    """

    left: Rows
    left_classes: NDArray[np.int64]
    right: Rows
    right_classes: NDArray[np.int64]
    left_positions: NDArray[np.int64]
    right_positions: NDArray[np.int64]
    images: int

    @classmethod
    def whole(cls, left: Rows, left_classes: Rows, right: Rows, right_classes: Rows) -> PairBatch:
        """The global batch with these rows."""
        return cls(
            left=left,
            left_classes=left_classes,
            right=right,
            right_classes=right_classes,
            left_positions=np.arange(len(left)),
            right_positions=len(left) + np.arange(len(right)),
            images=len(left) + len(right),
        )

    def share(self, rank: int, world: int) -> PairBatch:
        """Every `world`-th row, starting at `rank`; fillers make the shares of all processes equally long.

        Left and right rows are shared in the same way, so in `random` row i of both still forms a pair.
        """
        if world == 1:
            return self
        left, left_classes, left_positions = _deal(
            self.left, self.left_classes, self.left_positions, rank, world
        )
        right, right_classes, right_positions = _deal(
            self.right, self.right_classes, self.right_positions, rank, world
        )
        return PairBatch(
            left, left_classes, right, right_classes, left_positions, right_positions, self.images
        )


def _deal(rows: Rows, classes: Rows, positions: Rows, rank: int, world: int) -> tuple[Rows, Rows, Rows]:
    taken = slice(rank, None, world)
    fill = -(-len(rows) // world) - len(rows[taken])
    # A filler repeats a row from the start of the list; its class `PAD` says that it does not count.
    return (
        np.concatenate([rows[taken], rows[:fill]]),
        np.concatenate([classes[taken], np.full(fill, PAD, dtype=classes.dtype)]),
        np.concatenate([positions[taken], positions[:fill]]),
    )


class PairStrategy(Protocol):
    """How pairs are drawn, batch by batch.

    Attributes:
        aligned: If true, row i of the left side pairs only with row i of the right side (`random`); if
            false, every left image pairs with every right image (`all`).
    """

    aligned: bool

    @property
    def steps(self) -> int:
        """Batches per epoch."""

    @property
    def images_per_epoch(self) -> int:
        """Images encoded per epoch; strategies are compared at an equal number."""

    def batch(self, epoch: int, step: int) -> PairBatch:
        """The global batch of a step."""


class RandomPairs:
    """The published protocol: one real and one generated image per pair; half of the pairs are positive.

    In `usage` each generated image is matched with a used and with a not-used real image [A25], so an
    epoch has as many pairs as the larger side has images, and it is these that are drawn: for the positive
    half from those with a positive partner, for the negative half from those with a negative one. In each
    half no image is repeated before all were drawn, and the negative half begins with those that the
    positive half left out, so that an epoch shows all of them. Partners are drawn uniformly from the other
    side.

    Args:
        pools: The images to draw from.
        batch_size: Pairs in the global batch.
        seed: Seed of the run.
        pairs_per_epoch: Default: the number of images of the larger side.
    """

    aligned: bool = True
    by_larger: bool = True  # whether images are drawn from the larger side, or always from the left one

    @classmethod
    def of(
        cls, settings: RandomPairingSettings, pools: PairPools, *, images: NDArray[np.uint8], seed: int
    ) -> RandomPairs:
        """The strategy of these settings."""
        pairs = settings.pairs_per_epoch
        return cls(pools, batch_size=settings.batch_size, seed=seed, pairs_per_epoch=pairs)

    def __init__(
        self, pools: PairPools, *, batch_size: int, seed: int, pairs_per_epoch: int | None = None
    ) -> None:
        self.pools = pools
        self.batch_size = batch_size
        self.seed = seed
        self.from_right = self.by_larger and len(pools.right) > len(pools.left)
        drawn = pools.right if self.from_right else pools.left
        self.pairs = len(drawn) if pairs_per_epoch is None else pairs_per_epoch
        self._epoch = -1
        self._plan: tuple[Rows, Rows] = (np.empty(0, np.int64), np.empty(0, np.int64))

    @property
    def steps(self) -> int:
        """Batches per epoch; the last may be smaller."""
        return -(-self.pairs // self.batch_size)

    @property
    def images_per_epoch(self) -> int:
        """Images per epoch: two per pair."""
        return 2 * self.pairs

    def plan(self, epoch: int) -> tuple[Rows, Rows]:
        """Positions in the left and right pool of every pair of an epoch, `(pairs,)` each."""
        if epoch == self._epoch:
            return self._plan
        rng = np.random.default_rng([self.seed, epoch, 1])
        classes = (self.pools.left_classes, self.pools.right_classes)
        own, other = classes[::-1] if self.from_right else classes
        halves = []
        before = np.empty(0, dtype=np.int64)
        for positive, count in ((True, (self.pairs + 1) // 2), (False, self.pairs // 2)):
            has_partner = np.array([np.any((other == c) == positive) for c in range(len(self.pools.names))])
            drawn = cycle(np.flatnonzero(has_partner[own]), count, rng, before=before)
            partners = np.empty(count, dtype=np.int64)
            for c in np.unique(own[drawn]):
                at = np.flatnonzero(own[drawn] == c)
                partners[at] = self.choose(drawn[at], np.flatnonzero((other == c) == positive), rng)
            halves.append((drawn, partners))
            before = drawn
        order = rng.permutation(self.pairs)
        drawn, partners = (np.concatenate(side)[order] for side in zip(*halves, strict=True))
        self._epoch, self._plan = epoch, (partners, drawn) if self.from_right else (drawn, partners)
        return self._plan

    def choose(self, drawn: Rows, partners: Rows, rng: np.random.Generator) -> Rows:
        """Draw a partner for each drawn image, uniformly from `partners`."""
        return rng.choice(partners, size=len(drawn))

    def batch(self, epoch: int, step: int) -> PairBatch:
        """Pairs `step * batch_size` to `(step + 1) * batch_size` of the epoch's plan."""
        left, right = (
            side[step * self.batch_size : (step + 1) * self.batch_size] for side in self.plan(epoch)
        )
        return PairBatch.whole(
            self.pools.left[left],
            self.pools.left_classes[left],
            self.pools.right[right],
            self.pools.right_classes[right],
        )


class NearestPairs(RandomPairs):
    """Pairs as in `RandomPairs`, but each left image is paired only with the most similar partners.

    An epoch has as many pairs as there are left (real) images.

    In `usage`, most random pairs carry no information: only the few generated images near a real image show
    whether it was used. With this strategy, training pulls a used image towards its nearest generated images
    and pushes a not-used image away from its nearest ones. In `subset`, it gives hard negatives.

    Args:
        pools: The images to draw from.
        images: `(rows of the store, H, W)` uint8.
        neighbours: A partner is drawn from this number of nearest images.
        contrast: `pair`: only the drawn pairs are used. `batch`: in addition, every left image forms
            negative pairs with the partners of all other left images. A positive pair then means the same
            image, not the same class.
        batch_size: Pairs in the global batch.
        seed: Seed of the run.
    """

    by_larger = False
    SIDE = 32  # similarity is the correlation of thumbnails with this side

    @classmethod
    def of(  # type: ignore[override]
        cls, settings: NearestPairingSettings, pools: PairPools, *, images: NDArray[np.uint8], seed: int
    ) -> NearestPairs:
        """The strategy of these settings."""
        return cls(
            pools,
            images,
            neighbours=settings.neighbours,
            contrast=settings.contrast,
            batch_size=settings.batch_size,
            seed=seed,
        )

    def __init__(
        self,
        pools: PairPools,
        images: NDArray[np.uint8],
        *,
        neighbours: int,
        contrast: Literal["pair", "batch"],
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__(pools, batch_size=batch_size, seed=seed)
        self.neighbours = neighbours
        self.aligned = contrast == "pair"
        self._left = thumbnails(images[pools.left], side=self.SIDE)
        self._right = thumbnails(images[pools.right], side=self.SIDE)
        self._nearest: dict[bytes, Rows] = {}

    def batch(self, epoch: int, step: int) -> PairBatch:
        """The pairs of a step; with contrast `batch`, the class of an image is its positive partner."""
        pairs = super().batch(epoch, step)
        if self.aligned:
            return pairs
        nothing = max(pairs.left.max(), pairs.right.max()) + 1  # not the class of any right image
        positive = pairs.left_classes == pairs.right_classes
        return PairBatch.whole(pairs.left, np.where(positive, pairs.right, nothing), pairs.right, pairs.right)

    def choose(self, drawn: Rows, partners: Rows, rng: np.random.Generator) -> Rows:
        """One of the `neighbours` partners nearest to each left image, drawn uniformly."""
        key = partners.tobytes()
        if key not in self._nearest:
            self._nearest[key] = self._rank(partners)
        nearest = self._nearest[key]
        return nearest[drawn, rng.integers(0, nearest.shape[1], size=len(drawn))]

    def _rank(self, partners: Rows, *, block: int = 1024) -> Rows:
        """`(left images, neighbours)`: the nearest partners; an image is never its own partner."""
        count = min(self.neighbours, len(partners))
        out = np.empty((len(self._left), count), dtype=np.int64)
        same_image = self.pools.right[partners]
        for start in range(0, len(self._left), block):
            likeness = self._left[start : start + block] @ self._right[partners].T
            likeness[self.pools.left[start : start + block, None] == same_image] = -np.inf
            out[start : start + block] = partners[np.argsort(-likeness, axis=1, kind="stable")[:, :count]]
        return out


class AllPairs:
    """k images per class and domain, and every real x generated pair of their embeddings.

    Each image is encoded once and used in many pairs. An epoch encodes as many images as an epoch of
    `RandomPairs`, so that the two are compared at equal cost. Images are drawn class by class without
    repetition; when all images of a class were drawn, drawing starts again with all of them.

    Args:
        pools: The images to draw from.
        images_per_class: k.
        seed: Seed of the run.
        images_per_epoch: Images to encode per epoch; default: two per image of the larger side, as in
            `RandomPairs`.
    """

    aligned = False

    @classmethod
    def of(
        cls, settings: AllPairingSettings, pools: PairPools, *, images: NDArray[np.uint8], seed: int
    ) -> AllPairs:
        """The strategy of these settings."""
        return cls(pools, images_per_class=settings.images_per_class, seed=seed)

    def __init__(
        self, pools: PairPools, *, images_per_class: int, seed: int, images_per_epoch: int | None = None
    ) -> None:
        self.pools = pools
        self.seed = seed
        self.k = images_per_class
        self._by_class = [
            [(c, np.flatnonzero(classes == c)) for c in range(len(pools.names)) if np.any(classes == c)]
            for classes in (pools.left_classes, pools.right_classes)
        ]
        self.batch_images = images_per_class * sum(len(side) for side in self._by_class)
        budget = 2 * max(len(pools.left), len(pools.right)) if images_per_epoch is None else images_per_epoch
        self._steps = max(1, round(budget / self.batch_images))
        self._epoch = -1
        self._plan: list[Rows] = []

    @property
    def steps(self) -> int:
        """Batches per epoch, at least one."""
        return self._steps

    @property
    def images_per_epoch(self) -> int:
        """Images encoded per epoch."""
        return self._steps * self.batch_images

    def plan(self, epoch: int) -> list[Rows]:
        """For each side, positions in its pool, `(steps, images of the side)`."""
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, epoch, 2])
            self._plan = [
                np.concatenate(
                    [
                        cycle(of_class, self._steps * self.k, rng).reshape(self._steps, self.k)
                        for _, of_class in side
                    ],
                    axis=1,
                )
                for side in self._by_class
            ]
            self._epoch = epoch
        return self._plan

    def batch(self, epoch: int, step: int) -> PairBatch:
        """The images of one step; their pairs are formed from the embeddings."""
        left, right = (side[step] for side in self.plan(epoch))
        return PairBatch.whole(
            self.pools.left[left],
            self.pools.left_classes[left],
            self.pools.right[right],
            self.pools.right_classes[right],
        )


def cycle(candidates: Rows, count: int, rng: np.random.Generator, *, before: Rows | None = None) -> Rows:
    """`count` candidates in random order; none is repeated before all were drawn.

    Candidates that are in `before`, which were drawn earlier, come after all others.
    """
    first = candidates[:0] if before is None else np.setdiff1d(candidates, before)
    rest = max(0, count - len(first))
    rounds = -(-rest // len(candidates)) if rest else 0
    drawn = [rng.permutation(first), *(rng.permutation(candidates) for _ in range(rounds))]
    return np.concatenate(drawn)[:count]
