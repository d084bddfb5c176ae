"""Where a run comes from: versions, revision, machine, memory, and a fingerprint of its data."""

from __future__ import annotations

import hashlib
import platform
import resource
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fingerprints import __version__
from fingerprints.data.index import Index
from fingerprints.data.store import ImageStore

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "scikit-learn", "numpy", "hydra-core")


def provenance() -> dict[str, Any]:
    """Versions, code revision (`None` outside a checkout), platform and time."""
    return {
        "fingerprints": __version__,
        "versions": versions(),
        "revision": _revision(),
        "platform": platform.platform(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": shlex.join(sys.argv),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    return {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}


def _revision() -> str | None:
    package = Path(__file__).resolve().parents[1]
    try:
        top = _git(package, "rev-parse", "--show-toplevel")
        if Path(top) != package.parent:  # installed inside another project's repository
            return None
        dirty = _git(package, "status", "--porcelain", "--untracked-files=no")
        return _git(package, "rev-parse", "HEAD") + ("-dirty" if dirty else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def data_fingerprint(index: Index, store: ImageStore) -> str:
    """Digest of every image's pixels with its role, label and group; file names are not included."""
    table = index.table
    lines = sorted(
        f"{digest.decode()} {row.domain} {row.generator} {row.label} {row.split}"
        for digest, row in zip(
            store.digests[table.index.to_numpy()], table.itertuples(index=False), strict=True
        )
    )
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


def peak_memory() -> dict[str, float]:
    """Highest resident memory of this process, and of the GPU where one was used, in MB."""
    import torch  # imported here, so that progress lines appear without waiting for it

    peak = {"host": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)}
    if torch.cuda.is_available():
        peak["gpu"] = round(torch.cuda.max_memory_allocated() / 1e6, 1)
    return peak
