"""Quality of generated images, compared with real images that the generator was not trained on.

All distances are Euclidean, between pixels in [0, 1], so that no network trained on other pictures decides
what is important. Each figure is given together with the score of the training images themselves, since
real images of other patients differ from each other too.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.metrics.pairwise import euclidean_distances

from fingerprints.core.errors import FingerprintsError

COLLAPSED_BELOW = 0.5  # diversity, as a share of that of the training images
# Allowed range of a generator's figures: outside it, a search for traces in its images makes no sense. The
# range is wide on purpose: it is for a few hundred images and minutes of training, and detects noise, blur
# and collapse. For precision it is a share of the score of the training images themselves.
FLOOR = {
    "two_sample": (0.0, 0.99),
    "precision": (0.85, float("inf")),
    "diversity": (0.6, 1.25),
    "coverage": (0.4, 1.0),
    "sharpness": (0.25, 1.5),
}


@dataclass(frozen=True)
class TwoSample:
    """Leave-one-out nearest-neighbour two-sample test (Lopez-Paz and Oquab 2017; Xu et al. 2018).

    Attributes:
        accuracy: Share of images whose nearest other image is in the same set: 0.5 if the sets cannot be
            told apart, 1 if they are clearly different, below 0.5 if one set copies the other.
        first: The same for the first set only.
        second: The same for the second set only.
        n: Number of images in each set.
    """

    accuracy: float
    first: float
    second: float
    n: int


@dataclass(frozen=True)
class Quality:
    """Figures of one generator.

    Attributes:
        two_sample: Generated images against kept-out real ones.
        two_sample_real: Training images against the same kept-out ones: the best value that a generator
            of these images can be expected to reach.
        precision: Share of generated images that are nearer to a kept-out image than the fifth neighbour
            of that image among the kept-out ones (Kynkäänniemi et al. 2019): low if images do not resemble
            any real one.
        precision_real: The same for the training images: the expected value of a good generator.
        diversity: Mean distance between two generated images, divided by that between two training
            images: near 1 if they vary equally.
        coverage: Share of training images that have a generated image nearer than their fifth training
            neighbour (Naeem et al. 2020): low if kinds of images are missing.
        nearer_to_training: Share of generated images that are nearer to the training images than to an
            equal number of kept-out ones: 0.5 if nothing is memorised and both are from the same groups.
        sharpness: Mean squared difference of neighbouring pixels, divided by that of the training images:
            below 1 if images are smooth.
        kept_out: Groups of the kept-out images: `same_groups` as the training images, or `other_groups`.
        collapsed: Whether diversity is below one half.
        below_floor: Names of the figures outside the range of `FLOOR`.
    """

    two_sample: TwoSample
    two_sample_real: TwoSample
    precision: float
    precision_real: float
    diversity: float
    coverage: float
    nearer_to_training: float
    sharpness: float
    kept_out: str
    collapsed: bool
    below_floor: tuple[str, ...]

    def describe(self) -> dict[str, object]:
        """Plain data, rounded."""
        return {key: _rounded(value) for key, value in asdict(self).items()}

    def line(self) -> str:
        """The figures in words, for the console."""
        words = (
            f"1-NN two-sample accuracy {self.two_sample.accuracy:.2f} "
            f"(training images themselves {self.two_sample_real.accuracy:.2f}; kept-out images of "
            f"{self.kept_out.replace('_', ' ')}), "
            f"precision {self.precision:.2f} ({self.precision_real:.2f}), "
            f"diversity {self.diversity:.2f}, coverage {self.coverage:.2f}, sharpness {self.sharpness:.2f}, "
            f"nearer to training {self.nearer_to_training:.2f}"
        )
        if self.collapsed:
            return words + "; COLLAPSED: its images are too similar to each other"
        return words + (f"; BELOW THE FLOOR: {', '.join(self.below_floor)}" if self.below_floor else "")


def quality(
    generated: NDArray[np.uint8],
    training: NDArray[np.uint8],
    kept_out: NDArray[np.uint8],
    *,
    kind: str,
    seed: int,
    limit: int = 1000,
) -> Quality:
    """Figures of a generator.

    Args:
        generated: `(n, S, S)`.
        training: The images that it was trained on, `(m, S, S)`.
        kept_out: Real images that it was not trained on, `(k, S, S)`.
        kind: `same_groups` or `other_groups`.
        seed: Seed of the choice of images if sets differ in size: compared sets have equal size.
        limit: Largest number of images used from each set.

    Raises:
        FingerprintsError: If a set has fewer than two images.
    """
    if min(len(generated), len(training), len(kept_out)) < 2:
        raise FingerprintsError(
            f"Quality needs at least two images of each kind; there are {len(generated)} generated, "
            f"{len(training)} training and {len(kept_out)} kept-out ones.",
            where="quality",
            fix="use more real images, or smaller counts (scale.*), so that some real images remain unused",
        )
    rng = np.random.default_rng(seed)
    n = min(len(generated), len(training), len(kept_out), limit)

    def some(images: NDArray[np.uint8], count: int) -> NDArray[np.float32]:
        return vectors(images[np.sort(rng.permutation(len(images))[:count])])

    drawn, known, unseen = some(generated, n), some(training, n), some(kept_out, n)
    more = min(len(generated), len(training), limit)
    drawn_more, known_more = some(generated, more), some(training, more)
    to_known, to_unseen = nearest(drawn, known), nearest(drawn, unseen)
    ties = to_known == to_unseen
    figures: dict[str, float] = {
        "precision": precision(drawn, unseen),
        "precision_real": precision(known, unseen),
        "diversity": mean_distance(drawn_more) / max(mean_distance(known_more), 1e-12),
        "coverage": coverage(drawn_more, known_more),
        "sharpness": roughness(generated[:limit]) / max(roughness(training[:limit]), 1e-12),
    }
    test = two_sample(drawn, unseen)
    return Quality(
        two_sample=test,
        two_sample_real=two_sample(known, unseen),
        nearer_to_training=float(np.mean((to_known < to_unseen) + 0.5 * ties)),
        kept_out=kind,
        collapsed=figures["diversity"] < COLLAPSED_BELOW,
        below_floor=below_floor(two_sample=test.accuracy, **figures),
        **figures,
    )


def below_floor(*, precision_real: float, **figures: float) -> tuple[str, ...]:
    """Names of the figures that are outside the range of `FLOOR`."""
    relative = {**figures, "precision": figures["precision"] / max(precision_real, 1e-12)}
    return tuple(name for name, (least, most) in FLOOR.items() if not least <= relative[name] <= most)


def roughness(images: NDArray[np.uint8]) -> float:
    """Mean squared difference of neighbouring pixels, down and across, in [0, 1]."""
    pixels = images.astype(np.float32) / np.float32(255)
    return float(sum(np.square(np.diff(pixels, axis=axis)).mean(dtype=np.float64) for axis in (1, 2)))


def vectors(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """`(n, S, S)` uint8 images as `(n, S * S)` pixels in [0, 1], for all distances."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def two_sample(first: NDArray[np.float32], second: NDArray[np.float32]) -> TwoSample:
    """The nearest-neighbour test between two sets of equal size, `(n, d)` each."""
    own = np.arange(len(first) + len(second)) < len(first)
    distances = _own_distances(np.concatenate([first, second]))
    right = own[distances.argmin(axis=1)] == own
    return TwoSample(
        accuracy=float(right.mean()),
        first=float(right[own].mean()),
        second=float(right[~own].mean()),
        n=len(first),
    )


