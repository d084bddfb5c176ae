"""The one error for weights that are neither here nor to be had."""

from __future__ import annotations

from fingerprints.core.errors import FingerprintsError

LITE0 = "efficientnet_lite0"  # the backbone whose weights come in a package


def no_download(name: str, error: BaseException, *, files: str) -> FingerprintsError:
    """The error for a failed download; names the three ways out.

    Args:
        name: The encoder.
        error: What the download raised.
        files: What to copy by hand: "the file x.pth", "the folder of ...".
    """
    lines = str(error).strip().splitlines()
    return FingerprintsError(
        f"The weights of {name} cannot be downloaded: {lines[0] if lines else type(error).__name__}",
        where="encoder.weights=default",
        fix=f"(1) connect to the internet; (2) copy {files} here and give encoder.weights=PATH; "
        f"(3) use encoder={LITE0}, whose weights come in a package, or encoder.weights=none",
    )
