"""Files of weights: only tensors are read; every other kind of file is refused with the way out."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fingerprints.core.errors import FingerprintsError

SAVE = (
    "in the program that made the model, save only its tensors: torch.save(model.state_dict(), 'weights.pth')"
)
_AGAIN = "copy or download the file again, and compare its size with that of the source"
_HEAD = 512  # bytes that tell the kind of a file

# First bytes of files that people take for weights, what they are, and how to get weights from them.
_FOREIGN: tuple[tuple[re.Pattern[bytes], str, str], ...] = (
    (
        re.compile(rb"version https://git-lfs"),
        "The file is a git-LFS pointer: a text of a few lines in place of the weights.",
        "fetch the weights with `git lfs pull`, or download the file from the repository's web page",
    ),
    (
        re.compile(rb"\s*(<!doctype|<html|<head|<\?xml)", re.IGNORECASE),
        "The file is a web page, not weights: it is the page about the file, a login or an error.",
        "open the address in a browser, and download the file itself",
    ),
    (
        re.compile(rb"\s*\{\s*\""),
        "The file is JSON text, not weights: a configuration, or the error message of a download.",
        "give the file with the tensors, such as weights.pth or model.safetensors",
    ),
    (
        re.compile(rb"\x89HDF\r\n"),
        "The file is HDF5, the format of Keras and TensorFlow.",
        "give weights of the same architecture in PyTorch, saved as a state dict or as safetensors",
    ),
    (
        re.compile(rb"\x93NUMPY"),
        "The file is an array of NumPy, not a state dict.",
        SAVE,
    ),
    (
        re.compile(rb"GGUF|.{4}TFL3|\x08[\x01-\x0f]\x12", re.DOTALL),
        "The file is a model of another program (ONNX, TensorFlow or GGUF).",
        "give the weights in PyTorch, saved as a state dict or as safetensors",
    ),
    (
        re.compile(rb"\x1f\x8b|7z\xbc\xaf|Rar!|BZh|\xfd7zXZ"),
        "The file is a compressed archive.",
        "unpack it, and give the file with the weights in it",
    ),
)


def read_states(path: Path) -> dict[str, dict[str, Tensor]]:
    """All state dicts of a file, without executing anything in it.

    Args:
        path: A state dict, a checkpoint that holds state dicts, also nested ones, or a safetensors file;
            recognised by its content, not by its name.

    Returns:
        Tensors by key, of every mapping that has tensors, by the mapping's place in the file: `""` for the
        outermost one, `state_dict`, `model.ema`. Values that are not tensors are left out.

    Raises:
        FingerprintsError: If the file is missing or damaged, holds other objects than tensors and plain
            values, or no tensors.
    """
    head = check_file(path)
    states: dict[str, dict[str, Tensor]] = {}
    _collect(_safetensors(path) if _is_safetensors(path, head) else read_torch(path), "", states)
    if not states:
        raise FingerprintsError("The file holds no state dict.", where=path, fix=SAVE)
    return states


def check_file(path: Path) -> bytes:
    """The first bytes of a file, if it may be one of weights.

    Raises:
        FingerprintsError: If the file is missing or cannot be read, or is known to be something else.
    """
    try:
        with path.open("rb") as handle:
            head = handle.read(_HEAD)
    except FileNotFoundError as error:
        raise FingerprintsError(
            "The weights do not exist.", where=path, fix="give an existing file"
        ) from error
    except IsADirectoryError as error:
        raise FingerprintsError(
            "The weights are a folder, not a file.", where=path, fix="give the file of weights in it"
        ) from error
    except OSError as error:
        raise FingerprintsError(
            f"The weights cannot be read: {error.strerror}.", where=path, fix="give a file that you may read"
        ) from error
    _refuse_foreign(path, head)
    return head


def _collect(found: Any, place: str, states: dict[str, dict[str, Tensor]]) -> None:
    """Add the state dicts inside `found`, outermost first."""
    if isinstance(found, list | tuple):
        found = {str(number): value for number, value in enumerate(found)}
    if not isinstance(found, Mapping):
        return
    tensors = {key: value for key, value in found.items() if isinstance(key, str) and _usable(value)}
    if tensors:
        states[place] = tensors
    for key, value in found.items():
        _collect(value, f"{place}.{key}" if place else str(key), states)


def _usable(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized


def _refuse_foreign(path: Path, head: bytes) -> None:
    """Refuse files that are known to be something else.

    Raises:
        FingerprintsError: If the file is empty, or its first bytes or contents are those of another format.
    """
    if not head.strip(b"\x00"):
        what = "The file is empty." if not head else "The file begins with zeros only: its content is lost."
        raise FingerprintsError(what, where=path, fix=_AGAIN)
    for pattern, what, fix in _FOREIGN:
        if pattern.match(head):
            raise FingerprintsError(what, where=path, fix=fix)
    if not head.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise FingerprintsError(
            "The weights cannot be read: the file is damaged or incomplete.", where=path, fix=_AGAIN
        ) from error
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise FingerprintsError("The file is a TorchScript archive, a program.", where=path, fix=SAVE)
    if "model.weights.h5" in names:
        raise FingerprintsError(
            "The file is a model of Keras.",
            where=path,
            fix="give weights of the same architecture in PyTorch, saved as a state dict or as safetensors",
        )
    if not any(name.endswith("data.pkl") for name in names):
        raise FingerprintsError(
            "The file is an archive without a state dict.",
            where=path,
            fix="give a file of torch.save or safetensors; unpack the archive if the weights are in it",
        )


def _is_safetensors(path: Path, head: bytes) -> bool:
    """A safetensors file begins with the length of its header (8 bytes), which is JSON."""
    length = int.from_bytes(head[:8], "little")
    return path.suffix == ".safetensors" or (head[8:9] == b"{" and length < path.stat().st_size)


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise FingerprintsError(
            f"The weights cannot be read: this is no whole safetensors file ({_first_line(error)}).",
            where=path,
            fix=f"{_AGAIN}; a file of torch.save needs a name that ends in .pt or .pth",
        ) from error


def read_torch(path: Path) -> Any:
    """What a file of `torch.save` holds; nothing but tensors and plain values is made from it.

    Raises:
        FingerprintsError: If the file is damaged, holds other objects, or is not of `torch.save`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice of PyTorch about its own formats
            return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # for damaged files, readers raise exceptions of many types
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        if found is None:
            raise FingerprintsError(
                "The weights cannot be read: the file is damaged, or not made by torch.save or safetensors.",
                where=path,
                fix=f"{_AGAIN}; or {SAVE}",
            ) from error
        raise FingerprintsError(
            f"The weights cannot be read: the file holds Python objects ({found.group(1)}), such as a whole "
            "model or settings. They are not opened, because they can run programs.",
            where=path,
            fix=SAVE,
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
