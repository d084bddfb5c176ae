"""A detector from settings: checks which stages can be combined, and builds its encoders."""

from __future__ import annotations

import functools
from collections.abc import Callable

from fingerprints.core.errors import FingerprintsError, command, listing
from fingerprints.core.memory import require_memory
from fingerprints.core.options import part_of, registered
from fingerprints.core.tasks import NOT_USED, Task
from fingerprints.data.index import Index
from fingerprints.data.pairs import PairPools, PairStrategy
from fingerprints.data.settings import REFERENCE, DataSettings, PairingSettings
from fingerprints.data.store import ImageStore
from fingerprints.decisions.contract import check_memory
from fingerprints.decisions.references import no_unused
from fingerprints.decisions.scores.settings import no_reference
from fingerprints.decisions.settings import DecisionSettings, Need
from fingerprints.embeddings.sources import EncoderSource, Frozen, OnGenerated, OnLabels, OnPairs
from fingerprints.encoders.build import build_network
from fingerprints.encoders.settings import AutoencoderSettings, EncoderSettings, PixelsSettings
from fingerprints.reductions.settings import ReductionSettings
from fingerprints.training.augment import Augmentation
from fingerprints.training.classifier import ClassifierModule
from fingerprints.training.reconstruction import ReconstructionModule
from fingerprints.training.settings import (
    ClassifierTrainingSettings,
    FrozenTrainingSettings,
    PairTrainingSettings,
    ReconstructionTrainingSettings,
    TrainingSettings,
)
from fingerprints.training.siamese import SiameseModule


def check_stages(
    *,
    task: Task,
    encoder: EncoderSettings,
    training: TrainingSettings,
    reduction: ReductionSettings,
    decision: DecisionSettings,
) -> None:
    """Refuse stages that do not fit each other or the task, before any image is read.

    Raises:
        FingerprintsError: If the decision does not answer the task, or a stage needs something that an
            earlier stage does not provide.
    """
    if task.name not in decision.tasks:
        wanted = _decisions(lambda found: task.name in found.tasks)
        raise FingerprintsError(
            f"Decision '{decision.name}' does not answer task '{task.name}'.",
            where="decision",
            fix=f"decision={wanted[0]}" if len(wanted) == 1 else f"decision= one of {', '.join(wanted)}",
        )
    part_of(decision).check(decision, task=task, asked=(), known=())
    _check_targets(task, training)
    _check_autoencoder(task, encoder, training)
    for need in decision.needs:
        NEEDS[need](encoder, training, reduction, decision)
    if decision.needs_pixels and not isinstance(encoder, PixelsSettings):
        raise FingerprintsError(
            f"Decision '{decision.name}' needs the pixels, not features.",
            where="encoder",
            fix="encoder=pixels encoder.side=64",
        )
    if reduction.transductive and (decision.uses_real or not decision.transductive):
        clusterings = _decisions(lambda found: found.transductive)
        raise FingerprintsError(
            f"Reduction '{reduction.name}' computes the images asked about together and cannot place new "
            f"images, but decision '{decision.name}' needs training and new images in one space.",
            where="reduction.scope=asked" if reduction.name == "pca" else "reduction",
            fix="decision.cluster_on=generated"
            if decision.transductive
            else f"decision= one of {', '.join(clusterings)}, or reduction=pca with reduction.scope=training",
        )
    if not task.has_real and (decision.uses_real or "real" in (decision.learns_from, training.learns_from)):
        raise FingerprintsError(
            f"Task '{task.name}' has no real images to fit on.",
            where="decision.fit_on, decision.cluster_on, training.fit_on",
            fix="decision.fit_on=generated, decision.cluster_on=generated, training.fit_on=generated",
        )
    if decision.may_refuse and not task.open_set:
        raise FingerprintsError(
            f"Task '{task.name}' does not have the answer 'none of these'.",
            where="decision.open_set",
            fix="decision.open_set=false",
        )


def _check_targets(task: Task, training: TrainingSettings) -> None:
    """Refuse a classifier whose targets have no images in the task."""
    if task.generated_label is None:
        if not set(training.learns) <= {"labels"}:
            raise FingerprintsError(
                f"Targets origin and generators are for `usage`; task '{task.name}' labels generated images.",
                where="training.targets",
                fix="training.targets=[labels]",
            )
    elif training.learns_from not in (None, "real"):
        raise FingerprintsError(
            f"Task '{task.name}' labels real ones only: generated images have no labels to learn.",
            where=f"training.fit_on={training.learns_from}",
            fix="training.fit_on=real, training.targets=[origin], or training=pairs or frozen",
        )


