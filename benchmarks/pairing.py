"""`python -m benchmarks.pairing --root DIR`: `all` against `random` pairs, over images and over seconds.

Trains the published encoder with each strategy, everything else equal, and measures the test
accuracy of the nearest real centroid as training goes on. DIR is in the 2025 `subset` layout with a
test part and its truth. Writes a CSV and a plot to --out.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure

from fingerprints.core.options import build_option
from fingerprints.core.tasks import get_task
from fingerprints.data.datamodule import PairDataModule, PixelSource
from fingerprints.data.index import Index, prepare
from fingerprints.data.pairs import AllPairs, PairPools, PairStrategy, RandomPairs
from fingerprints.data.settings import DataSettings, Source
from fingerprints.data.store import ImageStore
from fingerprints.decisions.classifiers.centroid import centroids
from fingerprints.decisions.distances import euclidean
from fingerprints.encoders.build import build_network
from fingerprints.training.augment import Augmentation
from fingerprints.training.hardware import make_trainer
from fingerprints.training.settings import OptimiserSettings, PairTrainingSettings, TrainerSettings
from fingerprints.training.siamese import SiameseModule


class TestAccuracy(pl.Callback):
    """Nearest-centroid test accuracy every few epochs; the clock stands still meanwhile."""

    def __init__(self, index: Index, store: ImageStore, *, every: int) -> None:
        self.index, self.pixels, self.every = index, PixelSource(store), every
        self.rows: list[dict[str, float]] = []
        self.seconds = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.seconds += time.perf_counter() - self._start
        epoch = trainer.current_epoch + 1
        if epoch % self.every and epoch != 1:
            return
        real = self.index.select(domain="real", split="train")
        test = self.index.select(split="test")
        network = pl_module.network.eval()
        of_real, of_test = (self._embed(network, part.index.to_numpy()) for part in (real, test))
        network.train()
        centres = centroids(of_real, real["label"].to_numpy(dtype=str), self.index.classes)
        labels = np.array(self.index.classes)[euclidean(of_test, centres).argmin(1)]
        accuracy = float((labels == test["label"].to_numpy()).mean())
        images = int(pl_module.images_encoded)
        self.rows.append({"epoch": epoch, "images": images, "seconds": self.seconds, "accuracy": accuracy})

    @torch.inference_mode()
    def _embed(self, network: torch.nn.Module, rows: np.ndarray) -> np.ndarray:
        parts = [rows[i : i + 256] for i in range(0, len(rows), 256)]
        return np.concatenate([network(self.pixels.gather(p, torch.device("cpu"))).numpy() for p in parts])


def curve(index: Index, store: ImageStore, name: str, options: argparse.Namespace, seed: int) -> pd.DataFrame:
    def strategy(pools: PairPools, store: ImageStore) -> PairStrategy:
        if name == "all":
            return AllPairs(pools, images_per_class=options.images_per_class, seed=seed)
        return RandomPairs(pools, batch_size=32, seed=seed)

    pl.seed_everything(seed, verbose=False)
    module = SiameseModule(
        build_network(build_option("encoder", {"name": "siamese_cnn"}), size=options.size),
        settings=PairTrainingSettings(),
        optimiser=OptimiserSettings(lr=options.lr),
        augmentation=Augmentation(),
    )
    data = PairDataModule(
        index, store, strategy=strategy, train=index.select(split="train"), validation=None, seed=seed
    )
    scored = TestAccuracy(index, store, every=options.every)
    settings = TrainerSettings(accelerator="cpu", max_epochs=options.epochs)
    make_trainer(settings, callbacks=[scored]).fit(module, datamodule=data)
    return pd.DataFrame(scored.rows).assign(pairing=name, seed=seed)


def plot(table: pd.DataFrame, path: Path) -> None:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, column, label in zip(
        panels, ("images", "seconds"), ("images encoded", "seconds of training"), strict=True
    ):
        for (name, _), rows in table.groupby(["pairing", "seed"]):
            colour = {"all": "#0072b2", "random": "#d55e00"}[str(name)]
            axes.plot(rows[column], rows["accuracy"], color=colour, marker=".", label=str(name))
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("test accuracy")
    handles, labels = panels[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    panels[0].legend(unique.values(), unique.keys(), title="pairing")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("outputs/pairing"))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--images-per-class", type=int, default=6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    sources = [
        Source("real/{label}/*", "real", "train"),
        Source("generated/gen_{label}/*", "generated", "train"),
        Source("test/generated_unknown/*", "generated", "test"),
    ]
    settings = DataSettings(root=options.root, sources=tuple(sources), size=options.size)
    options.out.mkdir(parents=True, exist_ok=True)
    tables = []
    for seed in options.seeds:
        index, store = prepare(settings, get_task("subset"), cache=options.out / "store", seed=seed)
        tables += [curve(index, store, name, options, seed) for name in ("random", "all")]
    table = pd.concat(tables, ignore_index=True)
    table.to_csv(options.out / "pairing.csv", index=False)
    plot(table, options.out / "pairing.png")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
