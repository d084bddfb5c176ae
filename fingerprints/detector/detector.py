"""One detector on one generator: encoder, embeddings, reduction, decision, on training and test part.

The order is that of the data flow. All steps after the embeddings are independent of how the encoder was
made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fingerprints.core.progress import Progress
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.data.index import Index
from fingerprints.data.settings import REFERENCE, SHADOW
from fingerprints.data.store import ImageStore
from fingerprints.decisions.contract import (
    Decision,
    Fitting,
    Images,
    Part,
)
from fingerprints.decisions.distances import euclidean
from fingerprints.detector.calibration import calibrated
from fingerprints.detector.detection import Decider, Detection, Predictions
from fingerprints.embeddings.check import warn_of_collapse
from fingerprints.embeddings.sources import (
    Encoder,
    EncoderSource,
    EpochReport,
    TrainingContext,
    TrainingRows,
    shortened,
)
from fingerprints.evidence.estimates import EPOCHS
from fingerprints.reductions.registry import Reduction
from fingerprints.training.fit import FitResult
from fingerprints.training.settings import StoppingSettings, TrainerSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """How a detector is made: everything but the data.

    Attributes:
        encoder: Where encoders come from.
        reduction: Fits the reduction on training embeddings `(n, d)`.
        decision: Fits the decision; thresholds come later.
        trainer: Hardware and length.
        stopping: Early stopping and choice of weights.
        seed: Seed of the run.
        blind_to_labels: As in the settings of the decision.
        one_for_all_generators: As in the settings of the decision.
        test_clusters: Number of clusters in the test part, if it is not the number of training labels.
    """

    encoder: EncoderSource
    reduction: Callable[[NDArray[np.float32]], Reduction]
    decision: Callable[[Fitting], Decision]
    trainer: TrainerSettings
    stopping: StoppingSettings
    seed: int
    blind_to_labels: bool = False
    one_for_all_generators: bool = False
    test_clusters: int | None = None


class Detector:
    """Trains and applies one recipe on one index.

    Args:
        index: The data set.
        store: Its pixels.
        recipe: How a detector is made.
        folder: Folder of checkpoints.
        report: Called with the figures of each epoch.
        progress: Called with the number of images that a frozen encoder has encoded.
    """

    def __init__(
        self,
        index: Index,
        store: ImageStore,
        recipe: Recipe,
        *,
        folder: Path,
        report: EpochReport | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.index, self.recipe = index, recipe
        self.context = TrainingContext(
            index=index,
            store=store,
            trainer=recipe.trainer,
            stopping=recipe.stopping,
            seed=recipe.seed,
            folder=folder,
            report=report,
            progress=progress,
        )

    def run(self, generator: str) -> Detection:
        """Train, decide and predict for one generator."""
        rows = self.index.select(generator=generator)
        train, test = rows[rows["split"] == "train"], rows[rows["split"] == "test"]
        held = rows[rows["split"] == "validation"]
        whole = self.recipe.blind_to_labels and not self.recipe.encoder.trained
        folds = _Folds({}, None, []) if whole else self._out_of_fold(train, generator)
        fits = dict(folds.fits)
        context = self.context
        if folds.fits and context.stopping.enabled:
            # The last training holds nothing out: its length comes from the folds.
            epochs = round(float(np.median([result.chosen_epoch for result in folds.fits.values()])))
            context = shortened(context, epochs)
        made_with = TrainingRows(train, held, test)
        encoder = self.recipe.encoder.make(context, made_with, Path(generator), generator or "training")
        fits |= encoder.fits
        train_part = self._embed(encoder, train, train)
        if encoder.fits:
            both = [train_part.real.embeddings, train_part.generated.embeddings]
            warn_of_collapse(np.concatenate(both), title=generator or "training")
        decider = self._fit(encoder, train_part, self._others(encoder, generator, unseen=held))

        validation, part, distances = folds.predictions, None, list(folds.distances)
        chosen = self._chosen(encoder.fits)
        if whole:
            known = rows[rows["split"] != "test"]
            validation = self._predict(decider, known, self._embed(encoder, known, known))
        elif validation is None and len(held):
            # A held-out real image is scored against the whole generated set of its part.
            against = rows[rows["split"] != "test"] if self.index.task.unit == "real" else held
            part = self._embed(encoder, held, against)
            validation = replace(self._predict(decider, held, part), chosen_on=chosen)
            unseen = _generated(against)["split"].to_numpy() == "validation"
            distances.append(self._pair_distances(part, unseen, encoder))
        source = "validation" if folds.predictions is None and not whole else "out_of_fold"
        decider, validation = calibrated(decider, validation, source=source)
        held_out_real = None if part is None else self._held_out_real(decider, held, part, chosen)
        decision = decider.decision.for_other_generator()
        if self.recipe.test_clusters is not None:
            decision = decision.for_clusters(self.recipe.test_clusters)
        decider = replace(decider, decision=decision)
        test_part = self._embed(encoder, test, test) if len(test) else None
        return Detection(
            generator=generator,
            encoder=encoder,
            decider=decider,
            validation=validation,
            test=None if test_part is None else self._predict(decider, test, test_part),
            held_out_real=held_out_real,
            fits=fits,
            train_part=train_part,
            test_part=test_part,
            pair_distances=_join_pairs(distances),
        )

    def _out_of_fold(self, train: pd.DataFrame, generator: str) -> _Folds:
        """Predictions of each fold's images by a detector that was trained without them."""
        folds = sorted(set(train["fold"]) - {-1})
        fits: dict[str, FitResult] = {}
        predictions: list[Predictions] = []
        distances: list[tuple[NDArray, NDArray]] = []
        for fold in folds:
            inside, outside = train[train["fold"] != fold], train[train["fold"] == fold]
            name = f"{generator or 'training'} fold {fold + 1}/{len(folds)}"
            made_with = TrainingRows(inside, outside, train.iloc[:0])
            folder = Path(generator) / f"fold_{fold}"
            encoder = self.recipe.encoder.make(self.context, made_with, folder, name)
            fits |= encoder.fits
            others = self._others(encoder, generator, unseen=outside)
            decider = self._fit(encoder, self._embed(encoder, inside, inside), others)
            part = self._embed(encoder, outside, train)
            found = self._predict(decider, outside, part)
            predictions.append(replace(found, chosen_on=self._chosen(encoder.fits)))
            unseen = _generated(train)["fold"].to_numpy() == fold
            distances.append(self._pair_distances(part, unseen, encoder))
        return _Folds(fits, _concatenate(predictions) if predictions else None, distances)

    def _chosen(self, fits: Mapping[str, FitResult]) -> tuple[str, ...]:
        """What these trainings chose by the images that were held out of them."""
        validated = any(result.validated for result in fits.values())
        return (EPOCHS,) if validated and self.context.stopping.enabled else ()

    def _others(self, encoder: Encoder, generator: str, *, unseen: pd.DataFrame) -> tuple[Part, ...]:
        """Training parts of the other generators, if wanted, without real images of patients in `unseen`."""
        if not self.recipe.one_for_all_generators:
            return ()
        rows = self.index.select(split="train")
        rows = rows[(rows["domain"] != "real") | ~rows["group"].isin(unseen["group"])]
        names = [name for name in self.index.generators if name != generator]
        parts = [rows[rows["generator"] == name] for name in names]
        return tuple(self._embed(encoder, part, part) for part in parts)

    def _fit(self, encoder: Encoder, part: Part, others: tuple[Part, ...]) -> Decider:
        """Reduction and decision fitted on a training part; other parts have reductions of their own."""
        reduction, reduced = self._reduced(part)
        classes = tuple(sorted({*part.real.labels, *part.generated.labels} - {""}))
        fitting = Fitting(
            part=reduced,
            classes=classes,
            head=encoder.head,
            seed=self.recipe.seed,
            reference=self._reference(encoder, reduction),
            generators=self._shadow(encoder, reduction),
            others=tuple(self._reduced(other)[1] for other in others),
        )
        return Decider(reduction, self.recipe.decision(fitting))

    def _reduced(self, part: Part) -> tuple[Reduction, Part]:
        """A reduction fitted on a training part, and the part reduced by it."""
        reduction = self.recipe.reduction(np.concatenate([part.real.embeddings, part.generated.embeddings]))
        return reduction, part.map(reduction.apply)

    def _reference(self, encoder: Encoder, reduction: Reduction) -> Images | None:
        """The real images of the data that no generator was trained on; `None` if there are none."""
        rows = self.index.select(split=REFERENCE)
        if rows.empty:
            return None
        return _images(encoder.encode(rows.index.to_numpy(dtype=np.int64)), rows).map(reduction.apply)

    def _shadow(self, encoder: Encoder, reduction: Reduction) -> tuple[Part, ...]:
        """The candidates and the images of each shadow generator; empty if there are none."""
        membership = self.index.membership
        if membership is None:
            return ()
        rows = self.index.select(split=SHADOW)
        candidates, made = rows[rows["domain"] == "real"], _generated(rows)
        parts = []
        for name in membership.columns:
            labels = np.where(membership.loc[candidates.index, name], USED, NOT_USED)
            part = self._embed(encoder, candidates.assign(label=labels), made[made["generator"] == name])
            parts.append(part.map(reduction.apply))
        return tuple(parts)

    def _held_out_real(
        self, decider: Decider, held: pd.DataFrame, part: Part, chosen_on: tuple[str, ...]
    ) -> Predictions | None:
        """A control of tasks about generated images: the decision on held-out real ones."""
        if self.index.task.unit == "real" or decider.transductive or not len(part.real):
            return None
        found = decider.answer(part.swapped())
        rows = held[held["domain"] == "real"]
        return Predictions(rows, found.labels, found.scores, chosen_on=chosen_on)

    def _embed(self, encoder: Encoder, rows: pd.DataFrame, part: pd.DataFrame) -> Part:
        """The real images of `rows` with the generated images of `part`, as embeddings."""
        real, generated = rows[rows["domain"] == "real"], _generated(part)
        embeddings = encoder.encode(np.concatenate([real.index, generated.index]).astype(np.int64))
        return Part.of(
            real=_images(embeddings[: len(real)], real),
            generated=_images(embeddings[len(real) :], generated),
            unit=self.index.task.unit,
        )

    def _predict(self, decider: Decider, rows: pd.DataFrame, part: Part) -> Predictions:
        units = rows[rows["domain"] == self.index.task.unit]
        found = decider.answer(part)
        return Predictions(
            rows=units,
            labels=found.labels,
            scores=found.scores,
            clusters=decider.transductive,
            real=found.real,
        )

    def _pair_distances(
        self, part: Part, unseen: NDArray[np.bool_], encoder: Encoder
    ) -> tuple[NDArray, NDArray]:
        """Distances between the part's real and its unseen generated images: positive, negative pairs."""
        real, generated = part.real, part.generated
        if not len(real) or not encoder.on_pairs:
            return np.empty(0, np.float32), np.empty(0, np.float32)
        distance = euclidean(real.embeddings, generated.embeddings[unseen])
        label = self.index.task.generated_label
        other = generated.labels[unseen] if label is None else np.array([label])
        same = np.broadcast_to(real.labels[:, None] == other[None, :], distance.shape)
        return distance[same], distance[~same]


