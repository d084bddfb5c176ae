"""Opening image files: texts and colour profiles beside the pixels never hide sound pixels."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BESIDE = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def open_picture(
    path: str | Path, *, formats: tuple[str, ...] | None = None, load: bool = True
) -> Image.Image:
    """An open image.

    Pillow refuses a PNG whose texts or colour profile are damaged or larger than its limits. The pixels do
    not depend on them, so such a file is opened without them.

    Args:
        path: The file.
        formats: Pillow's names of allowed formats; `None` allows all.
        load: Whether the pixels are read; without them, only the header is checked.

    Raises:
        OSError, ValueError, SyntaxError: As Pillow, if the file is missing, damaged or not an image.
    """
    try:
        return _opened(path, formats, load=load)
    except (ValueError, SyntaxError, UnidentifiedImageError):
        with Path(path).open("rb") as handle:
            if handle.read(len(_SIGNATURE)) != _SIGNATURE:
                raise
            content = _SIGNATURE + handle.read()
        bare = without_texts(content)
        if bare == content:
            raise
        return _opened(io.BytesIO(bare), formats, load=load)


def without_texts(content: bytes) -> bytes:
    """The bytes of a PNG without its texts and colour profile; chunks are not decompressed."""
    kept, at = [content[: len(_SIGNATURE)]], len(_SIGNATURE)
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")  # length, kind, data, checksum
        if content[at + 4 : at + 8] not in _BESIDE:
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def _opened(source: str | Path | io.BytesIO, formats: tuple[str, ...] | None, *, load: bool) -> Image.Image:
    image = Image.open(source, formats=formats)
    try:
        if load:
            image.load()
    except BaseException:
        image.close()
        raise
    return image
