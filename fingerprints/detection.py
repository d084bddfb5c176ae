"""One detector on one generator: train an encoder, embed, decide, on training and test part.

The order is that of the data flow: pairs -> encoder -> embeddings -> decision -> predictions.
Everything after "embeddings" knows nothing of how the encoder was trained.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from numpy.typing import NDArray

from fingerprints.data.datamodule import PairDataModule, PixelSource, StrategyFactory
from fingerprints.data.index import Index
from fingerprints.data.store import ImageStore
from fingerprints.decisions.centroid import CentroidDecision
from fingerprints.decisions.distances import euclidean
from fingerprints.decisions.membership import MembershipDecision
from fingerprints.decisions.part import EmbeddedPart
from fingerprints.embeddings import embed
from fingerprints.encoders.network import EmbeddingNetwork
from fingerprints.tasks import USED
from fingerprints.training.fit import FitResult, StoppingSettings, fit
from fingerprints.training.hardware import TrainerSettings, make_trainer
from fingerprints.training.history import Row
from fingerprints.training.siamese import SiameseModule

log = logging.getLogger(__name__)

Decision = CentroidDecision | MembershipDecision
DecisionFactory = Callable[[EmbeddedPart], Decision]


@dataclass(frozen=True)
class Recipe:
    """How a detector is made: everything but the data.

    Attributes:
        module: Makes a freshly initialised training module; the seed decides its weights.
        strategy: Makes the pairing strategy from pools.
        decision: Makes the decision from the embedded training part; thresholds come later.
        trainer: Hardware and length.
        stopping: Early stopping and choice of weights.
        seed: Seed of the run.
    """

    module: Callable[[], SiameseModule]
    strategy: StrategyFactory
    decision: DecisionFactory
    trainer: TrainerSettings
    stopping: StoppingSettings
    seed: int


@dataclass(frozen=True)
class Predictions:
    """Labels and scores of some units.

    Attributes:
        rows: Their rows of the index.
        labels: `(n,)` predicted labels.
        scores: `(n, C)`, or `(n,)` for `usage`: higher is more likely.
    """

    rows: pd.DataFrame
    labels: NDArray[np.str_]
    scores: NDArray[np.floating]


@dataclass(frozen=True)
class Detection:
    """A finished detector and what it says.

    Attributes:
        generator: The generator it is for (empty where there is one).
        network: The trained network.
        decision: The fitted decision.
        validation: Predictions of units unseen in training (held out, or out of fold); `None` where
            nothing was held out.
        test: Predictions of the test part; `None` where there is none.
        held_out_real: `subset` only, a control: held-out *real* images by the same decision. Their
            generator was trained on them, so they should follow their subset if its data were what
            is recognised, and need not if it is the generator.
        fits: Trainings by title; the last is the one behind `network`.
        train_part: Embedded training part.
        test_part: Embedded test part, or `None`.
        pair_distances: Distances of unseen real to unseen generated images: positive, negative.
    """

    generator: str
    network: EmbeddingNetwork
    decision: Decision
    validation: Predictions | None
    test: Predictions | None
    held_out_real: Predictions | None
    fits: dict[str, FitResult]
    train_part: EmbeddedPart
    test_part: EmbeddedPart | None
    pair_distances: tuple[NDArray[np.float32], NDArray[np.float32]]

    @property
    def images_encoded(self) -> int:
        """Encoder budget of all trainings, folds included."""
        return sum(result.images_encoded for result in self.fits.values())

    @property
    def pair_accuracy(self) -> float | None:
        """Accuracy on unseen pairs at the threshold, last epoch, mean over folds; `None` without any."""
        last = [
            float(result.history["val_pair_accuracy"].iloc[-1])
            for result in self.fits.values()
            if "val_pair_accuracy" in result.history
        ]
        return sum(last) / len(last) if last else None

    @property
    def training_seconds(self) -> float:
        """Wall time of all trainings, folds included."""
        return sum(result.seconds for result in self.fits.values())


class EpochReport(Protocol):
    """Takes the figures of an epoch of one training.

    `part` is the training's folder below the run's checkpoints (`.` for the only one, `fold_2`,
    `model1/fold_2`), `title` what the log calls it; `fresh` as in `fit`.
    """

    def __call__(self, part: str, title: str, row: Row, *, fresh: bool) -> None:
        """Take them."""


class Detector:
    """Trains and applies one recipe on one index.

    Args:
        index: The data set.
        store: Its pixels.
        recipe: How a detector is made.
        folder: Where checkpoints go.
        report: Called with the figures of each epoch.
    """

    def __init__(
        self,
        index: Index,
        store: ImageStore,
        recipe: Recipe,
        *,
        folder: Path,
        report: EpochReport | None = None,
    ) -> None:
        self.index, self.store, self.recipe = index, store, recipe
        self.folder, self.report = folder, report
        self.pixels = PixelSource(store)
        # Embedding uses the same device and precision as training, but none of its callbacks.
        self._embedder = make_trainer(recipe.trainer)

    def run(self, generator: str) -> Detection:
        """Train, decide and predict for one generator."""
        rows = self.index.select(generator=generator)
        train, held = rows[rows["split"] == "train"], rows[rows["split"] == "validation"]
        test = rows[rows["split"] == "test"]
        folds = sorted(set(train["fold"]) - {-1})
        fits: dict[str, FitResult] = {}
        title = generator or "training"

        out_of_fold: list[Predictions] = []
        distances: list[tuple[NDArray, NDArray]] = []
        for fold in folds:
            inside, outside = train[train["fold"] != fold], train[train["fold"] == fold]
            name = f"{title} fold {fold + 1}/{len(folds)}"
            network, fits[name] = self._train(inside, outside, Path(generator) / f"fold_{fold}", name)
            # Fitted on the images inside, asked about those outside.
            decision = self.recipe.decision(self._embed(network, inside[inside["domain"] == "real"], inside))
            part = self._embed(network, outside[outside["domain"] == "real"], train)
            out_of_fold.append(self._predict(decision, outside, part))
            distances.append(self._pair_distances(part, _generated(train)["fold"].to_numpy() == fold))

        recipe = self.recipe
        if folds and (recipe.stopping.early or recipe.stopping.best):
            # Nothing is held out of the last training: the folds say how long it should be.
            epochs = round(float(np.median([result.chosen_epoch for result in fits.values()])))
            recipe = replace(recipe, trainer=replace(recipe.trainer, max_epochs=epochs))
        network, fits[title] = self._train(train, held, Path(generator), title, recipe=recipe)
        train_part = self._embed(network, train[train["domain"] == "real"], train)
        decision = recipe.decision(train_part)

        validation: Predictions | None = None
        held_out_real: Predictions | None = None
        if folds:
            validation = _concatenate(out_of_fold)
        elif len(held):
            # A held-out real image is scored against the whole generated set of its part.
            against = held if self._unit_generated else rows[rows["split"] != "test"]
            part = self._embed(network, held[held["domain"] == "real"], against)
            validation = self._predict(decision, held, part)
            if isinstance(decision, CentroidDecision) and len(part.real):
                scores = decision.nearness(part.real)
                real = held[held["domain"] == "real"]
                held_out_real = Predictions(rows=real, labels=decision.labels(scores), scores=scores)
            distances.append(
                self._pair_distances(part, _generated(against)["split"].to_numpy() == "validation")
            )
        if isinstance(decision, MembershipDecision) and decision.threshold_source != "half":
            if validation is None:
                raise ValueError("a membership threshold needs validation images or folds")
            decision = decision.with_threshold(
                validation.scores,
                validation.rows["label"].tolist(),
                source="out_of_fold" if folds else "validation",
            )
            validation = replace(validation, labels=decision.labels(validation.scores))

        test_part = predictions = None
        if len(test):
            test_part = self._embed(network, test[test["domain"] == "real"], test)
            predictions = self._predict(decision, test, test_part)
        return Detection(
            generator=generator,
            network=network,
            decision=decision,
            validation=validation,
            test=predictions,
            held_out_real=held_out_real,
            fits=fits,
            train_part=train_part,
            test_part=test_part,
            pair_distances=_join_pairs(distances),
        )

    @property
    def _unit_generated(self) -> bool:
        return self.index.task.unit == "generated"

    def _train(
        self,
        train: pd.DataFrame,
        held: pd.DataFrame,
        folder: Path,
        title: str,
        *,
        recipe: Recipe | None = None,
    ) -> tuple[EmbeddingNetwork, FitResult]:
        recipe = self.recipe if recipe is None else recipe
        pl.seed_everything(recipe.seed, verbose=False)
        module = recipe.module()
        data = PairDataModule(
            self.index,
            self.store,
            strategy=recipe.strategy,
            train=train,
            validation=held if len(held) else None,
            seed=recipe.seed,
        )
        result = fit(
            module,
            data,
            trainer=recipe.trainer,
            stopping=recipe.stopping,
            folder=self.folder / folder,
            title=title,
            seed=recipe.seed,
            report=None if self.report is None else functools.partial(self.report, folder.as_posix(), title),
        )
        return module.network, result

    def _embed(self, network: EmbeddingNetwork, real: pd.DataFrame, part: pd.DataFrame) -> EmbeddedPart:
        """Real images given, with the generated images of `part`, as embeddings."""
        generated = _generated(part)
        rows = np.concatenate([real.index, generated.index]).astype(np.int64)
        embeddings = embed(network, self.pixels, rows, trainer=self._embedder)
        return EmbeddedPart(
            real=embeddings[: len(real)],
            real_labels=real["label"].to_numpy(dtype=str),
            generated=embeddings[len(real) :],
            generated_labels=generated["label"].to_numpy(dtype=str),
        )

    def _predict(self, decision: Decision, rows: pd.DataFrame, part: EmbeddedPart) -> Predictions:
        units = rows[rows["domain"] == self.index.task.unit]
        scores = decision.scores(part)
        return Predictions(rows=units, labels=decision.labels(scores), scores=scores)

    def _pair_distances(self, part: EmbeddedPart, unseen: NDArray[np.bool_]) -> tuple[NDArray, NDArray]:
        """Distances of the part's real to its unseen generated images, positive and negative pairs."""
        if not len(part.real):
            return np.empty(0, np.float32), np.empty(0, np.float32)
        distance = euclidean(part.real, part.generated[unseen])
        other = part.generated_labels[unseen] if self._unit_generated else np.array([USED])
        same = np.broadcast_to(part.real_labels[:, None] == other[None, :], distance.shape)
        return distance[same], distance[~same]


def _generated(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["domain"] == "generated"]


def _concatenate(parts: list[Predictions]) -> Predictions:
    """Out-of-fold predictions in the order of the index."""
    rows = pd.concat([part.rows for part in parts])
    order = np.argsort(rows.index.to_numpy(), kind="stable")
    return Predictions(
        rows=rows.iloc[order],
        labels=np.concatenate([part.labels for part in parts])[order],
        scores=np.concatenate([part.scores for part in parts])[order],
    )


def _join_pairs(parts: list[tuple[NDArray, NDArray]]) -> tuple[NDArray, NDArray]:
    if not parts:
        return np.empty(0, np.float32), np.empty(0, np.float32)
    return np.concatenate([p for p, _ in parts]), np.concatenate([n for _, n in parts])
