"""Figures of copying in a set of generated images, beside those of held-out real images.

They describe a set and are no verdict: generated images can be near to training images because all images of
an organ are alike. Held-out images of the same source show how near is usual. All distances are Euclidean.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors

from fingerprints.core.errors import FingerprintsError

Vectors = NDArray[np.floating]
FEWEST = 5  # images of each kind in a cell that counts


@dataclass(frozen=True)
class Copying:
    """Figures of one set of generated images.

    Attributes:
        z: Data-copying statistic (Meehan et al. 2020, arXiv 2004.05675, section 3): below 0 if generated
            images are nearer to training images than held-out ones are, above 0 if they are farther away. A
            standard normal variable within each cell if nothing is copied and images are independent, which
            slices of one patient are not. `None` if no cell has enough images.
        cells: Number of cells that count.
        authenticity: Share of generated images that are farther from the nearest training image than this one
            is from its own nearest (Alaa et al. 2022, arXiv 2102.08921, section 3.3).
        authenticity_held_out: The same share for held-out images.
        ratio: Median, over generated images, of the distance to the nearest training image divided by that to
            the second nearest: near 0 for copies, near 1 if no training image stands out.
        ratio_held_out: The same median for held-out images.
    """

    z: float | None
    cells: int
    authenticity: float
    authenticity_held_out: float
    ratio: float
    ratio_held_out: float

    def describe(self) -> dict[str, float | int | None]:
        """Plain data."""
        return asdict(self)

    def line(self) -> str:
        """The figures in words."""
        z = "no cell has enough images" if self.z is None else f"z {self.z:.2f} over {self.cells} cells"
        return (
            f"data-copying test: {z} (below 0: nearer to training than held-out images); authenticity "
            f"{self.authenticity:.2f} (held-out images {self.authenticity_held_out:.2f}); nearest over "
            f"second nearest training image {self.ratio:.2f} ({self.ratio_held_out:.2f})"
        )


def copying(
    generated: Vectors, training: Vectors, held_out: Vectors, *, cells: int = 10, seed: int = 0
) -> Copying:
    """Figures of copying.

    Args:
        generated: `(n, d)` features or pixels of the generated images.
        training: `(m, d)` of the real images that may have been copied.
        held_out: `(k, d)` of real images from the same source that the generator was not trained on.
        cells: Number of cells of the data-copying test: k-means clusters of the training images.
        seed: Seed of k-means.

    Raises:
        FingerprintsError: If there are fewer than three training images, or no images of another kind.
    """
    if len(training) < 3 or not len(generated) or not len(held_out):
        raise FingerprintsError(
            "Figures of copying need three training images, and generated and held-out ones; there are "
            f"{len(training):,}, {len(generated):,} and {len(held_out):,}.",
            where="images",
            fix="give more images",
        )
    z, counted = data_copying(generated, training, held_out, cells=cells, seed=seed)
    search = NearestNeighbors(n_neighbors=2).fit(training)
    own = search.kneighbors()[0][:, 0]
    found = []
    for some in (generated, held_out):
        distances, rows = search.kneighbors(some)
        ratios = distances[:, 0] / np.where(distances[:, 1] > 0, distances[:, 1], 1)
        found.append((float(np.mean(distances[:, 0] > own[rows[:, 0]])), float(np.median(ratios))))
    (authenticity, ratio), (held_authenticity, held_ratio) = found
    return Copying(z, counted, authenticity, held_authenticity, ratio, held_ratio)


def data_copying(
    generated: Vectors, training: Vectors, held_out: Vectors, *, cells: int, seed: int
) -> tuple[float | None, int]:
    """Data-copying statistic (Meehan et al. 2020, section 3), and the number of cells that count.

    In each cell, distances to the nearest training image of the cell are compared by Mann-Whitney's U of
    generated against held-out images, standardised; the mean over cells is weighted by held-out images. Cells
    with fewer than 5 images of a kind do not count.

    The arguments are those of `copying`.
    """
    space = KMeans(min(cells, len(training)), n_init=4, random_state=seed).fit(training)
    of_generated, of_held_out = space.predict(generated), space.predict(held_out)
    values, weights = [], []
    for cell in range(space.n_clusters):
        made, others = generated[of_generated == cell], held_out[of_held_out == cell]
        if min(len(made), len(others)) < FEWEST:
            continue
        search = NearestNeighbors(n_neighbors=1).fit(training[space.labels_ == cell])
        near, usual = (search.kneighbors(some)[0][:, 0] for some in (made, others))
        pairs = len(near) * len(usual)
        u = mannwhitneyu(near, usual).statistic
        values.append((u - pairs / 2) / np.sqrt(pairs * (len(near) + len(usual) + 1) / 12))
        weights.append(len(others))
    return (float(np.average(values, weights=weights)) if values else None), len(values)
