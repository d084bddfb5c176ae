"""Which runs there are, which of them saw the same data, and which are repeats of one system."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import TASKS, Task, get_task
from fingerprints.runs.status import FINISHED, REFUSED, STATUS
from fingerprints.runs.sweeps import CONFIG, Job, read_job, read_jobs

Document = dict[str, Any]
Kind = Literal["system", "random_weights", "control"]
KINDS: tuple[Kind, ...] = ("system", "random_weights", "control")

NULL = "null"
MEAN = "mean"  # as in `scoring`, which would import torch

NOT_THE_SYSTEM = (
    *("seed", "run_dir", "objective", "paths", "logger", "evidence", "published", "fused.runs"),
    *("data.root", "data.name", "data.sources", "data.truth", "data.fold", "data.shuffle_labels"),
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
)
"""Settings that repeat a system, or say where and how it ran, rather than make another one."""

_SPLIT = (
    *("seed", "data.fold", "data.folds", "data.folds_below", "data.validation", "data.near_duplicate"),
    *("data.groups", "data.shuffle_labels", "data.on_bad_image"),
)
"""Settings that enter the data fingerprint, since it tells which image was held out."""


@dataclass(frozen=True, eq=False)
class Record:
    """A finished run.

    Attributes:
        folder: Where it lies.
        name: Its folder in few words, unlike those of the others.
        config: The resolved configuration.
        document: What `metrics.json` holds.
    """

    folder: Path
    name: str
    config: dict[str, Any]
    document: Document

    @property
    def task(self) -> Task:
        """Its task."""
        return get_task(self.document["task"])

    @property
    def experiment(self) -> str:
        """The name of its experiment."""
        return str(self.config.get("name") or self.document.get("experiment") or "unnamed")

    @property
    def kind(self) -> Kind:
        """`control` with shuffled labels, `random_weights` where a backbone was not pretrained."""
        if self.setting("data.shuffle_labels") is True:
            return "control"
        return "random_weights" if _has_random_weights(self.config) else "system"

    @property
    def fingerprint(self) -> str | None:
        """Digest of its images with their roles, labels and splits."""
        return self.document.get("run", {}).get("data_fingerprint")

    def setting(self, key: str) -> Any:
        """What its configuration has for a dotted key; `None` where it has no such key."""
        return lookup(self.config, key)

    def levels(self, part: str) -> dict[str, Document]:
        """Figures of a part by generator: `''` where there is one, else their names and `mean`."""
        return levels(self.document.get(part) or {})

    def overall(self, part: str) -> Document:
        """Figures of the one generator, or their mean over several; empty where there are none."""
        found = self.levels(part)
        return found.get("", found.get(MEAN, {}))

    def path(self, text: str) -> Path:
        """A path of its configuration, which may be relative to where the run was started."""
        path = Path(text)
        if path.is_absolute() or path.exists():
            return path
        try:
            started_in = json.loads((self.folder / STATUS).read_text())["cwd"]
        except (OSError, ValueError, KeyError):
            return path
        return Path(started_in) / path


@dataclass(frozen=True, eq=False)
class System:
    """One row of a table: an experiment with its settings, and its repeats over seeds and folds.

    Attributes:
        name: The experiment and the settings in which runs of it differ.
        kind: Which table it stands in.
        records: Its runs, by seed.
    """

    name: str
    kind: Kind
    records: tuple[Record, ...]

    @property
    def seeds(self) -> list[Any]:
        """The seeds of its runs."""
        return [record.config.get("seed") for record in self.records]


@dataclass(frozen=True, eq=False)
class DataSet:
    """Runs of one task on the same data; only these stand in one table.

    Attributes:
        task: The task.
        systems: The systems, in the order they were found.
        fingerprints: Digests of the data that the runs recorded, without repeats.
        notes: What to know about how runs were put together.
    """

    task: Task
    systems: tuple[System, ...]
    fingerprints: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def records(self) -> list[Record]:
        """All runs."""
        return [record for system in self.systems for record in system.records]


def find_jobs(patterns: Sequence[str], *, within: Path | None = None) -> list[Job]:
    """The runs in the folders that globs name; folders of sweeps stand for their jobs.

    Args:
        patterns: Globs, absolute or relative, `**` for any folders.
        within: What relative ones are relative to; the working directory by default.

    Raises:
        FingerprintsError: If nothing matches, or nothing that matches is or holds a run.
    """
    base = Path.cwd() if within is None else within
    matched = [found for pattern in patterns for found in _glob(base, pattern)]
    words = " ".join(patterns)
    if not matched:
        raise FingerprintsError(
            f"Nothing matches '{words}'.",
            where=f"runs (from {base})",
            fix="runs='outputs/*/*' with the folders of finished runs, in quotes so that the shell leaves it",
        )
    jobs: dict[Path, Job] = {}
    for folder in matched:
        if not folder.is_dir():
            continue
        if _is_run(folder):
            found = [read_job(folder)]
        elif any(_is_run(above) for above in folder.parents):
            continue  # a part of a run, `checkpoints` for one
        else:
            found = read_jobs(folder)
        for job in found:
            jobs.setdefault(job.folder.resolve(), job)
    if not jobs:
        raise FingerprintsError(
            f"No run lies in what '{words}' matches ({len(matched)} file(s) and folder(s)).",
            where="runs",
            fix="folders of runs (they hold config.yaml and metrics.json), or of sweeps",
        )
    return list(jobs.values())


def _glob(base: Path, pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if path.is_absolute():
        base, path = Path(path.anchor), path.relative_to(path.anchor)
    return sorted(base.glob(str(path)), key=_natural)


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (STATUS, CONFIG, REFUSED))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Numbers in names count as numbers: 2 comes before 10."""
    words: list[tuple[int, str]] = []
    for part in path.parts:
        words.append((int(part), "") if part.isdigit() else (-1, part))
    return words


