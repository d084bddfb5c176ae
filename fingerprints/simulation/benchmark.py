"""From real images to a labelled benchmark: trains generators on known images, and writes the task's folders.

The benchmark is built in `OUT.partial`; `OUT` appears only when the benchmark is complete. A stopped
simulation continues there, and a trained generator is not trained again. Each generator can be a job of its
own, on any machine that sees the folder; the last job to finish writes the benchmark.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fingerprints import __version__
from fingerprints.config.simulation import SimulateSettings
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.files import write_atomically
from fingerprints.core.options import plain
from fingerprints.generators.fit import CPU
from fingerprints.generators.settings import GeneratorSettings
from fingerprints.runs.provenance import peak_memory, versions
from fingerprints.runs.status import LOCK, claimed
from fingerprints.simulation.checks import check_settings, check_trainings
from fingerprints.simulation.controls import control_of
from fingerprints.simulation.generator_job import (
    RESULT,
    SAMPLES,
    GeneratorJob,
    SimulationProgress,
    read_result,
)
from fingerprints.simulation.layouts import write_tree
from fingerprints.simulation.plan import GeneratorPlan, plan_generators
from fingerprints.simulation.sources import RealImages
from fingerprints.training.settings import TrainerSettings

BENCHMARK = "benchmark.json"
FORMAT = 2
BEGUN = "simulation.json"
GENERATORS = "generators"


def make_benchmark(
    real: RealImages,
    settings: SimulateSettings,
    out: Path,
    *,
    progress: SimulationProgress,
    hardware: TrainerSettings = CPU,
) -> dict[str, Any] | None:
    """Train the generators and write the benchmark; results of an earlier call are kept.

    Args:
        real: The real images.
        settings: The benchmark. With `only` one generator is made; other processes can make the others.
            With `reuse` generators are taken over if they were trained in the same way on the same images.
        out: Its folder; `settings.out`, or a folder in it for each job of a sweep.
        progress: Receives every step.
        hardware: Accelerator, precision, processes; resolved.

    Returns:
        Content of `benchmark.json`; `None` if other generators are not finished yet.

    Raises:
        FingerprintsError: If the settings do not fit the images, `out` holds anything else, or a training
            diverges.
        Interrupted: If a signal asked to stop; the same command continues.
    """
    check_settings(settings)
    identity = {
        "format": FORMAT,
        "version": __version__,
        "settings": described(settings),
        "images": {"origin": real.origin, "count": len(real.images), "fingerprint": real.fingerprint()},
    }
    if (finished := _finished(out, identity)) is not None:
        return finished
    plans = plan_generators(real.groups, settings)
    numbers = _numbers(plans, settings.only)
    work = partial_folder(out)
    jobs = [
        GeneratorJob(real, settings, plan, n, work / GENERATORS / plan.name) for n, plan in enumerate(plans)
    ]
    started = time.monotonic()

    def assemble() -> dict[str, Any]:
        return _assemble(work, out, identity, jobs, started)

    trainings = (jobs[number].training() for number in numbers)
    check_trainings(trainings, processes=hardware.processes, listed=len(settings.designs) > 1)
    with claimed(work, shared=settings.only is not None), _or_make_way(work, alone=settings.only is None):
        _begin(work, identity)
        progress.begin({jobs[n].plan.name: settings.steps_of(jobs[n].design) for n in numbers})
        for number in numbers:
            jobs[number].run(progress=progress, hardware=hardware)
        if settings.only is None:
            return assemble()
    # Checked before the exclusive lock is taken: the lock would keep out a job that begins now.
    if not all((job.folder / RESULT).is_file() for job in jobs):
        return _finished(out, identity)
    return _assemble_alone(work, out, identity, assemble)


def _assemble_alone(
    work: Path, out: Path, identity: dict[str, Any], assemble: Callable[[], dict[str, Any]]
) -> dict[str, Any] | None:
    """Write the benchmark if no other job works on it: only the last job gets the exclusive lock."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(claimed(work))
        except (FingerprintsError, FileNotFoundError):  # another job is writing it, or has just written it
            return _finished(out, identity)
        if (finished := _finished(out, identity)) is not None:
            (work / LOCK).unlink(missing_ok=True)  # taking the lock has created the folder again
            with contextlib.suppress(OSError):
                work.rmdir()
            return finished
        return assemble()


def described(settings: SimulateSettings) -> dict[str, Any]:
    """The settings that identify the benchmark, in the form of `benchmark.json`.

    If the benchmark is not a control, the settings of controls are left out, as in earlier versions.
    """
    facts: dict[str, Any] = {
        "task": settings.task,
        "counts": plain(settings.sizes),
        "size": settings.size,
        "seed": settings.seed,
        "nonmembers": settings.nonmembers,
        "designs": [_described_design(design, settings.steps_of(design)) for design in settings.designs],
        "planted_fraction": settings.planted.fraction,
        "planted_kinds": list(settings.planted.kinds),
    }
    if control_of(settings) is not None:
        facts |= {"subsets": settings.subsets, "seeds": settings.seeds}
    return facts


def _described_design(design: GeneratorSettings, steps: int) -> dict[str, Any]:
    options = {key: value for key, value in plain(design).items() if key not in ("name", "max_steps")}
    return {"design": design.name, "steps": steps, **options}


