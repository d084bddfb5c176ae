"""What is identical, a changed copy, or nearest: looked for before any detector runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from fingerprints.auditing.images import Folder
from fingerprints.decisions.contract import Embeddings
from fingerprints.decisions.cuts import above_reference, allowed_alarms
from fingerprints.decisions.distances import euclidean
from fingerprints.decisions.scores.attack_settings import CopiesSettings
from fingerprints.decisions.scores.copies import Copies, copy_level, find_copies

LEAST_LISTED, MOST_LISTED = 20, 1000  # matches that are listed, the most similar ones
RATE = 0.01  # share of images that may match above the level by chance
BLOCK = 2048  # generated images at a time
SETTINGS = CopiesSettings()


@dataclass(frozen=True)
class CopiesFound:
    """Generated images that are, or look like changed copies of, real ones.

    Attributes:
        identical: Rows of a real and a generated image with the same pixels.
        matches: The generated image that each of the n real images matches best.
        level: The similarity from which a match is listed as a copy.
        chance: Number of real images expected at the level if none was copied; `None` without a reference.
    """

    identical: tuple[tuple[int, int], ...]
    matches: Copies
    level: float
    chance: float | None

    @property
    def above(self) -> NDArray[np.bool_]:
        """`(n,)` whether a real image's best match reaches the level."""
        return self.matches.similarity >= self.level

    def listed(self) -> list[int]:
        """Rows of the real images whose matches are listed, the most similar first."""
        count = min(max(int(self.above.sum()), LEAST_LISTED), MOST_LISTED)
        return np.argsort(-self.matches.similarity, kind="stable")[:count].tolist()

    def to_json(self, real: Folder, generated: Folder) -> dict[str, Any]:
        """With names of images."""
        found = self.matches
        return {
            "identical": [{"real": real.ids[i], "generated": generated.ids[j]} for i, j in self.identical],
            "matches": {
                "level": round(self.level, 4),
                "level_from": "real images of other patients" if self.chance is None else "reference",
                "real_images": int(self.above.sum()),
                "by_chance": None if self.chance is None else round(self.chance, 1),
                "listed": [
                    {
                        "real": real.ids[row],
                        "group": str(real.groups[row]),
                        "generated": generated.ids[found.nearest[row]],
                        "similarity": round(float(found.similarity[row]), 4),
                        "change": found.change(row),
                        "above": bool(self.above[row]),
                    }
                    for row in self.listed()
                ],
            },
        }


def copies_among(real: Folder, generated: Folder, reference: Folder | None) -> CopiesFound:
    """Generated images with the pixels of a real one, and the best match of each real image.

    Args:
        real: The candidates.
        generated: The generated images.
        reference: Its best matches give the level. Without one, real images of different patients do
            (`copy_level`), which is too low if there are many more generated images than real ones.
    """
    rows: dict[bytes, list[int]] = {}
    for row, picture in enumerate(generated.pictures):
        rows.setdefault(picture.digest, []).append(row)
    identical = [(row, at) for row, one in enumerate(real.pictures) for at in rows.get(one.digest, ())]
    own, made = unit(real.pixels), unit(generated.pixels)
    matches = find_copies(own, made, SETTINGS)
    if reference is None:
        return CopiesFound(tuple(identical), matches, copy_level(own, real.groups, SETTINGS, rate=RATE), None)
    unused = find_copies(unit(reference.pixels), made, SETTINGS).similarity
    alarms = allowed_alarms(len(unused), rate=RATE)
    chance = alarms * len(own) / (len(unused) + 1)
    return CopiesFound(tuple(identical), matches, above_reference(unused, rate=RATE), chance)


def unit(pixels: NDArray[np.uint8]) -> Embeddings:
    """`(n, side^2)` grey levels in [0, 1] of images `(n, side, side)`."""
    return pixels.reshape(len(pixels), -1).astype(np.float32) / np.float32(255)


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
