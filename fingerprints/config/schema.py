"""Roots, groups and options of the configuration, and the checked settings of a composed configuration.

An option is a registered settings class, or a YAML file in `conf/<group>/` with other defaults. This module
does not import torch, and imports Hydra only inside functions, so that `--help` and errors in keys are
printed immediately.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from fingerprints.config.auditing import AuditSettings
from fingerprints.config.published import TABLE, Caveat, find_caveats, find_published, read_published
from fingerprints.config.roots import (
    CompareSettings,
    DashboardSettings,
    EvaluateSettings,
    PredictSettings,
    PublishedSettings,
    RedrawSettings,
    TrainSettings,
)
from fingerprints.config.simulation import MODEL_GENERATORS, SimulateSettings
from fingerprints.core.errors import FingerprintsError, nearest
from fingerprints.core.options import (
    MISSING,
    MissingValue,
    build,
    has_own_name,
    keys,
    kinds,
    registered,
    schema,
)
from fingerprints.core.tasks import get_task
from fingerprints.data.embedded import embedded_benchmark
from fingerprints.data.settings import REFERENCE, DataSettings
from fingerprints.detector.settings import SegmentSettings
from fingerprints.ingestion.settings import IntakeSettings
from fingerprints.training.settings import FrozenTrainingSettings, TrainerSettings, TrainingSettings

if TYPE_CHECKING:
    from omegaconf import DictConfig

OWN_SIZE = 256  # `data.size` for data that are not embedded

ROOTS: dict[str, type] = {
    "train": TrainSettings,
    "predict": PredictSettings,
    "redraw": RedrawSettings,
    "evaluate": EvaluateSettings,
    "compare": CompareSettings,
    "dashboard": DashboardSettings,
    "simulate": SimulateSettings,
    "ingest": IntakeSettings,
    "audit": AuditSettings,
    "segment": SegmentSettings,
}
# Groups that each root composes; in the groups of `STAGES`, options have their own settings classes.
STAGES = ("filter", "region", "encoder", "training", "pairing", "reduction", "decision")
ROOT_GROUPS: dict[str, tuple[str, ...]] = {
    "train": (*STAGES, "callbacks", "data", "experiment", "logger", "sweep", "trainer"),
    "simulate": ("dial", "generator", "scale"),
    "audit": ("battery",),
}
COMBINED = ("sweep", "dial")  # groups from which several options can be chosen, as a list
# Keys of which a smaller number trains less; the classes of their groups that have no options.
LENGTHS = ("trainer.max_epochs", "pairing.pairs_per_epoch", "training.rounds", "data.folds")
WITHOUT_OPTIONS: dict[str, type] = {"trainer": TrainerSettings, "data": DataSettings}


def conf_dir() -> Path:
    """The folder of the YAML files: inside the installed package, or in the root folder of a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def search_path(root: str) -> Path:
    """The folder from which Hydra composes a root; for a root without groups, it contains no groups."""
    return conf_dir() if root in ROOT_GROUPS else conf_dir() / "commands"


def options(group: str) -> list[str]:
    """The options of a configuration group."""
    own = [name for name, cls in registered(group).items() if has_own_name(cls)]
    return sorted({path.stem for path in (conf_dir() / group).glob("*.yaml")} | set(own))


def written(group: str, name: str) -> dict[str, Any]:
    """The content of an option's YAML file; empty if there is no file."""
    path = conf_dir() / group / f"{name}.yaml"
    return _read(path) if path.is_file() else {}


@functools.cache
def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text()) or {}


def option_class(group: str, name: str) -> type | None:
    """The settings class of an option; `None` for groups and options without one."""
    known = registered(group)
    if name in known:
        return known[name]
    base = next((str(entry) for entry in written(group, name).get("defaults", ())), "")
    return next((cls for cls in known.values() if base in _nodes(cls)), None)


def _nodes(cls: type) -> list[str]:
    """Names of a settings class in Hydra's store; YAML files inherit from the one with an underscore."""
    if has_own_name(cls):
        return [cls.name, f"_{cls.name}"]  # type: ignore[attr-defined]
    return [f"_{cls.__name__.removesuffix('Settings').lower()}"]


