"""Training one generator in a folder, where an interrupted training continues."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from safetensors.torch import save

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.files import write_atomically
from fingerprints.core.options import build_option, part_of, plain
from fingerprints.core.signals import deferred
from fingerprints.core.weights import load_into, read_weights
from fingerprints.generators.batches import GeneratorData
from fingerprints.generators.module import GeneratorModule, diverged
from fingerprints.generators.settings import GeneratorSettings
from fingerprints.training.checkpoint import LAST, Checkpoints
from fingerprints.training.hardware import TrainerSettings, make_trainer

TRAINED = "training.json"
WEIGHTS = "generator.safetensors"
TASK, IMAGES = "task.json", "task_images.npy"
CHECKPOINT_STEPS = 250
LEAST_BATCH = 2  # as the settings of the generators allow
CPU = TrainerSettings(accelerator="cpu")

StepReport = Callable[[int, dict[str, float]], None]  # steps done so far, and the last point of the curve


@dataclass(frozen=True)
class TrainedGenerator:
    """Result of a training.

    Attributes:
        module: The module; `module.sampler` makes the images.
        steps: Number of training steps.
        seconds: Training time, without interruptions.
        curve: A row every so many steps: losses and mean scores.
        accelerator: Device for making images, `cpu` or `gpu`.
    """

    module: GeneratorModule
    steps: int
    seconds: float
    curve: list[dict[str, float]]
    accelerator: str = "cpu"

    def sample(self, n: int, *, seed: int) -> NDArray[np.uint8]:
        """`(n, S, S)` generated images."""
        if self.accelerator != "cpu":
            self.module.cuda()
        try:
            return self.module.sample(n, seed=seed).numpy()
        finally:
            self.module.cpu()


@dataclass(frozen=True)
class Training:
    """Everything that determines the result of a training.

    Attributes:
        images: `(n, S, S)` uint8.
        settings: Settings of the design.
        steps: Number of training steps.
        seed: Seed of weights, order, noise and augmentation.
        name: Name of the generator in messages.
    """

    images: NDArray[np.uint8]
    settings: GeneratorSettings
    steps: int
    seed: int
    name: str

    @property
    def identity(self) -> str:
        """Digest of everything that the weights depend on."""
        # `max_steps` is left out: `steps` holds the number, no matter if from there or from the scale.
        options = ", ".join(
            f"{item.name}={getattr(self.settings, item.name)!r}"
            for item in fields(self.settings)
            if item.name != "max_steps"
        )
        settings = f"{type(self.settings).__name__}({options})"
        digest = hashlib.blake2b(np.ascontiguousarray(self.images).tobytes(), digest_size=16)
        digest.update(f"({self.images.shape}, {settings}, {self.steps}, {self.seed})".encode())
        return digest.hexdigest()

    def check(self, *, processes: int = 1) -> None:
        """Refuse a training that is not possible.

        Raises:
            FingerprintsError: If there are fewer images than a batch needs, or a batch cannot be shared
                evenly among the processes.
        """
        batch = self.settings.batch_size
        if len(self.images) < batch:
            most = len(self.images) // processes * processes
            smaller = f", or a smaller batch: generator.batch_size={most}" if most >= LEAST_BATCH else ""
            raise FingerprintsError(
                f"Generator '{self.name}' would be trained on {len(self.images)} image(s), fewer than one "
                f"batch of {batch}.",
                where=f"generators/{self.name}",
                fix=f"use more images{smaller}",
            )
        if batch % processes:
            raise FingerprintsError(
                f"A batch of {batch} images cannot be shared evenly among {processes} processes.",
                where=f"generators/{self.name}",
                fix="set generator.batch_size=N to a multiple of the number of devices",
            )

    def write(self, folder: Path, hardware: TrainerSettings) -> None:
        """Write it for other processes, with the hardware that they must use; `read` reads it."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / IMAGES, self.images)
        facts = {
            "settings": plain(self.settings),
            "steps": self.steps,
            "seed": self.seed,
            "name": self.name,
            "hardware": asdict(hardware),
        }
        write_atomically(folder / TASK, json.dumps(facts).encode())

    @classmethod
    def read(cls, folder: Path) -> tuple[Training, TrainerSettings]:
        """Read what `write` wrote."""
        facts = json.loads((folder / TASK).read_text())
        settings: GeneratorSettings = build_option("generator", facts["settings"])
        training = cls(np.load(folder / IMAGES), settings, facts["steps"], facts["seed"], facts["name"])
        return training, TrainerSettings(**facts["hardware"])


