"""The run folder: its files, and the functions that read it.

Needs neither torch nor pandas, so that every command can read a run folder quickly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fingerprints.core.errors import FingerprintsError, command
from fingerprints.core.files import write_atomically
from fingerprints.core.tasks import Task, get_task
from fingerprints.runs.figures import Document, by_generator, figure, overall
from fingerprints.runs.status import FINISHED, INTERRUPTED, NOT_STARTED, REFUSED, RUNNING, STATUS, is_gone

CONFIG, METRICS, PREDICTIONS, RUN_FILE = "config.yaml", "metrics.json", "predictions.csv", "run.csv"
REPORT, CHECKPOINTS, LOG = "report.html", "checkpoints", "train.log"
SWEEP = "sweep.json"  # in the folder above the jobs of a sweep
DEPTH = 3  # levels below a sweep folder at which a job's folder may lie (hydra.sweep.subdir)


@dataclass(frozen=True)
class RunRecord:
    """One run, as read from its folder.

    Attributes:
        folder: The run folder.
        name: Its name in tables: its folder's name, or its path below the sweep's folder.
        state: `running`, `finished`, `failed`, `stopped`; `interrupted` if the status is `running` but the
            process has ended; `not started` if the folder is empty.
        config: The resolved configuration as plain data; empty if the run failed before it was written.
        metrics: Content of `metrics.json`; empty before the run finished.
        error: Why it failed, or `None`.
        overrides: Overrides of the command line.
        started_in: The working directory to which relative paths of the configuration refer, if known.
        seconds: Wall time, or `None`.
    """

    folder: Path
    name: str
    state: str
    config: dict[str, Any]
    metrics: Document
    error: str | None = None
    overrides: tuple[str, ...] = ()
    started_in: Path | None = None
    seconds: float | None = None

    @property
    def task_name(self) -> str:
        """The name of its task; empty if unknown."""
        return str(self.config.get("task") or self.metrics.get("task") or "")

    @property
    def task(self) -> Task:
        """Its task, with the official metric of its layout.

        Raises:
            FingerprintsError: If it is unknown, or there is no such task.
        """
        return get_task(self.task_name, official=self.setting("data.official"))

    @property
    def experiment(self) -> str:
        """The name of its experiment; empty if unknown."""
        return str(self.config.get("name") or self.metrics.get("experiment") or "")

    @property
    def fingerprint(self) -> str | None:
        """Digest of its images with their roles, labels and splits."""
        return self.metrics.get("run", {}).get("data_fingerprint")

    @property
    def native_sizes(self) -> dict[str, dict[str, int]] | None:
        """Images of the training part by domain and size before scaling; `None` if it did not record them."""
        return self.metrics.get("run", {}).get("native_sizes")

    @property
    def groups_given(self) -> bool:
        """Whether its groups (patients) were given, as far as it recorded that."""
        return bool(self.metrics.get("run", {}).get("groups_given"))

    @property
    def verdict(self) -> Document | None:
        """`level`, `headline` and `notes` of its verdict; `None` if it was stopped before there was one."""
        return self.metrics.get("verdict")

    def called_used(self, generator: str = "") -> tuple[int, int] | None:
        """Images called used, and all images, of the part that `usage` was judged on; `None` if unknown."""
        part = (self.metrics.get("patients") or {}).get(generator or "patients")
        if part is None:
            return None
        return sum(one["called"] for one in part["patients"]), sum(one["images"] for one in part["patients"])

    def setting(self, key: str) -> Any:
        """The value of a dotted key in its configuration; `None` if there is no such key."""
        value: Any = self.config
        for word in key.split("."):
            value = value.get(word) if isinstance(value, dict) else None
        return value

    def by_generator(self, part: str) -> dict[str, Document]:
        """Figures of a part by generator: `''` if there is only one, else their names and `MEAN`."""
        return by_generator(self.metrics.get(part) or {})

    def figures(self, part: str) -> Document:
        """Figures of the one generator, or their mean over several; empty if there are none."""
        return overall(self.metrics.get(part) or {})

    def figure(self, part: str, name: str) -> Document | None:
        """One figure of a part (with several generators their mean); `None` if there is none."""
        return figure(self.metrics.get(part) or {}, name)

    def path(self, text: str) -> Path:
        """A path from its configuration, made absolute: it may be relative to where the run was started."""
        path = Path(text)
        if path.is_absolute() or path.exists() or self.started_in is None:
            return path
        return self.started_in / path


def read_run(folder: str | Path) -> RunRecord:
    """Read the run in a folder; runs of earlier versions can be read too.

    Raises:
        FingerprintsError: If the folder holds no configuration, or one that cannot be read.
    """
    folder = Path(folder)
    return _record(
        folder, folder.name, _read_json(folder / STATUS), read_config(folder), read_metrics(folder)
    )


def read_job(folder: str | Path, *, name: str | None = None) -> RunRecord:
    """The outcome of a job of a sweep, even if it failed before its configuration was written.

    If the job was refused because its folder holds another run, the record is about the job and not about
    that run.

    Args:
        folder: The job's folder, which exists.
        name: Its name in tables; by default its folder's name.

    Raises:
        FingerprintsError: If the configuration cannot be read.
    """
    folder = Path(folder)
    name = folder.name if name is None else name
    if (refused := _read_json(folder / REFUSED)) is not None:
        return _record(folder, name, refused, {}, {})
    config = read_config(folder) if (folder / CONFIG).is_file() else {}
    return _record(folder, name, _read_json(folder / STATUS), config, read_metrics(folder))


def _record(
    folder: Path, name: str, status: dict[str, Any] | None, config: dict[str, Any], metrics: Document
) -> RunRecord:
    if status is None:
        # A folder of an earlier version has no status: its files show how far the run got.
        status = {"state": FINISHED if metrics else INTERRUPTED if config else NOT_STARTED}
    elif status.get("state") == RUNNING and is_gone(status):
        status = {**status, "state": INTERRUPTED}
    seconds = status.get("seconds")
    return RunRecord(
        folder=folder,
        name=name,
        state=str(status.get("state", "unknown")),
        config=config,
        metrics=metrics,
        error=status.get("error"),
        overrides=tuple(status.get("overrides") or ()),
        started_in=Path(status["cwd"]) if status.get("cwd") else None,
        seconds=metrics.get("run", {}).get("seconds") if seconds is None else seconds,
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The resolved configuration of a run, as plain data.

    Raises:
        FingerprintsError: If there is none, or it cannot be read.
    """
    import yaml
    from omegaconf import OmegaConf  # imported here, so that help texts appear quickly
    from omegaconf.errors import OmegaConfBaseException

    path = folder / CONFIG
    if not path.is_file():
        raise FingerprintsError(
            f"This is no run folder: it has no {CONFIG}.",
            where=folder,
            fix="give the folder that `python -m fingerprints.train` printed (run_dir)",
        )
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
        if not isinstance(config, dict):
            raise ValueError("it is not a mapping of keys to values")
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
        raise FingerprintsError(
            f"The run's configuration cannot be read: {error}", where=path, fix="start a new run"
        ) from error
    return config


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write the resolved configuration of a run."""
    from omegaconf import OmegaConf

    write_atomically(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(config)).encode())


def read_metrics(folder: Path) -> Document:
    """Content of `metrics.json`; empty if there is no such file, or its writer was killed half-way."""
    return _read_json(folder / METRICS) or {}


def write_metrics(folder: Path, document: Document) -> None:
    """Write `metrics.json`, the last file of a run: it marks a finished one."""
    write_atomically(folder / METRICS, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        read = json.loads(path.read_text())
    except (OSError, ValueError):  # absent, or incomplete because its writer was killed
        return None
    return read if isinstance(read, dict) else None


def refuse_used_folder(folder: Path, *, fix: str | None = None) -> None:
    """Refuse a folder that already holds a run.

    Args:
        folder: The folder for a new run.
        fix: Advice if it already holds a run; by default the advice for the training command.

    Raises:
        FingerprintsError: If the folder already holds one.
    """
    if (folder / CONFIG).exists():
        raise FingerprintsError(
            "The run folder already holds a run.",
            where=folder,
            fix=fix
            or "use another folder (run_dir=DIR), or continue that run: "
            + command("train", f"resume={folder}"),
        )


def holds_run(folder: Path) -> bool:
    """Whether a folder is the folder of one run, finished or not."""
    return any((folder / name).is_file() for name in (STATUS, CONFIG, REFUSED))


def read_sweep(folder: str | Path) -> list[RunRecord]:
    """The jobs of a sweep, in the order of their folders' names; a job's name is its path below the sweep.

    Raises:
        FingerprintsError: If there is no such folder, or it is the folder of one run.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FingerprintsError("There is no such sweep folder.", where=folder, fix="give hydra.sweep.dir")
    if holds_run(folder):
        raise FingerprintsError(
            "This is the folder of one run, not of a sweep.", where=folder, fix="give the folder above it"
        )
    found = sorted(_job_folders(folder, DEPTH), key=natural_order)
    return [read_job(path, name=path.relative_to(folder).as_posix()) for path in found]