@dataclass(frozen=True)
class _Folds:
    """Results of the detectors of all folds; empty without folds."""

    fits: dict[str, FitResult]
    predictions: Predictions | None
    distances: list[tuple[NDArray, NDArray]]


def _images(embeddings: NDArray[np.float32], rows: pd.DataFrame) -> Images:
    return Images(embeddings, *(rows[column].to_numpy(dtype=str) for column in ("label", "group", "id")))


def _generated(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["domain"] == "generated"]


def _concatenate(parts: list[Predictions]) -> Predictions:
    """Out-of-fold predictions in the order of the index."""
    rows = pd.concat([part.rows for part in parts])
    order = np.argsort(rows.index.to_numpy(), kind="stable")
    scores = [part.scores for part in parts if part.scores is not None]
    return Predictions(
        rows=rows.iloc[order],
        labels=np.concatenate([part.labels for part in parts])[order],
        scores=np.concatenate(scores)[order] if scores else None,
        chosen_on=tuple(dict.fromkeys(what for part in parts for what in part.chosen_on)),
    )


def _join_pairs(parts: list[tuple[NDArray, NDArray]]) -> tuple[NDArray, NDArray]:
    if not parts:
        return np.empty(0, np.float32), np.empty(0, np.float32)
    return np.concatenate([p for p, _ in parts]), np.concatenate([n for _, n in parts])
