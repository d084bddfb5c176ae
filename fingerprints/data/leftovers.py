"""What a scan of a folder left out, counted by reason, in the same words for every command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fingerprints.data.embedded import FACTS
from fingerprints.data.layout import IMAGE_SUFFIXES
from fingerprints.data.walk import Found, cannot_be_read, printable, walk

# Endings of tables and texts that lie beside images and are nobody's image.
_DOCUMENTS = frozenset(
    ".csv .tsv .xlsx .txt .md .rst .pdf .html .log .json .yaml .yml .xml".split()  # noqa: SIM905
)
_OWN = "generators/"  # of a benchmark: the generators themselves, and pictures of them
_SHOWN = 8  # folders or endings in a note


@dataclass(frozen=True)
class LeftOut:
    """Counts of the files that a scan left out; litter of systems is not counted.

    Attributes:
        unmatched: Images, by folder, that no pattern of the layout matches.
        endings: Files that are no images, by ending; empty for a name without one.
        documents: Tables and texts, by ending.
        dead: Links that lead nowhere and have no image's ending, by folder.
    """

    unmatched: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Number of all files that were left out."""
        return sum(part.total() for part in (self.unmatched, self.endings, self.documents, self.dead))

    def notes(self, *, documents: bool = False) -> list[str]:
        """A note for each reason.

        Args:
            documents: Whether tables and texts are counted among the files that are not images.
        """
        notes = []
        if self.unmatched:
            notes.append(
                f"{self.unmatched.total():,} image(s) were left out, because no pattern matches their folder "
                f"or name: {_counts(self.unmatched)}"
            )
        endings = self.endings + self.documents if documents else self.endings
        if endings:
            notes.append(
                f"{endings.total():,} file(s) are not images and were left out: {_counts(endings)}; "
                f"images are {', '.join(sorted(IMAGE_SUFFIXES))}"
            )
        if self.dead:
            notes.append(
                f"{self.dead.total():,} link(s) lead nowhere and were left out: {_counts(self.dead)}"
            )
        return notes


def left_out(root: Path, taken: Collection[str]) -> LeftOut:
    """What a scan left out below a folder.

    Args:
        root: The folder.
        taken: Names of the images that the scan found, relative to the folder, POSIX style.

    Raises:
        FingerprintsError: If a folder cannot be read.
    """
    names = set(taken)
    own = _OWN if (root / FACTS).is_file() else None
    try:
        return sort_out(
            file
            for file in walk(root)
            if file.name not in names and not (own is not None and file.name.startswith(own))
        )
    except OSError as error:
        raise cannot_be_read(error, root) from error


def sort_out(files: Iterable[Found]) -> LeftOut:
    """Files that were left out, counted by reason."""
    found = LeftOut()
    for file in files:
        folder = file.name.rpartition("/")[0] + "/" if "/" in file.name else "./"
        if file.suffix in IMAGE_SUFFIXES:
            found.unmatched[folder] += 1
        elif file.kind == "dead":
            found.dead[folder] += 1
        elif file.suffix in _DOCUMENTS:
            found.documents[file.suffix] += 1
        else:
            found.endings[file.suffix] += 1
    return found


def _counts(parts: Counter[str]) -> str:
    ordered = sorted(parts.items(), key=lambda part: (-part[1], part[0]))
    shown = [f"{printable(name) or 'no ending'} ({count:,})" for name, count in ordered[:_SHOWN]]
    return ", ".join(shown) + (", ..." if len(parts) > _SHOWN else "")
