"""One generator of a benchmark, in its own folder: trained, looked at, its images made and planted."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.files import write_atomically
from fingerprints.generators.fidelity import fidelity as fid_and_kid
from fingerprints.generators.fit import (
    IMAGES,
    RESULT,
    TASK,
    WEIGHTS,
    TrainedGenerator,
    Training,
    train_generator,
)
from fingerprints.generators.planted import Copy, plant
from fingerprints.generators.quality import Quality, quality
from fingerprints.runs.status import claimed
from fingerprints.simulation.memorisation import line, memorisation
from fingerprints.simulation.plan import GeneratorPlan, NonMembers, outsiders
from fingerprints.simulation.settings import SimulationSettings
from fingerprints.simulation.sources import RealImages
from fingerprints.training.processes import run_workers
from fingerprints.training.settings import TrainerSettings

FACTS, SAMPLES = "made.json", "samples.npy"
SHEET = "contact_sheet.png"
SHEET_ROWS = 8
QUALITY_IMAGES = 1000  # most of them; sets are compared at the size of the smallest


@dataclass(frozen=True)
class Fidelity:
    """That FID and KID are wanted, and with which file of Inception weights (`None`: a download)."""

    weights: Path | None


class Progress(Protocol):
    """Is told how far the simulation is."""

    def begin(self, steps: dict[str, int]) -> None:
        """Which generators will be trained, and how long each."""

    def step(self, name: str, step: int, point: dict[str, float]) -> None:
        """A step of a generator is done."""

    def trained(self, name: str, *lines: str) -> None:
        """A generator is trained and looked at; what there is to say of it."""


@dataclass(frozen=True)
class Made:
    """What a generator made.

    Attributes:
        images: `(n, S, S)` uint8, in the order of the plan's outputs; planted copies among them.
        copies: The copies, by folder; rows count within the folder, members are rows of the real images.
        facts: What `benchmark.json` says of the generator.
    """

    images: NDArray[np.uint8]
    copies: dict[str, list[Copy]]
    facts: dict[str, Any]

    def outputs(self, plan: GeneratorPlan) -> Iterator[tuple[str, NDArray[np.uint8], dict[int, Copy]]]:
        """Folder, images and copies by their row, for each folder of the plan."""
        start = 0
        for folder, count in plan.outputs.items():
            yield folder, self.images[start : start + count], {c.row: c for c in self.copies[folder]}
            start += count


def read_made(folder: Path) -> Made:
    """What `make` left in a generator's folder."""
    found = json.loads((folder / FACTS).read_text())
    copies = {name: [Copy(**copy) for copy in rows] for name, rows in found["copies"].items()}
    return Made(np.load(folder / SAMPLES, mmap_mode="r"), copies, found["facts"])


def make(
    real: RealImages,
    settings: SimulationSettings,
    plan: GeneratorPlan,
    number: int,
    folder: Path,
    *,
    progress: Progress,
    hardware: TrainerSettings,
    reuse: Path | None,
    fidelity: Fidelity | None,
) -> None:
    """Train a generator and make its images; what is done already is not done again.

    Args:
        real: The real images.
        settings: The benchmark.
        plan: The generator.
        number: Its number in the benchmark.
        folder: This generator's alone.
        progress: Told how far it is.
        hardware: Accelerator, precision, processes; resolved.
        reuse: A benchmark, or a folder of benchmarks, from which a generator is taken over that was trained
            in the same way on the same images.
        fidelity: Whether FID and KID are measured, against the kept-out images.

    Raises:
        FingerprintsError: If the training cannot be done or diverges, the folder holds another one, or
            another process is at it.
        Interrupted: If a signal asked to stop.
    """
    with claimed(folder):
        design = settings.designs[plan.design]
        members = real.images[plan.members]
        # A shared seed is that of training alone: images of two generators are never made from one noise.
        seed = seed_of(settings.seed, 0 if settings.seeds == "shared" else number, 0)
        training = Training(members, design.settings, design.steps, seed, plan.name)
        if (folder / FACTS).is_file():
            if json.loads((folder / FACTS).read_text())["training"] != training.identity:
                raise FingerprintsError(
                    f"What generator '{plan.name}' has made is of other images or settings.",
                    where=folder,
                    fix="remove the folder, or make the benchmark in another one (out=DIR)",
                )
            return
        # The benchmark itself first: `same_generator` has one generator under several names.
        for place in (folder.parents[1], reuse):
            if place is not None:
                _take_over(training, place, folder)
        generator = _train(training, folder, progress=progress, hardware=hardware)
        images, copies = _images(real, settings, plan, number, generator)
        # Other noise than that of the benchmark's own images.
        kept_out, kind = _kept_out(real, plan)
        count = max(SHEET_ROWS**2, min(QUALITY_IMAGES, len(members), len(kept_out)))
        looked_at = generator.sample(count, seed=seed_of(settings.seed, number, 1))
        figures = quality(looked_at, members, real.images[kept_out], kind=kind, seed=settings.seed)
        leak = memorisation(images, real.images, plan.members, real.groups, seed=settings.seed)
        write_image(folder / SHEET, contact_sheet(members, looked_at))
        buffer = io.BytesIO()
        np.save(buffer, images)
        write_atomically(folder / SAMPLES, buffer.getvalue())
        facts = _facts(real, settings, plan, generator, figures, folder) | {"memorisation": leak}
        if fidelity is not None:
            facts["fidelity"] = fid_and_kid(
                looked_at, real.images[kept_out], weights=fidelity.weights, accelerator=hardware.accelerator
            )
        document = {
            "training": training.identity,
            "facts": facts,
            "copies": {name: [asdict(copy) for copy in rows] for name, rows in copies.items()},
        }
        write_atomically(folder / FACTS, (json.dumps(document) + "\n").encode())
    progress.trained(
        plan.name,
        f"generator {plan.name}: {generator.steps:,} steps in {generator.seconds:,.0f} s; {figures.line()}",
        f"generator {plan.name}: {line(leak)}",
    )