def _check_autoencoder(task: Task, encoder: EncoderSettings, training: TrainingSettings) -> None:
    if training.on_errors and task.unit == "generated":
        raise FingerprintsError(
            f"Training on all generated images leaves none to test task '{task.name}' on.",
            where="training",
            fix="training=pairs, training=classifier or training=frozen",
        )
    if training.on_errors != encoder.gives_errors and not isinstance(training, FrozenTrainingSettings):
        raise FingerprintsError(
            "Only an autoencoder is trained on its reconstruction errors, and on nothing else.",
            where="encoder, training",
            fix="encoder=autoencoder training=reconstruction, or another encoder with another training",
        )


def check_ids(decision: DecisionSettings, index: Index) -> None:
    """Refuse a decision whose settings are about other images, before anything is trained.

    Raises:
        FingerprintsError: As `Decision.check`.
    """
    units = index.select(domain=index.task.unit)
    tested = units["split"] == "test"
    ids = {"asked": set(units.loc[tested, "id"]), "known": set(units.loc[~tested, "id"])}
    part_of(decision).check(decision, task=index.task, **ids)


def check_size(decision: DecisionSettings, index: Index) -> None:
    """Refuse a decision for which there are too many images for the memory, before anything is trained.

    The width of the embeddings is not yet known here, so the decision itself checks again.

    Raises:
        FingerprintsError: If there is not enough memory.
    """
    for generator in index.generators:
        rows = index.select(generator=generator)
        if decision.transductive:
            counted = (rows["split"] == "test") & (rows["domain"] == index.task.unit)
            if decision.uses_real:
                counted |= (rows["split"] == "train") & (rows["domain"] == "real")
        else:
            counted = (rows["split"] == "train") & (rows["label"] != "")
            chosen = decision.learns_from
            if chosen is None:
                chosen = "real" if (rows["domain"] == "real").any() else "generated"
            if chosen != "both":
                counted &= rows["domain"] == chosen
        check_memory(
            part_of(decision), decision, images=int(counted.sum()), width=1, clusters=len(index.classes)
        )


def check_error_maps(encoder: EncoderSettings, index: Index, *, size: int) -> None:
    """Refuse error maps for which there is not enough memory, before the autoencoder is trained.

    The maps of all parts and generators are held until the end, those of a training part twice while a
    decision is fitted.

    Args:
        encoder: The encoder; only an autoencoder gives maps.
        index: The data set.
        size: Image side in pixels.

    Raises:
        FingerprintsError: If there is not enough memory.
    """
    if not isinstance(encoder, AutoencoderSettings):
        return
    side = size if encoder.side is None else encoder.side
    rows = index.select()
    twice = rows[rows["split"] == "train"].groupby("generator").size().max()
    require_memory(
        4 * side**2 * int(len(rows) + twice),
        purpose=f"encoder=autoencoder on {len(rows):,} images (error maps of {side} x {side})",
        where="encoder.side",
        fix=f"a smaller encoder.side ({side // 2} needs a quarter), or use fewer images",
    )


def check_reference(*, task: Task, decision: DecisionSettings, data: DataSettings) -> None:
    """Refuse reference images that the task has no use for, and a decision that needs some and has none.

    Raises:
        FingerprintsError: If so; nothing is read.
    """
    if data.has_reference and task.unit != "real":
        raise FingerprintsError(
            f"Task '{task.name}' does not ask which real images were used, so it has no use for a reference.",
            where="data.reference",
            fix="leave it out, or task=usage",
        )
    if not data.has_reference and decision.reference_from == "given":
        raise no_reference()


def check_shadow(*, task: Task, decision: DecisionSettings, data: DataSettings) -> None:
    """Refuse shadow generators that nothing uses, and a decision that needs some and has none.

    Raises:
        FingerprintsError: If so; nothing is read.
    """
    if decision.uses_shadow and data.shadow is None:
        raise FingerprintsError(
            f"Decision '{decision.name}' needs shadow generators.",
            where="data.shadow",
            fix="train some on the same real images, then give data.shadow=SHADOW: "
            + command("simulate", "task=shadow", "images=DIR", "out=SHADOW"),
        )
    if data.shadow is not None and not (decision.uses_shadow and task.unit == "real"):
        raise FingerprintsError(
            f"Decision '{decision.name}' does not use shadow generators.",
            where="data.shadow",
            fix="leave it out, or task=usage decision=shadow",
        )


def reference_notes(decision: DecisionSettings, data: DataSettings) -> list[str]:
    """A note if the data have reference images that the decision does not use."""
    if not data.has_reference or decision.takes_reference:
        return []
    return [f"decision={decision.name} with these settings does not use the reference images"]


