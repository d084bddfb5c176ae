"""Every kind of file becomes the same grey pixels, or an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fingerprints.data.decode import Preprocessing, Unusable, decode, read_picture

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
    with pytest.raises(ValueError, match="mode F"):
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
    assert np.array_equal(read_picture(path), decode(path, SIZE).pixels)


def test_picture_keeps_its_own_size(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    assert read_picture(write_image(tmp_path / "a.png", size=(20, 30))).shape == (30, 20)


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
        assert np.array_equal(read_picture(path), decode(path, SIZE).pixels)
    else:
        with pytest.raises(Unusable, match="colour"):
            read_picture(path)


def test_pages_are_not_dropped_in_silence(tmp_path: Path) -> None:
    first, second = (Image.fromarray(noise(48, 48)) for _ in range(2))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    with pytest.raises(Unusable, match="several pages: 2"):
        read_picture(tmp_path / "a.tif")
