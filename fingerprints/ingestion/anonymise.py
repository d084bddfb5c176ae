"""Names that lead nowhere: keyed hashes instead of patients, numbers instead of file names."""

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

SALT_BYTES = 16  # a salt file with less can be guessed


def anonymise(
    pictures: Sequence[Picture], *, near_duplicate: float, salt: Path | None
) -> tuple[list[str], list[Picture]]:
    """Give pictures groups and names that say nothing of their sources.

    Args:
        pictures: Pictures with the groups that their sources name.
        near_duplicate: Thumbnail correlation that makes a cluster of those without a group.
        salt: File of the key that hashes groups, made if missing; `None`: a random key, thrown away.

    Returns:
        Names (`images/GROUP_NUMBER.png`), sorted, and the pictures in that order with hashed groups.

    Raises:
        FingerprintsError: If the salt cannot be read or made, or could be guessed.
    """
    clustered = _with_clusters(pictures, threshold=near_duplicate)
    key = read_salt(salt)
    pictures = [replace(picture, group=pseudonym(picture.group, salt=key)) for picture in clustered]
    names = _names(pictures)
    order = sorted(range(len(names)), key=names.__getitem__)  # says nothing of the order of the sources
    return [names[at] for at in order], [pictures[at] for at in order]


def _with_clusters(pictures: Sequence[Picture], *, threshold: float) -> list[Picture]:
    """Near-duplicate clusters as the groups of pictures that have none."""
    lone = [at for at, picture in enumerate(pictures) if picture.origin == CLUSTER]
    pictures = list(pictures)
    if lone:
        vectors = np.array([pictures[at].thumbnail for at in lone])
        clusters = near_duplicate_clusters(vectors, threshold=threshold)
        first: dict[int, str] = {}
        for at, cluster in zip(lone, clusters.tolist(), strict=True):
            # By what is in it, so that clusters of two calls with one salt are not taken for each other.
            name = first.setdefault(cluster, f"\0{pictures[at].digest.hex()}")
            pictures[at] = replace(pictures[at], group=name)
    return pictures


def read_salt(path: Path | None) -> bytes:
    """The key that hashes groups: of the file, which is made if it is missing, or random.

    Raises:
        FingerprintsError: If the file cannot be read or made, or holds too little to be a secret.
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
            fix="salt=FILE that can be read, or in a folder that can be written",
        ) from error
    if len(salt) < SALT_BYTES:
        raise FingerprintsError(
            f"The salt has {len(salt)} bytes, and could be guessed.",
            where=path,
            fix=f"at least {SALT_BYTES} random ones, or a file that does not exist yet: it is made",
        )
    return salt


def create_private(path: Path, mode: str, **options: Any) -> IO[str]:
    """Open a new file that only its owner can read."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600), **options)


def pseudonym(name: str, *, salt: bytes) -> str:
    """16 hex digits that stand for a name, and lead back to it only for who has the salt and guesses."""
    return hmac.new(salt, name.encode(errors="surrogateescape"), "sha256").hexdigest()[:16]


def _names(pictures: Sequence[Picture]) -> list[str]:
    """Output names: the group, and a number in the order of the sources."""
    width = max(4, len(str(max(Counter(picture.group for picture in pictures).values()))))
    numbers: Counter[str] = Counter()
    names = []
    for picture in pictures:
        numbers[picture.group] += 1
        names.append(f"images/{picture.group}_{numbers[picture.group]:0{width}d}.png")
    return names