def nearest(queries: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance from each query `(n, d)` to its nearest point `(m, d)`; large sets go block by block."""
    return pairwise_distances_argmin_min(queries, points)[1]


def mean_distance(points: NDArray[np.float32]) -> float:
    """Mean distance between two different points of `(n, d)`."""
    distances = euclidean_distances(points)
    return float(distances.sum(dtype=np.float64) / (len(points) * (len(points) - 1)))


def coverage(generated: NDArray[np.float32], real: NDArray[np.float32], *, k: int = 5) -> float:
    """Share of real points with a generated one nearer than their k-th real neighbour."""
    return float(np.mean(nearest(real, generated) <= _reach(real, k)))


def precision(generated: NDArray[np.float32], real: NDArray[np.float32], *, k: int = 5) -> float:
    """Share of generated points that are nearer to a real point than that point's k-th real neighbour."""
    return float((euclidean_distances(generated, real) <= _reach(real, k)).any(axis=1).mean())


def _own_distances(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distances between points `(n, d)`; no point is its own neighbour."""
    distances = euclidean_distances(points)
    np.fill_diagonal(distances, np.inf)
    return distances


def _reach(points: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Distance of each point to its k-th neighbour, or to the farthest if there are fewer."""
    k = min(k, len(points) - 1)
    return np.partition(_own_distances(points), k - 1, axis=1)[:, k - 1]


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, 4) if isinstance(value, float) else value
