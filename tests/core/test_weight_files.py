"""Files that people take for weights: each kind is refused in our own words, with the way out."""

from __future__ import annotations

import argparse
import collections
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.weight_files import check_file, read_states

LAYER = nn.Linear(3, 2)
STATE = LAYER.state_dict()


def _script(path: Path) -> None:
    torch.jit.script(LAYER).save(str(path))


def _whole(path: Path) -> None:
    torch.save(LAYER, path)


def _whole_of_old_torch(path: Path) -> None:
    torch.save(LAYER, path, _use_new_zipfile_serialization=False)


def _settings(path: Path) -> None:
    torch.save({"model": STATE, "args": argparse.Namespace(lr=0.1)}, path)


def _figure(path: Path) -> None:
    torch.save({"model": STATE, "best": np.float64(0.9)}, path)


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({key: value.numpy() for key, value in STATE.items()}))


def _numpy(path: Path) -> None:
    with path.open("wb") as handle:
        np.save(handle, np.zeros(3))


def _keras(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", "")


def _archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights.pth", "")


def _bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


FOREIGN: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "whole model": (_whole, r"Python objects \(torch.nn.modules.linear.Linear\)", "model.state_dict()"),
    "whole model, old": (_whole_of_old_torch, r"Python objects \(torch.nn", "model.state_dict()"),
    "settings": (_settings, r"Python objects \(argparse.Namespace\)", "model.state_dict()"),
    "figure of NumPy": (_figure, r"Python objects \(numpy\.", "model.state_dict()"),
    "pickle": (_pickle, "damaged, or not made by torch.save", "model.state_dict()"),
    "TorchScript": (_script, "TorchScript", "model.state_dict()"),
    "HDF5": (_bytes(b"\x89HDF\r\n\x1a\n\x00"), "HDF5, the format of Keras", "in PyTorch"),
    "Keras": (_keras, "a model of Keras", "in PyTorch"),
    "git-LFS": (_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git-LFS", "lfs pull"),
    "web page": (_bytes(b"\n<!DOCTYPE html><html></html>"), "a web page", "in a browser"),
    "error of a server": (_bytes(b'<?xml version="1.0"?><Error/>'), "a web page", "in a browser"),
    "JSON": (_bytes(b'{"message": "Not Found"}'), "JSON text", "file with the tensors"),
    "ONNX": (_bytes(b"\x08\x08\x12\x07pytorch"), "another program", "in PyTorch"),
    "NumPy": (_numpy, "array of NumPy", "model.state_dict()"),
    "gzip": (_bytes(b"\x1f\x8b\x08"), "compressed", "unpack it"),
    "other archive": (_archive, "archive without a state dict", "unpack"),
    "empty": (_bytes(b""), "empty", "download the file again"),
    "zeros": (_bytes(b"\x00" * 1000), "zeros only", "download the file again"),
    "text": (_bytes(b"hello world"), "damaged", "download the file again"),
}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_other_files_are_refused_in_our_words(tmp_path: Path, kind: str, suffix: str) -> None:
    write, what, fix = FOREIGN[kind]
    path = tmp_path / f"weights.{suffix}"
    write(path)
    if suffix == "safetensors" and ("Python" in what or "damaged" in what):
        what, fix = "no whole safetensors file", "torch.save needs a name that ends in .pt"
    with warnings.catch_warnings(), pytest.raises(FingerprintsError, match=what) as error:
        warnings.simplefilter("error")
        read_states(path)
    text = str(error.value)
    assert fix in text
    assert f"where: {path}" in text
    for foreign in ("\x1b", "weights_only", "http", "allowlist", "safe_globals"):
        assert foreign not in text


def test_folders_and_unreadable_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FingerprintsError, match="a folder, not a file"):
        read_states(tmp_path)

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(FingerprintsError, match=r"cannot be read: Permission denied\."):
        read_states(tmp_path / "a.pt")


def test_every_state_dict_of_a_checkpoint_has_its_place(tmp_path: Path) -> None:
    adam = torch.optim.Adam(LAYER.parameters())
    LAYER(torch.ones(1, 3)).sum().backward()
    adam.step()
    content = {
        "epoch": 3,
        "nothing": {},
        "nested": {"model": collections.OrderedDict(STATE)},
        "pair": (STATE, [1, 2]),
        "optimizer": adam.state_dict(),
    }
    torch.save(content, tmp_path / "a.pt")
    states = read_states(tmp_path / "a.pt")
    assert {place for place, state in states.items() if state.keys() == STATE.keys()} == {
        "nested.model",
        "pair.0",
    }
    assert all(place.startswith("optimizer.") for place in states.keys() - {"nested.model", "pair.0"})


def test_the_content_says_what_a_file_is(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "renamed.pth")
    torch.save(STATE, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    for name in ("renamed.pth", "old.bin"):
        assert read_states(tmp_path / name)[""].keys() == STATE.keys()
        assert check_file(tmp_path / name)


def test_memory_that_is_short_is_not_called_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(STATE, tmp_path / "a.pt")

    def short(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(torch, "load", short)
    with pytest.raises(MemoryError):
        read_states(tmp_path / "a.pt")
