"""Reading weights: tensors only, and a misfit is named."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.weights import fitting_part, load_into, read_weights


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


class Small(nn.Module):
    """A backbone with a normalisation, whose names are those of common networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, 3)
        self.bn1 = nn.BatchNorm2d(2)
        self.layer1 = nn.Sequential(nn.Conv2d(2, 2, 3))


@pytest.fixture
def small() -> Small:
    return Small()


def wanted(scale: float = 1.0) -> dict[str, torch.Tensor]:
    return {key: torch.full_like(value, scale) for key, value in Small().state_dict().items()}


def prefixed(prefix: str, scale: float = 1.0) -> dict[str, torch.Tensor]:
    return {f"{prefix}{key}": value for key, value in wanted(scale).items()}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (wanted(), None),
        ({"state_dict": prefixed("net."), "epoch": 3}, "'state_dict: net.'"),
        ({"state_dict": prefixed("model.backbone."), "hyper_parameters": {"lr": 0.1}}, "model.backbone."),
        ({"model_state_dict": wanted(), "optimizer_state_dict": {"state": {}}}, "'model_state_dict'"),
        ({"network": {"weights": {"model": wanted()}}}, "'network.weights.model'"),
        (prefixed("_orig_mod."), "'_orig_mod.'"),
        (prefixed("module."), "'module.'"),
        ({**prefixed("module."), "n_averaged": torch.tensor(3)}, "'module.'"),
        ({"model": prefixed("module._orig_mod.encoder.")}, "'model: module._orig_mod.encoder.'"),
        ({"state_dict": {**prefixed("net.encoder."), "net.head.weight": torch.ones(7, 2)}}, "net.encoder."),
        ({"step": torch.tensor(5), "state_dict": wanted()}, "'state_dict'"),
        ((wanted(), {"lr": 0.1}), "'0'"),
    ],
)
def test_the_part_that_fits_is_found_and_named(
    tmp_path: Path, small: Small, caplog: pytest.LogCaptureFixture, content: object, named: str | None
) -> None:
    caplog.set_level(logging.INFO)
    torch.save(content, tmp_path / "a.pt")
    load_into(small, read_weights(tmp_path / "a.pt", small.state_dict()), where="here")
    assert all(bool((value == 1).all()) for value in small.state_dict().values())
    assert len(caplog.messages) == (named is not None)
    assert named is None or named in caplog.text
    assert "fit, too" not in caplog.text


@pytest.mark.parametrize("added", ["_orig_mod", "module", "_fsdp_wrapped_module", "module._orig_mod"])
def test_names_that_wrappers_add_inside_are_left_out(small: Small, added: str) -> None:
    state = {key.replace("layer1.", f"layer1.{added}."): value for key, value in wanted().items()}
    load_into(small, fitting_part({"": state}, small.state_dict(), where="here"), where="here")
    assert bool((small.layer1[0].weight == 1).all())


def test_a_module_with_such_a_name_keeps_it() -> None:
    own = nn.ModuleDict({"module": nn.Linear(2, 2)})
    state = {key: torch.ones_like(value) for key, value in own.state_dict().items()}
    assert fitting_part({"": state}, own.state_dict(), where="here").keys() == state.keys()


@pytest.mark.parametrize(
    ("first", "second", "scale"),
    [
        ({"student": wanted(1.0)}, {"teacher": wanted(2.0)}, 2.0),  # what its authors evaluate
        ({"model_ema": wanted(1.0)}, {"model": wanted(2.0)}, 2.0),
        ({"target_net": wanted(1.0)}, {"online_net": wanted(2.0)}, 1.0),  # by the order of the file
        ({"model": {"conv1.weight": torch.ones(2, 1, 3, 3)}}, {"ema": wanted(2.0)}, 2.0),  # the better fit
    ],
)
def test_of_several_that_fit_one_is_chosen_and_the_others_named(
    small: Small,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    first: dict[str, object],
    second: dict[str, object],
    scale: float,
) -> None:
    caplog.set_level(logging.INFO)
    torch.save({**first, **second}, tmp_path / "a.pt")
    load_into(small, read_weights(tmp_path / "a.pt", small.state_dict()), where="here")
    assert bool((small.conv1.weight == scale).all())
    other = next(iter(first if scale == 2 else second))
    assert (f"these would fit, too: {other}" in caplog.text) == ("model" not in first)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_values_get_the_precision_of_the_module(
    small: Small, tmp_path: Path, dtype: torch.dtype, suffix: str
) -> None:
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in wanted(0.5).items()}
    path = tmp_path / f"a.{suffix}"
    if suffix == "pt":
        torch.save(state, path)
    else:
        save_file(state, path)
    load_into(small, read_weights(path, small.state_dict()), where="here")
    assert {value.dtype for value in small.parameters()} == {torch.float32}
    assert bool((small.conv1.weight == 0.5).all())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(small: Small, value: float) -> None:
    state = {**wanted(), "bn1.running_var": torch.tensor([1.0, value]), "other": torch.tensor(value)}
    with pytest.raises(FingerprintsError, match=r"in 1 tensors:\n    bn1\.running_var") as error:
        fitting_part({"": state}, small.state_dict(), where="w.pt")
    assert "where: w.pt" in str(error.value)


def test_nothing_that_fits_leaves_the_keys_as_they_are(
    small: Small, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    state = {"a.b": torch.ones(1)}
    part = fitting_part({"": state}, small.state_dict(), where="w.pt")
    assert part.keys() == {"a.b"}
    assert caplog.messages == []
    with pytest.raises(FingerprintsError, match=r"unknown: a\.b"):
        load_into(small, part, where="w.pt")
