"""The job of one generator in its own folder: train it, draw its images, plant copies, measure it."""

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

from fingerprints.config.simulation import NonMembers, SimulateSettings
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.files import write_atomically
from fingerprints.generators.fidelity import fidelity
from fingerprints.generators.fit import (
    IMAGES,
    TASK,
    TRAINED,
    WEIGHTS,
    TrainedGenerator,
    Training,
    train_generator,
)
from fingerprints.generators.planted import PlantedCopy, plant
from fingerprints.generators.quality import Quality, quality
from fingerprints.generators.settings import GeneratorSettings
from fingerprints.runs.status import claimed
from fingerprints.simulation.memorisation import memorisation, memorisation_words
from fingerprints.simulation.pictures import SHEET_ROWS, contact_sheet, write_image
from fingerprints.simulation.plan import GeneratorPlan, outsiders
from fingerprints.simulation.sources import RealImages
from fingerprints.training.hardware import TrainerSettings
from fingerprints.training.processes import run_workers

RESULT, SAMPLES = "result.json", "samples.npy"
SHEET = "contact_sheet.png"
QUALITY_IMAGES = 1000  # largest number; sets are compared at the size of the smallest


class SimulationProgress(Protocol):
    """Receives the progress of a simulation."""

    def begin(self, steps: dict[str, int]) -> None:
        """Called with the generators that will be trained, and the steps of each."""

    def step(self, name: str, step: int, point: dict[str, float]) -> None:
        """Called after each step of a generator."""

    def trained(self, name: str, *lines: str) -> None:
        """Called when a generator is trained and measured; `lines` state its quality."""


@dataclass(frozen=True)
class GeneratorResult:
    """Result of the job of a generator.

    Attributes:
        images: `(n, S, S)` uint8 generated images in the order of the plan's outputs, with planted copies.
        copies: The copies, by folder; `row` counts within the folder, `member` is a row of the real images.
        facts: The entry of the generator in `benchmark.json`.
    """

    images: NDArray[np.uint8]
    copies: dict[str, list[PlantedCopy]]
    facts: dict[str, Any]

    def outputs(self, plan: GeneratorPlan) -> Iterator[tuple[str, NDArray[np.uint8], dict[int, PlantedCopy]]]:
        """Folder, images and copies by their row, for each folder of the plan."""
        start = 0
        for folder, count in plan.outputs.items():
            yield folder, self.images[start : start + count], {c.row: c for c in self.copies[folder]}
            start += count


def read_result(folder: Path) -> GeneratorResult:
    """Read the result of a finished job from a generator's folder."""
    found = json.loads((folder / RESULT).read_text())
    copies = {name: [PlantedCopy(**copy) for copy in rows] for name, rows in found["copies"].items()}
    return GeneratorResult(np.load(folder / SAMPLES, mmap_mode="r"), copies, found["facts"])