def finished(jobs: Sequence[Job]) -> tuple[list[Record], list[tuple[Job, str]]]:
    """The finished runs, and the others with the reason why they are in no table."""
    found: list[Job] = []
    others: list[tuple[Job, str]] = []
    for job in jobs:
        document = job.metrics or {}
        if job.state != FINISHED:
            others.append((job, (job.error or job.state).strip().split("\n", 1)[0]))
        elif document.get("task") not in TASKS or "test" not in document:
            others.append((job, "finished, but its metrics.json holds no figures of a task"))
        else:
            found.append(job)
    names = short_names([job.folder for job in found])
    records = [
        Record(job.folder, name, job.config, job.metrics or {})
        for job, name in zip(found, names, strict=True)
    ]
    return records, others


def short_names(folders: Sequence[Path]) -> list[str]:
    """The end of each path, as long as it takes to tell them all apart."""
    resolved = [folder.resolve() for folder in folders]
    longest = max((len(path.parts) for path in resolved), default=1)
    for count in range(1, longest + 1):
        names = ["/".join(path.parts[-count:]) for path in resolved]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in resolved]


def data_sets(records: Sequence[Record]) -> list[DataSet]:
    """Runs by task and data.

    Runs are on the same data if their data fingerprints are equal. The fingerprint also tells which images
    were held out, which another seed or fold changes; so runs with equal folder, layout and truth file are
    on the same data as well, unless two of them with the same split settings disagree: then the data
    under that folder have changed in between, and only the fingerprint counts.
    """
    places: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        places.setdefault(_place(record), []).append(record)
    sets: list[tuple[list[Record], list[str]]] = []
    for place, members in places.items():
        if _agree(members):
            sets.append((members, []))
            continue
        note = f"The data under {place[1]} changed between runs: runs with other data stand in other tables."
        by_print: dict[str | None, list[Record]] = {}
        for record in members:
            by_print.setdefault(record.fingerprint, []).append(record)
        sets += [(part, [note]) for part in by_print.values()]
    return [_data_set(members, notes) for members, notes in _joined(sets)]


def _place(record: Record) -> tuple[Any, ...]:
    root = record.setting("data.root")
    return (
        record.task.name,
        None if root is None else str(record.path(root).resolve()),
        record.setting("data.name"),
        json.dumps(record.setting("data.sources"), sort_keys=True),
        record.setting("data.truth"),
    )


