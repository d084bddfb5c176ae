from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from omegaconf import OmegaConf

from fingerprints.core import options
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import (
    as_word,
    build,
    build_option,
    chosen,
    describe,
    keys,
    option,
    part_of,
    plain,
    register,
    schema,
    settings_class,
)


@dataclass(frozen=True, kw_only=True)
class Inner:
    weight: float = option(0.5, least=0, below=1, help="share")


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: ClassVar[str] = "outer"
    count: int = option(least=1)
    kind: Literal["soft", "hard"] = option("soft")
    widths: tuple[int, ...] = option((4, 8), least=1)
    folder: Path | None = option(None)
    flag: bool = option(False)
    figures: dict[str, float] = option({})
    inner: Inner = option(Inner(weight=0.25))


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> type:
    """A group `shape` with two options, known to this test alone."""
    monkeypatch.setattr(options, "_GROUPS", {})
    monkeypatch.setattr(options, "_PARTS", {})

    @register("shape", part="pathlib:PurePath")
    @dataclass(frozen=True, kw_only=True)
    class Round:
        name: ClassVar[str] = "round"
        radius: float = option(1.0, above=0)

    @register("shape", "small", "large")
    @dataclass(frozen=True, kw_only=True)
    class Square:
        name: str = option()
        side: int = option(2)

    @dataclass(frozen=True, kw_only=True)
    class Root:
        shape: Any = chosen("shape")
        more: tuple[Any, ...] = chosen("shape", default=())

    return Root


def test_plain_values_become_a_frozen_object_of_the_declared_types():
    made = build(Outer, {"count": 2, "widths": [1, 2], "folder": "a/b", "inner": {"weight": 0}})
    assert made == Outer(count=2, widths=(1, 2), folder=Path("a/b"), inner=Inner(weight=0.0))
    assert isinstance(made.inner.weight, float)
    with pytest.raises(FrozenInstanceError):
        made.count = 3  # type: ignore[misc]


def test_what_is_left_out_has_the_default_of_the_place_it_stands_in():
    assert build(Outer, {"count": 1}).inner == Inner(weight=0.25)
    assert build(Outer, {"count": 1, "inner": {}}).inner == Inner(weight=0.5)


def test_plain_and_build_are_each_others_inverse():
    made = Outer(count=3, kind="hard", folder=Path("x"), figures={"a": 1.0}, inner=Inner(weight=0.125))
    values = plain(made)
    assert next(iter(values)) == "name"
    assert values["folder"] == "x"
    assert values["widths"] == [4, 8]
    assert build(Outer, values) == made


@pytest.mark.parametrize(
    ("values", "where", "said"),
    [
        ({}, "configuration", "missing: at.count"),
        ({"count": 0}, "at.count", "at least 1"),
        ({"count": True}, "at.count", "a whole number"),
        ({"count": 1.5}, "at.count", "a whole number"),
        ({"count": 1, "kind": "mild"}, "at.kind", "soft, hard"),
        ({"count": 1, "flag": "yes"}, "at.flag", "true or false"),
        ({"count": 1, "widths": 3}, "at.widths", "a list"),
        ({"count": 1, "widths": [3, 0]}, "at.widths", "out of range"),
        ({"count": 1, "figures": [1]}, "at.figures", "a mapping"),
        ({"count": 1, "inner": {"weight": 1}}, "at.inner.weight", "at least 0 and less than 1"),
        ({"count": 1, "inner": {"weight": float("nan")}}, "at.inner.weight", "out of range"),
        ({"count": 1, "inner": {"wieght": 0}}, "at.inner", "did you mean 'at.inner.weight'"),
        ({"cuont": 1}, "at", "did you mean 'at.count'"),
    ],
)
def test_mistakes_are_named_with_key_and_remedy(values, where, said):
    with pytest.raises(FingerprintsError) as caught:
        build(Outer, values, where="at")
    assert said in str(caught.value)
    assert f"where: {where}" in str(caught.value)


def test_an_option_of_a_group_is_found_by_its_name(parts):
    made = build(parts, {"shape": {"name": "large"}, "more": [{"name": "round", "radius": 2}]})
    assert (made.shape.name, made.shape.side) == ("large", 2)
    assert made.more[0].radius == 2.0
    assert part_of(made.more[0]).__name__ == "PurePath"
    assert build_option("shape", plain(made.more[0])) == made.more[0]


def test_mistakes_in_a_list_name_their_place(parts):
    with pytest.raises(FingerprintsError, match=r"more\.1\.radius=-1"):
        build(
            parts, {"shape": {"name": "round"}, "more": [{"name": "small"}, {"name": "round", "radius": -1}]}
        )


def test_an_unknown_option_names_the_nearest(parts):
    with pytest.raises(FingerprintsError, match="shape=round") as caught:
        settings_class("shape", "ruond")
    assert "large, round, small" in str(caught.value)


def test_the_schema_has_the_same_defaults_and_leaves_choices_to_build():
    composed = OmegaConf.structured(schema(Outer))
    assert OmegaConf.missing_keys(composed) == {"count"}
    assert composed.name == "outer"
    composed.count = 4
    assert build(Outer, OmegaConf.to_container(composed)) == Outer(count=4)


def test_every_key_is_described_with_default_choices_and_bounds():
    found = {entry.key: (entry.default, entry.help) for entry in describe(Outer, "part.")}
    assert found["part.count"] == ("???", "at least 1")
    assert found["part.kind"] == ("soft", "soft | hard")
    assert found["part.inner.weight"] == ("0.25", "at least 0 and less than 1; share")
    assert set(keys(Outer, "part.")) == {*found, "part.name", "part.inner"}


def test_values_are_written_as_the_command_line_spells_them():
    words = [as_word(value) for value in (None, True, (1, 2), Path("a"), 0.5, "x")]
    assert words == ["null", "true", "[1,2]", "a", "0.5", "x"]


def test_a_schema_is_found_by_its_name_in_another_process() -> None:
    """Launchers send configurations to processes; a copy of a schema would hold a copy of `MISSING`."""
    from fingerprints.config.schema import ROOTS
    from fingerprints.data.settings import DataSettings

    for cls in (*ROOTS.values(), DataSettings):
        assert pickle.loads(pickle.dumps(schema(cls))) is schema(cls)
    with pytest.raises(AttributeError, match="no attribute 'strange'"):
        _ = options.strange
    with pytest.raises(AttributeError, match="nowhere"):
        _ = options.schema_of_nowhere__Settings
