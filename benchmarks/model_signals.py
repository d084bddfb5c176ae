"""By what a generator is recognised in a `model` benchmark: grey levels alone, or residuals?

    python -m benchmarks.model_signals ROOT

Two descriptions of an image, neither of which sees anatomy as such: its grey-level histogram (blind: it is
what a scanner setting would change, too) and the power spectrum of its residual (the image minus a blurred
copy; after Marra et al. 2019 and Frank et al. 2020). For each of them:
- accuracy on the test images of the labelled generators, of logistic regression fitted on the labelled
images; - adjusted Rand index of k-means over the whole test part, with as many clusters as there are
generators; and the same accuracy with the labels of the training part shuffled.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fingerprints.evidence.baselines import histogram_features


def residual_spectrum(images: NDArray[np.uint8], *, sigma: float = 1.0) -> NDArray[np.float64]:
    """Log power of the residual over rings of spatial frequency: `(n, S, S)` to `(n, S / 2)`."""
    pixels = images.astype(np.float64) / 255
    residual = pixels - gaussian_filter(pixels, (0, sigma, sigma))
    power = np.abs(np.fft.fftshift(np.fft.fft2(residual), axes=(1, 2))) ** 2
    side = images.shape[-1]
    down, across = np.indices((side, side)) - side // 2
    ring = np.minimum(np.hypot(down, across).astype(int), side // 2 - 1)
    counts = np.bincount(ring.ravel())
    rings = [np.bincount(ring.ravel(), weights=image.ravel()) / counts for image in power]
    return np.log(np.array(rings) + 1e-9)


def read(folder: Path) -> tuple[list[str], NDArray[np.uint8]]:
    files = sorted(folder.glob("*.png"))
    return [file.stem for file in files], np.stack([np.asarray(Image.open(file)) for file in files])


def main() -> None:
    root = Path(sys.argv[1])
    labelled = {path.name: read(path)[1] for path in sorted((root / "generated").iterdir())}
    train, labels = (
        np.concatenate(list(labelled.values())),
        np.repeat(list(labelled), [*map(len, labelled.values())]),
    )
    ids, test = read(root / "test/generated_unknown")
    with (root / "test_truth.csv").open() as handle:
        truth_of = dict(csv.reader(handle))
    truth = np.array([truth_of[name] for name in ids])
    known = np.isin(truth, list(labelled))
    k = len(set(truth))
    print(f"{len(train)} labelled images of {len(labelled)} generators, {len(test)} test images of {k}")
    shuffled = np.random.default_rng(0).permutation(labels)
    for name, describe in (("histogram", histogram_features), ("residual spectrum", residual_spectrum)):
        x, y = describe(train), describe(test)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
        answers = model.fit(x, labels).predict(y[known])
        accuracy = float(np.mean(answers == truth[known]))
        control = float(np.mean(model.fit(x, shuffled).predict(y[known]) == truth[known]))
        scaled = StandardScaler().fit_transform(y)
        clusters = KMeans(k, n_init=20, random_state=0).fit_predict(scaled)
        print(
            f"  {name:<18} accuracy {accuracy:.3f} (chance {1 / len(labelled):.3f}, "
            f"shuffled labels {control:.3f}), "
            f"ARI of k-means {adjusted_rand_score(truth, clusters):.3f}"
        )
        for generator in labelled:
            mine = truth[known] == generator
            print(f"    {generator:<16} recall {np.mean(answers[mine] == generator):.3f}")


if __name__ == "__main__":
    main()
