"""From real images to a labelled benchmark: generators trained on known subsets, folders of the 2025 layouts.

Everything is made in `OUT.partial` and gets its name when whole, so that a folder called OUT is always a
finished benchmark. What is begun there is gone on with: a generator that is trained is not trained again.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fingerprints import __version__
from fingerprints.errors import FingerprintsError
from fingerprints.generators.adversarial import GANSettings
from fingerprints.generators.fit import WEIGHTS, TrainedGenerator, train_generator
from fingerprints.generators.gan import check_size
from fingerprints.generators.planted import check_kinds, plant
from fingerprints.generators.quality import Quality, quality
from fingerprints.provenance import peak_memory, versions
from fingerprints.simulation.plan import (
    GeneratorPlan,
    NonMembers,
    SubsetCounts,
    UsageCounts,
    plan_subset,
    plan_usage,
)
from fingerprints.simulation.sources import RealImages
from fingerprints.status import LOCK, claimed, write_atomically

BENCHMARK = "benchmark.json"
FORMAT = 1
BEGUN = "simulation.json"
GENERATORS = "generators"
TEST_GENERATED = "test/generated_unknown"
SHEET_ROWS = 8


@dataclass(frozen=True)
class SimulationSettings:
    """What a benchmark is to be.

    Attributes:
        counts: Sizes; their kind says the task.
        size: Pixels a side.
        seed: Seed of everything.
        nonmembers: Where the non-members of `usage` come from.
        generator: The GAN.
        steps: Steps that each generator is trained.
        planted_fraction: Share of generated images replaced by changed copies of training images.
        planted_kinds: How they are changed.
    """

    counts: SubsetCounts | UsageCounts
    size: int
    seed: int
    nonmembers: NonMembers
    generator: GANSettings
    steps: int
    planted_fraction: float
    planted_kinds: tuple[str, ...]

    @property
    def task(self) -> str:
        """`subset` or `usage`."""
        return "subset" if isinstance(self.counts, SubsetCounts) else "usage"

    @property
    def needed(self) -> int:
        """Real images that the benchmark uses."""
        counts = self.counts
        if isinstance(counts, SubsetCounts):
            return counts.subsets * counts.real
        return counts.members + counts.nonmembers + counts.test_members + counts.test_nonmembers

    def describe(self) -> dict[str, Any]:
        """Plain data."""
        return json.loads(json.dumps({"task": self.task, **asdict(self)}))


class Progress(Protocol):
    """Is told how far the simulation is."""

    def begin(self, plans: Sequence[GeneratorPlan], steps: int) -> None:
        """What will be trained."""

    def step(self, name: str, step: int, point: dict[str, float]) -> None:
        """A step of a generator is done."""

    def trained(self, name: str, generator: TrainedGenerator, quality: Quality) -> None:
        """A generator is trained and looked at."""


def make_benchmark(
    real: RealImages,
    settings: SimulationSettings,
    out: Path,
    *,
    progress: Progress,
    accelerator: str = "cpu",
    precision: str = "32-true",
) -> dict[str, Any]:
    """Train the generators and write the benchmark; one that is begun or finished is taken up.

    Args:
        real: The real images.
        settings: What to make.
        out: Its folder.
        progress: Told how far it is.
        accelerator: `cpu` or `gpu`.
        precision: As Lightning's Trainer takes it.

    Returns:
        What `benchmark.json` holds.

    Raises:
        FingerprintsError: If the settings do not fit the images, `out` holds anything else, or a training
            diverges.
        Interrupted: If a signal asked to stop; the same command goes on.
    """
    check_size(settings.size)
    check_kinds(settings.planted_kinds)
    identity = {
        "format": FORMAT,
        "version": __version__,
        "settings": settings.describe(),
        "images": {"origin": real.origin, "count": len(real.images), "fingerprint": real.fingerprint()},
    }
    if (finished := _finished(out, identity)) is not None:
        return finished
    plans = make_plans(real, settings)
    work = partial_folder(out)
    with claimed(work):
        _begin(work, identity)
        started = time.monotonic()
        progress.begin(plans, settings.steps)
        generators = {}
        for number, plan in enumerate(plans):
            generators[plan.name] = _train(
                real, plan, settings, work, number, progress, accelerator=accelerator, precision=precision
            )
        shutil.rmtree(work / "tree", ignore_errors=True)
        tree = work / "tree"
        planted = _write_tree(tree, real, plans, generators, settings)
        document = {
            **identity,
            "groups": {"count": len(set(real.groups)), "pseudo": real.pseudo_groups},
            "planted": planted,
            "generators": {
                plan.name: _facts(real, plan, *generators[plan.name], weights=_weights(work, plan.name))
                for plan in plans
            },
            "files": _digests(tree),
            "versions": versions(),
            "seconds": round(sum(g.seconds for g, _ in generators.values()), 1),
            "last_attempt_seconds": round(time.monotonic() - started, 1),
            "peak_memory_mb": peak_memory()["host"],
        }
        _publish(work, tree, out, document)
    return document


def make_plans(real: RealImages, settings: SimulationSettings) -> list[GeneratorPlan]:
    """Who trains which generator.

    Raises:
        FingerprintsError: If the images or their groups do not allow what is asked for.
    """
    if isinstance(settings.counts, SubsetCounts):
        return plan_subset(real.groups, settings.counts, seed=settings.seed)
    return plan_usage(real.groups, settings.counts, nonmembers=settings.nonmembers, seed=settings.seed)


def partial_folder(out: Path) -> Path:
    """Where a benchmark is while it is being made."""
    return out.with_name(f"{out.name}.partial")


def check_out(out: Path) -> None:
    """Refuse a folder that holds anything but a benchmark; which benchmark, `make_benchmark` looks at.

    Raises:
        FingerprintsError: If it is not empty and no benchmark.
    """
    if out.exists() and not (out / BENCHMARK).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise FingerprintsError(
            "The output folder holds something else; it is never overwritten.",
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
            "Another simulation was begun for this output folder and not finished",
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
        f"{what} (it differs in: {', '.join(different)}).",
        where=where,
        fix="out=DIR with another folder, or remove this one",
    )


def _train(
    real: RealImages,
    plan: GeneratorPlan,
    settings: SimulationSettings,
    work: Path,
    number: int,
    progress: Progress,
    *,
    accelerator: str,
    precision: str,
) -> tuple[TrainedGenerator, Quality]:
    members = real.images[plan.members]
    generator = train_generator(
        members,
        settings=settings.generator,
        steps=settings.steps,
        seed=_seed(settings.seed, number, 0),
        folder=work / GENERATORS / plan.name,
        name=plan.name,
        accelerator=accelerator,
        precision=precision,
        report=lambda step, point: progress.step(plan.name, step, point),
    )
    # Other latent vectors than those of the benchmark's own images.
    looked_at = generator.sample(
        max(SHEET_ROWS**2, min(1000, len(plan.kept_out))), seed=_seed(settings.seed, number, 1)
    )
    figures = quality(
        looked_at, members, real.images[plan.kept_out], kind=plan.kept_out_kind, seed=settings.seed
    )
    write_image(work / GENERATORS / plan.name / "contact_sheet.png", contact_sheet(members, looked_at))
    progress.trained(plan.name, generator, figures)
    return generator, figures


def _write_tree(
    tree: Path,
    real: RealImages,
    plans: Sequence[GeneratorPlan],
    generators: dict[str, tuple[TrainedGenerator, Quality]],
    settings: SimulationSettings,
) -> dict[str, Any]:
    """All images with their tables; says what was planted."""
    rng = np.random.default_rng([settings.seed, 0x7E57])
    real_files: dict[int, str] = {}
    truth: list[tuple[str, str]] = []
    pending: list[
        tuple[NDArray[np.uint8], str, int | None, str]
    ] = []  # test images: pixels, label, member, kind
    planted: list[tuple[str, str, str]] = []
    for number, plan in enumerate(plans):
        _write_real(tree, real, plan, settings.task, rng, real_files, truth)
        made = generators[plan.name][0].sample(
            sum(plan.outputs.values()), seed=_seed(settings.seed, number, 2)
        )
        start = 0
        for place, (folder, count) in enumerate(plan.outputs.items()):
            images, copies = plant(
                made[start : start + count],
                real.images[plan.members],
                fraction=settings.planted_fraction,
                kinds=settings.planted_kinds,
                seed=_seed(settings.seed, number, 3 + place),
            )
            start += count
            copied = {row: (int(plan.members[member]), kind) for row, member, kind in copies}
            if folder == TEST_GENERATED:
                pending += [(image, plan.name, *copied.get(i, (None, ""))) for i, image in enumerate(images)]
                continue
            stem = folder.replace("/", "_") if folder.startswith("test/") else folder.rsplit("/", 1)[-1]
            for i, image in enumerate(images):
                file = f"{folder}/{stem}_{i:06d}.png"
                write_image(tree / file, image)
                if i in copied:
                    planted.append((file, real_files[copied[i][0]], copied[i][1]))
    for i, at in enumerate(rng.permutation(len(pending)).tolist()):
        image, label, member, kind = pending[at]
        file = f"{TEST_GENERATED}/generated_unknown_{i:06d}.png"
        write_image(tree / file, image)
        truth.append((f"generated_unknown_{i:06d}", label))
        if member is not None:
            planted.append((file, real_files[member], kind))
    by_file = sorted((file, row) for row, file in real_files.items())
    _write_rows(tree / "test_truth.csv", truth)
    _write_rows(
        tree / "groups.csv", [("file", "group"), *((file, real.groups[row]) for file, row in by_file)]
    )
    _write_rows(
        tree / "sources.csv", [("file", "source"), *((file, real.names[row]) for file, row in by_file)]
    )
    if planted:
        _write_rows(tree / "planted.csv", [("generated", "member", "kind"), *sorted(planted)])
    return {
        "fraction": settings.planted_fraction,
        "kinds": list(settings.planted_kinds) if planted else [],
        "copies": len(planted),
    }


def _write_real(
    tree: Path,
    real: RealImages,
    plan: GeneratorPlan,
    task: str,
    rng: np.random.Generator,
    files: dict[int, str],
    truth: list[tuple[str, str]],
) -> None:
    """Real images in random order, so that a name says nothing."""
    if task == "subset":
        for i, row in enumerate(rng.permutation(plan.members).tolist()):
            files[row] = f"real/{plan.name}/real_{plan.name}_{i:05d}.png"
    elif plan.name == "training":
        for folder, rows in (("real_used", plan.members), ("real_not_used", plan.nonmembers)):
            for i, row in enumerate(rng.permutation(rows).tolist()):
                files[row] = f"{folder}/{folder}_{i:05d}.png"
    else:
        members = set(plan.members.tolist())
        for i, row in enumerate(rng.permutation(np.concatenate([plan.members, plan.nonmembers])).tolist()):
            files[row] = f"test/real_unknown/real_unknown_{i:05d}.png"
            truth.append((f"real_unknown_{i:05d}", str(int(row in members))))
    for row in (*plan.members.tolist(), *plan.nonmembers.tolist()):
        write_image(tree / files[row], real.images[row])


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write `(H, W)` uint8 as PNG: the one way for real and generated images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, optimize=True)


def contact_sheet(real: NDArray[np.uint8], generated: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Eight by eight training images at the left, as many generated ones at the right."""

    def grid(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        side = images.shape[-1]
        cells = np.zeros((SHEET_ROWS**2, side, side), dtype=np.uint8)
        rows = np.linspace(0, len(images) - 1, min(len(images), SHEET_ROWS**2)).astype(int)
        cells[: len(rows)] = images[rows]
        return cells.reshape(SHEET_ROWS, SHEET_ROWS, side, side).swapaxes(1, 2).reshape(SHEET_ROWS * side, -1)

    left, right = grid(real), grid(generated)
    gap = np.full((len(left), real.shape[-1] // 8), 255, dtype=np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def _facts(
    real: RealImages, plan: GeneratorPlan, generator: TrainedGenerator, figures: Quality, *, weights: str
) -> dict[str, Any]:
    return {
        "members": len(plan.members),
        "member_groups": len({real.groups[row] for row in plan.members}),
        "nonmembers": len(plan.nonmembers),
        "kept_out": len(plan.kept_out),
        "outputs": plan.outputs,
        "quality": figures.describe(),
        "steps": generator.steps,
        "seconds": generator.seconds,
        "weights": weights,
        "curve": [{key: round(value, 4) for key, value in point.items()} for point in generator.curve],
    }


def _weights(work: Path, name: str) -> str:
    content = (work / GENERATORS / name / WEIGHTS).read_bytes()
    return hashlib.sha256(content).hexdigest()[:32]


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
    """Give the finished benchmark its name; the last step of all."""
    destination = tree / GENERATORS
    if destination.exists():
        shutil.rmtree(destination)
    shutil.copytree(work / GENERATORS, destination, ignore=shutil.ignore_patterns("*.part", "*.ckpt"))
    write_atomically(tree / BENCHMARK, (json.dumps(document, indent=1) + "\n").encode())
    if out.exists():
        out.rmdir()  # empty: `check_out` has looked
    tree.rename(out)
    shutil.rmtree(work / GENERATORS)
    for name in (BEGUN, LOCK):
        (work / name).unlink(missing_ok=True)
    work.rmdir()


def _write_rows(path: Path, rows: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows(rows)


def _seed(seed: int, number: int, use: int) -> int:
    """A seed for each generator and use of randomness."""
    return int(np.random.SeedSequence([seed, 0x51A, number, use]).generate_state(1, np.uint32)[0])
