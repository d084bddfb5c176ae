"""Memory: how much this process can still get, and a refusal before work that needs more."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from fingerprints.core.errors import FingerprintsError

SMALL = 100_000_000
"""Bytes that are never refused: the estimates are not that exact."""

_UNLIMITED = 1 << 60  # cgroups write "no limit" as a number near 2^63


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still get: what the machine, its control groups and `ulimit -v` leave.

    Args:
        root: Folder in which `proc` and `sys` are.

    Returns:
        `None` if the system does not say.
    """
    found = [*_machine(root), *_control_groups(root), *_process(root)]
    return max(0, min(found)) if found else None


def require_memory(needed: int, *, purpose: str, where: str, fix: str) -> None:
    """Refuse work that needs more memory than there is.

    Args:
        needed: Bytes.
        purpose: What needs them, the subject of a sentence.
        where: The configuration key that decides it.
        fix: How to need less.

    Raises:
        FingerprintsError: If `needed` is more than the available memory.
    """
    if needed <= SMALL:
        return
    free = available_memory()
    if free is not None and needed > free:
        raise FingerprintsError(
            f"{purpose} needs about {in_words(needed)} of memory; {in_words(free)} are available.",
            where=where,
            fix=fix,
        )


def in_words(size: float) -> str:
    """A number of bytes for messages.

    >>> in_words(5_000_000_000), in_words(12_000_000)
    ('5.0 GB', '12 MB')
    """
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _machine(root: Path) -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * 1024
                return
    with contextlib.suppress(ValueError, OSError):  # not Linux: all memory, also what others use
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _control_groups(root: Path) -> Iterator[int]:
    """What each limited group above this process leaves; files in the page cache can be given back."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    top = root / "sys/fs/cgroup"
    for line in lines:
        if line.count(":") < 2:
            continue
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            names, bases = ("memory.max", "memory.current", "inactive_file"), [top, top / "unified"]
        elif "memory" in kinds.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            bases = [top / "memory"]
        else:
            continue
        for base in bases:
            group = base / path.lstrip("/")
            # In a container the path is often that of the host: then only the top folder is there.
            for folder in (group, *(above for above in group.parents if above.is_relative_to(base))):
                with contextlib.suppress(OSError, ValueError):
                    limit = int((folder / names[0]).read_text())
                    if limit < _UNLIMITED:
                        used = int((folder / names[1]).read_text())
                        yield limit - used + _statistic(folder / "memory.stat", names[2])


def _statistic(path: Path, name: str) -> int:
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith(f"{name} "):
                return int(line.split()[1])
    return 0


def _process(root: Path) -> Iterator[int]:
    """What `ulimit -v` leaves."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        with contextlib.suppress(OSError, ValueError):
            pages = int((root / "proc/self/statm").read_text().split()[0])
            yield limit - pages * os.sysconf("SC_PAGE_SIZE")
