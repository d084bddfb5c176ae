"""Converting CT slices in DICOM files to grey pixels: Hounsfield units, a window, one orientation."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError, install
from fingerprints.data.decode import Unusable

if TYPE_CHECKING:
    from pydicom import Dataset

SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
# Largest angle between rows or columns and the body's axes, in degrees: gantries tilt by up to 30.
TOLERANCE = 35.0

_DICOMDIR = "1.2.840.10008.1.3.10"  # Media Storage Directory Storage
# Types of rescaled values. In CT, no type means Hounsfield units (PS3.3 C.8.2.1). "US" gives no unit:
# scanners write it into plain slices too, but a derived image must state its unit.
_HOUNSFIELD, _UNSPECIFIED = ("HU", ""), "US"
# What ImageType and FrameType say of images whose values are computed from several slices or energies, and
# are no density of one slice. Words are separated by "\\", "_", "-", "/" and blanks.
_MAPS = {
    "a perfusion map": "PERFUSION CBF CBV RCBF RCBV MTT RMTT TTP TMAX TTD PBV PBF PERMEABILITY PENUMBRA",
    "a map of energies": (
        "IODINE VMI MONO MONOE MONOENERGETIC MONOENERGY VNC VNCA VUE ZEFF EFFZ MAT MATERIAL GSI FUSED "
        "Z_EFF EFF_ATOMIC_NUM EFFECTIVE_Z ELECTRON_DENSITY VIRTUAL_NON_CONTRAST"
    ),
}
_COLOURED = ("COLOR", "TRUE_COLOR", "MIXED")  # values of PixelPresentation


@dataclass(frozen=True)
class Window:
    """The range of Hounsfield units that is mapped from black to white: `center` and `width`."""

    center: float
    width: float

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Grey levels of Hounsfield units, by DICOM's linear function (PS3.3 C.11.2.1.2.1)."""
        if self.width == 1:
            return np.where(values > self.center - 0.5, 255, 0).astype(np.uint8)
        grey = ((values - (self.center - 0.5)) / (self.width - 1) + 0.5) * 255
        return np.rint(np.clip(grey, 0, 255)).astype(np.uint8)


WINDOWS = {"lung": Window(center=-600, width=1500)}


@dataclass(frozen=True)
class Slices:
    """The slices of one file.

    Attributes:
        frames: `(H, W)` uint8 each: the patient's right on the left, anterior up, air black.
        patient: The patient id; empty if there is none.
    """

    frames: tuple[NDArray[np.uint8], ...]
    patient: str


def parse_window(text: str) -> Window:
    """A window by name, or from `CENTER,WIDTH` in Hounsfield units.

    Raises:
        FingerprintsError: If it is neither, or the width is below 1.
    """
    if text in WINDOWS:
        return WINDOWS[text]
    try:
        center, width = (float(part) for part in text.split(","))
    except ValueError:
        center, width = math.nan, math.nan
    if not (math.isfinite(center) and math.isfinite(width) and width >= 1):
        raise FingerprintsError(
            f"window={text} is not a valid window.",
            where="window",
            fix=f"use {', '.join(WINDOWS)}, or CENTER,WIDTH in Hounsfield units with a width of at least 1, "
            "such as 40,400",
        )
    return Window(center, width)


def is_dicom(path: str | Path) -> bool:
    """Whether the file contains the DICOM mark; its name does not matter.

    Raises:
        OSError: If it cannot be read.
    """
    with Path(path).open("rb") as handle:
        return handle.read(132)[128:] == b"DICM"


def require_pydicom(folder: Path) -> None:
    """Check that pydicom is installed; it is an optional dependency.

    Raises:
        FingerprintsError: If it is not installed.
    """
    if find_spec("pydicom") is None:
        raise FingerprintsError(
            "The folder holds DICOM files, but pydicom, which reads them, is not installed.",
            where=folder,
            fix=install("dicom"),
        )


