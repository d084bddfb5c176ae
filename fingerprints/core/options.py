"""Options of a part, written once: default, bounds, choices and help are in one settings class.

A settings class is a frozen dataclass. `schema` makes the dataclass that Hydra composes, `build` checks
values and makes the settings object, `plain` makes the content of `config.yaml`, and `describe` makes the
text of `--help`. This module imports neither torch nor Hydra.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

from fingerprints.core.errors import FingerprintsError, nearest

_SCHEMA_OF = "schema_of_"
MISSING: Any = "???"  # how OmegaConf marks a value that must be given
_OPTION = "option"
_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
}
S = TypeVar("S")

# group -> name of an option -> its settings class
_GROUPS: dict[str, dict[str, type]] = {}
# settings class -> "module:object" of the part that it configures
_PARTS: dict[type, str] = {}


@dataclass(frozen=True)
class Option:
    """Help and bounds of an option; its type and default are those of the field.

    Attributes:
        help: A few words for `--help`.
        least: Lower bound, included.
        above: Lower bound, excluded.
        most: Upper bound, included.
        below: Upper bound, excluded.
        group: The configuration group whose settings the field holds.
    """

    help: str = ""
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    group: str | None = None

    def allows(self, value: float) -> bool:
        """Whether a number is within the bounds; false for NaN."""
        return (
            value == value
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    @property
    def bounds(self) -> str:
        """The bounds in words; empty if there are none."""
        words = [
            f"{word} {bound:g}" if abs(bound) < 1e4 else f"{word} {bound:,.0f}"
            for word, bound in (
                ("at least", self.least),
                ("greater than", self.above),
                ("at most", self.most),
                ("less than", self.below),
            )
            if bound is not None
        ]
        return " and ".join(words)


def option(
    default: Any = dataclasses.MISSING,
    *,
    help: str = "",
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> Any:
    """A field of a settings class; without a default, the user must give the value.

    Bounds apply to the number, or to every number of a tuple. `None` is valid whenever the type allows it.
    Choices are written as the type: `Literal["linear", "rbf"]`.
    """
    known = Option(help=help, least=least, above=above, most=most, below=below)
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata={_OPTION: known})
    return field(default=default, metadata={_OPTION: known})


def chosen(group: str, *, default: Any = dataclasses.MISSING, help: str = "") -> Any:
    """A field that holds the settings of the option chosen from a group, or a tuple of such settings."""
    return field(default=default, metadata={_OPTION: Option(help=help, group=group)})


def register(group: str, *names: str, part: str = "") -> Callable[[type[S]], type[S]]:
    """Make a settings class an option of a group.

    Args:
        group: The configuration group.
        names: Names of the options, if one class serves several; default: the class's own `name`.
        part: `module:object` of the class or function that the settings configure; imported only when used.
            It is given in code, so that a configuration file cannot name code to run.
    """

    def add(cls: type[S]) -> type[S]:
        for name in names or (cls.name,):  # type: ignore[attr-defined]
            _GROUPS.setdefault(group, {})[name] = cls
        _PARTS[cls] = part
        return cls

    return add


def registered(group: str) -> Mapping[str, type]:
    """Settings classes of a group, by name of the option; empty if the group has none."""
    return types.MappingProxyType(_GROUPS.get(group, {}))


def groups() -> list[str]:
    """Groups that have settings classes."""
    return list(_GROUPS)


def part_of(settings: Any) -> Any:
    """The class or function that these settings (or this settings class) configure."""
    return load(_PARTS[settings if isinstance(settings, type) else type(settings)])


def load(path: str) -> Any:
    """Import the module of `module:object` and return the object."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def settings_class(group: str, name: str) -> type:
    """The settings class of an option.

    Raises:
        FingerprintsError: If the group has no such option; the error names the most similar one.
    """
    known = registered(group)
    if name not in known:
        near = nearest(str(name), known)
        raise FingerprintsError(
            f"There is no {group} '{name}'; there are {', '.join(sorted(known))}.",
            where=f"{group}={name}",
            fix=f"{group}={near[0]}" if near else "choose one of them",
        )
    return known[name]


def build_option(group: str, values: Mapping[str, Any], *, where: str | None = None) -> Any:
    """Settings of a group's option; `values["name"]` is the name of the option.

    Raises:
        FingerprintsError: As `settings_class` and `build`.
    """
    return build(
        settings_class(group, values.get("name", "")), values, where=group if where is None else where
    )


class MissingValue(FingerprintsError):
    """A value that must be given is missing; all values that are given are right."""


