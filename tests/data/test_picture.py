"""PNG files with texts and colour profiles that Pillow refuses."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fingerprints.data.decode import Preprocessing, decode, read_picture
from fingerprints.data.picture import open_picture, without_texts

PIXELS = np.arange(32 * 32, dtype=np.uint8).reshape(32, 32)
BIG = zlib.compress(b"x" * 2_000_000)
AFTER_HEADER = 33


def plain() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


BESIDE = {
    "compressed text": chunk(b"zTXt", b"k\0\0" + BIG),
    "text in UTF-8": chunk(b"iTXt", b"k\0\1\0\0\0" + BIG),
    "colour profile": chunk(b"iCCP", b"k\0\0" + BIG),
    "many texts": b"".join(chunk(b"tEXt", b"k\0" + b"x" * 7_000_000) for _ in range(10)),
    "damaged text": chunk(b"zTXt", b"k\0\5abc"),
}


@pytest.mark.parametrize("at", ["before", "after"])
@pytest.mark.parametrize("kind", BESIDE)
def test_what_is_beside_the_pixels_does_not_hide_them(tmp_path: Path, kind: str, at: str) -> None:
    place = AFTER_HEADER if at == "before" else -12
    path = tmp_path / "a.png"
    path.write_bytes(plain()[:place] + BESIDE[kind] + plain()[place:])
    if not (at == "after" and kind in ("colour profile", "damaged text")):  # there, Pillow does not mind
        with pytest.raises((ValueError, OSError)), Image.open(path) as image:
            image.load()
    assert np.array_equal(decode(path, Preprocessing(32)).pixels, PIXELS)
    assert np.array_equal(read_picture(path)[0], PIXELS)
    with open_picture(path) as image:
        assert image.size == (32, 32)


def test_only_texts_and_profiles_are_left_out() -> None:
    noted = (
        plain()[:AFTER_HEADER] + BESIDE["damaged text"] + chunk(b"gAMA", b"\0\0\0\1") + plain()[AFTER_HEADER:]
    )
    assert (
        without_texts(noted) == plain()[:AFTER_HEADER] + chunk(b"gAMA", b"\0\0\0\1") + plain()[AFTER_HEADER:]
    )
    assert without_texts(plain()) == plain()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        plain()[:60],
        BESIDE["compressed text"],
        plain()[:AFTER_HEADER] + BESIDE["compressed text"],
    ],
    ids=["empty", "text", "cut", "no header", "no pixels"],
)
def test_files_without_sound_pixels_stay_errors(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises((OSError, ValueError, SyntaxError)):
        open_picture(tmp_path / "a.png").load()


def test_pixels_that_are_cut_are_not_filled(tmp_path: Path) -> None:
    whole = plain()[:AFTER_HEADER] + BESIDE["compressed text"] + plain()[AFTER_HEADER:]
    (tmp_path / "a.png").write_bytes(whole[:-80])
    with pytest.raises((OSError, ValueError, SyntaxError)):
        open_picture(tmp_path / "a.png").load()