def _job_folders(folder: Path, depth: int, above: Sequence[Path] = ()) -> Iterator[Path]:
    above = [*above, folder.resolve()]
    for path in folder.iterdir():
        if path.name.startswith(".") or not path.is_dir() or path.resolve() in above:  # a link that leads up
            continue
        if holds_run(path):
            yield path
        elif path.name.isdigit() and not any(path.iterdir()):
            yield path  # empty: made for a job that did not start
        elif depth > 1:
            yield from _job_folders(path, depth - 1, above)


def natural_order(path: Path) -> list[tuple[int, str]]:
    """A key to sort paths: numbers in names are compared as numbers, so that 2 comes before 10."""
    words = re.split(r"(\d+)", path.as_posix())
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in words]


def find_runs(patterns: Sequence[str], *, within: Path | None = None) -> list[RunRecord]:
    """The runs in the folders that match globs; a sweep folder stands for all its jobs.

    Args:
        patterns: Globs or names of folders, absolute or relative; `**` stands for any number of folders.
        within: The folder that relative globs start from; the working directory by default.

    Raises:
        FingerprintsError: If a glob matches nothing, or no folder that it matches is or holds a run.
    """
    base = Path.cwd() if within is None else within
    matches = {pattern: _glob(base, pattern) for pattern in patterns}
    without = [pattern for pattern, matched in matches.items() if not matched]
    if without or not matches:
        raise FingerprintsError(
            f"Nothing matches {_listed(without) if without else 'an empty list'}.",
            where=f"runs (from {base})",
            fix="give the folders of finished runs: runs='outputs/*/*', in quotes so that the shell does not"
            " expand it",
        )
    runs: dict[Path, RunRecord] = {}
    for pattern, matched in matches.items():
        found = _runs_in(matched)
        if not found and (len(matches) == 1 or not any(map(_is_part_of_run, matched))):
            raise FingerprintsError(
                f"'{pattern}' matches {len(matched)} file(s) and folder(s), but none of them is or holds a "
                "run.",
                where="runs",
                fix="give folders of runs (they hold config.yaml and metrics.json), or of sweeps",
            )
        for run in found:
            runs.setdefault(run.folder.resolve(), run)
    return list(runs.values())


