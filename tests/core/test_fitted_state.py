"""Fitted parts on disk: what comes back, and what is refused."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from fingerprints.core import fitted_state as fitted
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState, load_fitted, save_fitted

X = np.random.default_rng(0).normal(size=(20, 3))
STATE = FittedState(
    "part",
    {"number": 3, "nothing": None, "deep": {"a": [1.5, "x"]}},
    {"row": X[0], "transposed": X.T, "empty": np.empty((0, 4), np.float32)},
    {"model": LogisticRegression().fit(X, X[:, 0] > 0)},
)


def test_everything_comes_back(tmp_path: Path) -> None:
    save_fitted(STATE, tmp_path, stem="part")
    again = load_fitted(tmp_path, stem="part")
    assert (again.name, again.facts) == (STATE.name, STATE.facts)
    assert set(again.arrays) == set(STATE.arrays)
    for name, values in STATE.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], values)
    np.testing.assert_array_equal(again.estimators["model"].predict(X), STATE.estimators["model"].predict(X))
    assert not list(tmp_path.glob("*.pkl"))


def test_saving_again_leaves_nothing_of_the_last_one(tmp_path: Path) -> None:
    save_fitted(STATE, tmp_path, stem="part")
    save_fitted(replace(STATE, arrays={}, estimators={}), tmp_path, stem="part")
    assert [path.name for path in tmp_path.iterdir()] == ["part.safetensors"]
    assert load_fitted(tmp_path, stem="part").arrays == {}


def test_states_inside_a_state(tmp_path: Path) -> None:
    inner = FittedState("inner", {"x": 1}, {"row": X[1]}).holding(deep=STATE)
    save_fitted(FittedState("outer", {"y": 2}, {"row": X[2]}).holding(one=inner), tmp_path, stem="part")
    outer = load_fitted(tmp_path, stem="part")
    again = outer.inside("one")
    assert (again.name, again.facts["x"], outer.facts["y"]) == ("inner", 1, 2)
    np.testing.assert_array_equal(again.arrays["row"], X[1])
    np.testing.assert_array_equal(again.inside("deep").arrays["row"], X[0])
    assert set(again.inside("deep").estimators) == {"model"}


def test_types_that_are_not_trusted_are_named_and_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import skops.io  # late: it imports all of scikit-learn

    save_fitted(replace(STATE, estimators={"model": FunctionTransformer(json.loads)}), tmp_path, stem="part")
    with pytest.raises(FingerprintsError, match=r"not trusted:\n +json\S*loads"):
        load_fitted(tmp_path, stem="part")
    unknown = skops.io.get_untrusted_types(file=tmp_path / "part.model.skops")
    monkeypatch.setattr(fitted, "TRUSTED", tuple(unknown))
    assert load_fitted(tmp_path, stem="part").estimators["model"].transform("[1]") == [1]


def test_a_trusted_wrapper_trusts_nothing_inside_it(tmp_path: Path) -> None:
    """`functools.partial` holds the kernel of a machine; any other function in it is refused."""
    kernel = functools.partial(rbf_kernel, gamma=0.5)
    save_fitted(replace(STATE, estimators={"model": SVC(kernel=kernel)}), tmp_path, stem="part")
    assert load_fitted(tmp_path, stem="part").estimators["model"].kernel.keywords == {"gamma": 0.5}
    for function in (json.loads, os.system):
        other = SVC(kernel=functools.partial(function, "{}"))
        save_fitted(replace(STATE, estimators={"model": other}), tmp_path, stem="part")
        with pytest.raises(FingerprintsError, match=rf"not trusted:\n +\S*{function.__name__}"):
            load_fitted(tmp_path, stem="part")


@pytest.mark.parametrize("name", ["part.safetensors", "part.model.skops"])
@pytest.mark.parametrize("damage", ["missing", "cut", "nonsense"])
def test_damaged_files_are_refused(name: str, damage: str, tmp_path: Path) -> None:
    save_fitted(STATE, tmp_path, stem="part")
    path = tmp_path / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"nonsense" * 50)
    with pytest.raises(FingerprintsError, match="cannot be read"):
        load_fitted(tmp_path, stem="part")


def test_another_format_is_refused(tmp_path: Path) -> None:
    text = json.dumps({"format": 99, "name": "part", "facts": {}, "estimators": []})
    save_file({}, tmp_path / "part.safetensors", metadata={"fitted": text})
    with pytest.raises(FingerprintsError, match="format is 99"):
        load_fitted(tmp_path, stem="part")
