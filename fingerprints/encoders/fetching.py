"""The error for weights that cannot be downloaded."""

from __future__ import annotations

from fingerprints.core.errors import FingerprintsError

LITE0 = "efficientnet_lite0"  # the backbone whose weights are in a Python package


def no_download(
    name: str, error: BaseException, *, files: str, weights: str = "default"
) -> FingerprintsError:
    """The error for a failed download, with three ways to fix it.

    Args:
        name: The encoder.
        error: The exception of the download.
        files: What the user can copy by hand: "the file x.pth", "the folder of ...".
        weights: The weights that were asked for.
    """
    lines = str(error).strip().splitlines()
    return FingerprintsError(
        f"The weights of {name} cannot be downloaded: {lines[0] if lines else type(error).__name__}",
        where=f"encoder.weights={weights}",
        fix=f"(1) connect to the internet; (2) copy {files} to this computer and give encoder.weights=PATH; "
        f"(3) use encoder={LITE0}, whose weights are in a Python package, or encoder.weights=none",
    )
