"""Checking the words of the command line, before Hydra is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from fingerprints.config.schema import (
    COMBINED,
    ROOT_GROUPS,
    option_class,
    options,
    unknown_option,
    valid_keys,
    written,
)
from fingerprints.core.errors import FingerprintsError, install, nearest
from fingerprints.core.options import keys, registered

# Options that need an extra -> the module that the extra installs, and the name of the extra.
EXTRAS: dict[str, tuple[str, str]] = {
    "sweep=side_by_side": ("hydra_joblib_launcher", "sweep"),
    "sweep=optuna": ("hydra_optuna_sweeper", "sweep"),
    "sweep=slurm": ("hydra_submitit_launcher", "slurm"),
    "hydra/launcher=joblib": ("hydra_joblib_launcher", "sweep"),
    "hydra/launcher=submitit_local": ("hydra_submitit_launcher", "slurm"),
    "hydra/launcher=submitit_slurm": ("hydra_submitit_launcher", "slurm"),
    "hydra/sweeper=optuna": ("hydra_optuna_sweeper", "sweep"),
}
SWEPT = "hydra.sweeper.params."  # prefix of a key that a sweep varies


def check_overrides(words: Sequence[str], root: str) -> None:
    """Refuse invalid words.

    Raises:
        FingerprintsError: If a key or the option of a group does not exist, or the chosen option has no such
            key; the error names the most similar one. If an option needs an extra that is not installed; the
            error names the extra.
    """
    known = set(valid_keys(root))
    found = _chosen(words, root)
    for word in words:
        name, equals, value = word.partition("=")
        key = name.lstrip("+~")
        for option in value.strip("[]").split(","):
            _require_extra(f"{key}={option.strip()}")
        if word.startswith("-") or not equals or key == "hydra" or key.startswith("hydra.") or "@" in key:
            continue
        if key.startswith("hydra/"):
            continue
        if key not in known:
            raise unknown_key(key, root, found)
        if key in ROOT_GROUPS.get(root, ()):
            _check_choice(word, key, value)
        _check_sibling(key, found)


def _check_choice(word: str, group: str, value: str) -> None:
    """Refuse an option that the group does not have."""
    if group in COMBINED and "," in value and not value.startswith("["):
        raise FingerprintsError(
            f"Several {group}s must be given as a list.",
            where=word,
            fix=f"write '{group}=[{value}]', with the quotes",
        )
    for option in _names(value.strip("[]") if group in COMBINED else value) or ():
        if option not in options(group):
            raise unknown_option(group, option)


def _names(value: str) -> list[str] | None:
    """The options that a word names; `None` if only Hydra can resolve it (globs, ranges, interpolations)."""
    if not value or set("([{*$") & set(value):
        return None
    return [option.strip() for option in value.split(",")]


def _chosen(words: Sequence[str], root: str) -> dict[str, list[str] | None]:
    """For each group with settings classes, the options that a job may have; `None` if unknown.

    They are named on the command line, varied by a chosen sweep, set by a chosen experiment, or the root's
    default.
    """
    given = {}
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            given[name.lstrip("+~").removeprefix(SWEPT)] = value
    own = defaults_of(written("", root).get("defaults", ()))
    experiments = _names(given.get("experiment", ""))
    found: dict[str, list[str] | None] = {}
    for group in ROOT_GROUPS.get(root, ()):
        if not registered(group):
            continue
        if group in given:
            found[group] = _names(given[group])
            continue
        if "experiment" in given and experiments is None:
            found[group] = None
            continue
        sets = [defaults_of(written("experiment", name).get("defaults", ())) for name in experiments or ()]
        names = {override.get(group, own.get(group, "")) for override in sets} or {own.get(group, "")}
        found[group] = sorted(names - {""}) or None
    for combined in COMBINED:
        for option in _names(given.get(combined, "").strip("[]")) or ():
            params = written(combined, option).get("hydra", {}).get("sweeper", {}).get("params") or {}
            for group, value in params.items():
                if group in found and group not in given:
                    found[group] = _names(str(value))
    return found


def defaults_of(entries: Sequence[object]) -> dict[str, str]:
    """Group -> option, from the defaults list of a root or an experiment file."""
    found = {}
    for entry in entries:
        if isinstance(entry, dict):
            for key, value in entry.items():
                found[str(key).removeprefix("override ").lstrip("/")] = str(value)
    return found


def _check_sibling(key: str, chosen: Mapping[str, Sequence[str] | None]) -> None:
    """Refuse a key that only other options of its group have."""
    if _of_chosen(key, chosen):
        return
    group = key.partition(".")[0]
    having = _having(group, key)
    raise FingerprintsError(
        f"{group.capitalize()} '{', '.join(chosen[group] or ())}' has no key '{key}'; {_listed(having)}.",
        where="command line",
        fix=f"leave it out, or choose {group}={_alike(group, having, chosen[group] or ())}",
    )


def _alike(group: str, having: Sequence[str], chosen: Sequence[str]) -> str:
    """The first of some options that answers a task of the chosen ones; the first of all if none does."""

    def tasks(name: str) -> set[str]:
        return set(getattr(option_class(group, name), "tasks", ()))

    asked = set().union(*map(tasks, chosen))
    return next((name for name in having if tasks(name) & asked), having[0])


def _of_chosen(key: str, chosen: Mapping[str, Sequence[str] | None]) -> bool:
    """Whether a valid key belongs to a chosen option; true if the chosen options are unknown."""
    group, dot, _ = key.partition(".")
    names = chosen.get(group)
    if not dot or names is None:
        return True
    classes = [option_class(group, name) for name in names]
    return any(cls is None or key in keys(cls, f"{group}.") for cls in classes)


def _having(group: str, key: str) -> list[str]:
    """The options of a group that have a key."""
    classes = {name: option_class(group, name) for name in options(group)}
    return [name for name, cls in classes.items() if cls is not None and key in keys(cls, f"{group}.")]


def _listed(having: list[str]) -> str:
    if not having:
        return ""
    shown = having if len(having) < 6 else [*having[:5], f"{len(having) - 5} more"]
    return f"{', '.join(shown)} {'has' if len(having) == 1 else 'have'} it"


def _require_extra(word: str) -> None:
    module, extra = EXTRAS.get(word, ("", ""))
    try:
        missing = bool(module) and find_spec(f"hydra_plugins.{module}") is None
    except ModuleNotFoundError:  # its parent package is missing, too
        missing = True
    if missing:
        raise FingerprintsError(
            f"{word} needs a package that is not installed.",
            where="command line",
            fix=install(extra),
        )


def unknown_key(
    key: str, root: str, chosen: Mapping[str, Sequence[str] | None] | None = None
) -> FingerprintsError:
    """The error for a key that does not exist; it suggests the most similar valid key.

    Args:
        key: The dotted key.
        root: Name of the root.
        chosen: Group -> its chosen options, if known, so that keys of other options are not suggested.
    """
    known = valid_keys(root)
    if key in known:
        group = key.split(".", 1)[0]
        having = _having(group, key)
        return FingerprintsError(
            f"The chosen option of '{group}' has no key '{key}'{'; ' if having else ''}{_listed(having)}.",
            where="command line or experiment file",
            fix=f"leave it out, or choose another {group}",
        )
    known = [valid for valid in known if _of_chosen(valid, chosen or {})]
    near = nearest(key, known)
    if not near:
        # The last part of the key may be correct in another place.
        last = key.rsplit(".", 1)[-1]
        near = [k for k in known if k.rsplit(".", 1)[-1] == last]
    return FingerprintsError(
        f"There is no configuration key '{key}'.",
        where="command line or experiment file",
        fix=f"did you mean '{near[0]}'?" if near else "see --help for the keys",
    )
