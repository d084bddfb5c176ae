"""One detector on one generator: encoder, embeddings, reduction, decision, on training and test part.

The order is that of the data flow. Everything after "embeddings" knows nothing of how the encoder was
made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.progress import Progress
from fingerprints.core.tasks import USED
from fingerprints.data.index import Index
from fingerprints.data.store import ImageStore
from fingerprints.decisions.distances import euclidean
from fingerprints.decisions.head import HeadDecision
from fingerprints.decisions.membership import MembershipDecision
from fingerprints.decisions.open_set import OpenSetDecision
from fingerprints.decisions.part import Answers, EmbeddedPart
from fingerprints.decisions.registry import Classifier, Clusters, Decision, resized
from fingerprints.embeddings.sources import Encoder, EncoderSource, EpochReport, Rows, Surroundings, shortened
from fingerprints.reductions.registry import Reduction
from fingerprints.training.fit import FitResult, StoppingSettings
from fingerprints.training.hardware import TrainerSettings

log = logging.getLogger(__name__)

DecisionFactory = Callable[[EmbeddedPart, HeadDecision | None], Decision]


@dataclass(frozen=True)
class Recipe:
    """How a detector is made: everything but the data.

    Attributes:
        encoder: Where encoders come from.
        reduction: Fits the reduction on training embeddings `(n, d)`.
        decision: Makes the decision from the reduced training part, and the encoder's own head if it has
            one; thresholds come later.
        clusters: How many clusters the images of the test part are put into, where that is not the number
            of training labels.
        share_known: Share of validation images that an open-set decision still calls by a label; `None`
            for a closed set.
        trainer: Hardware and length.
        stopping: Early stopping and choice of weights.
        seed: Seed of the run.
    """

    encoder: EncoderSource
    reduction: Callable[[NDArray[np.float32]], Reduction]
    decision: DecisionFactory
    trainer: TrainerSettings
    stopping: StoppingSettings
    seed: int
    test_clusters: int | None = None
    share_known: float | None = None


@dataclass(frozen=True)
class Predictions:
    """Labels and scores of some units.

    Attributes:
        rows: Their rows of the index.
        labels: `(n,)` predicted labels, or clusters.
        scores: `(n, C)`, or `(n,)` for `usage`: higher is more likely; `None` of clusters.
        clusters: Whether labels are names of clusters, which mean nothing.
    """

    rows: pd.DataFrame
    labels: NDArray[np.str_]
    scores: NDArray[np.floating] | None
    clusters: bool = False


@dataclass(frozen=True)
class Decider:
    """What turns embeddings into answers.

    Attributes:
        reduction: Applied to embeddings first.
        decision: Asked about what comes out.
    """

    reduction: Reduction
    decision: Decision

    @property
    def transductive(self) -> bool:
        """Whether images are judged together, so that an answer depends on what else is asked."""
        return self.decision.transductive

    def reduced(self, part: EmbeddedPart) -> EmbeddedPart:
        """The part as the decision sees it."""
        return part.map(self.reduction.apply)

    def answer(self, part: EmbeddedPart) -> Answers:
        """Answers for the part's units: real images against its generated ones, or generated images."""
        if isinstance(self.decision, MembershipDecision):
            return self.decision.decide(self.reduced(part))
        return self.decision.answer(self.reduction.apply(part.generated))


@dataclass(frozen=True)
class Detection:
    """A finished detector and what it says.

    Attributes:
        generator: The generator it is for (empty where there is one).
        encoder: The encoder.
        decider: The fitted reduction and decision.
        validation: Predictions of units unseen in training (held out, or out of fold); of a decision that
            clusters, the units of the whole training part, unless the encoder was trained on them; `None`
            where there are none.
        test: Predictions of the test part; `None` where there is none.
        held_out_real: `subset` only, a control: held-out *real* images by the same decision. Their
            generator was trained on them, so they should follow their subset if its data were what
            is recognised, and need not if it is the generator.
        fits: Trainings by title, folds included; none of a frozen encoder.
        train_part: Embedded training part.
        test_part: Embedded test part, or `None`.
        pair_distances: Distances of unseen real to unseen generated images: positive, negative; empty
            unless the encoder was trained on pairs.
    """

    generator: str
    encoder: Encoder
    decider: Decider
    validation: Predictions | None
    test: Predictions | None
    held_out_real: Predictions | None
    fits: dict[str, FitResult]
    train_part: EmbeddedPart
    test_part: EmbeddedPart | None
    pair_distances: tuple[NDArray[np.float32], NDArray[np.float32]]

    @property
    def decision(self) -> Decision:
        """The fitted decision."""
        return self.decider.decision

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


