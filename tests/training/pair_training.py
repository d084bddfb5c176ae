"""Two trainings and what their networks embed, on one process or on a pair; run by test_siamese.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import yaml

from fingerprints.core.tasks import get_task
from fingerprints.data.datamodule import PairDataModule, PixelSource
from fingerprints.data.index import prepare
from fingerprints.data.pairs import AllPairs, RandomPairs
from fingerprints.data.settings import DataSettings, Source
from fingerprints.embeddings.embed import embed, frozen_features
from fingerprints.encoders.build import build_network
from fingerprints.encoders.settings import SiameseCNNSettings
from fingerprints.training.augment import Augmentation
from fingerprints.training.fit import fit
from fingerprints.training.hardware import make_trainer
from fingerprints.training.settings import (
    OptimiserSettings,
    PairTrainingSettings,
    StoppingSettings,
    TrainerSettings,
)
from fingerprints.training.siamese import SiameseModule


class Watched(SiameseModule):
    def training_step(self, batch, batch_idx):
        outputs = super().training_step(batch, batch_idx)
        self.losses.append(float(self.all_gather(outputs["loss"].detach()).mean()))
        return outputs

    def on_before_optimizer_step(self, optimizer):
        self.gradients.append(torch.cat([p.grad.flatten() for p in self.parameters()]).numpy().copy())


def strategy(kind):
    if kind == "random":
        return lambda pools, store: RandomPairs(pools, batch_size=11, seed=0)
    return lambda pools, store: AllPairs(pools, images_per_class=3, seed=0, images_per_epoch=54)


def train_and_embed(root, layout, out, devices):
    torch.set_num_threads(1)
    sources = [Source(**source) for source in yaml.safe_load(Path(layout).read_text())["sources"]]
    settings = DataSettings(root=Path(root), sources=sources, size=48, validation=0.25)
    index, store = prepare(settings, get_task("subset"), cache=Path(out) / "store", seed=0)
    hardware = TrainerSettings(
        accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto", max_epochs=1
    )
    found = {}
    for kind in ("random", "all"):
        torch.manual_seed(0)
        module = Watched(
            build_network(SiameseCNNSettings(channels=(4, 8), embedding=8), size=48),
            settings=PairTrainingSettings(),
            optimiser=OptimiserSettings(lr=1e-3),
            augmentation=Augmentation(seed=0, flip=True, noise=0.02),
        )
        module.losses, module.gradients = [], []
        data = PairDataModule(
            index,
            store,
            strategy=strategy(kind),
            train=index.select(split="train"),
            validation=index.select(split="validation"),
            seed=0,
            validation_batch=33,
        )
        result = fit(
            module,
            data,
            trainer=hardware,
            stopping=StoppingSettings(),
            folder=Path(out) / f"{kind}_{devices}",
            title=kind,
        )
        found[f"{kind} losses"], found[f"{kind} gradients"] = module.losses, module.gradients
        for name in ("train_loss", "val_loss", "val_pair_accuracy", "val_distance_spread"):
            found[f"{kind} {name}"] = float(result.history[name].iloc[-1])
        found[f"{kind} images"] = result.images_encoded
    trainer = make_trainer(hardware)
    rows = np.random.default_rng(0).permutation(len(store.images))[:45]
    for count in (45, 44, 1, 0):
        for batch_size in (256, 7):
            found[f"embed {count} {batch_size}"] = embed(
                module.network, PixelSource(store), rows[:count], trainer=trainer, batch_size=batch_size
            )
    features = frozen_features(module.network, store, trainer=trainer, batch_size=7)
    found["features"], found["features encoded"] = np.array(features.values), features.encoded
    np.savez(Path(out) / f"found_{devices}_{trainer.global_rank}.npz", **found)