def build(cls: type[S], values: Mapping[str, Any], *, where: str = "") -> S:
    """Make settings from plain values; values that are left out get their defaults.

    Args:
        cls: A settings class.
        values: Values by field name; nested settings as mappings. `name` is also accepted if the class has
            its own name.
        where: Dotted key of the settings, for errors.

    Raises:
        FingerprintsError: If a key is unknown, a value is of the wrong type or out of bounds, or, if there is
            no such value, one without default is missing.
    """
    known = {item.name: item for item in fields(cls)}  # type: ignore[arg-type]
    hints = _hints(cls)  # type: ignore[arg-type]
    start = f"{where}." if where else ""
    unknown = [key for key in values if key not in known and not (key == "name" and hasattr(cls, "name"))]
    if unknown:
        near = nearest(unknown[0], known)
        raise FingerprintsError(
            f"There is no configuration key '{start}{unknown[0]}'.",
            where=where or "configuration",
            fix=f"did you mean '{start}{near[0]}'?" if near else f"use one of {', '.join(known)}",
        )
    found: dict[str, Any] = {}
    missing: MissingValue | None = None
    for name, item in known.items():
        value, key = values.get(name, MISSING), f"{start}{name}"
        try:
            if not (isinstance(value, str) and value == MISSING):
                found[name] = _converted(value, hints[name], info(item), key)
            elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                raise MissingValue(
                    f"A value is missing: {key}.", where="configuration", fix=f"give {key}=..."
                )
        except MissingValue as error:
            missing = missing or error  # a wrong value, also a later one, is told first
    if missing is not None:
        raise missing
    return cls(**found)


def info(item: dataclasses.Field) -> Option:
    """Help and bounds of a field."""
    return item.metadata.get(_OPTION, Option())


def _converted(value: Any, kind: Any, known: Option, key: str) -> Any:
    """A plain value, converted to the type of its field."""
    if known.group is not None and value is not None and get_origin(kind) is not tuple:
        return build_option(known.group, value, where=key)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _converted(value, next(k for k in inner if k is not type(None)), known, key)
    if kind is Any:
        return value
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, list | tuple):
            raise _misfit(key, value, "a list")
        if known.group is not None:
            return tuple(
                build_option(known.group, entry, where=f"{key}.{place}") for place, entry in enumerate(value)
            )
        return tuple(_converted(item, inner[0], known, key) for item in value)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _misfit(key, value, "a mapping")
        return {str(name): _converted(item, inner[1], known, f"{key}.{name}") for name, item in value.items()}
    if origin is Literal:
        if value not in inner:
            raise FingerprintsError(
                f"{key}={value} is not one of {', '.join(map(str, inner))}.",
                where=key,
                fix="choose one of them",
            )
        return value
    if is_dataclass(kind):
        return value if isinstance(value, kind) else build(kind, value, where=key)  # type: ignore[arg-type]
    return _scalar(value, kind, known, key)


def _scalar(value: Any, kind: Any, known: Option, key: str) -> Any:
    if kind is Path and isinstance(value, str | Path):
        if not str(value):  # Path("") is the working directory; often the word is `key=$NAME` without NAME
            raise FingerprintsError(f"{key} is empty.", where=key, fix=f"give a path, such as {key}=DIR")
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise _misfit(key, value, wanted(kind))
    if isinstance(value, int | float) and not known.allows(value):
        raise FingerprintsError(
            f"{key}={value} is out of range.", where=key, fix=f"give a value that is {known.bounds}"
        )
    return value


def _misfit(key: str, value: Any, wanted: str) -> FingerprintsError:
    return FingerprintsError(f"{key}={value} is not {wanted}.", where=key, fix=f"give {wanted}")


