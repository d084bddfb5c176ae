"""Every kind of file becomes the same grey pixels, or an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fingerprints.data.decode import (
    Preprocessing,
    Unusable,
    counted,
    decode,
    narrow_notes,
    read_picture,
    read_values,
    why_unusable,
)
from fingerprints.data.layout import IMAGE_SUFFIXES

SIZE = Preprocessing(48)


def noise(*shape: int, high: int = 256, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(1).integers(0, high, shape, dtype=dtype)


def test_grey_of_8_bits_is_exact(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    pixels = noise(48, 48)
    decoded = decode(write_image(tmp_path / "a.png", pixels), SIZE)
    assert decoded.pixels.dtype == np.uint8
    assert np.array_equal(decoded.pixels, pixels)
    assert decoded.native_size == (48, 48)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_of_16_bits_is_scaled_to_8(
    tmp_path: Path, write_image: Callable[..., Path], suffix: str
) -> None:
    values = noise(48, 48, high=65_536, dtype=np.uint16)
    values.flat[:6] = (0, 65_535, 128, 129, 257, 65_406)
    decoded = decode(write_image(tmp_path / f"a.{suffix}", values, mode="I;16"), SIZE)
    assert list(decoded.pixels.flat[:6]) == [0, 255, 0, 1, 1, 254]
    assert np.array_equal(decoded.pixels, np.rint(values / 257.0).astype(np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "P", "LA", "RGBA", "CMYK"])
def test_grey_in_other_modes_is_exact(tmp_path: Path, write_image: Callable[..., Path], mode: str) -> None:
    pixels = np.arange(48 * 48).reshape(48, 48).astype(np.uint8)
    suffix = "tif" if mode == "CMYK" else "png"
    assert np.array_equal(
        decode(write_image(tmp_path / f"a.{suffix}", pixels, mode=mode), SIZE).pixels, pixels
    )


def test_colour_becomes_luma(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    colour = noise(48, 48, 3)
    decoded = decode(write_image(tmp_path / "a.png", colour, mode="RGB"), SIZE)
    assert np.abs(decoded.pixels - colour @ np.array([0.299, 0.587, 0.114])).max() <= 0.51


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_dropped(tmp_path: Path, mode: str) -> None:
    pixels = noise(48, 48)
    image = Image.fromarray(pixels).convert(mode)
    image.putalpha(Image.fromarray(noise(48, 48)[::-1].copy()))
    image.save(tmp_path / "a.png")
    assert np.array_equal(decode(tmp_path / "a.png", SIZE).pixels, pixels)


def test_palette_is_looked_up_and_its_transparency_dropped(tmp_path: Path) -> None:
    image = Image.fromarray(noise(48, 48, high=3))
    image.putpalette([10, 10, 10, 200, 200, 200, 255, 0, 0])
    image.save(tmp_path / "a.png", transparency=1)
    decoded = decode(tmp_path / "a.png", SIZE)
    assert np.array_equal(decoded.pixels, np.array([10, 200, 76])[noise(48, 48, high=3)])


def test_one_bit_is_black_and_white(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    bits = noise(48, 48, high=2).astype(bool)
    assert np.array_equal(decode(write_image(tmp_path / "a.png", bits, mode="1"), SIZE).pixels, 255 * bits)


def test_damaged_files_raise(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    whole = write_image(tmp_path / "whole.png", 0).read_bytes()
    contents = {"cut": whole[: len(whole) // 2], "text": b"not an image", "empty": b"", "header": whole[:30]}
    for name, content in contents.items():
        (tmp_path / f"{name}.png").write_bytes(content)
        with pytest.raises((OSError, SyntaxError, ValueError)):
            decode(tmp_path / f"{name}.png", SIZE)
    with pytest.raises(FileNotFoundError):
        decode(tmp_path / "missing.png", SIZE)


def test_values_without_a_range_raise(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    floats = np.linspace(0, 1, 48 * 48, dtype=np.float32).reshape(48, 48)
    with pytest.raises(Unusable, match="mode F"):
        decode(write_image(tmp_path / "a.tif", floats, mode="F"), SIZE)
    with pytest.raises(ValueError, match=r"outside 0\.\.65535"):
        decode(write_image(tmp_path / "b.tif", np.full((48, 48), 70_000, np.int32), mode="I"), SIZE)


def test_resize_keeps_the_range_and_the_mean(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    pixels = np.where(np.indices((96, 96)).sum(axis=0) % 7 < 3, 20, 240).astype(np.uint8)
    decoded = decode(write_image(tmp_path / "a.png", pixels), SIZE)
    assert decoded.pixels.shape == (48, 48)
    assert decoded.native_size == (96, 96)
    assert decoded.pixels.min() >= 20
    assert decoded.pixels.max() <= 240
    assert decoded.pixels.mean() == pytest.approx(pixels.mean(), abs=1)


def test_native_size_is_width_and_height(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    assert decode(write_image(tmp_path / "a.png", 0, size=(60, 50)), SIZE).native_size == (60, 50)


def test_digest_is_of_the_pixels_alone(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    pixels = noise(64, 64)
    changed = pixels.copy()
    changed[5, 5] ^= 1
    files = {
        "stored": write_image(tmp_path / "a.png", pixels, compress_level=0),
        "packed": write_image(tmp_path / "b.png", pixels, compress_level=9),
        "tiff": write_image(tmp_path / "c.tif", pixels),
        "colour": write_image(tmp_path / "d.png", pixels, mode="RGB"),
        "changed": write_image(tmp_path / "e.png", changed),
        "turned": write_image(tmp_path / "f.png", pixels.T.copy()),
        "reshaped": write_image(tmp_path / "g.png", pixels.reshape(32, 128)),
    }
    digests = {name: decode(path, SIZE).digest for name, path in files.items()}
    same = {name for name, digest in digests.items() if digest == digests["stored"]}
    assert same == {"stored", "packed", "tiff", "colour"}
    assert files["stored"].read_bytes() != files["packed"].read_bytes()
    assert decode(files["stored"], Preprocessing(16)).digest == digests["stored"]


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.png", "L", {}),
        ("a.png", "RGB", {}),
        ("a.png", "P", {}),
        ("a.png", "RGBA", {}),
        ("a.png", "I;16", {}),
        ("a.bmp", "RGB", {}),
        ("a.tif", "LA", {}),
        ("a.jpg", "L", {"quality": 40}),
        ("a.jpg", "RGB", {"quality": 40}),
    ],
)
def test_grey_pictures_are_read_as_in_training(
    tmp_path: Path, write_image: Callable[..., Path], name: str, mode: str, options: dict
) -> None:
    path = write_image(tmp_path / name, 3, mode=mode, **options)
    assert np.array_equal(read_picture(path)[0], decode(path, SIZE).pixels)


def test_picture_keeps_its_own_size(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    assert read_picture(write_image(tmp_path / "a.png", size=(20, 30)))[0].shape == (30, 20)


def coloured(kind: str) -> np.ndarray:
    pixels = np.repeat(noise(48, 48)[..., None], 3, axis=2)
    if kind == "mark":
        pixels[10:13, 10:13] = (255, 200, 0)
    elif kind == "tint":
        pixels = np.clip(pixels + np.array([6, 0, -6]), 0, 255).astype(np.uint8)
    return pixels


@pytest.mark.parametrize("kind", ["mark", "tint", "neither"])
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_colour_is_refused_where_pictures_must_be_grey(tmp_path: Path, kind: str, mode: str) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(coloured(kind)).convert(mode).save(path)
    if kind == "neither":
        assert np.array_equal(read_picture(path)[0], decode(path, SIZE).pixels)
    else:
        with pytest.raises(Unusable, match="colour"):
            read_picture(path)


def test_pages_are_not_dropped_in_silence(tmp_path: Path) -> None:
    first, second = (Image.fromarray(noise(48, 48)) for _ in range(2))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    with pytest.raises(Unusable, match="several pages: 2"):
        read_picture(tmp_path / "a.tif")


def tiff(path: Path, values: np.ndarray, **tags: object) -> Path:
    """A TIFF in one strip, written by hand, also of kinds that the library does not write."""
    import struct

    sign = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    bits = values.dtype.itemsize * 8
    entries = {256: values.shape[1], 257: values.shape[0], 258: bits, 259: 1, 262: 1, 273: 0, 277: 1}
    entries |= {278: values.shape[0], 279: values.nbytes, 339: sign}
    entries |= {
        {"width": 256, "photometric": 262, "bits": 258}[name]: number for name, number in tags.items()
    }
    entries[273] = 8 + 2 + 12 * len(entries) + 4
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, entries[tag]) for tag in sorted(entries))
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    path.write_bytes(head + directory + bytes(4) + values.tobytes())
    return path


def test_white_may_be_zero_in_8_and_in_16_bits(tmp_path: Path) -> None:
    values = noise(48, 48, high=65_536, dtype=np.uint16)
    plain = decode(tiff(tmp_path / "a.tif", values), SIZE).pixels
    assert np.array_equal(plain, np.rint(values / 257.0).astype(np.uint8))
    assert np.array_equal(
        decode(tiff(tmp_path / "b.tif", 65_535 - values, photometric=0), SIZE).pixels, plain
    )
    assert np.array_equal(decode(tiff(tmp_path / "c.tif", 255 - plain, photometric=0), SIZE).pixels, plain)
    assert read_picture(tmp_path / "b.tif")[0].tolist() == plain.tolist()


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_values_with_a_sign_never_wrap(tmp_path: Path, dtype: type) -> None:
    values = np.full((48, 48), 100, dtype=dtype)
    assert (read_values(tiff(tmp_path / "a.tif", values)) == 100).all()
    values[3, 4] = -1
    with pytest.raises(Unusable, match="negative grey values"):
        decode(tiff(tmp_path / "b.tif", values), SIZE)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.uint16, np.int32, np.float32])
def test_native_values_are_as_stored(tmp_path: Path, dtype: type, write_image: Callable[..., Path]) -> None:
    ones = noise(48, 48, high=2).astype(dtype)
    path = write_image(tmp_path / "a.tif", ones, mode=Image.fromarray(ones).mode)
    assert np.array_equal(read_values(path), ones)
    assert read_values(path).dtype == dtype


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_floats_that_are_no_numbers_are_refused(tmp_path: Path, wrong: float) -> None:
    values = np.ones((48, 48), np.float32)
    values[1, 1] = wrong
    with pytest.raises(Unusable, match="not defined"):
        read_values(tiff(tmp_path / "a.tif", values))
    with pytest.raises(Unusable, match="not defined"):
        read_values(tiff(tmp_path / "b.tif", np.ones((48, 48), np.float32), photometric=0))


def test_12_bits_in_a_file_of_16_are_noticed(tmp_path: Path) -> None:
    for top, narrow in ((4095, True), (4096, False), (1, True)):
        values = np.zeros((48, 48), np.uint16)
        values[0, 0] = top
        path = tiff(tmp_path / f"{top}.tif", values)
        assert decode(path, SIZE).narrow is narrow
        assert read_picture(path)[1] is narrow
    assert not decode(tiff(tmp_path / "black.tif", np.zeros((48, 48), np.uint16)), SIZE).narrow
    assert not decode(tiff(tmp_path / "eight.tif", np.ones((48, 48), np.uint8)), SIZE).narrow
    assert narrow_notes(0, 5) == []
    assert narrow_notes(3, 5)[0].startswith("3 of 5 images have 16 bits but no value above 4,095")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (0, 4095)])
def test_channels_of_16_bits_do_not_lose_low_values_in_silence(tmp_path: Path, low: int, high: int) -> None:
    import struct
    import zlib

    def png(path: Path, values: np.ndarray, kind: int) -> Path:
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        content = b"\x89PNG\r\n\x1a\n"
        header = struct.pack(">IIBBBBB", 48, 48, 16, kind, 0, 0, 0)
        for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
            content += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        path.write_bytes(content)
        return path

    bits = noise(48, 48, high=2).astype(np.uint16)
    for kind, channels in ((2, 3), (4, 2), (6, 4)):  # colour, grey with alpha, colour with alpha
        for scale, refused in ((high, True), (65_535, False)):
            values = np.repeat((low + bits * (scale - low))[..., None], channels, axis=2)
            if kind != 2:
                values[..., -1] = 65_535
            path = png(tmp_path / "a.png", values.reshape(48, -1), kind)
            if refused:
                with pytest.raises(Unusable, match="nearly black: its channels have 16 bits"):
                    read_values(path)
            else:
                assert np.array_equal(read_values(path), bits * 255)


def test_white_of_a_file_of_12_bits_is_4095(tmp_path: Path) -> None:
    values = noise(48, 48, high=4096, dtype=np.uint16)
    values.flat[:3] = (0, 4095, 2048)
    left, right = values.reshape(-1, 2).T
    packed = np.stack([left >> 4, (left & 15) << 4 | right >> 8, right & 255], axis=1).astype(np.uint8)
    path = tiff(tmp_path / "a.tif", packed.reshape(48, -1), bits=12, width=48)
    decoded = decode(path, SIZE)
    assert np.abs(decoded.pixels - values * (255 / 4095)).max() <= 0.51
    assert not decoded.narrow


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_orientation_is_applied_alike_in_every_format(tmp_path: Path, name: str, turn: int) -> None:
    pixels = np.full((40, 56), 30, dtype=np.uint8)
    pixels[:16, :8] = 220  # bright at the left of the top
    exif = Image.Exif()
    exif[274] = turn
    options = {"quality": 100} if name == "a.jpg" else {}
    Image.fromarray(pixels).save(tmp_path / name, exif=exif, **options)
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.T,
        6: pixels[::-1].T,
        7: pixels[::-1, ::-1].T,
        8: pixels.T[::-1],
    }[turn]
    for found in (read_picture(tmp_path / name)[0], read_values(tmp_path / name)):
        assert found.shape == turned.shape
        assert np.abs(found.astype(int) - turned).max() <= 4
    assert decode(tmp_path / name, SIZE).native_size == turned.shape[::-1]


def test_damaged_exif_data_say_nothing(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    path = write_image(tmp_path / "a.jpg", 1, exif=b"Exif\0\0damaged")
    assert np.array_equal(decode(path, SIZE).pixels, np.asarray(Image.open(path)))


def frames(path: Path, **options: object) -> Path:
    first, second = (Image.fromarray(noise(48, 48) // (n + 1)) for n in range(2))
    first.save(path, save_all=True, append_images=[second], **options)
    return path


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_several_pages_or_frames_are_refused_by_every_reader(tmp_path: Path, name: str) -> None:
    path = frames(tmp_path / name)
    for read in (lambda: decode(path, SIZE), lambda: read_picture(path), lambda: read_values(path)):
        with pytest.raises(Unusable, match="several pages: 2"):
            read()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PPM"])
def test_other_formats_are_named_whatever_their_ending(
    tmp_path: Path, write_image: Callable[..., Path], kind: str
) -> None:
    path = write_image(tmp_path / "a.png", 1, format=kind)
    for read in (lambda: decode(path, SIZE), lambda: read_picture(path), lambda: read_values(path)):
        with pytest.raises(OSError, match="cannot identify") as caught:
            read()
        why = why_unusable(path, caught.value)
        assert str(why) == f"cannot be read: its content is {kind}, not PNG, JPEG, BMP or TIFF"


def test_reasons_are_the_same_for_every_command(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    (tmp_path / "gone.png").symlink_to("/not/fetched/gone.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    tiff(tmp_path / "deep.tif", np.ones((48, 48), np.float64))
    expected = {
        "gone.png": "it is a link to a file that does not exist",
        "empty.png": "the file is empty",
        "text.png": "its content is not PNG, JPEG, BMP or TIFF",
        "deep.tif": "a TIFF of an unsupported kind; save it as unsigned grey of 8 or 16 bits",
    }
    found = []
    for name, why in expected.items():
        with pytest.raises(OSError, match=r"cannot identify|No such file") as caught:
            decode(tmp_path / name, SIZE)
        found.append(why_unusable(tmp_path / name, caught.value))
        assert str(found[-1]) == f"cannot be read: {why}"
    assert counted([*found, "several pages: 3"]) == "cannot be read (4), several pages (1)"


def shipped() -> list[Path]:
    """Pictures that installed libraries ship."""
    from importlib.util import find_spec

    files: list[Path] = []
    for package in ("skimage", "matplotlib", "scipy", "sklearn", "PIL"):
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            files += [p for p in Path(spec.origin).parent.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(files)


def test_pictures_of_installed_libraries_are_read_exactly_or_refused_by_name() -> None:
    refused, exact = [], 0
    for path in shipped():
        try:
            values = read_values(path)
        except Exception as error:  # the contract of the readers: any error becomes a reason
            refused.append(why_unusable(path, error).reason)
            continue
        with Image.open(path) as image:
            if image.mode == "L" and image.getexif().get(274, 1) == 1:
                assert np.array_equal(values, np.asarray(image)), path
                exact += 1
    assert set(refused) <= {"several pages", "cannot be read", "negative grey values"}
    if not exact:
        pytest.skip("no library with grey pictures is installed")
