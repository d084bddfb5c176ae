"""Sources of encoders: an encoder is trained on pairs, on labels or on generated images, or frozen.

The detector asks a source for an encoder that was trained only on the training images. It does not depend on
the kind of source.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.progress import Progress
from fingerprints.core.tasks import FitOn, Target
from fingerprints.data.datamodule import PairDataModule, PixelSource, StepDataModule, StrategyFactory
from fingerprints.data.index import Index
from fingerprints.data.labelled import LabelledImages
from fingerprints.data.store import ImageStore
from fingerprints.data.targets import lesson
from fingerprints.embeddings.check import check_features
from fingerprints.embeddings.embed import Features, embed, frozen_features
from fingerprints.encoders.head import Head
from fingerprints.encoders.network import EmbeddingNetwork
from fingerprints.training.classifier import ClassifierModule
from fingerprints.training.fit import FitResult, fit
from fingerprints.training.hardware import make_trainer
from fingerprints.training.history import Report, Row
from fingerprints.training.module import EncoderModule
from fingerprints.training.reconstruction import ReconstructionModule
from fingerprints.training.settings import StoppingSettings, TrainerSettings
from fingerprints.training.siamese import SiameseModule

log = logging.getLogger(__name__)


class EpochReport(Protocol):
    """Receives the figures of each epoch of a training.

    `part` is the training's folder below the run's checkpoints (`.` if there is only one training, or
    `fold_2`, `model1/fold_2`); `title` is its name in the log; `fresh` as in `fit`.
    """

    def __call__(self, part: str, title: str, row: Row, *, fresh: bool) -> None:
        """Receive the figures of one epoch."""


@dataclass(frozen=True)
class TrainingContext:
    """Data and settings for every source of encoders.

    Attributes:
        index: The data set.
        store: Its pixels.
        trainer: Hardware and length of a training.
        stopping: Early stopping and choice of weights.
        seed: Seed of the run.
        folder: Folder of checkpoints.
        report: Called with the figures of each epoch.
        progress: Called with the number of images that a frozen encoder has encoded.
    """

    index: Index
    store: ImageStore
    trainer: TrainerSettings
    stopping: StoppingSettings
    seed: int
    folder: Path
    report: EpochReport | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class TrainingRows:
    """Rows of the index that an encoder may use.

    Attributes:
        train: Images to train on.
        held: Labelled images held out.
        test: Images of the test part, without their labels; empty if the encoder must not use them.
    """

    train: pd.DataFrame
    held: pd.DataFrame
    test: pd.DataFrame


@dataclass(frozen=True)
class Encoder:
    """A ready encoder.

    Attributes:
        network: Its network.
        encode: Store rows `(n,)` to embeddings `(n, d)` float32.
        fits: The trainings that made it, by title; the last one made the network. Empty if frozen.
        head: The last layer of the classifier, if the encoder was trained as a classifier.
        features: The cached features of a frozen encoder.
        on_pairs: Whether it was trained on pairs, so that distances mean "belongs together".
    """

    network: EmbeddingNetwork
    encode: Callable[[NDArray[np.int64]], NDArray[np.float32]]
    fits: dict[str, FitResult] = field(default_factory=dict)
    head: Head | None = None
    features: Features | None = None
    on_pairs: bool = False


class EncoderSource(Protocol):
    """Makes encoders.

    Attributes:
        trained: Whether its encoders are trained on the training images.
    """

    @property
    def trained(self) -> bool:
        """See above."""

    def make(self, context: TrainingContext, rows: TrainingRows, part: Path, title: str) -> Encoder:
        """Make an encoder with these rows; its checkpoints are in `part` below the folder of checkpoints."""


def _training(
    context: TrainingContext, module: EncoderModule, data: StepDataModule, part: Path, title: str
) -> FitResult:
    report: Report | None = None
    if context.report is not None:
        report = functools.partial(context.report, part.as_posix(), title)
    return fit(
        module,
        data,
        trainer=context.trainer,
        stopping=context.stopping,
        folder=context.folder / part,
        title=title,
        seed=context.seed,
        report=report,
    )


def _embedding(context: TrainingContext, network: EmbeddingNetwork) -> Callable[[NDArray[np.int64]], NDArray]:
    # The same device and precision as in training, but without its callbacks.
    return functools.partial(
        embed, network, PixelSource(context.store), trainer=make_trainer(context.trainer)
    )


@dataclass(frozen=True)
class OnPairs:
    """Trains a Siamese network.

    Attributes:
        module: Makes a newly initialised training module; its weights depend on the seed.
        strategy: Makes the pairing strategy from pools.
    """

    module: Callable[[], SiameseModule]
    strategy: StrategyFactory
    trained: bool = True

    def make(self, context: TrainingContext, rows: TrainingRows, part: Path, title: str) -> Encoder:
        """Train on pairs of the training rows, with validation on pairs of the held-out rows."""
        pl.seed_everything(context.seed, verbose=False)
        module = self.module()
        data = PairDataModule(
            context.index,
            context.store,
            strategy=self.strategy,
            train=rows.train,
            validation=rows.held if len(rows.held) else None,
            seed=context.seed,
        )
        result = _training(context, module, data, part, title)
        encode = _embedding(context, module.network)
        return Encoder(module.network, encode, {title: result}, on_pairs=True)


@dataclass(frozen=True)
class OnLabels:
    """Trains a classifier of each target in turn; with rounds, then on test images that it labels itself.

    Each training starts from the network of the one before, with a new last layer, for the same number of
    epochs. A round adds the test images that the classifier is most certain about, and keeps the last layer
    too (pseudo-labels: SDVAHCS/UCSD [O24]; the paper does not say which images were used, so we use the most
    certain ones).

    Attributes:
        module: Makes a newly initialised training module for a number of classes.
        batch_size: Images in the global batch.
        fit_on: The domain whose labels are learnt.
        targets: What is learnt; the encoder gets the last layer of the last target.
        rounds: Rounds after the trainings of all targets.
        pseudo_labels: Test images that a round adds.
    """

    module: Callable[[int], ClassifierModule]
    batch_size: int
    fit_on: FitOn
    targets: tuple[Target, ...] = ("labels",)
    rounds: int = 0
    pseudo_labels: int = 200
    trained: bool = True

    def make(self, context: TrainingContext, rows: TrainingRows, part: Path, title: str) -> Encoder:
        """Train on the images of each target, then in rounds also on test images."""
        fits: dict[str, FitResult] = {}
        weights: Mapping[str, Tensor] = {}
        for number, target in enumerate(self.targets, start=1):
            taught = lesson(target, context.index, train=rows.train, held=rows.held, fit_on=self.fit_on)
            classes = taught.classes
            if len(classes) < 2:
                raise FingerprintsError(
                    f"A classifier needs images of at least 2 labels; its training part has "
                    f"{', '.join(classes) or 'none'}.",
                    where=f"training.fit_on={self.fit_on}",
                    fix="set training.fit_on to a domain that has labels: real, generated or both",
                )
            images = taught.train.index.to_numpy(dtype=np.int64)
            labels = np.array([classes.index(name) for name in taught.train["label"]], dtype=np.int64)
            last = number == len(self.targets)
            here, name = (part, title) if last else (part / f"stage_{number}", f"{title} stage {number}")
            known = (images, labels)
            module = self._train(context, known, taught.held, classes, here, name, fits, weights=weights)
            weights = _weights(module, "network.")
        encode = _embedding(context, module.network)
        for number in range(1, self.rounds + 1):
            asked = rows.test[rows.test["domain"] == context.index.task.unit].index.to_numpy(dtype=np.int64)
            chosen, called = surest(_head(module, classes).logits(encode(asked)), self.pseudo_labels)
            log.info("%s: round %d adds %d pseudo-labelled images", title, number, len(chosen))
            more = (np.concatenate([images, asked[chosen]]), np.concatenate([labels, called]))
            name = f"{title} round {number}"
            here, weights = part / f"round_{number}", _weights(module, "network.", "head.")
            module = self._train(context, more, taught.held, classes, here, name, fits, weights=weights)
            encode = _embedding(context, module.network)
        return Encoder(module.network, encode, fits, head=_head(module, classes))

    def _train(
        self,
        context: TrainingContext,
        images: tuple[NDArray[np.int64], NDArray[np.int64]],
        held: pd.DataFrame,
        classes: Sequence[str],
        part: Path,
        title: str,
        fits: dict[str, FitResult],
        *,
        weights: Mapping[str, Tensor],
    ) -> ClassifierModule:
        pl.seed_everything(context.seed, verbose=False)
        module = self.module(len(classes))
        module.load_state_dict(weights, strict=False)
        known = held[held["label"].isin(list(classes))]
        numbers = np.array([classes.index(name) for name in known["label"]], dtype=np.int64)
        plan = functools.partial(LabelledImages, batch_size=self.batch_size, seed=context.seed)
        data = StepDataModule(
            context.store,
            train=plan(*images),
            validation=plan(known.index.to_numpy(dtype=np.int64), numbers) if len(known) else None,
        )
        fits[title] = _training(context, module, data, part, title)
        return module


def surest(logits: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the `count` rows `(n, C)` with the highest softmax probability, and their classes."""
    probabilities = torch.from_numpy(logits).softmax(dim=1).numpy()
    chosen = np.sort(np.argsort(-probabilities.max(axis=1), kind="stable")[:count])
    return chosen, probabilities[chosen].argmax(axis=1)


