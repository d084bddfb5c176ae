"""Detection of copies: the generated image that each real image matches best, patch by patch.

A generated image that is a slightly changed training image gives that image away (Carlini et al. 2023, arXiv
2301.13188, section 4.2: the largest distance of tiles; Dar et al. 2025, arXiv 2402.01054, for medical
images). The nearest image by pixels loses copies that are shifted, turned, mirrored, or of another contrast.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.contract import Embeddings, Labels, Part
from fingerprints.decisions.cuts import above_reference
from fingerprints.decisions.scores.alignment import (
    ORIENTATIONS,
    Coarse,
    Matrix,
    Patches,
    Pictures,
    Shifts,
    angles_to,
    moved,
    oriented,
    small_turns,
)
from fingerprints.decisions.scores.attack_settings import CopiesSettings

CELLS = 4_000_000  # coarse similarities held at a time
MOST_SHIFT = 1 / 8  # of the side
UPRIGHT, SIDEWAYS = ("up", "down"), ("left", "right")
TURNS = ("turned left by 90 degrees", "turned by 180 degrees", "turned right by 90 degrees")
LEAST = 4  # pixels that must be left between the borders


@dataclass(frozen=True)
class Copies:
    """The best match of each of n real images, and how the real image must be changed to look like it.

    Attributes:
        similarity: `(n,)` in [-1, 1]; 1 is a copy.
        nearest: `(n,)` row of the generated image.
        orientation: `(n,)` from 0 to 7: turns by 90 degrees; from 4 on, mirrored left-right before.
        angle: `(n,)` degrees counter-clockwise, before the change of orientation.
        shift: `(n, 2)` pixels down and right, after the other changes.
    """

    similarity: NDArray[np.float64]
    nearest: NDArray[np.int64]
    orientation: NDArray[np.int64]
    angle: NDArray[np.float64]
    shift: NDArray[np.int64]

    def change(self, row: int) -> str:
        """How a real image was changed, in words."""
        orientation, (down, right) = int(self.orientation[row]), self.shift[row].tolist()
        words = []
        if self.angle[row]:
            words.append(f"turned {SIDEWAYS[int(self.angle[row] < 0)]} by {abs(self.angle[row]):g} degrees")
        if orientation >= 4:
            words.append("mirrored left-right")
        if orientation % 4:
            words.append(TURNS[orientation % 4 - 1])
        if down or right:
            steps = [f"{way[by > 0]} by {abs(by)}" for by, way in ((down, UPRIGHT), (right, SIDEWAYS)) if by]
            words.append(f"shifted {' and '.join(steps)} pixel{'s' * (max(abs(down), abs(right)) > 1)}")
        return ", then ".join(words) or "not moved"

    def aligned(self, image: NDArray[Any], row: int) -> Pictures:
        """A real image `(side, side)`, changed in this way, as floats."""
        (turned,) = small_turns(image.astype(np.float32), self.angle[row : row + 1])
        return moved(oriented(turned, int(self.orientation[row])), *self.shift[row].tolist())


def score(settings: CopiesSettings, part: Part, learned: Mapping[str, Any]) -> NDArray[np.float64]:
    """`(n,)` similarity of each query to its best match among the generated images (`find_copies`).

    Raises:
        FingerprintsError: If there are no generated images.
    """
    return find_copies(part.queries.embeddings, part.references.embeddings, settings).similarity


def copy_level(real: Embeddings, groups: Labels, settings: CopiesSettings, *, rate: float = 0.01) -> float:
    """The similarity from which a pair counts as a copy: what images of different patients do not reach.

    Each image is compared with the images of all other patients, as if these were generated. Matches by
    chance are the higher, the more images there are to match: the level is right for as many generated images
    as there are real ones of other patients, and too low for many more. Where there are real images that the
    generator was not trained on, the level of their own matches with the generated images is better
    (`decision.cut=reference`).

    Args:
        real: `(n, side^2)` real images.
        groups: `(n,)` patient of each.
        settings: As for `find_copies`.
        rate: Share of the images whose best match may lie above the level.

    Raises:
        FingerprintsError: As for `find_copies`.
    """
    return above_reference(find_copies(real, real, settings, groups=(groups, groups)).similarity, rate=rate)


def find_copies(
    real: Embeddings,
    generated: Embeddings,
    settings: CopiesSettings,
    *,
    groups: tuple[Labels, Labels] | None = None,
) -> Copies:
    """The generated image that matches each real image best.

    1. Coarse similarity of all pairs: band-passed images on a grid of 16 x 16 points, over 8 orientations
       and 9 shifts of the real image. The `candidates` highest go on.
    2. Small angle and shift of the real image that align the gradients best. The `finalists` go on.
    3. Similarity by patches: normalised cross-correlation of each patch, which may move by `slack` pixels;
       the similarity that a `share` of the patches does not exceed.

    Args:
        real: `(n, side^2)` pixels.
        generated: `(m, side^2)` pixels.
        settings: How images are compared.
        groups: Groups of the real and of the generated images: pairs of one group are not compared. Each real
            image needs a generated image of another group.

    Raises:
        FingerprintsError: If there are no generated images, an image has none of another group, or images are
            too small.
    """
    if not len(generated):
        raise FingerprintsError(
            "There are no generated images to compare with.",
            where="generated images of the part",
            fix="add images of this generator",
        )
    side = math.isqrt(generated[0].size)
    most = min(settings.shift, int(side * MOST_SHIFT))
    if side - 2 * (most + settings.slack) < LEAST:
        raise FingerprintsError(
            f"Images of {side} x {side} pixels are too small for patches that move by {settings.slack}.",
            where="decision.slack",
            fix="use larger images, or a smaller decision.slack",
        )
    own, made = (np.asarray(some, dtype=np.float32).reshape(-1, side, side) for some in (real, generated))
    search = _Search(settings, made, most)
    blocks = []
    for rows in gen_batches(len(own), max(1, CELLS // len(made))):
        barred = None if groups is None else groups[0][rows, None] == groups[1][None]
        if barred is not None and barred.all(axis=1).any():
            raise FingerprintsError(
                "A real image has no generated image of another group to be compared with.",
                where="groups",
                fix="give images of two groups or more",
            )
        blocks.append(search.matches(own[rows], barred))
    return Copies(*(np.concatenate(column) for column in zip(*blocks, strict=True)))


class _Search:
    """Generated images `(m, side, side)`, prepared for the comparison with blocks of real images."""

    def __init__(self, settings: CopiesSettings, made: Pictures, most: int) -> None:
        side = made.shape[-1]
        self.settings, self.made = settings, made
        self.orientations = range(ORIENTATIONS if settings.mirrored else 1)
        self.coarse, self.shifts = Coarse(side), Shifts(side, most)
        self.patches = Patches(settings.patch, settings.share, settings.slack, margin=most)
        self.described = self.coarse.describe(made).T
        self.angles = angles_to(settings.angle)
        # Coarse similarity bears errors of a quarter of the largest shift: three points along each axis do.
        self.tried = sorted({-0.75 * most, 0.0, 0.75 * most})

    def matches(self, own: Pictures, barred: NDArray[np.bool_] | None) -> tuple[NDArray[Any], ...]:
        """The columns of `Copies` for a block of real images, without the pairs in `barred` `(b, m)`."""
        similar, orientation = self._coarsely(own)
        if barred is not None:
            similar[barred] = -np.inf
        count = min(self.settings.candidates, len(self.made))
        finals = []
        for at, rows in enumerate(np.argpartition(similar, -count, axis=1)[:, -count:]):
            chosen = rows[np.isfinite(similar[at, rows])]
            finals.append(self._aligned(own[at], chosen, orientation[at, chosen]))
        ends = np.cumsum([len(final[0]) for final in finals])
        nearest, turned, angle, by, aligned = (np.concatenate(c) for c in zip(*finals, strict=True))
        found = self.patches.similarity(aligned, self.made[nearest])
        starts = np.concatenate([[0], ends[:-1]])
        best = np.array([s + found[s:e].argmax() for s, e in zip(starts, ends, strict=True)])
        return found[best], nearest[best], turned[best], angle[best], by[best]

    def _coarsely(self, own: Pictures) -> tuple[Matrix, NDArray[np.int8]]:
        """`(b, m)` highest coarse similarity of all pairs, and the orientation of the real image with it."""
        best = np.full((len(own), len(self.made)), -np.inf, dtype=np.float32)
        which = np.zeros(best.shape, dtype=np.int8)
        for orientation in self.orientations:
            images = oriented(own, orientation)
            for down in self.tried:
                for right in self.tried:
                    found = self.coarse.describe(images, down, right) @ self.described
                    which[found > best] = orientation
                    np.maximum(best, found, out=best)
        return best, which

    def _aligned(
        self, image: Pictures, rows: NDArray[np.int64], orientation: NDArray[np.int8]
    ) -> tuple[NDArray[Any], ...]:
        """Of some generated images, those that align best with a real one.

        Args:
            image: `(side, side)` the real image.
            rows: `(k,)` rows of the generated images.
            orientation: `(k,)` orientation of the real image for each.

        Returns:
            Rows, orientations, angles, shifts, and `(f, side, side)` real images so changed.
        """
        turns = small_turns(image, self.angles)
        spectra = np.empty((len(rows), len(turns), *self.shifts.weight.shape), dtype=np.complex64)
        for one in np.unique(orientation):
            spectra[orientation == one] = self.shifts.spectra(oriented(turns, int(one)))
        similar, by = self.shifts.best(spectra, self.shifts.spectra(self.made[rows])[:, None])
        at = similar.argmax(axis=1)
        similar, by = similar[np.arange(len(rows)), at], by[np.arange(len(rows)), at]
        final = np.argsort(-similar, kind="stable")[: self.settings.finalists]
        aligned = [moved(oriented(turns[at[i]], int(orientation[i])), *by[i].tolist()) for i in final]
        turned = orientation[final].astype(np.int64)
        return rows[final], turned, self.angles[at[final]], by[final], np.array(aligned)
