"""Classifiers that are scikit-learn pipelines: optional scaling, then an estimator."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import gen_batches

from fingerprints.core.fitted_state import FittedState
from fingerprints.decisions.classifiers.classifier import Classifier
from fingerprints.decisions.classifiers.fit_set import FitSet, fit_set
from fingerprints.decisions.contract import Embeddings, Fitting, check_memory
from fingerprints.decisions.settings import ClassWeights, DecisionSettings, PipelineSettings

# Images per call of the estimator, to limit the memory for kernels and distances to all training images.
BLOCK = 2048
MODEL = "model"  # name of the pipeline on disk


@dataclass(frozen=True, kw_only=True)
class PipelineClassifier(Classifier):
    """An optional scaler, then an estimator.

    Attributes:
        model: The fitted pipeline.
        chosen: Choices made while fitting, as JSON values: the cost, and the cross-validated accuracy of each
            candidate.
    """

    settings: PipelineSettings
    model: Pipeline
    chosen: dict[str, Any] = field(default_factory=dict)

    @classmethod
    @abstractmethod
    def estimator(
        cls, settings: Any, images: FitSet, *, classes: int, seed: int
    ) -> tuple[Any, dict[str, Any]]:
        """The estimator to fit, and the choices made for it, as JSON values.

        Args:
            settings: Settings of the classifier.
            images: The training images, scaled.
            classes: Number of classes.
            seed: Seed of the run.
        """

    @abstractmethod
    def _scores(self, embeddings: Embeddings) -> NDArray[np.floating]:
        """`(n, C)` scores of `(n, d)` embeddings, n of at least 1."""

    @classmethod
    def fit(cls, settings: DecisionSettings, fitting: Fitting) -> Self:
        """Fit on the training part.

        Raises:
            FingerprintsError: As `fit_set` and `estimator`, or if there is not enough memory.
        """
        assert isinstance(settings, PipelineSettings)
        images = fit_set(fitting, fit_on=settings.fit_on)
        count, width = images.embeddings.shape
        check_memory(cls, settings, images=count, width=width, clusters=len(fitting.classes))
        scaler = StandardScaler() if settings.standardise else FunctionTransformer()
        scaled = scaler.fit_transform(images.embeddings)
        estimator, chosen = cls.estimator(
            settings,
            FitSet(scaled, images.codes, images.groups),
            classes=len(fitting.classes),
            seed=fitting.seed,
        )
        model = make_pipeline(scaler, estimator.fit(scaled, images.codes))
        return cls(settings=settings, classes=fitting.classes, model=model, chosen=chosen)

    def scores(self, embeddings: Embeddings) -> NDArray[np.floating]:
        """`(n, C)` scores of `(n, d)` embeddings."""
        if not len(embeddings):  # scikit-learn refuses empty arrays
            return np.empty((0, len(self.classes)))
        return np.concatenate(
            [self._scores(embeddings[rows]) for rows in gen_batches(len(embeddings), BLOCK)]
        )

    def state(self) -> FittedState:
        """The state that `from_state` reads."""
        facts = {**self._facts(), "chosen": self.chosen}
        return FittedState(self.settings.name, facts, {}, {MODEL: self.model})

    @classmethod
    def from_state(cls, state: FittedState) -> Self:
        """Restore the decision from its stored state."""
        return cls(**cls._restored(state), model=state.estimators[MODEL], chosen=dict(state.facts["chosen"]))


def class_weight(weights: ClassWeights) -> ClassWeights | None:
    """The value for scikit-learn's `class_weight`."""
    return None if weights == "none" else weights
