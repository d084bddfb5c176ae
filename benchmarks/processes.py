"""One process against two on the CPU, with the configuration and the weights of a finished run.

    python -m benchmarks.processes OUT [STEPS]

The first steps of training (20): are the pairs of every global batch the same, and how far apart are losses
and gradients, in single and in double precision? And with the run's weights: how far apart are scores and
test figures when two processes share the embedding?
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from fingerprints.config.roots import TrainSettings
from fingerprints.core.options import build
from fingerprints.data.datamodule import PairDataModule, PixelSource
from fingerprints.decisions.contract import Images, Part
from fingerprints.detector.saved import load_run
from fingerprints.embeddings.embed import embed
from fingerprints.embeddings.sources import OnPairs
from fingerprints.evidence.intervals import estimate_metrics
from fingerprints.experiment.perform import load_data, recipe
from fingerprints.training.hardware import make_trainer
from fingerprints.training.settings import TrainerSettings


class Watch(pl.Callback):
    """Losses, gradients and pairs of the first steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.losses: list[float] = []
        self.gradients: list[np.ndarray] = []
        self.rows: list[np.ndarray] = []

    def on_before_optimizer_step(self, trainer: pl.Trainer, module: Any, optimizer: Any) -> None:
        self.gradients.append(
            torch.cat([p.grad.flatten() for p in module.network.parameters()]).double().numpy()
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        self.losses.append(float(trainer.strategy.reduce(outputs["loss"].detach().clone(), reduce_op="mean")))
        # Only what counts: a filler repeats a row that another process has.
        counted = torch.cat([batch.left_classes, batch.right_classes]) >= 0
        self.rows.append(torch.cat([batch.left_rows, batch.right_rows])[counted].numpy())
        trainer.should_stop = len(self.losses) == self.steps


def measure(folder: Path, out: str, processes: int, steps: int, precision: str) -> None:
    """What one process of `processes` sees, into a file of its own."""
    torch.set_num_threads(1)
    if precision == "double":
        torch.set_default_dtype(torch.float64)
    run = load_run(folder)
    config = build(TrainSettings, run.config)
    index, _, store = load_data(config)
    source = recipe(config).encoder
    assert isinstance(source, OnPairs)
    pl.seed_everything(config.seed, verbose=False)
    module = source.module()
    rows = index.select(generator="")
    settings = TrainerSettings(
        accelerator="cpu",
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
    )
    data = PairDataModule(
        index,
        store,
        strategy=source.strategy,
        train=rows[rows["split"] == "train"],
        validation=None,
        seed=config.seed,
    )
    watch = Watch(steps)
    trainer = make_trainer(settings, callbacks=[watch], validate=False)
    trainer.fit(module, datamodule=data)
    found: dict[str, Any] = {f"rows_{i}": rows for i, rows in enumerate(watch.rows)}
    if precision == "single":
        test = rows[rows["split"] == "test"]
        real, generated = test[test["domain"] == "real"], test[test["domain"] == "generated"]
        vectors = embed(
            run.network(),
            PixelSource(store),
            np.concatenate([real.index, generated.index]).astype(np.int64),
            trainer=make_trainer(settings),
        )
        of_real, of_generated = Images(vectors[: len(real)]), Images(vectors[len(real) :])
        part = Part.of(real=of_real, generated=of_generated, unit=index.task.unit)
        answers = run.decider().answer(part)
        found["scores"] = answers.scores
        units = test[test["domain"] == index.task.unit]
        figures = estimate_metrics(
            task=index.task,
            classes=index.classes,
            truth=units["label"].to_numpy(dtype=str),
            predicted=answers.labels,
            scores=found["scores"],
            groups=units["group"].to_numpy(dtype=str),
            seed=0,
            permutations=1,
        ).metrics
        found["figures"] = np.array([f.value for f in figures.values() if f.value is not None])
    np.savez(f"{out}_{trainer.global_rank}.npz", losses=watch.losses, gradients=watch.gradients, **found)


def main() -> None:
    if len(sys.argv) > 3:
        folder, out, processes, steps, precision = sys.argv[1:6]
        measure(Path(folder), out, int(processes), int(steps), precision)
        return
    folder, steps = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "20"
    with tempfile.TemporaryDirectory() as scratch:
        for precision in ("single", "double"):
            for processes in (1, 2):
                launcher = ["torch.distributed.run", f"--nproc-per-node={processes}", "-m"]
                words = [folder, f"{scratch}/{precision}_{processes}", str(processes), steps, precision]
                subprocess.run(
                    [sys.executable, "-m", *launcher, "benchmarks.processes", *words],
                    check=True,
                    stderr=subprocess.DEVNULL,
                )
            one, two, other = (
                dict(np.load(f"{scratch}/{precision}_{name}.npz")) for name in ("1_0", "2_0", "2_1")
            )
            same = all(
                np.array_equal(
                    np.sort(one[f"rows_{i}"]), np.sort(np.concatenate([two[f"rows_{i}"], other[f"rows_{i}"]]))
                )
                for i in range(int(steps))
            )
            loss = np.abs(one["losses"] - two["losses"]) / np.abs(one["losses"])
            norms = np.linalg.norm(one["gradients"], axis=1)
            gradient = np.linalg.norm(one["gradients"] - two["gradients"], axis=1) / norms
            print(f"{precision} precision: the same images in all of {steps} global batches: {same}")
            for name, error in (("loss", loss), ("gradient", gradient)):
                print(
                    f"  relative difference of the {name}: first step {error[0]:.1e}, "
                    f"first 4 at most {error[:4].max():.1e}, first {steps} at most {error.max():.1e}"
                )
            if precision == "single":
                score, figure = (np.abs(one[name] - two[name]).max() for name in ("scores", "figures"))
                print(f"  same weights: scores differ by at most {score:.1e}, test figures by {figure:.1e}")


if __name__ == "__main__":
    main()