def _agree(records: Sequence[Record]) -> bool:
    """Whether equal split settings always gave equal fingerprints."""
    seen: dict[str, str] = {}
    for record in records:
        key = json.dumps([record.setting(name) for name in _SPLIT], default=str)
        if record.fingerprint is not None and seen.setdefault(key, record.fingerprint) != record.fingerprint:
            return False
    return True


def _joined(sets: Sequence[tuple[list[Record], list[str]]]) -> list[tuple[list[Record], list[str]]]:
    """Sets of one task that share a fingerprint (a copy of the data elsewhere) made one."""
    out: list[tuple[list[Record], list[str]]] = []
    for members, notes in sets:
        prints = {(r.task.name, r.fingerprint) for r in members if r.fingerprint is not None}
        for index in reversed(range(len(out))):
            if prints & {(r.task.name, r.fingerprint) for r in out[index][0]}:
                before, said = out.pop(index)
                members, notes = [*before, *members], [*said, *(n for n in notes if n not in said)]
        out.append((members, notes))
    return out


def _data_set(records: Sequence[Record], notes: Sequence[str]) -> DataSet:
    prints = tuple(dict.fromkeys(r.fingerprint for r in records if r.fingerprint is not None))
    return DataSet(records[0].task, tuple(systems(records)), prints, tuple(notes))


def systems(records: Sequence[Record]) -> list[System]:
    """Runs as systems: repeats over seeds and folds are one, named by what tells it from its kin."""
    by_experiment: dict[str, list[Record]] = {}
    for record in records:
        by_experiment.setdefault(record.experiment, []).append(record)
    found: list[System] = []
    for experiment, members in by_experiment.items():
        leaves = [dict(_leaves(record.config)) for record in members]
        keys = [key for key in dict.fromkeys(k for own in leaves for k in own) if not _ignored(key)]
        differ = [key for key in keys if len({own.get(key) for own in leaves}) > 1]
        shown = _shown(differ, leaves)
        rows: dict[tuple[Any, ...], list[int]] = {}
        for index, record in enumerate(members):
            values = (leaves[index].get(key) for key in differ)
            rows.setdefault((record.kind, *values), []).append(index)
        for (kind, *_), row in rows.items():
            own = leaves[row[0]]
            words = [f"{title}={own[key]}" for title, key in shown.items() if own.get(key, NULL) != NULL]
            order = sorted(
                row, key=lambda index: (str(members[index].config.get("seed")), members[index].name)
            )
            found.append(
                System(" ".join([experiment, *words]), kind, tuple(members[index] for index in order))
            )
    return found


def _shown(differ: Sequence[str], leaves: Sequence[dict[str, str]]) -> dict[str, str]:
    """What a row is named by: title -> key.

    The name of a part (`encoder.name`) stands for those of its settings that always go with it.
    """
    named = [key.removesuffix(".name") for key in differ if key.endswith(".name")]

    def goes_along(key: str) -> bool:
        part = next((name for name in named if key.startswith(f"{name}.")), None)
        if part is None or key == f"{part}.name":
            return False
        values: dict[str | None, set[str | None]] = {}
        for own in leaves:
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


def _leaves(node: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Dotted keys with their values as text; a list is one value."""
    if isinstance(node, dict):
        return [
            leaf
            for key, value in node.items()
            for leaf in _leaves(value, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(node, list):
        simple = all(not isinstance(item, dict | list) for item in node)
        return [(prefix, f"[{','.join(map(str, node))}]" if simple else json.dumps(node, sort_keys=True))]
    return [(prefix, NULL if node is None else str(node).lower() if isinstance(node, bool) else str(node))]


def _has_random_weights(config: dict[str, Any]) -> bool:
    if lookup(config, "fused.random_weights") is True:
        return True
    several = config.get("encoders")
    encoders = [config.get("encoder"), *(several if isinstance(several, list) else [])]
    return any(isinstance(part, dict) and part.get("weights") == "none" for part in encoders)


def lookup(config: Any, key: str) -> Any:
    """The value of a dotted key of nested mappings; `None` where there is none."""
    for word in key.split("."):
        config = config.get(word) if isinstance(config, dict) else None
    return config


def levels(section: Document) -> dict[str, Document]:
    """A part of `metrics.json` by generator: `''` where there is one, else their names and `mean`."""
    if not section:
        return {}
    return {"": section} if all("value" in figure for figure in section.values()) else section
