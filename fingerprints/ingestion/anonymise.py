"""Anonymous names: keyed hashes instead of patients, numbers instead of file names."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.groups import near_duplicate_clusters
from fingerprints.ingestion.groups import CLUSTER
from fingerprints.ingestion.read import Picture

SALT_BYTES = 16  # a shorter salt could be guessed


def anonymise(
    pictures: Sequence[Picture], *, near_duplicate: float, salt: Path | None
) -> tuple[list[str], list[Picture]]:
    """Give pictures groups and names that reveal nothing about their sources.

    Args:
        pictures: Pictures with the groups given by their sources.
        near_duplicate: Pictures without a group are clustered if their thumbnails correlate by at least this.
        salt: File of the key that hashes groups, made if missing; `None`: a random key, which is not saved.

    Returns:
        Names (`images/GROUP_NUMBER.png`), sorted, and the pictures in that order with hashed groups.

    Raises:
        FingerprintsError: If the salt cannot be read or made, or is too short.
    """
    clustered = with_clusters(pictures, threshold=near_duplicate)
    key = read_salt(salt)
    pictures = [replace(picture, group=pseudonym(picture.group, salt=key)) for picture in clustered]
    names = _names(pictures)
    order = sorted(range(len(names)), key=names.__getitem__)  # hides the order of the sources
    return [names[at] for at in order], [pictures[at] for at in order]


def with_clusters(pictures: Sequence[Picture], *, threshold: float) -> list[Picture]:
    """Near-duplicate clusters as the groups of the pictures without a group."""
    lone = [at for at, picture in enumerate(pictures) if picture.origin == CLUSTER]
    pictures = list(pictures)
    if lone:
        vectors = np.array([pictures[at].thumbnail for at in lone])
        clusters = near_duplicate_clusters(vectors, threshold=threshold)
        first: dict[int, str] = {}
        for at, cluster in zip(lone, clusters.tolist(), strict=True):
            # Named by content: different clusters in two calls with the same salt must get different names.
            name = first.setdefault(cluster, f"\0{pictures[at].digest.hex()}")
            pictures[at] = replace(pictures[at], group=name)
    return pictures


def read_salt(path: Path | None) -> bytes:
    """The key that hashes groups: from the file (made if missing) or, without a file, random.

    Raises:
        FingerprintsError: If the file cannot be read or made, or holds fewer than `SALT_BYTES` bytes.
    """
    fresh = secrets.token_hex(32).encode()
    if path is None:
        return fresh
    try:
        with contextlib.suppress(FileExistsError), create_private(path, "x") as handle:
            handle.write(fresh.decode() + "\n")
        salt = path.read_bytes().strip()
    except OSError as error:
        raise FingerprintsError(
            f"The salt file cannot be read or made: {error.strerror}.",
            where=path,
            fix="give salt=FILE that can be read, or a new file in a folder that can be written",
        ) from error
    if len(salt) < SALT_BYTES:
        raise FingerprintsError(
            f"The salt has only {len(salt)} bytes, so it could be guessed.",
            where=path,
            fix=f"give a file of at least {SALT_BYTES} random bytes, or one that does not exist: it is made",
        )
    return salt


def create_private(path: Path, mode: str, **options: Any) -> IO[str]:
    """Open a new file that only its owner can read."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600), **options)


def pseudonym(name: str, *, salt: bytes) -> str:
    """16 hex digits that replace a name; only with the salt can a guessed name be verified."""
    return hmac.new(salt, name.encode(errors="surrogateescape"), "sha256").hexdigest()[:16]


def _names(pictures: Sequence[Picture]) -> list[str]:
    """Output names: the group and a number within the group, in the order of the sources."""
    width = max(4, len(str(max(Counter(picture.group for picture in pictures).values()))))
    numbers: Counter[str] = Counter()
    names = []
    for picture in pictures:
        numbers[picture.group] += 1
        names.append(f"images/{picture.group}_{numbers[picture.group]:0{width}d}.png")
    return names
