"""Groups finished runs: by data, and by system with repeats over seeds and folds."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from fingerprints.comparison.plans import same_plans
from fingerprints.config.published import Caveat, has_random_weights
from fingerprints.config.schema import caveats
from fingerprints.core.tasks import TASKS, Task
from fingerprints.runs.folder import RunRecord, leaves, short_names
from fingerprints.runs.status import FINISHED

Kind = Literal["system", "random_weights", "control"]
KINDS: tuple[Kind, ...] = ("system", "random_weights", "control")

Generators = Literal["random", "fixed"]
"""`random`: the generators are a sample of those that could have been trained; `fixed`: these alone."""

NULL = "null"

NOT_THE_SYSTEM = (
    *("seed", "run_dir", "objective", "paths", "logger", "evidence", "published", "fused.runs"),
    *("data.root", "data.test_root", "data.name", "data.sources", "data.truth", "data.official"),
    *("data.fold", "data.shuffle_labels", "data.run_file"),
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
)
"""Settings that repeat a system, or state where and how it ran; they do not make another system."""

_REPEAT = ("seed", "data.fold", "data.shuffle_labels", "data.official", "fused.runs")
"""Settings of `NOT_THE_SYSTEM` that distinguish a repeat from a copy."""

_SPLIT = (
    *("seed", "data.fold", "data.folds", "data.folds_below", "data.validation", "data.near_duplicate"),
    *("data.groups", "data.reference", "data.shuffle_labels", "data.on_bad_image"),
)
"""Settings that change the data fingerprint, since it includes which images were held out."""


@dataclass(frozen=True, eq=False)
class System:
    """One row of a table: an experiment with its settings, and its repeats over seeds and folds.

    Attributes:
        name: The experiment, and the settings in which its runs differ.
        kind: The table that it belongs to.
        records: Its runs, by seed.
    """

    name: str
    kind: Kind
    records: tuple[RunRecord, ...]

    @property
    def seeds(self) -> list[Any]:
        """The seeds of its runs."""
        return [record.config.get("seed") for record in self.records]

    @functools.cached_property
    def caveats(self) -> list[Caveat]:
        """What makes its figures no evidence; nothing printed stands beside them then."""
        first = self.records[0]
        root = first.setting("data.root")
        return caveats(first.config, root=None if root is None else first.path(root))

    @property
    def epochs(self) -> int | None:
        """Epochs of a training at most; `None` if nothing was trained, or if it is not known."""
        first = self.records[0]
        trained = sum((first.metrics.get("encoder_budget") or {"": 1}).values()) > 0
        return first.setting("trainer.max_epochs") if trained else None


@dataclass(frozen=True, eq=False)
class DataSet:
    """Runs of one task on the same data; only such runs are compared in one table.

    Attributes:
        task: The task.
        systems: The systems, in the order they were found.
        fingerprints: Digests of the data that the runs recorded, without repeats.
        notes: Notes on how runs were grouped.
        benchmarks: The runs on each benchmark of one plan (`same_plans`); one, with all runs, for other data.
    """

    task: Task
    systems: tuple[System, ...]
    fingerprints: tuple[str, ...]
    notes: tuple[str, ...]
    benchmarks: tuple[tuple[RunRecord, ...], ...]

    @property
    def records(self) -> list[RunRecord]:
        """All runs."""
        return [record for system in self.systems for record in system.records]


def finished(runs: Sequence[RunRecord]) -> tuple[list[RunRecord], list[tuple[RunRecord, str]]]:
    """The finished runs with distinct names, and the other runs with the reason why they are left out.

    Of several runs with the same settings, seed, data and figures only the first is kept: a copy is no
    repeat.
    """
    found: dict[str, RunRecord] = {}
    others: list[tuple[RunRecord, str]] = []
    for run in runs:
        if run.state != FINISHED:
            others.append((run, (run.error or run.state).strip().split("\n", 1)[0]))
        elif run.task_name not in TASKS or "test" not in run.metrics:
            others.append((run, "finished, but its metrics.json holds no figures of a task"))
        elif (first := found.setdefault(_content(run), run)) is not run:
            others.append((run, f"the same run as {first.name}: settings, seed, data and figures are equal"))
    names = short_names([run.folder for run in found.values()])
    return [replace(run, name=name) for run, name in zip(found.values(), names, strict=True)], others


def _content(run: RunRecord) -> str:
    """All that distinguishes a run from its copies and from an equal run in another place."""
    settings = {key: _text(value) for key, value in leaves(run.config) if not _ignored(key)}
    repeat = [run.setting(key) for key in _REPEAT]
    figures = [run.metrics.get(part) for part in ("task", "experiment", "validation", "test")]
    return json.dumps(
        [settings, repeat, run.fingerprint or _place(run), figures], sort_keys=True, default=str
    )


def kind_of(run: RunRecord) -> Kind:
    """`control` with shuffled labels, `random_weights` if a backbone was not pretrained."""
    if run.setting("data.shuffle_labels") is True:
        return "control"
    bare = has_random_weights(run.config.get("encoder") or {})
    return "random_weights" if bare or run.setting("fused.random_weights") is True else "system"


def data_sets(records: Sequence[RunRecord], *, generators: Generators = "random") -> list[DataSet]:
    """Runs by task and data.

    Runs are on the same data if their data fingerprints are equal. The fingerprint includes the held-out
    images, which differ between seeds and folds. Therefore runs with equal folder, layout and truth file are
    on the same data too, unless two of them have the same split settings but different fingerprints: then
    the data in that folder have changed in between, and only the fingerprint counts.

    With random generators, simulated benchmarks that differ in their seed alone are one data set.
    """
    places: dict[tuple[Any, ...], list[RunRecord]] = {}
    for record in records:
        places.setdefault(_place(record), []).append(record)
    sets: list[tuple[list[RunRecord], list[str]]] = []
    for place, members in places.items():
        if _agree(members):
            sets.append((members, []))
            continue
        note = f"The data in {place[1]} changed between runs: runs with other data are in other tables."
        by_print: dict[str | None, list[RunRecord]] = {}
        for record in members:
            by_print.setdefault(record.fingerprint, []).append(record)
        sets += [(part, [note]) for part in by_print.values()]
    sets = _joined(sets)
    joined = same_plans([members for members, _ in sets])
    if generators == "fixed":
        joined = [[place] for place in range(len(sets))]
    return [_data_set([sets[place] for place in places]) for places in joined]


def _place(record: RunRecord) -> tuple[Any, ...]:
    folders = (record.setting(key) for key in ("data.root", "data.test_root"))
    return (
        record.task.name,
        *(None if folder is None else str(record.path(folder).resolve()) for folder in folders),
        record.setting("data.name"),
        json.dumps(record.setting("data.sources"), sort_keys=True),
        record.setting("data.truth"),
    )


def _agree(records: Sequence[RunRecord]) -> bool:
    """Whether runs with equal split settings always have equal fingerprints."""
    seen: dict[str, str] = {}
    for record in records:
        key = json.dumps([record.setting(name) for name in _SPLIT], default=str)
        if record.fingerprint is not None and seen.setdefault(key, record.fingerprint) != record.fingerprint:
            return False
    return True


def _joined(sets: Sequence[tuple[list[RunRecord], list[str]]]) -> list[tuple[list[RunRecord], list[str]]]:
    """Merge sets of one task that share a fingerprint (a copy of the data in another place)."""
    out: list[tuple[list[RunRecord], list[str]]] = []
    for members, notes in sets:
        prints = {(r.task.name, r.fingerprint) for r in members if r.fingerprint is not None}
        for index in reversed(range(len(out))):
            if prints & {(r.task.name, r.fingerprint) for r in out[index][0]}:
                before, said = out.pop(index)
                members, notes = [*before, *members], [*said, *(n for n in notes if n not in said)]
        out.append((members, notes))
    return out


def _data_set(benchmarks: Sequence[tuple[list[RunRecord], list[str]]]) -> DataSet:
    records = [record for members, _ in benchmarks for record in members]
    notes = list(dict.fromkeys(note for _, given in benchmarks for note in given))
    prints = tuple(dict.fromkeys(r.fingerprint for r in records if r.fingerprint is not None))
    tasks = {r.task.official: r.task for r in records}
    # Runs from before layouts named their metric have that of the task.
    named = [metric for metric in tasks if metric != TASKS[records[0].task_name].official]
    task = tasks[named[0]] if named else records[0].task
    if len(tasks) > 1:
        notes.append(f"The layouts of these runs rank by {' or '.join(tasks)}: here it is {task.official}.")
    if len(benchmarks) > 1:
        notes.append(
            f"{len(benchmarks)} simulated benchmarks of one plan, which differ in their seed: each has its "
            "own generators and its own choice of real images. generators=fixed shows each alone."
        )
    parts = tuple(tuple(members) for members, _ in benchmarks)
    return DataSet(task, tuple(systems(records)), prints, tuple(notes), parts)


def systems(records: Sequence[RunRecord]) -> list[System]:
    """Runs as systems: repeats over seeds and folds are one system, named by its differing settings."""
    by_experiment: dict[str, list[RunRecord]] = {}
    for record in records:
        by_experiment.setdefault(record.experiment or "unnamed", []).append(record)
    found: list[System] = []
    for experiment, members in by_experiment.items():
        settings = [{key: _text(value) for key, value in leaves(record.config)} for record in members]
        keys = [key for key in dict.fromkeys(k for own in settings for k in own) if not _ignored(key)]
        differ = [key for key in keys if len({own.get(key) for own in settings}) > 1]
        shown = _shown(differ, settings)
        rows: dict[tuple[Any, ...], list[int]] = {}
        for index, record in enumerate(members):
            values = (settings[index].get(key) for key in differ)
            rows.setdefault((kind_of(record), *values), []).append(index)
        for (kind, *_), row in rows.items():
            own = settings[row[0]]
            words = [f"{title}={own[key]}" for title, key in shown.items() if own.get(key, NULL) != NULL]
            order = sorted(
                row, key=lambda index: (str(members[index].config.get("seed")), members[index].name)
            )
            found.append(
                System(" ".join([experiment, *words]), kind, tuple(members[index] for index in order))
            )
    return found


def _shown(differ: Sequence[str], settings: Sequence[dict[str, str]]) -> dict[str, str]:
    """The settings in the name of a row: title -> key.

    The name of a part (`encoder.name`) replaces all its settings that always change together with it.
    """
    named = [key.removesuffix(".name") for key in differ if key.endswith(".name")]

    def goes_along(key: str) -> bool:
        part = next((name for name in named if key.startswith(f"{name}.")), None)
        if part is None or key == f"{part}.name":
            return False
        values: dict[str | None, set[str | None]] = {}
        for own in settings:
            values.setdefault(own.get(f"{part}.name"), set()).add(own.get(key))
        return all(len(found) == 1 for found in values.values())

    keys = [key for key in differ if not goes_along(key)]
    keys.sort(key=lambda key: not key.endswith(".name"))
    last = [key.removesuffix(".name").rsplit(".", 1)[-1] for key in keys]
    return {
        (word if last.count(word) == 1 else key.removesuffix(".name")): key
        for word, key in zip(last, keys, strict=True)
    }


def _ignored(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in NOT_THE_SYSTEM)


def _text(value: Any) -> str:
    """A setting as text, for comparing and showing."""
    if isinstance(value, list):
        simple = all(not isinstance(item, dict | list) for item in value)
        return f"[{','.join(map(str, value))}]" if simple else json.dumps(value, sort_keys=True)
    return NULL if value is None else str(value).lower() if isinstance(value, bool) else str(value)
