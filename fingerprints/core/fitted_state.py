"""Saving and loading a fitted part: text, tensors and scikit-learn estimators; never a pickle."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from fingerprints.core.errors import FingerprintsError, listing

FORMAT = 1
# What skops does not trust by itself and our estimators need: the kernels of a support vector machine.
# `partial` holds nothing but a function and numbers, and the function must be trusted, too.
TRUSTED = (
    "functools.partial",
    "sklearn.metrics.pairwise.linear_kernel",
    "sklearn.metrics.pairwise.rbf_kernel",
)


@dataclass(frozen=True)
class FittedState:
    """The contents of a fitted part, ready to be saved.

    Attributes:
        name: Name of the part in its registry.
        facts: Settings and results, as JSON types.
        arrays: Fitted arrays.
        estimators: Fitted scikit-learn estimators.
    """

    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    estimators: Mapping[str, Any] = field(default_factory=dict)

    def holding(self, **inner: FittedState) -> FittedState:
        """This state with other states inside it, by name; `inside` returns them."""
        facts, arrays, estimators = dict(self.facts), dict(self.arrays), dict(self.estimators)
        for key, state in inner.items():
            facts[key] = {"name": state.name, "facts": dict(state.facts)}
            arrays |= {f"{key}.{name}": value for name, value in state.arrays.items()}
            estimators |= {f"{key}.{name}": value for name, value in state.estimators.items()}
        return FittedState(self.name, facts, arrays, estimators)

    def inside(self, key: str) -> FittedState:
        """The inner state that `holding` stored under `key`."""
        start = f"{key}."
        return FittedState(
            self.facts[key]["name"],
            self.facts[key]["facts"],
            {name.removeprefix(start): a for name, a in self.arrays.items() if name.startswith(start)},
            {name.removeprefix(start): e for name, e in self.estimators.items() if name.startswith(start)},
        )


def save_fitted(state: FittedState, folder: Path, *, stem: str) -> None:
    """Write `<stem>.safetensors` (tensors, with the text in its header) and `<stem>.<name>.skops`.

    The tensors are written last: if writing was interrupted, their file is missing and loading fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.safetensors"
    path.unlink(missing_ok=True)
    for old in folder.glob(f"{stem}.*.skops"):
        old.unlink()
    if state.estimators:
        import skops.io  # imported here: it imports all of scikit-learn, and few parts need it
    for name, estimator in state.estimators.items():
        skops.io.dump(estimator, folder / f"{stem}.{name}.skops")
    text = {
        "format": FORMAT,
        "name": state.name,
        "facts": dict(state.facts),
        "estimators": sorted(state.estimators),
    }
    arrays = {name: np.ascontiguousarray(value) for name, value in state.arrays.items()}
    save_file(arrays, path, metadata={"fitted": json.dumps(text, allow_nan=False)})


def load_fitted(folder: Path, *, stem: str) -> FittedState:
    """Read what `save_fitted` wrote.

    Raises:
        FingerprintsError: If a file is missing, damaged, written by another version, or holds types that
            are not trusted.
    """
    path = folder / f"{stem}.safetensors"
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            text = json.loads(file.metadata()["fitted"])
            if text["format"] != FORMAT:
                raise ValueError(f"its format is {text['format']}, this version reads {FORMAT}")
        estimators = {name: load_estimator(folder / f"{stem}.{name}.skops") for name in text["estimators"]}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FingerprintsError(
            f"The fitted part cannot be read: {error}", where=path, fix="train again"
        ) from error
    return FittedState(text["name"], text["facts"], arrays, estimators)


def load_estimator(path: Path) -> Any:
    """Read a scikit-learn estimator; nothing in the file is executed.

    Raises:
        FingerprintsError: If the file is no estimator, or names types other than scikit-learn's own and
            `TRUSTED`.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        unknown = set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED)
        if unknown:
            raise FingerprintsError(
                f"The file holds types that are not trusted:\n{listing(sorted(unknown))}",
                where=path,
                fix="do not use this file unless you know who wrote it; train again",
            )
        return skops.io.load(path, trusted=list(TRUSTED))
    except FingerprintsError:
        raise
    except (
        UntrustedTypesFoundException,
        zipfile.BadZipFile,
        TypeError,
        AttributeError,
        ImportError,
    ) as error:
        raise FingerprintsError(
            f"The estimator cannot be read: {error}", where=path, fix="train again"
        ) from error