def plain(settings: Any) -> dict[str, Any]:
    """The settings as plain data, the name of the option first; `build` reverses this."""
    own = {"name": settings.name} if has_own_name(type(settings)) else {}
    return own | {item.name: _plain(getattr(settings, item.name)) for item in fields(settings)}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return plain(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


@functools.cache
def schema(cls: type) -> type:
    """The dataclass that Hydra composes: OmegaConf does not accept `Literal`, `tuple` or frozen classes."""
    hints = _hints(cls)
    made: list[tuple[str, Any, Any]] = []
    if has_own_name(cls):
        made.append(("name", str, field(default=cls.name)))  # type: ignore[attr-defined]
    for item in fields(cls):
        kind = Any if info(item).group is not None else _open(hints[item.name])
        default = item.default
        if default is dataclasses.MISSING and item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        if isinstance(kind, type) and is_dataclass(kind):
            made.append((item.name, kind, field(default_factory=_filled(kind, default))))
        elif default is dataclasses.MISSING:
            made.append((item.name, kind, field(default=MISSING)))
        else:
            made.append((item.name, kind, field(default_factory=functools.partial(_plain, default))))
    name = f"{_SCHEMA_OF}{cls.__module__}.{cls.__name__}".replace(".", "__")
    return make_dataclass(name, made, namespace={"__module__": __name__})


def __getattr__(name: str) -> Any:
    """Find schemas by name, so that a job in another process derives its own.

    Otherwise launchers would send copies of them, with copies of `dataclasses.MISSING`, which is compared by
    identity.
    """
    if not name.startswith(_SCHEMA_OF):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, cls = name.removeprefix(_SCHEMA_OF).replace("__", ".").rpartition(".")
    try:
        return schema(getattr(importlib.import_module(module), cls))
    except ModuleNotFoundError as error:
        raise AttributeError(str(error)) from error


def _filled(kind: type, default: Any) -> Callable[[], Any]:
    """A factory of the schema of nested settings, filled with the values that the outer class sets."""

    def make() -> Any:
        out = kind()
        if default is not dataclasses.MISSING:
            values = plain(default)
            for item in fields(kind):
                if item.name in values:
                    value = values[item.name]
                    nested = isinstance(item.type, type) and is_dataclass(item.type)
                    inner = getattr(default, item.name, None)
                    setattr(out, item.name, _filled(item.type, inner)() if nested else value)  # type: ignore[arg-type]
        return out

    return make


def _open(kind: Any) -> Any:
    """A field's type, as a type that OmegaConf accepts."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _open(next(k for k in inner if k is not type(None))) | None
    if origin is tuple:
        return list[_open(inner[0])]  # type: ignore[misc]
    if origin is dict:
        return dict[str, _open(inner[1])]  # type: ignore[misc]
    if origin is Literal:
        return type(inner[0])
    if kind is Path:
        return str
    return schema(kind) if isinstance(kind, type) and is_dataclass(kind) else kind


@dataclass(frozen=True)
class Described:
    """A key of `--help`.

    Attributes:
        key: Dotted key below the settings.
        default: As it is written on the command line; `???` if the user must give a value.
        help: Choices, bounds and help text.
    """

    key: str
    default: str
    help: str


def describe(cls: type, prefix: str = "", *, default: Any = None) -> Iterator[Described]:
    """Every key of a settings class, with its default and help.

    Args:
        cls: The settings class.
        prefix: Text before each key.
        default: Settings of that class whose values are shown as defaults; `None`: the class's own defaults.
    """
    hints = _hints(cls)
    for item in fields(cls):
        kind, known = hints[item.name], info(item)
        value = _default(item) if default is None else getattr(default, item.name)
        if isinstance(kind, type) and is_dataclass(kind) and known.group is None:
            inner = None if value is dataclasses.MISSING else value
            yield from describe(kind, f"{prefix}{item.name}.", default=inner)
            continue
        words = [" | ".join(map(str, found))] if (found := choices(kind)) else []
        words += [word for word in (known.bounds, known.help) if word]
        yield Described(f"{prefix}{item.name}", as_word(value), "; ".join(words))


def keys(cls: type, prefix: str = "") -> list[str]:
    """Every dotted key of a settings class, including keys that contain further keys."""
    return list(kinds(cls, prefix))


def kinds(cls: type, prefix: str = "") -> dict[str, Any]:
    """The type of every dotted key of a settings class, including keys that contain further keys."""
    found: dict[str, Any] = {f"{prefix}name": str} if has_own_name(cls) else {}
    hints = _hints(cls)
    for item in fields(cls):
        kind = hints[item.name]
        found[prefix + item.name] = kind
        if isinstance(kind, type) and is_dataclass(kind) and info(item).group is None:
            found |= kinds(kind, f"{prefix}{item.name}.")
    return found


def holds_text(kind: Any) -> bool:
    """Whether values of a type are text or paths, or lists of them; `Any` holds one of the two."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType, tuple):
        return any(holds_text(k) for k in inner)
    return kind in (str, Path, Any)


def holds_list(kind: Any) -> bool:
    """Whether values of a type are lists; `Any` can hold one."""
    return kind is Any or get_origin(kind) is tuple


def wanted(kind: Any) -> str:
    """In words, what an option of a type takes."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return wanted(next(k for k in inner if k is not type(None)))
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin is dict or (isinstance(kind, type) and is_dataclass(kind)):
        return "a mapping"
    return "a list" if origin is tuple else _WORDS.get(kind, "a value")


def choices(kind: Any) -> tuple[Any, ...]:
    """The values that a `Literal` type lists; empty for other types."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return inner
    if origin in (Union, types.UnionType, tuple):
        return next((found for k in inner if (found := choices(k))), ())
    return ()


def as_word(value: Any) -> str:
    """A value as it is written on the command line; `???` if the user must give it."""
    if value is dataclasses.MISSING:
        return str(MISSING)
    value = _plain(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)


def _default(item: dataclasses.Field) -> Any:
    if item.default_factory is not dataclasses.MISSING:
        return item.default_factory()
    return item.default


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def has_own_name(cls: type) -> bool:
    """Whether the class belongs to one option only, whose name is a class variable."""
    return get_origin(_hints(cls).get("name")) is ClassVar and hasattr(cls, "name")
