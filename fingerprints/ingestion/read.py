"""Reading pictures and DICOM files as grey squares of one size."""

from __future__ import annotations

import hashlib
import io
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.progress import Progress
from fingerprints.data.decode import Unusable, read_picture, why_unusable
from fingerprints.data.groups import thumbnails
from fingerprints.data.store import interruptible
from fingerprints.data.walk import printable
from fingerprints.ingestion.dicom import Window, is_dicom, read_dicom
from fingerprints.ingestion.groups import group_of
from fingerprints.ingestion.scan import SourceFile
from fingerprints.ingestion.settings import FOLDERS, IntakeSettings


@dataclass(frozen=True)
class Picture:
    """One picture that was read and will be written to the output folder.

    Attributes:
        source: Name of its file.
        frame: Number in its file, from 1.
        native_size: Width and height before it became a square.
        png: Content of the PNG file to write.
        digest: Digest of the pixels, equal for identical pictures.
        thumbnail: Row of `data.groups.thumbnails`.
        origin: Where its group came from: a constant of `ingestion.groups`.
        group: Its group: first as given by the source, later hashed.
        narrow: Whether it is nearly black because of its bits, see `data.decode.Decoded`.
    """

    source: str
    frame: int
    native_size: tuple[int, int]
    png: bytes
    digest: bytes
    thumbnail: NDArray[np.float32]
    origin: str = ""
    group: str = ""
    narrow: bool = False

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """`(size, size)`, decoded anew each time."""
        return np.asarray(Image.open(io.BytesIO(self.png)))


def read_all(
    files: Sequence[SourceFile],
    *,
    given: Mapping[str, str],
    settings: IntakeSettings,
    window: Window,
    progress: Progress | None,
) -> tuple[list[Picture], dict[str, Unusable]]:
    """All pictures in the order of the files, and for each unusable file (by name) the reason.

    Args:
        files: The files.
        given: Groups from `groups.table_groups`.
        settings: Size, and where groups come from.
        window: Window for DICOM files.
        progress: Called repeatedly.
    """
    pictures: list[Picture] = []
    bad: dict[str, Unusable] = {}
    shown = time.monotonic()
    with warnings.catch_warnings(), interruptible(ThreadPoolExecutor(os.cpu_count())) as pool:
        warnings.simplefilter("ignore")  # pydicom's warnings contain header values
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
    file: SourceFile, given: Mapping[str, str], settings: IntakeSettings, window: Window
) -> list[Picture] | Unusable:
    try:
        narrow = False
        if not file.dicom:
            picture, narrow = read_picture(file.path)
            frames: tuple[NDArray[np.uint8], ...] = (picture,)
            patient = ""
        elif not is_dicom(file.path):
            raise Unusable("cannot be read", "'DICM' is missing at offset 128, so it is not a DICOM file")
        else:
            slices = read_dicom(file.path, window)
            if slices is None:
                return []
            frames, patient = slices.frames, slices.patient
        origin, group = group_of(file, patient=patient, given=given, groups=settings.groups)
        return [
            replace(_picture(file.name, number, pixels, origin, group, size=settings.size), narrow=narrow)
            for number, pixels in enumerate(frames, start=1)
        ]
    except Exception as error:  # PIL raises OSError, SyntaxError, ValueError, struct.error and more
        return why_unusable(file.path, error)


def _picture(
    source: str, frame: int, pixels: NDArray[np.uint8], origin: str, group: str, *, size: int
) -> Picture:
    square = to_square(pixels, size=size)
    png = io.BytesIO()
    Image.fromarray(square).save(png, format="PNG")
    return Picture(
        source=source,
        frame=frame,
        native_size=(pixels.shape[1], pixels.shape[0]),
        png=png.getvalue(),
        digest=hashlib.blake2b(square.tobytes(), digest_size=16).digest(),
        thumbnail=thumbnails(square[None])[0],
        origin=origin,
        group=group,
    )


def to_square(pixels: NDArray[np.uint8], *, size: int) -> NDArray[np.uint8]:
    """Pad `(H, W)` to a black square, centred, and resample to `(size, size)` with an antialiasing filter."""
    height, width = pixels.shape
    side = max(height, width)
    above, left = (side - height) // 2, (side - width) // 2
    padded = np.pad(pixels, ((above, side - height - above), (left, side - width - left)))
    if side == size:
        return padded
    return np.asarray(Image.fromarray(padded).resize((size, size), Image.Resampling.BILINEAR))


def require_usable(
    pictures: Sequence[Picture], bad: Mapping[str, Unusable], *, settings: IntakeSettings
) -> None:
    """Refuse unusable files, unless the settings skip them; refuse a folder without any usable file.

    Raises:
        FingerprintsError: If there are such files; the error lists each file and the reason.
    """
    if bad and settings.on_bad_image == "error":
        lines = [f"{printable(name)}: {why}" for name, why in bad.items()]
        fix = "repair or remove them, or continue without them: on_bad_image=skip"
        if any(why.reason in ("no patient id", "no group") for why in bad.values()):
            fix += f"; if patients are missing: groups=CSV or groups={FOLDERS}"
        raise FingerprintsError(
            f"{len(bad)} file(s) cannot be used:\n{listing(lines)}", where=settings.images, fix=fix
        )
    if not pictures:
        raise FingerprintsError(
            f"None of the files can be used:\n{listing([f'{name}: {why}' for name, why in bad.items()])}",
            where=settings.images,
            fix="give CT slices as DICOM files, or grey pictures",
        )
