"""FID and KID by torch-fidelity, if the package and its Inception weights are available.

Both compare features of a network trained on photographs. Papers report them, but they tell little about
CT images. The extra `quality` installs the package; it downloads the weights, or reads them from a file.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from fingerprints.core.errors import FingerprintsError, install
from fingerprints.core.weight_files import check_file, read_torch

SUBSETS = 100  # number of subsets for KID
FEWEST = 2048  # number of FID features: with fewer images the covariance is singular and FID biased upwards


class _Grey(Dataset):
    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Tensor:
        return torch.from_numpy(np.array(self.images[row])).expand(3, -1, -1)


def check_fidelity(weights: Path | None) -> None:
    """Check before any training that FID and KID can be measured after it.

    Args:
        weights: File of torch-fidelity's Inception weights; `None`: download them.

    Raises:
        FingerprintsError: If the package is not installed, or the weights are not available or not safe.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise FingerprintsError(
            "FID and KID need a package that is not installed.",
            where="quality.fidelity=true",
            fix=f"{install('quality')}, or quality.fidelity=false",
        ) from error
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048"], feature_extractor_weights_path=_safe(weights)
            )
    except Exception as error:  # a damaged file can raise any error in its reader
        first = str(error).splitlines()[0].rstrip(":") if str(error) else type(error).__name__
        raise FingerprintsError(
            f"The Inception weights for FID and KID are not available: {first}",
            where=weights or "quality.fidelity=true",
            fix="quality.weights=PATH with torch-fidelity's weights-inception-2015-12-05-6726825d.pth, "
            "a connection to download them, or quality.fidelity=false",
        ) from error


def fidelity(
    generated: NDArray[np.uint8], real: NDArray[np.uint8], *, weights: Path | None, accelerator: str = "cpu"
) -> dict[str, Any]:
    """FID (Heusel et al. 2017) and KID (Binkowski et al. 2018) between two sets of images.

    Args:
        generated: `(n, S, S)` uint8.
        real: `(m, S, S)` uint8.
        weights: As in `check_fidelity`.
        accelerator: `cpu` or `gpu`.

    Returns:
        `fid`, `kid`, `kid_std` (over the subsets of KID), the numbers of images, and a `note` if they are
        too few for FID.
    """
    from torch_fidelity import calculate_metrics

    fewest = min(len(generated), len(real))
    with contextlib.redirect_stderr(io.StringIO()):
        found = calculate_metrics(
            input1=_Grey(generated),
            input2=_Grey(real),
            cuda=accelerator == "gpu",
            fid=True,
            kid=True,
            kid_subsets=SUBSETS,
            kid_subset_size=max(2, min(1000, fewest // 2)),
            feature_extractor_weights_path=_safe(weights),
            save_cpu_ram=True,  # no loader processes: the images are in memory
            verbose=False,
        )
    figures: dict[str, Any] = {
        "fid": float(found["frechet_inception_distance"]),
        "kid": float(found["kernel_inception_distance_mean"]),
        "kid_std": float(found["kernel_inception_distance_std"]),
        "generated": len(generated),
        "real": len(real),
    }
    if fewest < FEWEST:
        figures["note"] = f"FID is biased upwards below {FEWEST:,} images of each kind; KID is not"
    return figures


def _safe(weights: Path | None) -> str | None:
    """The file's path, if it holds only weights.

    torch-fidelity unpickles any file, which can run code. A file that loads here contains no code.
    """
    if weights is None:
        return None
    check_file(weights)
    read_torch(weights)
    return str(weights)
