"""Settings are built, checked, written and described from what stands beside each option."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import Option, build, describe, option, plain


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Nested settings."""

    depth: int = option(2, least=1)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Settings of every kind."""

    name: ClassVar[str] = "sample"
    folder: Path = option(help="where it is")
    kind: Literal["linear", "rbf"] = option("linear")
    weight: float | None = option(None, above=0, most=1, help="null: chosen")
    widths: tuple[int, ...] = option((4, 8), least=1)
    shuffle: bool = option(False)
    inner: Inner = Inner()


def test_plain_values_become_frozen_settings_and_back() -> None:
    values = {"folder": "in", "weight": 1, "widths": [3], "inner": {"depth": 5}}
    settings = build(Sample, values)
    assert settings == Sample(folder=Path("in"), weight=1.0, widths=(3,), inner=Inner(depth=5))
    assert isinstance(settings.weight, float)
    assert plain(settings) == {"name": "sample", "kind": "linear", "shuffle": False, **values}
    assert build(Sample, plain(settings)) == settings
    with pytest.raises(FrozenInstanceError):
        settings.kind = "rbf"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "what", "fix"),
    [
        ({"fodler": "in"}, "no configuration key 'data.fodler'", "did you mean 'data.folder'?"),
        ({}, "A value is missing: data.folder", "give data.folder=..."),
        ({"kind": "poly"}, "data.kind=poly is not one of linear, rbf", "choose one of them"),
        ({"weight": 0}, "data.weight=0.0 is out of range", "greater than 0 and at most 1"),
        ({"weight": "much"}, "data.weight=much is not a number", "give a number"),
        ({"weight": float("nan")}, "data.weight=nan is out of range", "at most 1"),
        ({"shuffle": 1}, "data.shuffle=1 is not true or false", "give true or false"),
        ({"widths": [4, 0]}, "data.widths=0 is out of range", "at least 1"),
        ({"widths": 4}, "data.widths=4 is not a list", "give a list"),
        ({"inner": {"depth": True}}, "data.inner.depth=True is not a whole number", "give a whole number"),
    ],
)
def test_mistakes_name_the_key_and_the_fix(values: dict[str, Any], what: str, fix: str) -> None:
    given = values if values in ({}, {"fodler": "in"}) else {"folder": "in", **values}
    with pytest.raises(FingerprintsError) as error:
        build(Sample, given, where="data")
    assert what in error.value.what
    assert fix in str(error.value.fix)


def test_bounds_in_words() -> None:
    assert Option(least=0, below=1).bounds == "at least 0 and less than 1"
    assert Option().bounds == ""


def test_help_has_default_choices_bounds_and_words_of_every_key() -> None:
    described = {entry.key: (entry.default, entry.help) for entry in describe(Sample, "x.")}
    assert described == {
        "x.folder": ("???", "where it is"),
        "x.kind": ("linear", "linear | rbf"),
        "x.weight": ("null", "greater than 0 and at most 1; null: chosen"),
        "x.widths": ("[4,8]", "at least 1"),
        "x.shuffle": ("false", ""),
        "x.inner.depth": ("2", "at least 1"),
    }