def register(root: str) -> None:
    """Register a root and the options of its groups with Hydra, and remove the groups of other roots.

    Hydra treats a key as a group if a group has that name. For example, `generator` is a group only in
    `simulate`; in other roots it is an ordinary key.
    """
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    store.store(name=f"_{root}", node=schema(ROOTS[root]))
    for group in {group for groups in ROOT_GROUPS.values() for group in groups}:
        store.repo.pop(group, None)
    for group in ROOT_GROUPS.get(root, ()):
        for cls in dict.fromkeys(registered(group).values()):
            for node in _nodes(cls):
                if not written(group, node):  # otherwise the YAML file defines the option
                    store.store(group=group, name=node, node=schema(cls))


def valid_keys(root: str) -> list[str]:
    """Every dotted key of a root, including the keys of all options of its groups."""
    return sorted({*kinds_of(root), *ROOT_GROUPS.get(root, ())})


def kinds_of(root: str) -> dict[str, Any]:
    """The type of every dotted key of a root but its groups; if options of a group differ, of the first."""
    found: dict[str, Any] = kinds(ROOTS[root])
    for group in ROOT_GROUPS.get(root, ()):
        for cls in registered(group).values():
            found = kinds(cls, f"{group}.") | found
    return found


def build_root(cfg: DictConfig, root: str) -> Any:
    """The checked settings of a composed configuration, an instance of `ROOTS[root]`.

    Raises:
        FingerprintsError: If a value is wrong, or, if none is, a mandatory key is missing.
    """
    from omegaconf import OmegaConf

    missing = OmegaConf.missing_keys(cfg) - {"run_dir", "data.size"}
    benchmark = None
    if root == "train" and "data.root" in missing:
        benchmark = embedded_benchmark(OmegaConf.select(cfg, "data.name"))
        missing -= {"data.root"} if benchmark is not None else set()
    if missing:
        _check_given(cfg, root)
        _refuse_missing(sorted(missing), OmegaConf.select(cfg, "data.name"))
    plain = _plain(cfg, root)
    if root == "train":
        if benchmark is not None:
            _refuse_test_root(plain["data"]["test_root"])
            plain["data"]["root"] = str(benchmark.root)
        if plain["data"]["size"] == MISSING:
            plain["data"]["size"] = OWN_SIZE if benchmark is None else benchmark.size
        _fill_in(plain)
    return build(ROOTS[root], plain)


def _plain(cfg: DictConfig, root: str) -> Any:
    """A composed configuration as plain data, with all settings of listed parts."""
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
    if root == "simulate":
        plain["generators"] = _generators(plain)
    if root == "audit":
        detectors, where = plain["battery"]["detectors"], "battery.detectors"
        plain["battery"]["detectors"] = [_entry("decision", entry, where=where) for entry in detectors]
    if root == "train":
        _expand(plain["encoder"])
    return plain


def _check_given(cfg: DictConfig, root: str) -> None:
    """Refuse a wrong value of a configuration in which other values are missing."""
    from omegaconf.errors import OmegaConfBaseException

    with contextlib.suppress(MissingValue, OmegaConfBaseException):  # a reference to a value that is missing
        build(ROOTS[root], _plain(cfg, root))


def _fill_in(plain: dict[str, Any]) -> None:
    """Fill in values of a training configuration that depend on its other values."""
    if plain["run_dir"] == MISSING:
        plain["run_dir"] = None
    for key in ("fit_on", "cluster_on"):
        if plain["decision"].get(key, "") is None:
            plain["decision"][key] = "real" if get_task(plain["task"]).has_real else "generated"
    given = plain["data"]["reference"] or any(part["part"] == REFERENCE for part in plain["data"]["sources"])
    if given and plain["decision"].get("reference") == "auto":
        plain["decision"]["reference"] = "given"
    if build(PublishedSettings, plain["published"]) != PublishedSettings():
        raise FingerprintsError(
            "Printed figures are not given on the command line or in an experiment file.",
            where="published",
            fix=f"add an entry to conf/{TABLE}, with the settings of the runs that it belongs to",
        )
    entries = read_published(conf_dir() / TABLE)
    plain["published"] = find_published(plain, entries, caveats=caveats(plain)) or {}
    if plain["objective"] is not None and not plain["objective"].startswith("validation."):
        raise FingerprintsError(
            f"A search must not maximise '{plain['objective']}': test figures are biased if the search "
            "selects by them.",
            where="objective",
            fix="use a figure of the validation part, such as objective=validation.accuracy",
        )


