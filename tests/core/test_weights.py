"""Reading weights: tensors only, and a misfit is named."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.weights import load_into, read_weights, unwrapped


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.fixture
def layer() -> nn.Linear:
    return nn.Linear(3, 2)


def test_state_dict_checkpoint_and_safetensors(tmp_path: Path, layer: nn.Linear) -> None:
    state = layer.state_dict()
    torch.save(state, tmp_path / "a.pt")
    torch.save({"epoch": 3, "state_dict": state, "hyper": {"lr": 0.1}}, tmp_path / "b.ckpt")
    save_file(state, tmp_path / "c.safetensors")
    torch.save({"model": state}, tmp_path / "d.pth")
    for name in ("a.pt", "b.ckpt", "c.safetensors", "d.pth"):
        read = read_weights(tmp_path / name)
        assert read.keys() == state.keys()
        assert all(torch.equal(read[key], state[key]) for key in state)


@pytest.mark.parametrize("inside", [False, True])
def test_code_is_refused_and_not_run(tmp_path: Path, layer: nn.Linear, inside: bool) -> None:
    trap = Trap(tmp_path / "sprung")
    if inside:
        torch.save({**layer.state_dict(), "extra": trap}, tmp_path / "a.pt")
    else:
        (tmp_path / "a.pt").write_bytes(pickle.dumps(trap))
    with pytest.raises(FingerprintsError, match="cannot be read"):
        read_weights(tmp_path / "a.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize(
    "content",
    [b"", b"hello world", b"\x80\x02", b"\x00" * 40, b"PK\x03\x04 cut", b"weights\n"],
    ids=["empty", "text", "pickle", "zeros", "zip", "line"],
)
def test_damaged_files_are_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(content)
    with pytest.raises(FingerprintsError) as error:
        read_weights(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_cut_files_are_named(tmp_path: Path, layer: nn.Linear, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    if suffix == "pt":
        torch.save(layer.state_dict(), path)
    else:
        save_file(layer.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FingerprintsError, match="cannot be read"):
        read_weights(path)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_missing_files_are_named(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FingerprintsError, match="do not exist"):
        read_weights(tmp_path / f"none.{suffix}")


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {"state_dict": [1]}, torch.zeros(3)])
def test_file_of_something_else_is_an_error(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(FingerprintsError, match="no state dict"):
        read_weights(tmp_path / "a.pt")


def test_fitting_weights_are_loaded(layer: nn.Linear) -> None:
    other = nn.Linear(3, 2)
    load_into(layer, other.state_dict(), where="here")
    assert torch.equal(layer.weight, other.weight)


def test_misfit_is_named_key_by_key_and_changes_nothing(layer: nn.Linear) -> None:
    before = layer.weight.clone()
    with pytest.raises(FingerprintsError, match="another architecture") as error:
        load_into(layer, {"weight": torch.zeros(4, 3), "scale": torch.zeros(1)}, where="w.pt")
    text = str(error.value)
    assert "missing: bias" in text
    assert "unknown: scale" in text
    assert "shape: weight is (4, 3) in the file, (2, 3) in the model" in text
    assert "w.pt" in text
    assert torch.equal(layer.weight, before)


def test_only_named_surplus_is_left_out(layer: nn.Linear) -> None:
    state = {**nn.Linear(3, 2).state_dict(), "fc.weight": torch.zeros(1), "fcx": torch.zeros(1)}
    with pytest.raises(FingerprintsError, match="unknown: fcx") as error:
        load_into(layer, state, where="here", surplus=("fc.",))
    assert "fc.weight" not in str(error.value)
    del state["fcx"]
    load_into(layer, state, where="here", surplus=("fc.",))
    assert torch.equal(layer.weight, state["weight"])


def test_surplus_does_not_hide_what_the_module_has() -> None:
    module = nn.ModuleDict({"fc": nn.Linear(3, 2)})
    with pytest.raises(FingerprintsError, match=r"missing: fc\.bias"):
        load_into(module, {"fc.weight": torch.zeros(2, 3)}, where="here", surplus=("fc.",))


def test_counts_of_batches_may_be_missing_and_nothing_else() -> None:
    norm = nn.BatchNorm1d(2)
    state = {"weight": torch.ones(2), "bias": torch.ones(2), "running_mean": torch.ones(2)}
    with pytest.raises(FingerprintsError, match="missing: running_var"):
        load_into(norm, state, where="here")
    load_into(norm, {**state, "running_var": torch.full((2,), 3.0)}, where="here")
    assert norm.running_var.tolist() == [3, 3]


def test_tensors_are_found_inside_something_larger() -> None:
    state = {"network.encoder.a": torch.zeros(1), "network.projection.b": torch.ones(1), "c": torch.ones(1)}
    assert unwrapped(state, ["a"]).keys() == {"a"}
    assert unwrapped(state, ["c"]) == state
    assert unwrapped(state, ["z"]) == state
