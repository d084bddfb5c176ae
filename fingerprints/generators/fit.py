"""Training one generator into a folder: begun, interrupted and gone on with, finished."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from safetensors.torch import save

from fingerprints.encoders.weights import load_into, read_weights
from fingerprints.errors import FingerprintsError
from fingerprints.generators.adversarial import GANModule, GANSettings, diverged, sample
from fingerprints.generators.steps import RealImages
from fingerprints.interruption import deferred
from fingerprints.status import write_atomically
from fingerprints.training.checkpoint import LAST, Checkpoints
from fingerprints.training.hardware import TrainerSettings, make_trainer

RESULT = "training.json"
WEIGHTS = "generator.safetensors"
CHECKPOINT_STEPS = 250

Steps = Callable[[int, dict[str, float]], None]  # steps done so far, and the last point of the curve


@dataclass(frozen=True)
class TrainedGenerator:
    """What a training leaves.

    Attributes:
        module: The module; `module.sampler` makes the images.
        steps: Steps trained.
        seconds: Time they took, without interruptions.
        curve: A row every so many steps: losses and mean scores.
    """

    module: GANModule
    steps: int
    seconds: float
    curve: list[dict[str, float]]

    def sample(self, n: int, *, seed: int) -> NDArray[np.uint8]:
        """`(n, S, S)` generated images."""
        return sample(self.module.sampler, n, seed=seed).numpy()


class _Clock(Callback):
    """Tells how far the training is; keeps its time across interruptions."""

    def __init__(self, report: Steps | None) -> None:
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
    images: NDArray[np.uint8],
    *,
    settings: GANSettings,
    steps: int,
    seed: int,
    folder: Path,
    name: str,
    accelerator: str = "cpu",
    precision: str = "32-true",
    report: Steps | None = None,
) -> TrainedGenerator:
    """Train a generator on real images; a folder that holds the training, or its beginning, is gone on with.

    Args:
        images: `(n, S, S)` uint8.
        settings: The GAN.
        steps: Steps to train.
        seed: Seed of weights, order, latent vectors and augmentation.
        folder: This generator's alone.
        name: What messages call it.
        accelerator: `cpu` or `gpu`.
        precision: As Lightning's Trainer takes it.
        report: Called after each step.

    Raises:
        FingerprintsError: If the images are fewer than a batch, the size is none that the networks can
            make, the folder holds another training, or the training diverges.
        Interrupted: If a signal asked to stop; the checkpoint is written.
    """
    if len(images) < settings.batch_size:
        raise FingerprintsError(
            f"Generator '{name}' would be trained on {len(images)} image(s), fewer than one batch of "
            f"{settings.batch_size}.",
            where=f"generators/{name}",
            fix="more images, or generator.batch_size=N",
        )
    identity = _identity(images, settings, steps=steps, seed=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = GANModule(
            size=images.shape[-1], settings=settings, name=name, log_every=min(50, steps), identity=identity
        )
    if (folder / RESULT).exists():
        found = json.loads((folder / RESULT).read_text())
        module.on_load_checkpoint({**found, "sums": torch.zeros(0)})
        load_into(module.sampler, read_weights(folder / WEIGHTS), where=folder / WEIGHTS)
        return TrainedGenerator(module, found["steps"], found["seconds"], found["curve"])
    clock = _Clock(report)
    checkpoints = Checkpoints(
        every_steps=CHECKPOINT_STEPS, dirpath=folder, save_top_k=0, enable_version_counter=False
    )
    trainer = make_trainer(
        TrainerSettings(accelerator=accelerator, precision=precision, max_epochs=1),
        callbacks=[clock, checkpoints],
        validate=False,
    )
    data = RealImages(images, batch_size=settings.batch_size, steps=steps, seed=seed)
    last = folder / LAST
    for stale in folder.glob("*.part"):  # their writer was killed
        stale.unlink()
    with deferred():
        trainer.fit(module, datamodule=data, ckpt_path=last if last.exists() else None, weights_only=True)
    module.eval().cpu()
    tensors = {key: value.contiguous() for key, value in module.sampler.state_dict().items()}
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):  # since the curve's last point
        raise diverged(name, step=steps, what="weights")
    write_atomically(folder / WEIGHTS, save(tensors))
    result = TrainedGenerator(module, steps, round(clock.seconds, 1), module.curve)
    facts = {"identity": identity, "steps": steps, "seconds": result.seconds, "curve": result.curve}
    write_atomically(folder / RESULT, (json.dumps(facts, indent=1) + "\n").encode())
    last.unlink(missing_ok=True)  # the optimisers' state is three times the weights
    return result


def _identity(images: NDArray[np.uint8], settings: GANSettings, *, steps: int, seed: int) -> str:
    """Digest of all that a training is a function of."""
    digest = hashlib.blake2b(np.ascontiguousarray(images).tobytes(), digest_size=16)
    digest.update(repr((images.shape, settings, steps, seed)).encode())
    return digest.hexdigest()