class _Clock(Callback):
    """Reports each step and sums up the training time across interruptions."""

    def __init__(self, report: StepReport | None) -> None:
        self.report = report
        self.seconds, self._since = 0.0, time.perf_counter()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.perf_counter()
        self.seconds, self._since = self.seconds + now - self._since, now
        if self.report is not None:
            self.report(batch.step + 1, pl_module.curve[-1] if pl_module.curve else {})

    def state_dict(self) -> dict[str, float]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.seconds = state_dict["seconds"]


def train_generator(
    training: Training, folder: Path, *, hardware: TrainerSettings = CPU, report: StepReport | None = None
) -> TrainedGenerator:
    """Train a generator on real images; a training in the folder is continued, or read if it is finished.

    With several processes each of them calls this function; the main one writes.

    Args:
        training: What to train.
        folder: Folder of this generator only.
        hardware: Accelerator, precision, processes; resolved.
        report: Called after each step.

    Raises:
        FingerprintsError: If there are fewer images than a batch needs, the networks cannot make images of
            this size, the folder holds another training, or the training diverges.
        Interrupted: If a signal asked to stop; the checkpoint was written before.
    """
    training.check(processes=hardware.processes)
    module = _new_module(training)
    if (folder / TRAINED).exists():
        return _read_trained(module, folder, accelerator=hardware.accelerator)
    clock = _Clock(report)
    trainer = _fit(module, training, folder, hardware=hardware, clock=clock)
    tensors = {key: value.contiguous() for key, value in module.sampler.state_dict().items()}
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):  # since the curve's last point
        raise diverged(training.name, step=training.steps, what="weights")
    seconds = round(clock.seconds, 1)
    if trainer.is_global_zero:
        write_atomically(folder / WEIGHTS, save(tensors))
        facts = {
            "identity": module.identity,
            "steps": training.steps,
            "seconds": seconds,
            "curve": module.curve,
        }
        write_atomically(folder / TRAINED, (json.dumps(facts, indent=1) + "\n").encode())
        (folder / LAST).unlink(missing_ok=True)  # the optimisers' state is three times the weights
    return TrainedGenerator(module, training.steps, seconds, module.curve, hardware.accelerator)


def _new_module(training: Training) -> GeneratorModule:
    """The untrained module; its weights depend only on the training's seed."""
    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        return part_of(training.settings)(
            size=training.images.shape[-1],
            settings=training.settings,
            name=training.name,
            log_every=min(50, training.steps),
            identity=training.identity,
        )


def _read_trained(module: GeneratorModule, folder: Path, *, accelerator: str) -> TrainedGenerator:
    """The finished training of a folder, its weights loaded into `module`."""
    found = json.loads((folder / TRAINED).read_text())
    module.on_load_checkpoint({**found, "sums": torch.zeros(0)})
    load_into(module.sampler, read_weights(folder / WEIGHTS), where=folder / WEIGHTS)
    return TrainedGenerator(module.eval(), found["steps"], found["seconds"], found["curve"], accelerator)


def _fit(
    module: GeneratorModule, training: Training, folder: Path, *, hardware: TrainerSettings, clock: _Clock
) -> pl.Trainer:
    """Train `module` to the end, from the folder's checkpoint if there is one; then move it to the CPU."""
    checkpoints = Checkpoints(
        every_steps=CHECKPOINT_STEPS, dirpath=folder, save_top_k=0, enable_version_counter=False
    )
    if hardware.processes > 1:  # each network of a GAN is unused in the other's step
        hardware = replace(hardware, strategy="ddp_find_unused_parameters_true")  # type: ignore[arg-type]
    trainer = make_trainer(replace(hardware, max_epochs=1), callbacks=[clock, checkpoints], validate=False)
    data = GeneratorData(
        training.images, batch_size=training.settings.batch_size, steps=training.steps, seed=training.seed
    )
    last = folder / LAST
    if trainer.is_global_zero:
        for stale in folder.glob("*.part"):  # left behind when their writer was killed
            stale.unlink()
    with deferred():
        trainer.fit(module, datamodule=data, ckpt_path=last if last.exists() else None, weights_only=True)
    module.eval().cpu()
    return trainer