class Detector:
    """Trains and applies one recipe on one index.

    Args:
        index: The data set.
        store: Its pixels.
        recipe: How a detector is made.
        folder: Where checkpoints go.
        report: Called with the figures of each epoch.
        progress: Told of images that a frozen encoder has done.
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
        self.around = Surroundings(
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
        train, held = rows[rows["split"] == "train"], rows[rows["split"] == "validation"]
        test = rows[rows["split"] == "test"]
        folds = sorted(set(train["fold"]) - {-1})
        fits: dict[str, FitResult] = {}
        title = generator or "training"
        make = self.recipe.encoder.make

        out_of_fold: list[Predictions] = []
        distances: list[tuple[NDArray, NDArray]] = []
        for fold in folds:
            inside, outside = train[train["fold"] != fold], train[train["fold"] == fold]
            name = f"{title} fold {fold + 1}/{len(folds)}"
            nothing = test.iloc[:0]
            encoder = make(
                self.around, Rows(inside, outside, nothing), Path(generator) / f"fold_{fold}", name
            )
            fits |= encoder.fits
            # Fitted on the images inside, asked about those outside.
            decider = self._fit(encoder, self._embed(encoder, inside, inside))
            part = self._embed(encoder, outside, train)
            out_of_fold.append(self._predict(decider, outside, part))
            distances.append(
                self._pair_distances(part, _generated(train)["fold"].to_numpy() == fold, encoder)
            )

        around = self.around
        if folds and fits and (around.stopping.early or around.stopping.best):
            # Nothing is held out of the last training: the folds say how long it should be.
            epochs = round(float(np.median([result.chosen_epoch for result in fits.values()])))
            around = shortened(around, epochs)
        unlabelled = test[test["domain"] == self.index.task.unit]
        encoder = make(around, Rows(train, held, unlabelled), Path(generator), title)
        fits |= encoder.fits
        train_part = self._embed(encoder, train, train)
        decider = self._fit(encoder, train_part)

        validation: Predictions | None = None
        held_out_real: Predictions | None = None
        if folds:
            validation = _concatenate(out_of_fold)
        elif decider.transductive and not self.recipe.encoder.trained:
            known = rows[rows["split"] != "test"]
            validation = self._predict(decider, known, self._embed(encoder, known, known))
        elif len(held):
            # A held-out real image is scored against the whole generated set of its part.
            against = held if self._unit_generated else rows[rows["split"] != "test"]
            part = self._embed(encoder, held, against)
            decider = self._open(decider, part)
            validation = self._predict(decider, held, part)
            held_out_real = self._held_out_real(decider, held, part)
            unseen = _generated(against)["split"].to_numpy() == "validation"
            distances.append(self._pair_distances(part, unseen, encoder))
        decider, validation = self._with_threshold(decider, validation, folded=bool(folds))

        test_part = predictions = None
        if len(test):
            test_part = self._embed(encoder, test, test)
            predictions = self._predict(self._for_test(decider), test, test_part)
        return Detection(
            generator=generator,
            encoder=encoder,
            decider=self._for_test(decider),
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

    def _fit(self, encoder: Encoder, part: EmbeddedPart) -> Decider:
        """Reduction and decision fitted on a training part."""
        reduction = self.recipe.reduction(np.concatenate([part.real, part.generated]))
        decision = self.recipe.decision(part.map(reduction.apply), encoder.head)
        return Decider(reduction, decision)

    def _open(self, decider: Decider, part: EmbeddedPart) -> Decider:
        """The decision with a "none of these", if it is to have one: what validation images seldom reach."""
        if self.recipe.share_known is None:
            return decider
        decision = decider.decision
        if not isinstance(decision, Classifier):
            raise FingerprintsError(
                f"Decision '{decision.name}' cannot answer 'none of these'.",
                where="decision.open_set",
                fix="decision=centroid, svm, logistic or knn, or decision.open_set=false",
            )
        opened = OpenSetDecision.of(
            decision, decider.reduction.apply(part.generated), share_kept=self.recipe.share_known
        )
        return replace(decider, decision=opened)

    def _with_threshold(
        self, decider: Decider, validation: Predictions | None, *, folded: bool
    ) -> tuple[Decider, Predictions | None]:
        """`usage`: the threshold that scores of unseen images give."""
        decision = decider.decision
        if not isinstance(decision, MembershipDecision) or decision.threshold_source == "half":
            return decider, validation
        if validation is None or validation.scores is None:
            raise ValueError("a membership threshold needs validation images or folds")
        decision = decision.with_threshold(
            validation.scores,
            validation.rows["label"].tolist(),
            source="out_of_fold" if folded else "validation",
        )
        called = replace(validation, labels=decision.labels(validation.scores))
        return replace(decider, decision=decision), called

    def _for_test(self, decider: Decider) -> Decider:
        """The test part may have more generators than the training part has labels."""
        count = self.recipe.test_clusters
        if count is None or not isinstance(decider.decision, Clusters):
            return decider
        return replace(decider, decision=resized(decider.decision, count))

    def _held_out_real(self, decider: Decider, held: pd.DataFrame, part: EmbeddedPart) -> Predictions | None:
        decision = decider.decision
        if isinstance(decision, MembershipDecision) or decider.transductive or not len(part.real):
            return None
        found = decision.answer(decider.reduction.apply(part.real))
        return Predictions(rows=held[held["domain"] == "real"], labels=found.labels, scores=found.scores)

    def _embed(self, encoder: Encoder, rows: pd.DataFrame, part: pd.DataFrame) -> EmbeddedPart:
        """The real images of `rows` with the generated images of `part`, as embeddings."""
        real, generated = rows[rows["domain"] == "real"], _generated(part)
        embeddings = encoder.encode(np.concatenate([real.index, generated.index]).astype(np.int64))
        return EmbeddedPart(
            real=embeddings[: len(real)],
            real_labels=real["label"].to_numpy(dtype=str),
            generated=embeddings[len(real) :],
            generated_labels=generated["label"].to_numpy(dtype=str),
            real_groups=real["group"].to_numpy(dtype=str),
            generated_groups=generated["group"].to_numpy(dtype=str),
        )

    def _predict(self, decider: Decider, rows: pd.DataFrame, part: EmbeddedPart) -> Predictions:
        units = rows[rows["domain"] == self.index.task.unit]
        found = decider.answer(part)
        return Predictions(
            rows=units, labels=found.labels, scores=found.scores, clusters=decider.transductive
        )

    def _pair_distances(
        self, part: EmbeddedPart, unseen: NDArray[np.bool_], encoder: Encoder
    ) -> tuple[NDArray, NDArray]:
        """Distances of the part's real to its unseen generated images, positive and negative pairs."""
        if not len(part.real) or not encoder.fits or encoder.head is not None:
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
    scores = [part.scores for part in parts if part.scores is not None]
    return Predictions(
        rows=rows.iloc[order],
        labels=np.concatenate([part.labels for part in parts])[order],
        scores=np.concatenate(scores)[order] if scores else None,
    )


def _join_pairs(parts: list[tuple[NDArray, NDArray]]) -> tuple[NDArray, NDArray]:
    if not parts:
        return np.empty(0, np.float32), np.empty(0, np.float32)
    return np.concatenate([p for p, _ in parts]), np.concatenate([n for _, n in parts])