def caveats(config: Mapping[str, Any], *, root: str | Path | None = None) -> list[Caveat]:
    """What a reader must know of a run before its figures: `find_caveats` with the experiment's lengths."""
    return find_caveats(config, own_lengths(config), root=root)


def own_lengths(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `LENGTHS` that an experiment has without overrides.

    Args:
        config: A resolved configuration of the experiment, as plain data; its overrides do not matter, but
            options that it chooses do.

    Returns:
        By dotted key; empty if nothing is trained, or there is no such experiment.
    """
    own = written("experiment", str(config.get("name")))
    training = registered("training").get(str((config.get("training") or {}).get("name")))
    if not own or training is None or training is FrozenTrainingSettings:
        return {}
    found: dict[str, Any] = {}
    for key in LENGTHS:
        group, name = key.split(".")
        now = config.get(group) or {}
        cls = WITHOUT_OPTIONS.get(group) or registered(group).get(str(now.get("name")))
        defaults = {} if cls is None else {item.name: item.default for item in fields(cls)}
        if name in defaults:
            found[key] = (own.get(group) or {}).get(name, defaults[name])
    if not issubclass(training, TrainingSettings) or not training.on_pairs:
        found.pop("pairing.pairs_per_epoch", None)
    if config.get("task") != "usage" and (config.get("data") or {}).get("fold") is None:
        found.pop("data.folds")  # nothing is trained on folds
    return found


def _generators(plain: dict[str, Any]) -> list[dict[str, Any]]:
    """All settings of every generator of a simulation: of the listed generators, or of the single one."""
    entries = plain["generators"]
    if entries == MISSING or not entries:
        entries = list(MODEL_GENERATORS) if plain["task"] == "model" else [plain["generator"]]
    return [_entry("generator", entry, where="generators") for entry in entries]


def _entry(group: str, entry: Any, *, where: str) -> dict[str, Any]:
    """All settings of one entry of a list.

    Args:
        group: The group of the entry's option.
        entry: The name of an option, or a mapping of its `name` and the values that differ from its defaults.
        where: The list, for errors.

    Raises:
        FingerprintsError: If the group has no such option, or the option has no such key.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    given = entry if isinstance(entry, dict) else {"name": entry}
    name = str(given.get("name"))
    cls = option_class(group, name) if name in options(group) else None
    if cls is None:
        raise unknown_option(group, name)
    variant: Any = {"name": name, **written(group, name)}
    variant.pop("defaults", None)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema(cls)), variant, given)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "a key"
        raise FingerprintsError(
            f"{group.capitalize()} '{name}' cannot take {key} from {given}.",
            where=where,
            fix=f"use keys from {', '.join(key for key in keys(cls) if '.' not in key)}",
        ) from error
    plain: Any = OmegaConf.to_container(merged)
    _expand(plain)
    return plain


def _expand(encoder: dict[str, Any]) -> None:
    """Replace each entry of `encoders` by all its settings, if the encoder has several."""
    if "encoders" in encoder:
        where = "encoder.encoders"
        encoder["encoders"] = [_entry("encoder", entry, where=where) for entry in encoder["encoders"]]


def unknown_option(group: str, name: str) -> FingerprintsError:
    """The error for an option that a group does not have; it suggests the most similar option."""
    near = nearest(name, options(group))
    return FingerprintsError(
        f"There is no {group} '{name}'; there are {', '.join(options(group))}.",
        where=f"{group}={name}",
        fix=f"{group}={near[0]}" if near else "choose one of them",
    )


def _refuse_test_root(test_root: str | None) -> None:
    if test_root is not None:
        raise FingerprintsError(
            "There is a test part, but no training part of your own.",
            where=f"data.test_root={test_root}",
            fix="give data.root=DIR too, the folder of the training part",
        )


def _refuse_missing(missing: list[str], layout: str | None) -> None:
    why, example = "", f"{missing[0]}=..."
    if "data.root" in missing:
        why = f"; layout '{layout}' has no embedded benchmark to use instead" if layout else ""
        example = "data.root=DIR"
    raise FingerprintsError(
        f"{'A value is' if len(missing) == 1 else 'Values are'} missing: {', '.join(missing)}{why}.",
        where="command line",
        fix=f"give {example}",
    )