def _weights(module: ClassifierModule, *prefixes: str) -> dict[str, Tensor]:
    return {key: value for key, value in module.state_dict().items() if key.startswith(prefixes)}


def _head(module: ClassifierModule, classes: Sequence[str]) -> Head:
    weight, bias = (tensor.detach().float().cpu().numpy() for tensor in module.head.parameters())
    return Head(weight.copy(), bias.copy(), tuple(classes))


@dataclass(frozen=True)
class OnGenerated:
    """Trains an autoencoder on the generated images of the training part.

    It sees no real image and no label, so one training serves all folds of a task about real images.

    Attributes:
        module: Makes a newly initialised training module; its weights depend on the seed.
        batch_size: Images in the global batch.
        own_part: Whether the test part's images get an autoencoder of that part's generated images.
    """

    module: Callable[[], ReconstructionModule]
    batch_size: int
    own_part: bool = False
    trained: bool = True
    _made: dict[str, Encoder] = field(default_factory=dict)

    def make(self, context: TrainingContext, rows: TrainingRows, part: Path, title: str) -> Encoder:
        """Train on the generated images of the training rows and of the fold that is held out, if any."""
        known = pd.concat([rows.train, rows.held])
        known = known[known["domain"] == "generated"]
        generator = str(known["generator"].iloc[0])
        if generator not in self._made:
            used, held = (known[known["split"] == name] for name in ("train", "validation"))
            self._made[generator] = self._train(context, used, held, Path(generator), generator or "training")
        own, asked = self._made[generator], rows.test[rows.test["domain"] == "generated"]
        if not self.own_part or asked.empty:
            return own
        other = self._train(context, asked, asked.iloc[:0], part / "test", f"{title}, test part")
        of_test = context.index.select(split="test").index.to_numpy()

        def encode(at: NDArray[np.int64]) -> NDArray[np.float32]:
            there = np.isin(at, of_test)
            out = np.empty((len(at), own.network.embedding), dtype=np.float32)
            out[~there], out[there] = own.encode(at[~there]), other.encode(at[there])
            return out

        return Encoder(other.network, encode, {**own.fits, **other.fits})

    def _train(
        self, context: TrainingContext, used: pd.DataFrame, held: pd.DataFrame, part: Path, title: str
    ) -> Encoder:
        pl.seed_everything(context.seed, verbose=False)
        module = self.module()
        train, validation = (
            LabelledImages(
                rows.index.to_numpy(dtype=np.int64),
                np.zeros(len(rows), dtype=np.int64),
                batch_size=self.batch_size,
                seed=context.seed,
            )
            for rows in (used, held)
        )
        data = StepDataModule(context.store, train=train, validation=validation if len(held) else None)
        result = _training(context, module, data, part, title)
        return Encoder(module.network, _embedding(context, module.network), {title: result})


