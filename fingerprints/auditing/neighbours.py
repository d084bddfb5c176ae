"""What is identical, nearly a copy, or nearest: looked for before any detector runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from fingerprints.auditing.images import Folder
from fingerprints.data.groups import near_pairs
from fingerprints.decisions.distances import euclidean

KEPT = 1000  # pairs that are listed, the most similar ones
BLOCK = 2048  # generated images at a time


@dataclass(frozen=True)
class Copies:
    """Generated images that are, or nearly are, real ones.

    Attributes:
        identical: Rows of a real and a generated image with the same pixels.
        near: Rows of a real and a generated image, and the correlation of their thumbnails, highest first.
        near_count: Number of all such pairs.
        near_real: Number of real images in such a pair.
        near_reference: Number of reference images in such a pair; `None` without a reference.
    """

    identical: tuple[tuple[int, int], ...]
    near: tuple[tuple[int, int, float], ...]
    near_count: int
    near_real: int
    near_reference: int | None

    def to_json(self, real: Folder, generated: Folder, *, threshold: float) -> dict[str, Any]:
        """With names of images."""
        return {
            "identical": [{"real": real.ids[i], "generated": generated.ids[j]} for i, j in self.identical],
            "near": {
                "correlation": threshold,
                "pairs": self.near_count,
                "real_images": self.near_real,
                "reference_images": self.near_reference,
                "listed": [
                    {"real": real.ids[i], "generated": generated.ids[j], "correlation": round(r, 4)}
                    for i, j, r in self.near
                ],
            },
        }


def find_copies(real: Folder, generated: Folder, reference: Folder | None, *, threshold: float) -> Copies:
    """Generated images with the pixels of a real one, or with a thumbnail that correlates with its own.

    Args:
        real: The candidates.
        generated: The generated images.
        reference: The reference; how many of its images have near copies says how much that means.
        threshold: Correlation of thumbnails.
    """
    made: dict[bytes, list[int]] = {}
    for row, picture in enumerate(generated.pictures):
        made.setdefault(picture.digest, []).append(row)
    identical = [(row, at) for row, one in enumerate(real.pictures) for at in made.get(one.digest, ())]
    pairs = across_folders(real, generated, threshold=threshold)
    order = np.lexsort((pairs[1], pairs[0], -pairs[2]))[:KEPT]
    near = [(int(pairs[0][at]), int(pairs[1][at]), min(float(pairs[2][at]), 1.0)) for at in order]
    elsewhere = None if reference is None else across_folders(reference, generated, threshold=threshold)[0]
    return Copies(
        identical=tuple(identical),
        near=tuple(near),
        near_count=len(pairs[0]),
        near_real=len(np.unique(pairs[0])),
        near_reference=None if elsewhere is None else len(np.unique(elsewhere)),
    )


def across_folders(left: Folder, right: Folder, *, threshold: float) -> tuple[NDArray, NDArray, NDArray]:
    """Pairs whose thumbnails correlate by at least this: rows of the left, of the right, and correlations."""
    vectors = np.array([picture.thumbnail for one in (left, right) for picture in one.pictures])
    border, found = len(left), [(np.empty(0, int), np.empty(0, int), np.empty(0, np.float32))]
    for i, j, r in near_pairs(vectors, threshold=threshold):
        across = (i < border) & (j >= border)
        found.append((i[across], j[across] - border, r[across]))
    i, j, r = (np.concatenate(column) for column in zip(*found, strict=True))
    return i, j, r


def nearest(
    real: NDArray[np.uint8], generated: NDArray[np.uint8], *, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The generated images with the smallest Euclidean distance of pixels to each real image.

    Args:
        real: `(n, side, side)`.
        generated: `(m, side, side)`.
        count: How many; fewer if there are fewer.

    Returns:
        `(n, count)` rows, nearest first, and root mean square differences in grey levels, in [0, 255].
    """
    count = min(count, len(generated))
    own = real.reshape(len(real), -1).astype(np.float32)
    rows, best = np.empty((len(own), 0), int), np.empty((len(own), 0), np.float32)
    for block in gen_batches(len(generated), BLOCK):
        part = generated[block].reshape(-1, own.shape[1]).astype(np.float32)
        best = np.concatenate([best, euclidean(own, part)], axis=1)
        here = np.broadcast_to(np.arange(block.start, block.start + len(part)), (len(own), len(part)))
        rows = np.concatenate([rows, here], axis=1)
        order = np.argsort(best, axis=1, kind="stable")[:, :count]
        best, rows = np.take_along_axis(best, order, axis=1), np.take_along_axis(rows, order, axis=1)
    return rows, best / np.sqrt(own.shape[1])
