"""Choice of the k-means library: scikit-learn, or Intel's scikit-learn-intelex (extra `speed`).

It pays for k-means only: about twice as fast (`python -m benchmarks.decisions`). The support vector machine
is as fast without it, because kernel values come from matrix products. It has no agglomerative clustering or
Gaussian mixture. Its starts differ, so that labels differ a little; therefore it is off unless asked for, and
a result never depends on what happens to be installed.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from sklearn.cluster import KMeans

from fingerprints.core.errors import FingerprintsError, install
from fingerprints.decisions.settings import Speed


def kmeans_engine(speed: Speed) -> tuple[type[Any], str]:
    """The k-means class to use, and its package with version.

    Args:
        speed: `off` for scikit-learn, `auto` for scikit-learn-intelex if it is installed, `on` for
            scikit-learn-intelex or an error.

    Raises:
        FingerprintsError: If `speed` is `on` and the package is not installed.
    """
    if speed != "off":
        try:
            from sklearnex.cluster import KMeans as FastKMeans
        except ImportError as error:
            if speed == "on":
                raise FingerprintsError(
                    f"scikit-learn-intelex cannot be imported: {error}",
                    where="decision.speed=on",
                    fix=f"{install('speed')}, or decision.speed=auto",
                ) from error
        else:
            return FastKMeans, f"scikit-learn-intelex {version('scikit-learn-intelex')}"
    return KMeans, f"scikit-learn {version('scikit-learn')}"