@dataclass
class Frozen:
    """A network that is not trained: its features are computed once for all images and cached.

    Attributes:
        network: Makes the network; random weights depend on the seed.
        batch_size: Images at a time.
    """

    network: Callable[[], EmbeddingNetwork]
    batch_size: int = 64
    trained: bool = False
    _made: Encoder | None = None

    def make(self, context: TrainingContext, rows: TrainingRows, part: Path, title: str) -> Encoder:
        """The same encoder for all rows."""
        if self._made is None:
            pl.seed_everything(context.seed, verbose=False)
            network = self.network().eval()
            features = frozen_features(
                network,
                context.store,
                trainer=make_trainer(context.trainer),
                batch_size=self.batch_size,
                progress=context.progress,
            )
            table = context.index.table
            check_features(features.values[table.index.to_numpy()], table["path"].tolist())
            log.info(
                "features: %d x %d, %s",
                *features.values.shape,
                f"{features.encoded:,} images encoded" if features.encoded else "found in the cache",
            )
            self._made = Encoder(network, lambda at: np.asarray(features.values[at]), features=features)
        return self._made


def shortened(context: TrainingContext, epochs: int) -> TrainingContext:
    """The same context with another number of epochs."""
    return replace(context, trainer=replace(context.trainer, max_epochs=epochs))
