"""`make bench`: what the framework costs over the bare encoder, interleaved in one process.

Each round times the framework and the bare encoder one after the other on the same batches; a
figure is the median of the rounds' ratios with the lowest and highest. Written to
benchmarks/results.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from PIL import Image

from fingerprints.core.options import build_option
from fingerprints.core.tasks import get_task
from fingerprints.data.datamodule import PairDataModule, PixelSource
from fingerprints.data.decode import Preprocessing
from fingerprints.data.index import Index
from fingerprints.data.layout import Source, scan
from fingerprints.data.pairs import AllPairs, PairPools, PairStrategy, RandomPairs
from fingerprints.data.store import ImageStore, open_store
from fingerprints.embeddings.embed import embed
from fingerprints.encoders.build import build_network
from fingerprints.training.augment import Augmentation
from fingerprints.training.hardware import make_trainer
from fingerprints.training.settings import OptimiserSettings, PairTrainingSettings, TrainerSettings
from fingerprints.training.siamese import SiameseModule

RESULTS = Path(__file__).parent / "results.json"
CLASSES = ("t1", "t2", "t3", "t4", "t5")


def make_data(folder: Path, *, size: int, per_class: int) -> tuple[Index, ImageStore]:
    """Noise images in the `subset` layout."""
    rng = np.random.default_rng(0)
    for part in (f"{side}/{name}" for name in CLASSES for side in ("real", "generated")):
        (folder / part).mkdir(parents=True)
        for i in range(per_class):
            pixels = rng.integers(0, 256, (size, size), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / part / f"{part.replace('/', '_')}_{i}.png")
    sources = [Source("real/{label}/*", "real", "train"), Source("generated/{label}/*", "generated", "train")]
    files = scan(folder, sources)
    store = open_store(files, Preprocessing(size), cache=folder / "store")
    table = pd.DataFrame(
        {
            "id": [f.id for f in files],
            "path": [f.name for f in files],
            "domain": [f.domain for f in files],
            "generator": "",
            "label": [f.label for f in files],
            "group": [f.name for f in files],
            "split": "train",
            "fold": -1,
        }
    )
    return Index(table, CLASSES, get_task("subset"), False, False), store


class Interleaved(pl.Callback):
    """Times each epoch of training, and as many bare steps right after it."""

    def __init__(self, batch: torch.Tensor, steps: int) -> None:
        self.batch, self.steps = batch, steps
        self.training: list[float] = []
        self.bare: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.training.append(time.perf_counter() - self._start)
        network = pl_module.network
        start = time.perf_counter()
        for _ in range(self.steps):
            network.zero_grad(set_to_none=True)
            network(self.batch).sum().backward()
        self.bare.append(time.perf_counter() - start)
        network.zero_grad(set_to_none=True)


def settings_of(encoder: str, size: int) -> dict[str, object]:
    """An encoder with random weights that sees images as they are."""
    own = encoder == "siamese_cnn"
    return {"name": encoder} if own else {"name": encoder, "weights": "none", "input_size": size}


def module(encoder: str, size: int) -> SiameseModule:
    return SiameseModule(
        build_network(build_option("encoder", settings_of(encoder, size)), size=size),
        settings=PairTrainingSettings(),
        optimiser=OptimiserSettings(),
        augmentation=Augmentation(),
    )


def train(
    index: Index, store: ImageStore, *, size: int, encoder: str, strategy: type, rounds: int, **options: int
) -> tuple[Interleaved, PairStrategy]:
    def make(pools: PairPools, store: ImageStore) -> PairStrategy:
        return strategy(pools, seed=0, **options)

    data = PairDataModule(index, store, strategy=make, train=index.table, validation=None, seed=0)
    images = data.train_strategy.batch(0, 0).images
    batch = torch.from_numpy(store.images[:images]).unsqueeze(1)
    timing = Interleaved(batch, data.train_strategy.steps)
    settings = TrainerSettings(accelerator="cpu", max_epochs=rounds + 1)
    make_trainer(settings, callbacks=[timing]).fit(module(encoder, size), datamodule=data)
    return timing, data.train_strategy


def ratios(above: list[float], below: list[float]) -> dict[str, float]:
    """Median, lowest and highest of the rounds' quotients; the first round warms up."""
    values = [a / b for a, b in zip(above[1:], below[1:], strict=True)]
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--encoder", default="siamese_cnn")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--per-class", type=int, default=64)
    options = parser.parse_args()
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        index, store = make_data(Path(folder), size=options.size, per_class=options.per_class)
        common = {"size": options.size, "encoder": options.encoder, "rounds": options.rounds}
        random, random_plan = train(index, store, strategy=RandomPairs, batch_size=32, **common)
        every, all_plan = train(index, store, strategy=AllPairs, images_per_class=6, **common)
        left, right = (len(all_plan.batch(0, 0).left), len(all_plan.batch(0, 0).right))
        pairs_random = [random_plan.pairs / t for t in random.training]
        pairs_all = [all_plan.steps * left * right / t for t in every.training]

        network = module(options.encoder, options.size).network.eval()
        rows = index.table.index.to_numpy(dtype=np.int64)
        pixels, trainer = PixelSource(store), make_trainer(TrainerSettings(accelerator="cpu"))
        embedding, forward = [], []
        for _ in range(options.rounds + 1):
            start = time.perf_counter()
            embed(network, pixels, rows, trainer=trainer, batch_size=64)
            embedding.append(time.perf_counter() - start)
            batches = [
                torch.from_numpy(store.images[i : i + 64]).unsqueeze(1) for i in range(0, len(rows), 64)
            ]
            start = time.perf_counter()
            with torch.inference_mode():
                for batch in batches:
                    network(batch)
            forward.append(time.perf_counter() - start)
    results = {
        "training_over_encoder": ratios(random.bare, random.training),
        "embedding_over_forward": ratios(forward, embedding),
        "pairs_all_over_random": ratios(pairs_all, pairs_random),
        "training_over_encoder_all": ratios(every.bare, every.training),
    }
    results |= {"settings": {**vars(options), "threads": torch.get_num_threads(), "torch": torch.__version__}}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{options.encoder} at {options.size} x {options.size}, {options.rounds} rounds")
    for name, figure in results.items():
        if name != "settings":
            print(f"  {name:<28}{figure['median']:8.3f}  [{figure['low']:.3f}, {figure['high']:.3f}]")


if __name__ == "__main__":
    main()