def read_dicom(path: str | Path, window: Window) -> Slices | None:
    """The slices of a DICOM file, windowed and in one orientation.

    Rescale slope and intercept convert stored values to Hounsfield units; the window converts these to grey.
    MONOCHROME1 is inverted; padding becomes black, like air. Axial slices are flipped and transposed so
    that the patient's right is on the left and anterior is up. If the file has functional groups, slope,
    intercept and orientation are read per frame.

    Args:
        path: The file.
        window: The range that is mapped from black to white.

    Returns:
        The slices; `None` for a DICOMDIR, which is a table of contents.

    Raises:
        Unusable: If the file is damaged or is not a plain axial CT image.
    """
    import pydicom

    try:
        data = pydicom.dcmread(path)
        if data.file_meta.get("MediaStorageSOPClassUID") == _DICOMDIR:
            return None
        _check_kind(data)
        frames = tuple(_frames(data, window))
        return Slices(frames, _text(data, "PatientID"))
    except Unusable:
        raise
    except Exception as error:  # pydicom raises exceptions of many types
        lines = str(error).splitlines() or [type(error).__name__]
        raise Unusable("cannot be read", lines[0]) from error


def _check_kind(data: Dataset) -> None:
    """Refuse files that are not CT slices; only the header is read."""
    if "PixelData" not in data:
        raise Unusable("no pixel data")
    modality = _text(data, "Modality")
    if modality != "CT":
        # Values of other modalities have no defined unit, so no window can be applied.
        raise Unusable("not CT", f"modality {modality or 'is missing'}")
    kinds = [_text(data, "ImageType")]
    kinds += [_text(item, "FrameType") for item in _every(data, "CTImageFrameTypeSequence")]
    if any("LOCALIZER" in kind or "SCOUT" in kind for kind in kinds):
        raise Unusable("a localizer, not a slice")
    for kind in kinds:
        _refuse_maps(kind.upper())
    if data.SamplesPerPixel != 1 or _text(data, "PixelPresentation") in _COLOURED:
        raise Unusable("a colour picture", "slices must be grey")
    if _text(data, "BurnedInAnnotation") == "YES":
        raise Unusable("burned-in annotation", "the pixels may name the patient")
    if not _text(data, "PhotometricInterpretation").startswith("MONOCHROME"):
        raise Unusable("no grey values", _text(data, "PhotometricInterpretation"))
    stored, high = int(data.BitsStored), data.get("HighBit")
    if stored > int(data.BitsAllocated) or (high is not None and int(high) != stored - 1):
        raise Unusable(
            "bits that do not fit", f"{stored} of {data.BitsAllocated} bits, the highest is {high}"
        )


def _refuse_maps(kind: str) -> None:
    """Refuse an image whose ImageType or FrameType, in capitals, says that its values are no density."""
    text = "_".join(["", *re.split(r"[\\_\s/-]+", kind), ""])
    for what, names in _MAPS.items():
        if found := [name for name in names.split() if f"_{name}_" in text]:
            raise Unusable(what, f"its image type says {found[0]}, so its values are no density")


def _frames(data: Dataset, window: Window) -> Iterator[NDArray[np.uint8]]:
    from pydicom.pixels import iter_pixels

    _require_decoder(data)
    count = int(data.get("NumberOfFrames") or 1)
    # Read before any frame is decoded, so that errors are found before the slow part.
    turns = [_turn(_functional(data, number, "PlaneOrientationSequence")) for number in range(count)]
    scales = [
        _rescale(
            _functional(data, number, "PixelValueTransformationSequence"), derived=_derived(data, number)
        )
        for number in range(count)
    ]
    inverted = data.PhotometricInterpretation == "MONOCHROME1"
    # Without `indices`, pydicom 3.0 fails on compressed frames whose sign or bits it must correct.
    pixels = iter_pixels(data, indices=range(count), allow_excess_frames=False)
    for stored, turn, (slope, intercept) in zip(pixels, turns, scales, strict=True):
        grey = window.apply(stored.astype(np.float64) * slope + intercept)
        if inverted:
            grey = 255 - grey
        grey[_padding(data, stored)] = 0
        yield turn.apply(grey)


def _require_decoder(data: Dataset) -> None:
    from pydicom.pixels import get_decoder

    syntax = data.file_meta.TransferSyntaxUID
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise Unusable("cannot be read", f"no image has the transfer syntax {syntax.name}") from None
    if not available:
        raise Unusable("no decoder installed", f"for {syntax.name}; pip install 'pydicom[pixeldata]'")