def _numbers(plans: Sequence[GeneratorPlan], only: int | None) -> range:
    if only is None:
        return range(len(plans))
    if only >= len(plans):
        names = ", ".join(f"{number}: {plan.name}" for number, plan in enumerate(plans))
        raise FingerprintsError(
            f"There is no generator {only}; the benchmark has {len(plans)} ({names}).",
            where=f"only={only}",
            fix=f"use only=N with N from 0 to {len(plans) - 1}",
        )
    return range(only, only + 1)


def _assemble(
    work: Path, out: Path, identity: dict[str, Any], jobs: Sequence[GeneratorJob], started: float
) -> dict[str, Any]:
    """Write the images of the finished generators, then rename the folder."""
    real, settings = jobs[0].real, jobs[0].settings
    plans = [job.plan for job in jobs]
    results = {job.plan.name: read_result(job.folder) for job in jobs}
    tree = work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    planted = write_tree(tree, real, settings, plans, results)
    control = control_of(settings)
    facts = {name: result.facts for name, result in results.items()}
    document = {
        **identity,
        "control": None if control is None else asdict(control),
        "groups": {"count": len(set(real.groups)), "pseudo": real.pseudo_groups},
        "planted": planted,
        "generators": facts,
        "files": _digests(tree),
        "versions": versions(),
        "seconds": round(sum(found["seconds"] for found in facts.values()), 1),
        "last_attempt_seconds": round(time.monotonic() - started, 1),
        "peak_memory_mb": peak_memory()["host"],
    }
    _publish(work, tree, out, document)
    return document


@contextlib.contextmanager
def _or_make_way(work: Path, *, alone: bool) -> Iterator[None]:
    """On an error, remove the folder if there is no work in it, so that a corrected command can use it.

    Otherwise the fix says that other settings need another folder.

    Args:
        work: The folder in which the benchmark is built.
        alone: Whether no other process can work in it.
    """
    try:
        yield
    except FingerprintsError as error:
        if alone and all(path.name == LOCK for path in (work / GENERATORS).glob("*/*")):
            shutil.rmtree(work)
            raise
        if not (work / BEGUN).is_file() or error.where == str(work):
            raise
        aside = f"with other settings, also give another folder (out=DIR), or remove {work} first"
        fix = aside if error.fix is None else f"{error.fix}; {aside}"
        raise FingerprintsError(error.what, where=error.where, fix=fix) from error


def partial_folder(out: Path) -> Path:
    """The folder in which a benchmark is built."""
    return out.with_name(f"{out.name}.partial")


def check_out(out: Path) -> None:
    """Refuse a folder that holds anything but a benchmark; `make_benchmark` checks which benchmark it is.

    Raises:
        FingerprintsError: If it is neither empty nor a benchmark.
    """
    if out.exists() and not (out / BENCHMARK).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise FingerprintsError(
            "The output folder is not empty and not a benchmark; it is never overwritten.",
            where=f"out={out}",
            fix="out=DIR with a new folder",
        )


def _finished(out: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    check_out(out)
    if not (out / BENCHMARK).is_file():
        return None
    document = json.loads((out / BENCHMARK).read_text())
    _require_same(
        document, identity, out, "The output folder holds another benchmark; it is never overwritten"
    )
    return document


def _begin(work: Path, identity: dict[str, Any]) -> None:
    begun = work / BEGUN
    if begun.is_file():
        _require_same(
            json.loads(begun.read_text()),
            identity,
            work,
            "Another unfinished simulation uses this output folder",
        )
    else:
        write_atomically(begun, (json.dumps(identity, indent=1) + "\n").encode())


def _require_same(found: dict[str, Any], wanted: dict[str, Any], where: Path, what: str) -> None:
    different = [key for key in wanted if found.get(key) != wanted[key]]
    if not different:
        return
    if "settings" in different:
        old, new = found.get("settings", {}), wanted["settings"]
        different = [key for key in new if old.get(key) != new[key]] + [
            d for d in different if d != "settings"
        ]
    raise FingerprintsError(
        f"{what} (differences in: {', '.join(different)}).",
        where=where,
        fix="use another folder (out=DIR), or remove this one",
    )


def _digests(tree: Path) -> dict[str, dict[str, Any]]:
    """Number of files of each folder, and a digest of their names and bytes."""
    found: dict[str, dict[str, Any]] = {}
    for folder in sorted({path.parent for path in tree.rglob("*") if path.is_file()}):
        files = sorted(path for path in folder.iterdir() if path.is_file())
        digest = hashlib.sha256()
        for path in files:
            digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        name = folder.relative_to(tree).as_posix()
        found[name] = {"files": len(files), "digest": digest.hexdigest()[:32]}
    return found


def _publish(work: Path, tree: Path, out: Path, document: dict[str, Any]) -> None:
    """Rename the finished tree to `out`, the last step of all."""
    destination = tree / GENERATORS
    if destination.exists():
        shutil.rmtree(destination)
    shutil.copytree(
        work / GENERATORS,
        destination,
        ignore=shutil.ignore_patterns("*.part", "*.ckpt", LOCK, SAMPLES, RESULT),
    )
    write_atomically(tree / BENCHMARK, (json.dumps(document, indent=1) + "\n").encode())
    if out.exists():
        out.rmdir()  # empty: `check_out` has checked it
    tree.rename(out)
    shutil.rmtree(work / GENERATORS)
    for name in (BEGUN, LOCK):
        (work / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # another job has just locked it, and will remove it
        work.rmdir()