def _train(
    training: Training, folder: Path, *, progress: Progress, hardware: TrainerSettings
) -> TrainedGenerator:
    if hardware.processes > 1 and not (folder / RESULT).exists():
        training.check(processes=hardware.processes)
        training.write(folder, hardware)
        run_workers("generator", folder, hardware)
        for name in (TASK, IMAGES):
            (folder / name).unlink()
    return train_generator(
        training,
        folder,
        hardware=hardware,
        report=lambda step, point: progress.step(training.name, step, point),
    )


def _take_over(training: Training, reuse: Path, folder: Path) -> None:
    """Copy a finished training of the same identity, if there is one."""
    if (folder / RESULT).exists():
        return
    for found in sorted(reuse.glob(f"**/generators/*/{RESULT}")):
        # It may be gone from where it was made: another job has just finished its benchmark.
        with contextlib.suppress(FileNotFoundError):
            if found.parent != folder and json.loads(found.read_text())["identity"] == training.identity:
                for name in (WEIGHTS, RESULT):  # the result last: it says that the training is there
                    write_atomically(folder / name, found.with_name(name).read_bytes())
                return


def _images(
    real: RealImages,
    settings: SimulationSettings,
    plan: GeneratorPlan,
    number: int,
    generator: TrainedGenerator,
) -> tuple[NDArray[np.uint8], dict[str, list[Copy]]]:
    """All images of a generator in the order of its outputs, and the copies planted among them."""
    made = generator.sample(sum(plan.outputs.values()), seed=seed_of(settings.seed, number, 2))
    copies: dict[str, list[Copy]] = {}
    start = 0
    for place, (folder, count) in enumerate(plan.outputs.items()):
        end = start + count
        made[start:end], planted = plant(
            made[start:end],
            real.images[plan.members],
            fraction=settings.planted_fraction,
            kinds=settings.planted_kinds,
            seed=seed_of(settings.seed, number, 3 + place),
        )
        start = end
        copies[folder] = [
            Copy(
                copy.row,
                int(plan.members[copy.member]),
                copy.kind,
                None if copy.second is None else int(plan.members[copy.second]),
            )
            for copy in planted
        ]
    return made, copies


def _kept_out(real: RealImages, plan: GeneratorPlan) -> tuple[NDArray[np.int64], NonMembers]:
    """Images for quality figures: the members' groups' own other ones if they are not too few."""
    found = outsiders(real.groups, plan.members)
    enough = len(found["same_groups"]) >= min(50, len(plan.members))
    kind: NonMembers = "same_groups" if enough or not len(found["other_groups"]) else "other_groups"
    return found[kind], kind


def _facts(
    real: RealImages,
    settings: SimulationSettings,
    plan: GeneratorPlan,
    generator: TrainedGenerator,
    figures: Quality,
    folder: Path,
) -> dict[str, Any]:
    return {
        "design": settings.designs[plan.design].settings.name,
        "design_number": plan.design,
        "members": len(plan.members),
        "member_groups": len({real.groups[row] for row in plan.members}),
        "nonmembers": len(plan.nonmembers),
        "outputs": plan.outputs,
        "quality": figures.describe(),
        "steps": generator.steps,
        "seconds": generator.seconds,
        "weights": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:32],
        "curve": [{key: round(value, 4) for key, value in point.items()} for point in generator.curve],
    }


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


def seed_of(seed: int, number: int, use: int) -> int:
    """A seed for each generator and use of randomness."""
    return int(np.random.SeedSequence([seed, 0x51A, number, use]).generate_state(1, np.uint32)[0])