def _functional(data: Dataset, number: int, name: str) -> Dataset:
    """The data set with a frame's values: its own functional group, the shared one, or the file itself."""
    for sequence, index in (
        ("PerFrameFunctionalGroupsSequence", number),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        items = data.get(sequence) or []
        if index < len(items) and items[index].get(name):
            return items[index][name][0]
    return data


def _every(data: Dataset, name: str) -> Iterator[Dataset]:
    """All functional groups with this name, shared and per frame."""
    for sequence in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for item in data.get(sequence) or []:
            yield from item.get(name) or []


def _derived(data: Dataset, number: int) -> bool:
    """Whether a frame is derived: by its own FrameType, else by ImageType."""
    frame = _text(_functional(data, number, "CTImageFrameTypeSequence"), "FrameType")
    return (frame or _text(data, "ImageType")).upper().startswith("DERIVED")


def _rescale(item: Dataset, *, derived: bool) -> tuple[float, float]:
    slope, intercept = item.get("RescaleSlope"), item.get("RescaleIntercept")
    if slope is None or intercept is None:
        raise Unusable("not in Hounsfield units", "no rescale slope and intercept")
    kind = _text(item, "RescaleType")
    if kind == _UNSPECIFIED and derived:
        raise Unusable("not in Hounsfield units", f"a derived image without a unit (rescale type {kind})")
    if kind not in (*_HOUNSFIELD, _UNSPECIFIED):
        raise Unusable("not in Hounsfield units", f"rescaled values are {kind}")
    if float(slope) == 0 or not (math.isfinite(slope) and math.isfinite(intercept)):
        raise Unusable("not in Hounsfield units", f"rescale slope {slope}, intercept {intercept}")
    return float(slope), float(intercept)


def _padding(data: Dataset, stored: NDArray) -> NDArray[np.bool_]:
    """Mask of the padding of a stored frame: pixels with the padding value, or in the padding range."""
    value = data.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=bool)
    limit = data.get("PixelPaddingRangeLimit")
    ends = sorted(_as_stored(data, int(v)) for v in (value, value if limit is None else limit))
    return (stored >= ends[0]) & (stored <= ends[1])


def _as_stored(data: Dataset, value: int) -> int:
    """A header value as stored pixels encode it: some writers give -2000 as 63536, or with too many bits."""
    bits = int(data.BitsStored)
    value %= 1 << bits
    return value - (1 << bits) if data.PixelRepresentation == 1 and value >> (bits - 1) else value


@dataclass(frozen=True)
class _Turn:
    """Steps that bring a slice to the standard orientation, in this order."""

    transpose: bool
    flip_rows: bool
    flip_columns: bool

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.transpose:
            pixels = pixels.T
        if self.flip_rows:
            pixels = pixels[::-1]
        if self.flip_columns:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels)


def _turn(item: Dataset) -> _Turn:
    """The steps for a slice with this ImageOrientationPatient.

    Its first three numbers are the direction of a row, the other three the direction of a column, in
    coordinates that increase to the patient's left, back and head.
    """
    numbers = item.get("ImageOrientationPatient")
    if numbers is None or len(numbers) != 6:
        raise Unusable("no orientation", "ImageOrientationPatient is missing")
    row, column = np.array(numbers, dtype=float).reshape(2, 3)
    square = abs(row @ row - 1) < 0.05 and abs(column @ column - 1) < 0.05 and abs(row @ column) < 0.05
    if not square:  # also true for NaN
        raise Unusable("no orientation", "ImageOrientationPatient does not hold two perpendicular directions")
    least = math.cos(math.radians(TOLERANCE))
    transpose = abs(row[1]) > abs(row[0])
    across, down = (column, row) if transpose else (row, column)
    if abs(across[0]) < least or abs(down[1]) < least:
        raise Unusable("not axial", f"rows and columns are tilted by more than {TOLERANCE:.0f} degrees")
    return _Turn(transpose, flip_rows=bool(down[1] < 0), flip_columns=bool(across[0] < 0))


def _text(data: Any, name: str) -> str:
    """A value as text, multiple values joined; empty if it is missing."""
    value = data.get(name)
    if value is None:
        return ""
    parts = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else value
    return "\\".join(str(part).strip() for part in parts).strip()