@dataclass(frozen=True)
class GeneratorJob:
    """The work on one generator.

    Attributes:
        real: The real images.
        settings: The benchmark.
        plan: The generator.
        number: Its number in the benchmark.
        folder: Folder of this generator only.
    """

    real: RealImages
    settings: SimulateSettings
    plan: GeneratorPlan
    number: int
    folder: Path

    def run(self, *, progress: SimulationProgress, hardware: TrainerSettings) -> None:
        """Train the generator and draw its images; finished parts of the work are not repeated.

        Args:
            progress: Receives every step.
            hardware: Accelerator, precision, processes; resolved.

        Raises:
            FingerprintsError: If the training cannot be done or diverges, the folder holds another training,
                or another process works in it.
            Interrupted: If a signal asked to stop.
        """
        with claimed(self.folder):
            training = self.training()
            if self._is_done(training):
                return
            # Search this benchmark first: with `same_generator` one generator has several names.
            _take_over(training, self.folder.parents[1], self.folder)
            if self.settings.reuse is not None:
                _take_over(training, self.settings.reuse.absolute(), self.folder)
            generator = _train(training, self.folder, progress=progress, hardware=hardware)
            images, copies = self._draw_images(generator)
            figures, fidelity = self._measure(generator, accelerator=hardware.accelerator)
            leak = memorisation(
                images, self.real.images, self.plan.members, self.real.groups, seed=self.settings.seed
            )
            facts = self._facts(generator, figures) | {"memorisation": leak} | fidelity
            self._write(training, images, copies, facts)
        progress.trained(
            self.plan.name,
            f"generator {self.plan.name}: {generator.steps:,} steps in {generator.seconds:,.0f} s; "
            f"{figures.line()}",
            f"generator {self.plan.name}: {memorisation_words(leak)}",
        )

    @property
    def design(self) -> GeneratorSettings:
        """Settings of the generator."""
        return self.settings.designs[self.plan.design]

    @property
    def members(self) -> NDArray[np.uint8]:
        """`(m, S, S)` real images that train the generator."""
        return self.real.images[self.plan.members]

    def seed(self, use: int, *, number: int | None = None) -> int:
        """The seed for one use of randomness: of this generator, or of the generator with another number."""
        return seed_of(self.settings.seed, self.number if number is None else number, use)

    def training(self) -> Training:
        """How the generator is trained."""
        # Only the seed of training can be shared: two generators never make images from the same noise.
        seed = self.seed(0, number=0 if self.settings.seeds == "shared" else None)
        steps = self.settings.steps_of(self.design)
        return Training(self.members, self.design, steps, seed, self.plan.name)

    def _is_done(self, training: Training) -> bool:
        if not (self.folder / RESULT).is_file():
            return False
        if json.loads((self.folder / RESULT).read_text())["training"] != training.identity:
            raise FingerprintsError(
                f"The images of generator '{self.plan.name}' were made from other real images or settings.",
                where=self.folder,
                fix="remove the folder, or make the benchmark in another folder (out=DIR)",
            )
        return True

    def _draw_images(
        self, generator: TrainedGenerator
    ) -> tuple[NDArray[np.uint8], dict[str, list[PlantedCopy]]]:
        """All images of the generator in the order of its outputs, and the planted copies among them."""
        rows, members = self.plan.members, self.members
        images = generator.sample(sum(self.plan.outputs.values()), seed=self.seed(2))
        copies: dict[str, list[PlantedCopy]] = {}
        start = 0
        for place, (folder, count) in enumerate(self.plan.outputs.items()):
            end = start + count
            images[start:end], planted = plant(
                images[start:end],
                members,
                fraction=self.settings.planted.fraction,
                kinds=self.settings.planted.kinds,
                seed=self.seed(3 + place),
            )
            start = end
            copies[folder] = [
                PlantedCopy(
                    copy.row,
                    int(rows[copy.member]),
                    copy.kind,
                    None if copy.second is None else int(rows[copy.second]),
                )
                for copy in planted
            ]
        return images, copies

    def _measure(
        self, generator: TrainedGenerator, *, accelerator: str
    ) -> tuple[Quality, dict[str, dict[str, Any]]]:
        """Write the contact sheet; return quality, and `fidelity` (FID and KID) if requested."""
        rows, kind = _kept_out(self.real, self.plan)
        members, kept_out = self.members, self.real.images[rows]
        count = max(SHEET_ROWS**2, min(QUALITY_IMAGES, len(members), len(kept_out)))
        # Other noise than for the images of the benchmark.
        generated = generator.sample(count, seed=self.seed(1))
        write_image(self.folder / SHEET, contact_sheet(members, generated))
        figures = quality(generated, members, kept_out, kind=kind, seed=self.settings.seed)
        if not self.settings.quality.fidelity:
            return figures, {}
        weights = self.settings.quality.weights
        return figures, {"fidelity": fidelity(generated, kept_out, weights=weights, accelerator=accelerator)}

    def _facts(self, generator: TrainedGenerator, figures: Quality) -> dict[str, Any]:
        plan = self.plan
        return {
            "design": self.design.name,
            "design_number": plan.design,
            "members": len(plan.members),
            "member_groups": len({self.real.groups[row] for row in plan.members}),
            "nonmembers": len(plan.nonmembers),
            "outputs": plan.outputs,
            "quality": figures.describe(),
            "steps": generator.steps,
            "seconds": generator.seconds,
            "weights": hashlib.sha256((self.folder / WEIGHTS).read_bytes()).hexdigest()[:32],
            "curve": [{key: round(value, 4) for key, value in point.items()} for point in generator.curve],
        }

    def _write(
        self,
        training: Training,
        images: NDArray[np.uint8],
        copies: dict[str, list[PlantedCopy]],
        facts: dict[str, Any],
    ) -> None:
        """Write what `read_result` reads; `result.json` comes last and marks the job as done."""
        buffer = io.BytesIO()
        np.save(buffer, images)
        write_atomically(self.folder / SAMPLES, buffer.getvalue())
        document = {
            "training": training.identity,
            "facts": facts,
            "copies": {name: [asdict(copy) for copy in rows] for name, rows in copies.items()},
        }
        write_atomically(self.folder / RESULT, (json.dumps(document) + "\n").encode())


def _train(
    training: Training, folder: Path, *, progress: SimulationProgress, hardware: TrainerSettings
) -> TrainedGenerator:
    if hardware.processes > 1 and not (folder / TRAINED).exists():
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
    """PlantedCopy a finished training of the same identity, if there is one."""
    if (folder / TRAINED).exists():
        return
    for found in sorted(reuse.glob(f"**/generators/*/{TRAINED}")):
        # The folder may have been removed: another job has just finished its benchmark.
        with contextlib.suppress(FileNotFoundError):
            if found.parent != folder and json.loads(found.read_text())["identity"] == training.identity:
                for name in (WEIGHTS, TRAINED):  # the result comes last and marks the training as done
                    write_atomically(folder / name, found.with_name(name).read_bytes())
                return


def _kept_out(real: RealImages, plan: GeneratorPlan) -> tuple[NDArray[np.int64], NonMembers]:
    """Kept-out images for quality figures: from the members' groups if there are enough, else from others."""
    found = outsiders(real.groups, plan.members)
    enough = len(found["same_groups"]) >= min(50, len(plan.members))
    kind: NonMembers = "same_groups" if enough or not len(found["other_groups"]) else "other_groups"
    return found[kind], kind


def seed_of(seed: int, number: int, use: int) -> int:
    """A separate seed for each generator and use of randomness."""
    return int(np.random.SeedSequence([seed, 0x51A, number, use]).generate_state(1, np.uint32)[0])
