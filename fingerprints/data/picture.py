"""Opening image files: texts and colour profiles beside the pixels never hide sound pixels."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BESIDE = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def open_picture(path: str | Path, *, formats: tuple[str, ...] | None = None) -> Image.Image:
    """An image, its header read.

    Pillow refuses a PNG whose texts or colour profile are damaged or larger than its limits. The pixels do
    not depend on them, so they are left out. A file is opened by its content, not by its path: Pillow would
    map a TIFF into memory, and scramble it if its orientation must be changed.

    Args:
        path: The file.
        formats: Pillow's names of allowed formats; `None` allows all.

    Raises:
        OSError, ValueError, SyntaxError: As Pillow, if the file is missing, damaged or not an image.
    """
    content = Path(path).read_bytes()
    if content.startswith(_SIGNATURE):
        content = without_texts(content)
    return Image.open(io.BytesIO(content), formats=formats)


def without_texts(content: bytes) -> bytes:
    """The bytes of a PNG without its texts and colour profile; chunks are not decompressed."""
    kept, at = [content[: len(_SIGNATURE)]], len(_SIGNATURE)
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")  # length, kind, data, checksum
        if content[at + 4 : at + 8] not in _BESIDE:
            kept.append(content[at:end])
        at = end
    return b"".join(kept)
