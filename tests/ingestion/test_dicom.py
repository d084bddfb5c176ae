"""DICOM files of every kind become the slices that a slow, obvious reading of them gives, or are refused."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.decode import Unusable
from fingerprints.ingestion.dicom import (
    WINDOWS,
    _rescale,
    is_dicom,
    parse_window,
    read_dicom,
    require_pydicom,
)

pydicom = pytest.importorskip("pydicom")
LUNG = WINDOWS["lung"]
Write = Callable[..., Path]


def one(path: Path, window: Any = LUNG) -> np.ndarray:
    (frame,) = read_dicom(path, window).frames
    return frame


def grey(units: float, center: float, width: float) -> int:
    """PS3.3 C.11.2.1.2.1, as its pseudo-code says it."""
    if units <= center - 0.5 - (width - 1) / 2:
        return 0
    if units > center - 0.5 + (width - 1) / 2:
        return 255
    return round(((units - (center - 0.5)) / (width - 1) + 0.5) * 255)


def shown(stored: np.ndarray, *, slope: float = 1, intercept: float = -1024) -> np.ndarray:
    pixels = [[grey(value * slope + intercept, -600, 1500) for value in row] for row in stored.tolist()]
    return np.array(pixels, dtype=np.uint8)


def values(seed: int = 0, shape: tuple[int, ...] = (20, 30), dtype: type = np.int16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2000, shape).astype(dtype)


@pytest.mark.parametrize(
    ("text", "center", "width"),
    [("lung", -600, 1500), ("40,400", 40, 400), ("-600,1500", -600, 1500), ("0.5, 1", 0.5, 1), ("3,2", 3, 2)],
)
def test_window_is_dicoms_linear_function(text: str, center: float, width: float) -> None:
    units = np.concatenate([np.arange(-1500.0, 1500), np.linspace(center - 2, center + 2, 41)])
    expected = [grey(value, center, width) for value in units]
    assert parse_window(text).apply(units).tolist() == expected
    assert {0, 255} <= set(expected)


@pytest.mark.parametrize("text", ["foo", "1", "1,2,3", "0,0", "0,-5", "0,0.5", "nan,5", "0,inf", ","])
def test_malformed_windows_are_refused(text: str) -> None:
    with pytest.raises(FingerprintsError, match=r"lung, or CENTER,WIDTH") as caught:
        parse_window(text)
    assert f"window={text}" in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "slope", "intercept"), [(np.int16, 1, 0), (np.int16, 2, -1500), (np.uint16, 0.5, -1024)]
)
def test_stored_values_become_hounsfield_units(
    tmp_path: Path, write_dicom: Write, dtype: type, slope: float, intercept: float
) -> None:
    stored = values(dtype=dtype)
    if dtype is np.int16:
        stored -= 1000
    path = write_dicom(tmp_path / "a", stored, RescaleSlope=slope, RescaleIntercept=intercept)
    assert np.array_equal(one(path), shown(stored, slope=slope, intercept=intercept))
    assert read_dicom(path, LUNG).patient == "ID-SECRET-17"


def test_unused_bits_do_not_count(tmp_path: Path, write_dicom: Write) -> None:
    stored = values(dtype=np.uint16)
    path = write_dicom(tmp_path / "a", stored | 0xA000, BitsStored=12)
    assert np.array_equal(one(path), shown(stored))


def test_monochrome1_is_inverted(tmp_path: Path, write_dicom: Write) -> None:
    path = write_dicom(tmp_path / "a", values(), PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(one(path), 255 - shown(values()))


AXES = [(1, 0), (-1, 0), (0, 1), (0, -1)]


@pytest.mark.parametrize(
    ("row", "column"), [(r, c) for r in AXES for c in AXES if r[0] * c[0] + r[1] * c[1] == 0]
)
def test_any_axial_slice_is_brought_to_one_orientation(
    tmp_path: Path, write_dicom: Write, row: tuple[int, int], column: tuple[int, int]
) -> None:
    body = values(shape=(12, 17))  # [y][x]: x to the patient's left, y to the back
    height, width = (17, 12) if row[0] == 0 else (12, 17)
    places = {
        (i, j): (row[0] * j + column[0] * i, row[1] * j + column[1] * i) for i, j in np.ndindex(height, width)
    }
    left, top = min(x for x, _ in places.values()), min(y for _, y in places.values())
    stored = np.empty((height, width), dtype=np.int16)
    for at, (x, y) in places.items():
        stored[at] = body[y - top, x - left]
    path = write_dicom(tmp_path / "a", stored, ImageOrientationPatient=[*row, 0, *column, 0])
    assert np.array_equal(one(path), shown(body))


def tilted(degrees: float) -> list[float]:
    return [1, 0, 0, 0, round(math.cos(math.radians(degrees)), 6), round(-math.sin(math.radians(degrees)), 6)]


def test_a_tilted_gantry_is_axial_still(tmp_path: Path, write_dicom: Write) -> None:
    path = write_dicom(tmp_path / "a", values(), ImageOrientationPatient=tilted(30))
    assert np.array_equal(one(path), shown(values()))


@pytest.mark.parametrize(
    "orientation",
    [[0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1], tilted(45), [0.7071, 0.7071, 0, -0.7071, 0.7071, 0]],
    ids=["sagittal", "coronal", "oblique", "turned"],
)
def test_other_planes_are_refused(tmp_path: Path, write_dicom: Write, orientation: list[float]) -> None:
    with pytest.raises(Unusable, match=r"not axial: .*35 degrees"):
        one(write_dicom(tmp_path / "a", ImageOrientationPatient=orientation))


@pytest.mark.parametrize(
    "orientation", [None, [1, 0, 0], [0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0], [2, 0, 0, 0, 2, 0]]
)
def test_orientation_must_be_one(tmp_path: Path, write_dicom: Write, orientation: list[float] | None) -> None:
    with pytest.raises(Unusable, match="no orientation"):
        one(write_dicom(tmp_path / "a", ImageOrientationPatient=orientation))


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize(
    ("dtype", "fill", "header"),
    [
        (np.int16, -2000, {"PixelPaddingValue": -2000}),
        (np.int16, 1999, {"PixelPaddingValue": 1999}),
        (np.uint16, 3000, {"PixelPaddingValue": 3000, "PixelRepresentation": 0}),
        (np.int16, 2500, {"PixelPaddingValue": 3000, "PixelPaddingRangeLimit": 2400}),
    ],
)
def test_padding_is_black(
    tmp_path: Path, write_dicom: Write, dtype: type, fill: int, header: dict[str, Any], inverted: bool
) -> None:
    stored = np.minimum(values(dtype=dtype), 1998)
    stored[:5, :7] = fill
    kind = "MONOCHROME1" if inverted else "MONOCHROME2"
    expected = 255 - shown(stored) if inverted else shown(stored)
    expected[:5, :7] = 0
    path = write_dicom(tmp_path / "a", stored, PhotometricInterpretation=kind, **header)
    assert np.array_equal(one(path), expected)


def test_padding_value_may_be_written_unsigned(tmp_path: Path, write_dicom: Write) -> None:
    stored = values()
    stored[0] = -2000
    path = write_dicom(tmp_path / "a", stored, RescaleSlope=-1)  # else padding is black by the window
    assert (one(path)[0] == 255).all()
    data = pydicom.dcmread(path)
    data.add_new(0x00280120, "US", 65_536 - 2000)
    data.save_as(path)
    assert (one(path)[0] == 0).all()


def test_every_frame_is_a_slice(tmp_path: Path, write_dicom: Write) -> None:
    stored = values(shape=(3, 8, 9))
    frames = read_dicom(write_dicom(tmp_path / "a", stored), LUNG).frames
    assert [frame.tolist() for frame in frames] == [shown(frame).tolist() for frame in stored]


def group(**items: dict[str, Any]) -> Any:
    """A functional group item: sequence name -> its values."""
    out = pydicom.Dataset()
    for name, content in items.items():
        inner = pydicom.Dataset()
        for key, value in content.items():
            setattr(inner, key, value)
        setattr(out, name, [inner])
    return out


def test_functional_groups_hold_for_their_frames(tmp_path: Path, write_dicom: Write) -> None:
    stored = values(shape=(3, 8, 9))
    plain = {"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU"}
    own = {"RescaleSlope": 2, "RescaleIntercept": -2000}
    path = write_dicom(
        tmp_path / "a",
        stored,
        RescaleSlope=None,
        RescaleIntercept=None,
        ImageOrientationPatient=None,
        SharedFunctionalGroupsSequence=[
            group(
                PixelValueTransformationSequence=plain,
                PlaneOrientationSequence={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
            )
        ],
        PerFrameFunctionalGroupsSequence=[
            group(),
            group(PixelValueTransformationSequence=own),
            group(PlaneOrientationSequence={"ImageOrientationPatient": [-1, 0, 0, 0, -1, 0]}),
        ],
    )
    frames = read_dicom(path, LUNG).frames
    assert np.array_equal(frames[0], shown(stored[0]))
    assert np.array_equal(frames[1], shown(stored[1], slope=2, intercept=-2000))
    assert np.array_equal(frames[2], shown(stored[2])[::-1, ::-1])


def test_a_localizer_among_the_frames_is_refused(tmp_path: Path, write_dicom: Write) -> None:
    kind = {"FrameType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    groups = [group(), group(CTImageFrameTypeSequence=kind)]
    with pytest.raises(Unusable, match="localizer"):
        one(write_dicom(tmp_path / "a", values(shape=(2, 8, 9)), PerFrameFunctionalGroupsSequence=groups))


@pytest.mark.parametrize("shape", [(20, 30), (3, 8, 10)])
@pytest.mark.parametrize("bits", [12, 16])
def test_rle_compression_changes_nothing(
    tmp_path: Path, write_dicom: Write, shape: tuple[int, ...], bits: int
) -> None:
    stored = values(shape=shape)
    plain = read_dicom(write_dicom(tmp_path / "a", stored, BitsStored=bits), LUNG).frames
    packed = read_dicom(write_dicom(tmp_path / "b", stored, BitsStored=bits, rle=True), LUNG).frames
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()
    assert np.array_equal(plain, packed)


def test_compressed_values_whose_sign_is_mended(tmp_path: Path) -> None:
    path = Path(pydicom.data.get_testdata_file("J2K_pixelrep_mismatch.dcm", download=False))
    data = pydicom.dcmread(path)
    stored = data.pixel_array
    assert stored.min() < -1000
    slope, intercept = float(data.RescaleSlope), float(data.RescaleIntercept)
    assert np.array_equal(one(path)[::16], shown(stored[::16], slope=slope, intercept=intercept))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"PixelData": None}, "no pixel data"),
        ({"Modality": "MR"}, "not CT: modality MR"),
        ({"Modality": None}, "not CT: modality is missing"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a localizer, not a slice"),
        ({"BurnedInAnnotation": "YES"}, "burned-in annotation"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "no grey values"),
        ({"RescaleSlope": None}, "not in Hounsfield units"),
        ({"RescaleIntercept": None}, "not in Hounsfield units"),
        ({"RescaleType": "Z_EFF"}, "not in Hounsfield units: rescaled values are Z_EFF"),
        ({"RescaleType": "HU_MOD"}, "not in Hounsfield units: rescaled values are HU_MOD"),
        ({"RescaleType": "MGML"}, "not in Hounsfield units: rescaled values are MGML"),
        ({"RescaleSlope": 0}, "not in Hounsfield units: rescale slope 0"),
        ({"PixelPresentation": "COLOR"}, "a colour picture"),
        ({"BitsStored": 12, "HighBit": 15}, "bits that do not fit: 12 of 16 bits, the highest is 15"),
        ({"BitsStored": 16, "HighBit": 11}, "bits that do not fit"),
        ({"Columns": None}, "cannot be read"),
        ({"Rows": 21}, "cannot be read: The number of bytes of pixel data is less"),
    ],
)
def test_what_is_no_ct_slice_is_refused(
    tmp_path: Path, write_dicom: Write, header: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unusable) as caught:
        read_dicom(write_dicom(tmp_path / "a", values(), **header), LUNG)
    assert str(caught.value).startswith(reason)
    assert caught.value.reason == reason.split(":")[0]


@pytest.mark.parametrize(
    "header",
    [
        {"BurnedInAnnotation": "NO"},
        {"RescaleType": "HU"},
        {"RescaleType": "US"},
        {"PatientID": None},
        {"PixelPresentation": "MONOCHROME"},
        {"ImageType": ["DERIVED", "SECONDARY", "MPR"]},
        {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"], "RescaleType": "HU"},
        {"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "CT_SOM5 SPI"], "RescaleType": "HU"},
        {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM7 SPI DUAL"]},
        {"ImageType": None},
    ],
)
def test_harmless_headers_are_taken(tmp_path: Path, write_dicom: Write, header: dict[str, Any]) -> None:
    path = write_dicom(tmp_path / "a", values(), **header)
    assert np.array_equal(one(path), shown(values()))
    assert read_dicom(path, LUNG).patient == ("" if "PatientID" in header else "ID-SECRET-17")


def test_colour_is_refused(tmp_path: Path, write_dicom: Write) -> None:
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    with pytest.raises(Unusable, match="a colour picture"):
        read_dicom(write_dicom(tmp_path / "a", **colour), LUNG)


@pytest.mark.parametrize("kept", [133, 200, 400, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, write_dicom: Write, kept: float) -> None:
    path = write_dicom(tmp_path / "a", values())
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(Unusable):
        read_dicom(path, LUNG)


@pytest.mark.parametrize("seed", range(8))
def test_a_corrupt_header_is_refused_or_read_but_never_crashes(
    tmp_path: Path, write_dicom: Write, seed: int
) -> None:
    path = write_dicom(tmp_path / "a", values())
    content, rng = bytearray(path.read_bytes()), np.random.default_rng(seed)
    content[132:600] = rng.integers(0, 256, 468, dtype=np.uint8).tobytes()
    path.write_bytes(content)
    with pytest.raises(Unusable):
        read_dicom(path, LUNG)


def test_compression_without_a_decoder_names_it(
    tmp_path: Path, write_dicom: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_dicom(tmp_path / "a", rle=True)
    decoder = pydicom.pixels.get_decoder(pydicom.uid.RLELossless)
    monkeypatch.setattr(type(decoder), "is_available", property(lambda _: False))
    with pytest.raises(
        Unusable, match=r"no decoder installed: for RLE Lossless; pip install 'pydicom\[pixeldata\]'"
    ):
        read_dicom(path, LUNG)


def test_a_table_of_contents_holds_no_slices(tmp_path: Path, write_dicom: Write) -> None:
    path = write_dicom(tmp_path / "a", SOPClassUID=pydicom.uid.MediaStorageDirectoryStorage, PixelData=None)
    assert read_dicom(path, LUNG) is None


def test_the_mark_makes_a_dicom_file(tmp_path: Path, write_dicom: Write, write_image: Write) -> None:
    assert is_dicom(write_dicom(tmp_path / "a.png"))
    assert not is_dicom(write_image(tmp_path / "b.dcm", format="PNG"))
    (tmp_path / "short").write_bytes(b"DICM")
    assert not is_dicom(tmp_path / "short")


def test_missing_pydicom_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_pydicom(tmp_path)
    known = importlib.util.find_spec
    monkeypatch.setattr(
        "fingerprints.ingestion.dicom.find_spec", lambda name: None if name == "pydicom" else known(name)
    )
    with pytest.raises(FingerprintsError, match=r"pip install 'gan-fingerprints\[dicom\]'"):
        require_pydicom(tmp_path)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("DERIVED PRIMARY PERFUSION RCBF", "a perfusion map: its image type says PERFUSION"),
        ("DERIVED SECONDARY AXIAL CT_PERFUSION MTT", "a perfusion map"),
        ("DERIVED SECONDARY AXIAL CBV", "a perfusion map: its image type says CBV"),
        ("DERIVED SECONDARY OTHER TMAX", "a perfusion map"),
        ("ORIGINAL PRIMARY AXIAL cbf", "a perfusion map"),
        ("DERIVED PRIMARY AXIAL IODINE", "a map of energies: its image type says IODINE"),
        ("DERIVED PRIMARY AXIAL VMI", "a map of energies"),
        ("DERIVED SECONDARY AXIAL GSI-MONO", "a map of energies"),
        ("DERIVED PRIMARY AXIAL EFF_ATOMIC_NUM", "a map of energies: its image type says EFF_ATOMIC_NUM"),
        ("DERIVED PRIMARY AXIAL ELECTRON_DENSITY", "a map of energies"),
        ("DERIVED PRIMARY AXIAL MAT_SPECIFIC", "a map of energies: its image type says MAT"),
        ("DERIVED PRIMARY AXIAL Z_EFF", "a map of energies"),
        ("DERIVED SECONDARY AXIAL DE_VNC", "a map of energies"),
    ],
)
def test_maps_are_refused_by_name_even_in_hounsfield_units(
    tmp_path: Path, write_dicom: Write, kind: str, reason: str
) -> None:
    frame = [group(CTImageFrameTypeSequence={"FrameType": kind.split()})]
    for header in ({"ImageType": kind.split()}, {"SharedFunctionalGroupsSequence": frame}):
        with pytest.raises(Unusable) as caught:
            read_dicom(write_dicom(tmp_path / "a", values(), RescaleType="HU", **header), LUNG)
        assert str(caught.value).startswith(reason)
        assert caught.value.reason == reason.split(":")[0]


@pytest.mark.parametrize("image_type", ["DERIVED", "ORIGINAL"])
def test_a_derived_image_must_state_its_unit(tmp_path: Path, write_dicom: Write, image_type: str) -> None:
    frame = [group(CTImageFrameTypeSequence={"FrameType": ["DERIVED", "PRIMARY", "VOLUME"]})]
    kind = {"ImageType": [image_type, "PRIMARY", "AXIAL"]}
    if image_type == "ORIGINAL":
        kind["PerFrameFunctionalGroupsSequence"] = frame
    path = write_dicom(tmp_path / "a", values(), RescaleType="US", **kind)
    with pytest.raises(Unusable, match="not in Hounsfield units: a derived image without a unit"):
        read_dicom(path, LUNG)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["RescaleSlope", "RescaleIntercept"])
def test_a_scale_that_is_no_number_is_refused(name: str, wrong: float) -> None:
    item = pydicom.Dataset()
    scale = {"RescaleSlope": 1.0, "RescaleIntercept": 0.0, name: wrong}
    item.get = scale.get
    with pytest.raises(Unusable, match="not in Hounsfield units: rescale slope"):
        _rescale(item, derived=False)


def test_every_file_that_pydicom_ships_is_read_or_refused_by_name() -> None:
    root = Path(pydicom.__file__).parent / "data/test_files"
    reasons, taken = set(), 0
    for path in sorted(root.rglob("*")):
        if path.is_file() and is_dicom(path):
            try:
                slices = read_dicom(path, LUNG)
            except Unusable as why:
                reasons.add(why.reason)
            else:
                taken += slices is not None
    assert taken >= 3
    assert reasons <= {
        "a colour picture",
        "a localizer, not a slice",
        "bits that do not fit",
        "burned-in annotation",
        "cannot be read",
        "no decoder installed",
        "no grey values",
        "no orientation",
        "no pixel data",
        "not CT",
        "not axial",
        "not in Hounsfield units",
    }
