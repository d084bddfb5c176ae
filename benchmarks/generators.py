"""Steps per second of each design of a generator, beside the bare forward and backward passes of its
networks.

    python -m benchmarks.generators [size=64] [rounds=4] [steps=10]

In each round, within one training, as many bare passes follow the steps: the same networks on the same batch,
without loader, optimiser, augmentation, averages and record. A figure is the median of the rounds'
quotients with the lowest and highest.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning.callbacks import Callback
from torch.nn import functional as F

from benchmarks.run import ratios
from fingerprints.core.options import build_option, registered
from fingerprints.generators import fit
from fingerprints.generators.adversarial import AdversarialModule
from fingerprints.generators.diffusion import DiffusionModule
from fingerprints.generators.fit import Training, train_generator
from fingerprints.generators.vae import VAEModule


def bare_pass(module: Any, images: torch.Tensor) -> None:
    """Forward and backward of all networks, as often as a step needs them."""
    real = images.float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
    n = len(real)
    rng = torch.Generator().manual_seed(0)
    module.zero_grad(set_to_none=True)
    if isinstance(module, AdversarialModule):
        generated = module.generator(*module.noise(n, rng))
        module.discriminator(torch.cat([real, generated.detach()]), sets=2).sum().backward()
        module.discriminator.requires_grad_(False)
        module.discriminator(generated).sum().backward()
        module.discriminator.requires_grad_(True)
    elif isinstance(module, VAEModule):
        mean, log_variance = module.encoder(real)
        F.mse_loss(module.decoder(mean + log_variance), real).backward()
    elif isinstance(module, DiffusionModule):
        F.mse_loss(module.network(real, torch.arange(n)), real).backward()


class Rounds(Callback):
    """After every so many steps, as many bare passes; times both."""

    def __init__(self, steps: int) -> None:
        self.steps, self.training, self.bare = steps, [], []
        self._start = 0.0

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
        if index % self.steps == 0:
            self._start = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        if (index + 1) % self.steps:
            return
        self.training.append((time.perf_counter() - self._start) / self.steps)
        start = time.perf_counter()
        for _ in range(self.steps):
            bare_pass(module, batch.images)
        self.bare.append((time.perf_counter() - start) / self.steps)


def measure(design: str, *, size: int, rounds: int, steps: int) -> Rounds:
    """Train a design on noise; the first round warms up."""
    images = np.random.default_rng(0).integers(0, 256, (64, size, size)).astype(np.uint8)
    timing = Rounds(steps)
    make = fit.make_trainer

    def with_timing(settings: Any, *, callbacks: list[Callback], **options: Any) -> Any:
        # Before the others: their work at the end of a step belongs to the next one, as it should.
        return make(settings, callbacks=[timing, *callbacks], **options)

    fit.make_trainer = with_timing
    try:
        with tempfile.TemporaryDirectory() as folder:
            training = Training(
                images, build_option("generator", {"name": design}), (rounds + 1) * steps, 0, design
            )
            train_generator(training, Path(folder))
    finally:
        fit.make_trainer = make
    return timing


def main() -> None:
    given = {"size": 64, "rounds": 4, "steps": 10} | {
        key: int(value) for key, value in (word.split("=") for word in sys.argv[1:])
    }
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    print(f"{given['size']} x {given['size']}, batches of 16, {torch.get_num_threads()} thread(s)")
    for design in registered("generator"):
        timing = measure(design, **given)
        figure = ratios(timing.bare, timing.training)
        steps = 1 / float(np.median(timing.training[1:]))
        print(
            f"  {design:<12}{steps:7.2f} steps/s   bare / step {figure['median']:.3f}  "
            f"[{figure['low']:.3f}, {figure['high']:.3f}]",
            flush=True,
        )


if __name__ == "__main__":
    main()