def check_training_reference(decision: DecisionSettings, index: Index) -> None:
    """Refuse a reference from the training part that it does not have, or that may be of members.

    Raises:
        FingerprintsError: If reference images are needed and there are neither given ones nor unused training
            images of a generator; or with `decision.reference=real`, if training and test part share
            patients, since the training part's members may then be members of the test part's generator.
    """
    real = index.select(domain="real")
    unused = real[(real["split"] == "train") & (real["label"] == NOT_USED)]
    given = decision.reference_from == "given" or len(index.select(split=REFERENCE)) > 0
    if decision.needs_reference and not given and set(index.generators) - set(unused["generator"]):
        raise no_unused(decision)
    if decision.reference_from != "real":
        return
    tested = real["split"] == "test"
    both = sorted(set(real.loc[tested, "group"]) & set(real.loc[~tested, "group"]))
    if both:
        raise FingerprintsError(
            f"Training and test part share {len(both):,} patient(s), so members of the training part are no "
            f"reference for the test part:\n{listing(both)}",
            where="decision.reference=real",
            fix="decision.reference=not_used",
        )


def _decisions(wanted: Callable[[type[DecisionSettings]], bool]) -> list[str]:
    return sorted(name for name, found in registered("decision").items() if wanted(found))


Check = Callable[[EncoderSettings, TrainingSettings, ReductionSettings, DecisionSettings], None]


def _errors(
    encoder: EncoderSettings,
    training: TrainingSettings,
    reduction: ReductionSettings,
    decision: DecisionSettings,
) -> None:
    if not encoder.gives_errors:
        raise FingerprintsError(
            f"Decision '{decision.name}' needs the reconstruction errors of an autoencoder.",
            where="encoder",
            fix="encoder=autoencoder training=reconstruction",
        )


def _head(
    encoder: EncoderSettings,
    training: TrainingSettings,
    reduction: ReductionSettings,
    decision: DecisionSettings,
) -> None:
    if not training.gives_head:
        raise FingerprintsError(
            f"Decision '{decision.name}' needs a trained classifier; training={training.name} trains none.",
            where="decision",
            fix="training=classifier, or a decision that needs none",
        )
    if training.learns[-1] == "generators":
        raise FingerprintsError(
            f"Decision '{decision.name}' needs a classifier of used images; its last target is generators.",
            where="training.targets",
            fix="training.targets=[generators,labels], or another decision",
        )


def _unreduced(
    encoder: EncoderSettings,
    training: TrainingSettings,
    reduction: ReductionSettings,
    decision: DecisionSettings,
) -> None:
    if reduction.changes:
        raise FingerprintsError(
            f"Decision '{decision.name}' needs the encoder's own embeddings, not reduced or normalised ones.",
            where="reduction",
            fix="reduction=none reduction.normalise=none, or another decision",
        )


# Requirement of a decision on other stages -> the check that refuses settings without it.
NEEDS: dict[Need, Check] = {
    "errors": _errors,
    "head": _head,
    "unreduced": _unreduced,
}


def encoder_source(
    encoder: EncoderSettings,
    training: TrainingSettings,
    pairing: PairingSettings,
    *,
    size: int,
    accumulate: int,
    seed: int,
) -> EncoderSource:
    """The source of encoders: trained on pairs, labels or generated images, or frozen.

    Args:
        encoder: The network.
        training: How it is trained, if at all.
        pairing: How pairs are drawn, if it is trained on pairs.
        size: Image side in pixels.
        accumulate: Number of parts in which a batch passes through the encoder.
        seed: Seed of the run.
    """
    network = functools.partial(build_network, encoder, size=size, on_pairs=training.on_pairs)
    if isinstance(training, FrozenTrainingSettings):
        return Frozen(network, batch_size=training.batch_size)
    assert isinstance(
        training, PairTrainingSettings | ClassifierTrainingSettings | ReconstructionTrainingSettings
    )
    common = {
        "optimiser": training.optimiser,
        "augmentation": Augmentation(seed=seed, **vars(training.augment.resolved())),
        "accumulate": accumulate,
    }
    if isinstance(training, ClassifierTrainingSettings):
        return OnLabels(
            lambda classes: ClassifierModule(network(), classes=classes, **common),  # type: ignore[arg-type]
            batch_size=training.batch_size,
            fit_on=training.fit_on,
            targets=training.targets,
            rounds=training.rounds,
            pseudo_labels=training.pseudo_labels,
        )
    if isinstance(training, ReconstructionTrainingSettings):
        return OnGenerated(
            lambda: ReconstructionModule(network(), **common),  # type: ignore[arg-type]
            batch_size=training.batch_size,
            own_part=training.own_part,
        )

    def strategy(pools: PairPools, store: ImageStore) -> PairStrategy:
        return part_of(pairing).of(pairing, pools, images=store.images, seed=seed)

    return OnPairs(
        lambda: SiameseModule(network(), settings=training, **common),  # type: ignore[arg-type]
        strategy,
    )
