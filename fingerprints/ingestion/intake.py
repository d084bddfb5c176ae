"""A folder of pictures and DICOM files to grey squares of one size, with patients nobody can name.

What leaves the folder is pixels and keyed hashes: no file name, no header value, no date.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import hashlib
import hmac
import io
import json
import os
import secrets
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fingerprints import __version__
from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.progress import Progress
from fingerprints.data.decode import Unusable, read_picture
from fingerprints.data.groups import near_duplicate_clusters, near_pairs, read_groups, thumbnails
from fingerprints.data.layout import IMAGE_SUFFIXES
from fingerprints.data.store import interruptible
from fingerprints.ingestion.dicom import SUFFIXES, Window, is_dicom, parse_window, read_dicom, require_pydicom

FOLDERS = "folders"
SALT_BYTES = 16  # a salt file with less can be guessed
PAIRS_KEPT = 100_000  # of near-duplicates, the most alike
PAIRS_SHOWN = 5
# Where a group came from, as the summary says it.
TABLE, PATIENT, FOLDER, CLUSTER = "group table", "patient id", "folder", "near-duplicate cluster"

_MARK = ".ingest"  # in a folder that is being written


@dataclass(frozen=True)
class IntakeSettings:
    """What is read, and what is made of it.

    Attributes:
        images: Folder that is read, with all folders in it.
        out: Folder that is made.
        size: Side of the pictures, in pixels.
        window: `lung`, or `CENTER,WIDTH` in Hounsfield units; of DICOM files only.
        groups: CSV of groups; `folders`: the folder that a file lies in is its patient; `None`:
            near-duplicate clusters. A row of the CSV goes before the patient id of a DICOM file,
            the id before the folder.
        near_duplicate: Thumbnail correlation from which two pictures are nearly the same.
        on_bad_image: `error` lists the files that cannot be used; `skip` goes on without them.
        salt: File of the key that hashes groups, made if missing; `None`: a random key, thrown away.
        key: File to write the way back to the sources to; `None`: there is none.
    """

    images: Path
    out: Path
    size: int = 256
    window: str = "lung"
    groups: str | None = None
    near_duplicate: float = 0.95
    on_bad_image: Literal["error", "skip"] = "error"
    salt: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class Intake:
    """What an ingest made.

    Attributes:
        out: Its folder.
        facts: What `ingest.json` holds.
        worst: The most alike pairs of different groups: file, file, correlation.
        notes: What the user should know.
    """

    out: Path
    facts: dict[str, Any]
    worst: tuple[tuple[str, str, float], ...]
    notes: tuple[str, ...]

    def describe(self) -> str:
        """The summary for the console."""
        facts, pairs = self.facts, self.facts["near_duplicates"]
        by = ", ".join(f"{name} ({count:,} images)" for name, count in facts["groups_from"].items())
        near = f"near-duplicates in different groups (correlation from {pairs['correlation']:g})"
        if set(facts["groups_from"]) == {CLUSTER}:
            near += ": none, as groups are made of them"
        else:
            near += f": {pairs['pairs']:,} pairs"
        lines = [
            f"{facts['images']:,} images of {facts['size']} x {facts['size']} "
            f"in {facts['groups']:,} groups: {self.out}",
            f"  groups by {by}",
            f"  {near}",
            *(f"    {r:.4f}  {a}  {b}" for a, b, r in self.worst),
            f"  identical images: {facts['identical']['copies']:,} copies of another, "
            f"{facts['identical']['across_groups']:,} images with a copy in another group",
        ]
        lines += [f"  skipped: {count:,} ({reason})" for reason, count in facts["skipped"].items()]
        lines += [f"  note: {note}" for note in self.notes]
        lines.append(
            "go on with: python -m fingerprints.simulate task=subset "
            f"images={self.out / 'images'} groups={self.out / 'groups.csv'} out=DIR"
        )
        return "\n".join(lines)


class _File(NamedTuple):
    path: str
    name: str  # relative to the folder, POSIX style
    dicom: bool


@dataclass(frozen=True)
class _Picture:
    """One picture on its way from a file to `out`.

    Attributes:
        source: Name of its file.
        frame: Number in its file, from 1.
        native_size: Width and height before it became a square.
        png: The file to be written.
        digest: Equal for pictures of equal pixels.
        thumbnail: Row of `thumbnails`.
        origin: Where its group came from.
        group: Its group: first as the source names it, then hashed.
    """

    source: str
    frame: int
    native_size: tuple[int, int]
    png: bytes
    digest: bytes
    thumbnail: NDArray[np.float32]
    origin: str = ""
    group: str = ""


def ingest(settings: IntakeSettings, *, progress: Progress | None = None) -> Intake:
    """Read a folder, and write pictures, groups and facts about them.

    Args:
        settings: What is read, and what is made of it.
        progress: Called now and then.

    Raises:
        FingerprintsError: If there is nothing to read, a file cannot be used (all of them are named
            before anything is written), or the output cannot be written.
    """
    window = parse_window(settings.window)
    _check_places(settings)
    files, others = _scan(settings.images)
    if not files:
        raise FingerprintsError(
            f"The folder holds no image{f', only {others:,} other file(s)' if others else ''}.",
            where=settings.images,
            fix=f"a folder of DICOM files or images ({', '.join(sorted(IMAGE_SUFFIXES))})",
        )
    if any(file.dicom for file in files):
        require_pydicom(settings.images)
    given, notes = _given_groups(settings, files)

    pictures, bad = _read_all(files, given, settings, window, progress=progress)
    if bad and settings.on_bad_image == "error":
        raise _bad_files(bad, settings)
    if not pictures:
        raise FingerprintsError(
            f"None of the files can be used:\n{listing([f'{name}: {why}' for name, why in bad.items()])}",
            where=settings.images,
            fix="slices of CT as DICOM, or grey pictures",
        )
    pictures = _name_groups(_cluster(pictures, settings), _salt(settings.salt))
    names = _names(pictures)
    order = sorted(range(len(names)), key=names.__getitem__)  # says nothing of the order of the sources
    names, pictures = [names[at] for at in order], [pictures[at] for at in order]
    pairs, found = _near_duplicates(pictures, settings.near_duplicate)

    if others:
        notes.append(f"{others:,} file(s) are no image and were ignored")
    sizes = Counter(f"{width} x {height}" for width, height in (p.native_size for p in pictures))
    if len(sizes) > 1:
        notes.append(f"images of {len(sizes)} sizes were resized, which leaves traces in them")
    origins = Counter(picture.origin for picture in pictures)
    if origins[CLUSTER]:
        notes.append(
            "near-duplicate clusters stand in for patients, and slices of one patient may be in several: "
            "groups=CSV or groups=folders is better"
        )
    if found > len(pairs):
        notes.append(f"near_duplicates.csv holds the {len(pairs):,} most alike of {found:,} pairs")
    dicom = {file.name for file in files if file.dicom}
    from_dicom = sum(picture.source in dicom for picture in pictures)
    facts = {
        "fingerprints": __version__,
        "images": len(pictures),
        "from_dicom": from_dicom,
        "size": settings.size,
        "window": {"center": window.center, "width": window.width} if from_dicom else None,
        "native_sizes": dict(sizes.most_common()),
        "groups": len({picture.group for picture in pictures}),
        "groups_from": dict(sorted(origins.items())),
        "repeatable_groups": settings.salt is not None,
        "near_duplicates": {"correlation": settings.near_duplicate, "pairs": found},
        "identical": _identical(pictures),
        "skipped": dict(sorted(Counter(why.reason for why in bad.values()).items())),
        "ignored_files": others,
    }
    _write(settings, names, pictures, pairs, facts, progress=progress)
    worst = tuple((names[i], names[j], r) for i, j, r in pairs[:PAIRS_SHOWN])
    return Intake(out=settings.out, facts=facts, worst=worst, notes=tuple(notes))


def _check_places(settings: IntakeSettings) -> None:
    """What paths alone can tell."""
    images, out = settings.images, settings.out
    if not images.is_dir():
        raise FingerprintsError(
            "The folder of images does not exist." if not images.exists() else "It is no folder.",
            where=images,
            fix="images=DIR with a folder of images",
        )
    if _inside(out, images):
        raise FingerprintsError(
            "The output would lie among the images that are read.", where=out, fix="out=DIR elsewhere"
        )
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise FingerprintsError(
            "The output is there already, and nothing is overwritten.",
            where=out,
            fix="out=DIR of another name",
        )
    for name, path in (("salt", settings.salt), ("key", settings.key)):
        if path is None:
            continue
        places = [out, _partial(out)] + ([images] if name == "salt" else [])
        if any(_inside(path, place) for place in places):
            raise FingerprintsError(
                f"The {name} must not lie with the data: it leads back to the patients.",
                where=path,
                fix=f"{name}=FILE elsewhere",
            )
    if settings.key is not None and (
        settings.key.exists()
        or (settings.salt is not None and settings.key.resolve() == settings.salt.resolve())
    ):
        raise _key_exists(settings.key)
    with _writing(out):
        _existing(out.parent)


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _partial(out: Path) -> Path:
    out = out.resolve()
    return out.with_name(f"{out.name}.partial")


def _existing(folder: Path) -> None:
    """Whether files could be made in a folder that may not be there yet.

    Raises:
        OSError: If not.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(0, "it is no folder", str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(0, "permission denied", str(folder))


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FingerprintsError(
            f"The output cannot be written: {error.strerror or error}.",
            where=error.filename or out,
            fix="out=DIR in a folder that can be written and has room",
        ) from error


def _key_exists(path: Path) -> FingerprintsError:
    return FingerprintsError(
        "The key file is there already, and nothing is overwritten.",
        where=path,
        fix="key=FILE of another name, or remove it if it is of an ingest that was killed",
    )


def _scan(folder: Path) -> tuple[list[_File], int]:
    """Files that are images by their suffix or DICOM's mark, by name, and the number of all others."""
    files: list[_File] = []
    others = 0
    seen: set[tuple[int, int]] = set()
    waiting = [(str(folder), "")]
    try:
        while waiting:
            path, below = waiting.pop()
            status = Path(path).stat()
            if (status.st_dev, status.st_ino) in seen:  # a link back up
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name.upper() == "DICOMDIR":
                        continue
                    if entry.is_dir():
                        waiting.append((entry.path, f"{below}{entry.name}/"))
                        continue
                    suffix = Path(entry.name).suffix.lower()
                    dicom = suffix in SUFFIXES or _marked(entry)
                    # A link to nowhere is said to be one where it is read.
                    regular = entry.is_file() or entry.is_symlink()
                    if regular and (dicom or suffix in IMAGE_SUFFIXES):
                        files.append(_File(entry.path, below + entry.name, dicom))
                    else:
                        others += 1
    except OSError as error:
        raise FingerprintsError(
            f"The images cannot be read: {error.strerror or error}.",
            where=error.filename or folder,
            fix="see to the rights, or leave it out",
        ) from error
    return sorted(files, key=lambda file: file.name), others


def _marked(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file() and is_dicom(entry.path)
    except OSError:  # if its suffix is an image's, this is said where it is read
        return False


def _given_groups(settings: IntakeSettings, files: Sequence[_File]) -> tuple[dict[str, str], list[str]]:
    """The group that the CSV gives to each file that it names."""
    if settings.groups in (None, FOLDERS):
        return {}, []
    path = Path(str(settings.groups))
    if not path.is_file():
        raise FingerprintsError(
            "The group table does not exist.", where=path, fix=f"groups=CSV, or groups={FOLDERS}"
        )
    names = [file.name for file in files]
    by_path, _ = read_groups(path, names, by_file_name=False)
    by_name, unmatched = read_groups(path, names)
    # Scanners call the first slice of every patient alike: a file name stands for one file only.
    stems = Counter(_stem(name) for name in names)
    given = {}
    for name, sure, likely in zip(names, by_path, by_name, strict=True):
        group = sure if sure is not None or stems[_stem(name)] > 1 else likely
        if group is not None:
            given[name] = group
    notes = [f"{unmatched:,} row(s) of the group table name no image"] if unmatched else []
    return given, notes


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name


def _read_all(
    files: Sequence[_File],
    given: dict[str, str],
    settings: IntakeSettings,
    window: Window,
    *,
    progress: Progress | None,
) -> tuple[list[_Picture], dict[str, Unusable]]:
    """All pictures in the order of the files, and why the others are none."""
    pictures: list[_Picture] = []
    bad: dict[str, Unusable] = {}
    shown = time.monotonic()
    with warnings.catch_warnings(), interruptible(ThreadPoolExecutor(os.cpu_count())) as pool:
        warnings.simplefilter("ignore")  # pydicom's show values of headers
        for row, result in enumerate(pool.map(lambda file: _read(file, given, settings, window), files)):
            if isinstance(result, Unusable):
                bad[files[row].name] = result
            else:
                pictures += result
            if progress is not None and (row + 1 == len(files) or time.monotonic() - shown > 0.1):
                shown = time.monotonic()
                progress("reading files", row + 1, len(files))
    return pictures, bad


def _read(
    file: _File, given: dict[str, str], settings: IntakeSettings, window: Window
) -> list[_Picture] | Unusable:
    try:
        if Path(file.path).stat().st_size == 0:
            raise Unusable("cannot be read", "the file is empty")
        if not file.dicom:
            frames: tuple[NDArray[np.uint8], ...] = (read_picture(file.path),)
            patient = ""
        elif not is_dicom(file.path):
            raise Unusable("cannot be read", "'DICM' is missing at offset 128, so it is no DICOM file")
        else:
            slices = read_dicom(file.path, window)
            if slices is None:
                return []
            frames, patient = slices.frames, slices.patient
        origin, group = _group(file, patient, given, settings.groups)
        return [
            _picture(file.name, number, pixels, origin, group, size=settings.size)
            for number, pixels in enumerate(frames, start=1)
        ]
    except Unusable as why:
        return why
    except Exception as error:  # PIL raises OSError, SyntaxError, ValueError, struct.error and more
        text = str(error).replace(f"'{file.path}'", "the file").replace(file.path, "the file")
        return Unusable("cannot be read", text or type(error).__name__)


def _group(file: _File, patient: str, given: dict[str, str], groups: str | None) -> tuple[str, str]:
    """Where a file's group comes from, and the group; empty where it is yet to be found."""
    if file.name in given:
        return TABLE, given[file.name]
    if patient:
        return PATIENT, patient
    if groups == FOLDERS and "/" in file.name:
        return FOLDER, file.name.rsplit("/", 1)[0]
    if file.dicom:
        raise Unusable("no patient id")
    if groups == FOLDERS:
        raise Unusable("no group", "it lies in no folder of its own")
    if groups is not None:
        raise Unusable("no group", "the group table does not name it")
    return CLUSTER, ""


def _picture(
    source: str, frame: int, pixels: NDArray[np.uint8], origin: str, group: str, *, size: int
) -> _Picture:
    square = to_square(pixels, size)
    png = io.BytesIO()
    Image.fromarray(square).save(png, format="PNG")
    return _Picture(
        source=source,
        frame=frame,
        native_size=(pixels.shape[1], pixels.shape[0]),
        png=png.getvalue(),
        digest=hashlib.blake2b(square.tobytes(), digest_size=16).digest(),
        thumbnail=thumbnails(square[None])[0],
        origin=origin,
        group=group,
    )


def to_square(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """`(H, W)` in the middle of a black square, resampled to `(size, size)` with an antialiasing filter."""
    height, width = pixels.shape
    side = max(height, width)
    above, left = (side - height) // 2, (side - width) // 2
    padded = np.pad(pixels, ((above, side - height - above), (left, side - width - left)))
    if side == size:
        return padded
    return np.asarray(Image.fromarray(padded).resize((size, size), Image.Resampling.BILINEAR))


def _bad_files(bad: dict[str, Unusable], settings: IntakeSettings) -> FingerprintsError:
    lines = [f"{_shown(name)}: {why}" for name, why in bad.items()]
    fix = "repair or remove them, or go on without them: on_bad_image=skip"
    if any(why.reason in ("no patient id", "no group") for why in bad.values()):
        fix += f"; groups=CSV or groups={FOLDERS} says whose slices they are"
    return FingerprintsError(
        f"{len(bad)} file(s) cannot be used:\n{listing(lines)}", where=settings.images, fix=fix
    )


def _shown(name: str) -> str:
    """A file name that any terminal takes."""
    return os.fsencode(name).decode(errors="replace")


def _cluster(pictures: Sequence[_Picture], settings: IntakeSettings) -> list[_Picture]:
    """Near-duplicate clusters as the groups of pictures that have none."""
    lone = [at for at, picture in enumerate(pictures) if picture.origin == CLUSTER]
    pictures = list(pictures)
    if lone:
        vectors = np.array([pictures[at].thumbnail for at in lone])
        clusters = near_duplicate_clusters(vectors, threshold=settings.near_duplicate)
        first: dict[int, str] = {}
        for at, cluster in zip(lone, clusters.tolist(), strict=True):
            # By what is in it, so that clusters of two calls with one salt are not taken for each other.
            name = first.setdefault(cluster, f"\0{pictures[at].digest.hex()}")
            pictures[at] = replace(pictures[at], group=name)
    return pictures


def _salt(path: Path | None) -> bytes:
    """The key that hashes groups: of the file, which is made if it is missing, or random."""
    fresh = secrets.token_hex(32).encode()
    if path is None:
        return fresh
    try:
        with contextlib.suppress(FileExistsError), _create(path, "x") as handle:
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


def _create(path: Path, mode: str, **options: Any) -> IO[str]:
    """Open a new file that only its owner can read."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600), **options)


def _name_groups(pictures: Iterable[_Picture], salt: bytes) -> list[_Picture]:
    return [replace(picture, group=pseudonym(picture.group, salt)) for picture in pictures]


def pseudonym(name: str, salt: bytes) -> str:
    """16 hex digits that stand for a name, and lead back to it only for who has the salt and guesses."""
    return hmac.new(salt, name.encode(errors="surrogateescape"), "sha256").hexdigest()[:16]


def _names(pictures: Sequence[_Picture]) -> list[str]:
    """Output names: the group, and a number in the order of the sources."""
    width = max(4, len(str(max(Counter(picture.group for picture in pictures).values()))))
    numbers: Counter[str] = Counter()
    names = []
    for picture in pictures:
        numbers[picture.group] += 1
        names.append(f"images/{picture.group}_{numbers[picture.group]:0{width}d}.png")
    return names


def _near_duplicates(
    pictures: Sequence[_Picture], threshold: float
) -> tuple[list[tuple[int, int, float]], int]:
    """Pairs of different groups that look almost alike, most alike first, and how many there are in all."""
    vectors = np.array([picture.thumbnail for picture in pictures])
    groups = np.unique([picture.group for picture in pictures], return_inverse=True)[1]
    count = 0
    kept: tuple[NDArray, ...] = (np.empty(0, int), np.empty(0, int), np.empty(0, np.float32))
    for i, j, r in near_pairs(vectors, threshold=threshold):
        across = groups[i] != groups[j]
        count += int(across.sum())
        kept = tuple(
            np.concatenate(both) for both in zip(kept, (i[across], j[across], r[across]), strict=True)
        )
        order = np.lexsort((kept[1], kept[0], -kept[2]))[:PAIRS_KEPT]
        kept = tuple(column[order] for column in kept)
    return [(i, j, min(r, 1.0)) for i, j, r in zip(*(column.tolist() for column in kept), strict=True)], count


def _identical(pictures: Sequence[_Picture]) -> dict[str, int]:
    groups: dict[bytes, set[str]] = {}
    for picture in pictures:
        groups.setdefault(picture.digest, set()).add(picture.group)
    return {
        "copies": len(pictures) - len(groups),
        "across_groups": sum(len(groups[picture.digest]) > 1 for picture in pictures),
    }


def _write(
    settings: IntakeSettings,
    names: Sequence[str],
    pictures: Sequence[_Picture],
    pairs: Sequence[tuple[int, int, float]],
    facts: dict[str, Any],
    *,
    progress: Progress | None,
) -> None:
    groups = [picture.group for picture in pictures]
    with _key_file(settings, names, pictures), _writing(settings.out), _whole(settings.out) as folder:
        (folder / "images").mkdir()
        shown = time.monotonic()
        for row, (name, picture) in enumerate(zip(names, pictures, strict=True), start=1):
            (folder / name).write_bytes(picture.png)
            if progress is not None and (row == len(names) or time.monotonic() - shown > 0.1):
                shown = time.monotonic()
                progress("writing images", row, len(names))
        with (folder / "groups.csv").open("w", encoding="utf-8", newline="") as handle:
            _write_rows(handle, ("file", "group"), zip(names, groups, strict=True))
        with (folder / "near_duplicates.csv").open("w", encoding="utf-8", newline="") as handle:
            header = ("file_a", "file_b", "group_a", "group_b", "correlation")
            rows = ((names[i], names[j], groups[i], groups[j], f"{r:.4f}") for i, j, r in pairs)
            _write_rows(handle, header, rows)
        (folder / "ingest.json").write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n")


def _write_rows(handle: IO[str], header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv.writer(handle, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


@contextlib.contextmanager
def _key_file(settings: IntakeSettings, names: Sequence[str], pictures: Sequence[_Picture]) -> Iterator[None]:
    """Write the key before the block, as nothing could make it again; remove it if the block fails."""
    path = settings.key
    if path is None:
        yield
        return
    images = settings.images.resolve()
    try:
        handle = _create(path, "x", encoding="utf-8", errors="surrogateescape", newline="")
    except FileExistsError:
        raise _key_exists(path) from None
    except OSError as error:
        raise _no_key(path, error) from error
    try:
        try:
            with handle:
                rows = zip(names, pictures, strict=True)
                _write_rows(
                    handle,
                    ("file", "source", "frame"),
                    ((name, images / picture.source, picture.frame) for name, picture in rows),
                )
        except OSError as error:
            raise _no_key(path, error) from error
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _no_key(path: Path, error: OSError) -> FingerprintsError:
    return FingerprintsError(
        f"The key file cannot be written: {error.strerror or error}.",
        where=path,
        fix="key=FILE in a folder that can be written and has room",
    )


@contextlib.contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A folder beside `out` that gets its name when the block ends, and is removed if it fails.

    Raises:
        FingerprintsError: If another ingest is writing there, or something else is in the way.
        OSError: If it cannot be written.
    """
    part = _partial(out)
    mark = part / _MARK
    if part.exists():
        _remove_stale(part)
    part.parent.mkdir(parents=True, exist_ok=True)
    part.mkdir()
    try:
        with mark.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)  # the system lets go of it if the process dies
            yield part
            mark.unlink()
            part.rename(out.resolve())  # an empty folder gives way
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _remove_stale(part: Path) -> None:
    """Remove what a killed ingest left; nothing else, and not under one that is still at it."""
    mark = part / _MARK
    if not mark.is_file():
        if part.is_dir() and not any(part.iterdir()):
            part.rmdir()
            return
        raise FingerprintsError(
            "This is in the way, and no ingest left it there.",
            where=part,
            fix="move it away, or another out=DIR",
        )
    with mark.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FingerprintsError(
                "Another ingest is writing there.", where=part, fix="wait for it, or another out=DIR"
            ) from None
        shutil.rmtree(part)