def _listed(patterns: Sequence[str]) -> str:
    return ", ".join(f"'{pattern}'" for pattern in patterns)


def _runs_in(folders: Sequence[Path]) -> list[RunRecord]:
    """The runs that folders are or hold."""
    runs: list[RunRecord] = []
    for folder in folders:
        if not folder.is_dir():
            continue
        if holds_run(folder):
            runs.append(read_job(folder))
        elif not _is_part_of_run(folder):
            runs += read_sweep(folder)
    return runs


def _is_part_of_run(folder: Path) -> bool:
    """Whether a folder lies in the folder of a run, as `checkpoints` does."""
    return any(holds_run(above) for above in folder.parents)


def _glob(base: Path, pattern: str) -> list[Path]:
    """What a glob matches; folders that exist are meant even if their names look like globs (`a[1]`)."""
    path = Path(pattern).expanduser()
    if path.is_absolute():
        base, path = Path(path.anchor), path.relative_to(path.anchor)
    start, parts = base, list(path.parts)
    while parts and (start / parts[0]).exists():
        start /= parts.pop(0)
    if not parts:
        return [start]
    return sorted(start.glob(str(Path(*parts))), key=natural_order) or sorted(
        base.glob(str(path)), key=natural_order
    )


def short_names(folders: Sequence[Path]) -> list[str]:
    """The shortest end of each path by which all of them differ."""
    resolved = [folder.resolve() for folder in folders]
    longest = max((len(path.parts) for path in resolved), default=1)
    for count in range(1, longest + 1):
        names = ["/".join(path.parts[-count:]) for path in resolved]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in resolved]


def leaves(node: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Dotted keys of nested mappings with their values; a list is one value."""
    if not isinstance(node, dict):
        yield prefix, node
        return
    for key, value in node.items():
        yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
