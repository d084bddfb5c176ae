"""The verdict in words, before any table.

Thresholds here choose words, not figures: every headline states the figure, its interval and p. The level
depends on the metric that the challenge ranks by:
- `unscored`: there is no truth, or the metric has no value;
- `nothing_found`: p is 0.05 or more, or the interval includes chance (the mean of the permutations).
  For `usage` the AUC is checked too (p at most 0.025), since a bad threshold can hide a good ranking: such a
  signal is `weak`;
- `confounded`: a blind baseline is at most 0.02 below the detector, or it is above chance (p < 0.05) and its
  interval includes the detector's figure;
- `weak`: the interval's lower end is less than a fifth of the way from chance to 1, or there is no interval,
  or a trivial answer scores as well, or the detector is not clearly better than a blind baseline;
- `clear`: none of these.

Intervals of detector and baseline are compared as if they were independent, although both saw the same
images: this makes `confounded` more likely.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fingerprints.core.tasks import Task
from fingerprints.evidence.baselines import TRIVIAL
from fingerprints.evidence.estimates import Estimate, Evaluation

Level = Literal["nothing_found", "weak", "clear", "confounded", "unscored"]

ALPHA = 0.05
SECOND_LOOK = 0.025
"""For the ranking, which is checked only if the answers are no better than chance."""

CLEAR = 0.2
"""Least chance-corrected lower bound of a clear signal: where Landis and Koch's (1977) "slight" ends."""

MARGIN = 0.02
"""A blind baseline that is this close to the detector counts as equally good."""

NAMES = {"kappa": "Cohen's kappa", "ari": "adjusted Rand index", "auc": "AUC", "f1_used": "F1 of used images"}


@dataclass(frozen=True)
class Verdict:
    """One plain sentence, its level, and notes on how to read the figures."""

    headline: str
    level: Level
    notes: list[str]


def verdict(
    *,
    task: Task,
    evaluation: Evaluation | None,
    baselines: Mapping[str, Evaluation],
    validation: Evaluation | None,
    effective_n: int,
    pseudo_groups: bool,
    generators: int,
    shared_groups: bool | None = None,
    held_out_real: Evaluation | None = None,
    clustered: bool = False,
) -> Verdict:
    """The conclusion that the figures allow; the module docstring defines the levels.

    Args:
        task: The task.
        evaluation: The detector on the test part; `None` if there are no labels.
        baselines: Trivial (`baselines.TRIVIAL`) and blind baselines on the same images, by name.
        validation: The detector on held-out images of the training part.
        effective_n: Number of groups among the answered images.
        pseudo_groups: Whether groups are clusters of near-duplicates.
        generators: Number of generators that the figures cover.
        shared_groups: `usage`: whether non-members come from groups of members; `None` if unknown.
        held_out_real: `subset`: the detector on held-out real images, which their generator was trained on.
        clustered: Whether answers are clusters.
    """
    notes = _notes(
        task=task,
        baselines=baselines,
        validation=validation,
        evaluation=evaluation,
        effective_n=effective_n,
        pseudo_groups=pseudo_groups,
        generators=generators,
        shared_groups=shared_groups,
        clustered=clustered,
    )
    if held_out_real is not None:
        notes.append(_held_out_note(held_out_real, metric=task.official))
    ours = None if evaluation is None else evaluation.metrics.get(task.official)
    if evaluation is None or ours is None or ours.value is None:
        why = "there are no true labels" if ours is None or ours.reason is None else ours.reason
        return Verdict(f"Not scored: {why}.", "unscored", notes)
    figure = (
        f"{_named(task.official)} {_figure(ours)} on {evaluation.n} images in {evaluation.n_groups} groups"
    )
    chance = chance_level(evaluation, task.official)
    if not _above(ours, chance=chance, alpha=ALPHA):
        return _nothing(task=task, evaluation=evaluation, figure=figure, chance=chance, notes=notes)
    headline, level = _above_chance(ours, baselines, figure, chance=chance, metric=task.official)
    unrecognised = held_out_real is not None and not _recognises_data(held_out_real, metric=task.official)
    if level == "clear" and unrecognised:
        headline += " The signal may come from the generators alone: held-out real images are not told apart."
    return Verdict(headline, level, notes)


def _above_chance(
    ours: Estimate, baselines: Mapping[str, Evaluation], figure: str, *, chance: float, metric: str
) -> tuple[str, Level]:
    """Headline and level of a figure above chance."""
    blind = {name: other for name, other in baselines.items() if name not in TRIVIAL}
    as_good = _as_good(ours, blind, metric=metric)
    if as_good:
        rivals = " and ".join(f"'{name}' reaches {_figure(blind[name].metrics[metric])}" for name in as_good)
        return (
            f"Confounded: {figure}, but the blind baseline {rivals}, so that the figure proves nothing.",
            "confounded",
        )
    doubts = _doubts(ours, baselines, metric=metric)
    corrected = None if ours.low is None or chance >= 1 else (ours.low - chance) / (1 - chance)
    if corrected is None:
        doubts.append(ours.reason or "there is no interval")
    elif corrected < CLEAR:
        doubts.append("the interval reaches nearly down to chance")
    if doubts:
        return f"Weak signal: {figure}, above chance ({chance:.2f}), but {'; '.join(doubts)}.", "weak"
    return f"Clear signal: {figure}, where chance gives {chance:.2f}.", "clear"


def figures_document(figures: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Every figure by generator, metric and part, in a form for JSON: value, interval, p-values, and chance.

    Chance is included if labels were permuted. A single unnamed generator gets no level in the nesting.
    """
    documents: dict[str, Any] = {}
    for generator, evaluation in figures.items():
        documents[generator] = {name: evaluation.metric_json(name) for name in evaluation.metrics}
        for name in set(evaluation.nulls) & set(evaluation.metrics):
            documents[generator][name]["chance"] = chance_level(evaluation, name)
    return documents[""] if set(documents) == {""} else documents


def chance_level(evaluation: Evaluation, metric: str) -> float:
    """Mean of the metric under permuted labels; 0 if there are no permutations."""
    null = evaluation.nulls.get(metric)
    return 0.0 if null is None or null.size == 0 else float(null.mean())


def _nothing(*, task: Task, evaluation: Evaluation, figure: str, chance: float, notes: list[str]) -> Verdict:
    """Verdict on answers that are no better than chance; the ranking may still be better."""
    ranking = evaluation.metrics.get("auc")
    if task.positive is not None and ranking is not None and _above(ranking, chance=0.5, alpha=SECOND_LOOK):
        headline = (
            f"Weak signal: the answers are no better than chance ({figure}), but the scores rank "
            f"{task.positive} images higher: AUC {_figure(ranking)}."
        )
        return Verdict(headline, "weak", notes)
    return Verdict(f"Nothing found: {figure}, where chance gives {chance:.2f}.", "nothing_found", notes)


def _above(estimate: Estimate, *, chance: float, alpha: float) -> bool:
    """Whether p is below alpha and the interval, if there is one, above chance."""
    if estimate.value is None or estimate.p is None or estimate.p >= alpha:
        return False
    return estimate.value > chance if estimate.low is None else estimate.low > chance


def _as_good(ours: Estimate, blind: Mapping[str, Evaluation], *, metric: str) -> list[str]:
    """Names of blind baselines that do as well."""
    names = []
    for name, other in blind.items():
        theirs = other.metrics.get(metric)
        if ours.value is None or theirs is None or theirs.value is None:
            continue
        near = theirs.value >= ours.value - MARGIN
        reaches = theirs.high is not None and theirs.high >= ours.value
        if near or (reaches and _above(theirs, chance=chance_level(other, metric), alpha=ALPHA)):
            names.append(name)
    return names


def _doubts(ours: Estimate, baselines: Mapping[str, Evaluation], *, metric: str) -> list[str]:
    """Baselines that a detector above chance does not clearly beat."""
    doubts = []
    for name, other in baselines.items():
        theirs = other.metrics.get(metric)
        if ours.value is None or theirs is None or theirs.value is None:
            continue
        if name in TRIVIAL and theirs.value >= ours.value:
            doubts.append(f"the trivial answer '{name}' reaches {theirs.value:.2f}")
        elif name not in TRIVIAL and theirs.high is not None and theirs.high >= ours.value:
            doubts.append(f"the interval of the blind baseline '{name}' includes it ({_figure(theirs)})")
    return doubts


def _notes(
    *,
    task: Task,
    evaluation: Evaluation | None,
    baselines: Mapping[str, Evaluation],
    validation: Evaluation | None,
    effective_n: int,
    pseudo_groups: bool,
    generators: int,
    shared_groups: bool | None,
    clustered: bool,
) -> list[str]:
    notes: list[str] = []
    if pseudo_groups:
        size = "" if evaluation is None else f" of {evaluation.n} images"
        notes.append(
            "No groups (patients) were given: clusters of near-duplicates are used instead. The effective "
            f"sample size{size} is {effective_n} at most; the number of true groups may be smaller."
        )
    if task.positive is not None:
        notes.append(_member_note(shared_groups))
    if task.unit == "generated" and task.has_real:
        notes.append(_attribution_note(baselines, metric=task.official))
    if evaluation is not None:
        notes.extend(_score_notes(task=task, evaluation=evaluation, generators=generators))
        notes.extend(_p_notes(evaluation, metric=task.official))
    if validation is not None:
        notes.extend(
            _validation_notes(task=task, evaluation=evaluation, validation=validation, clustered=clustered)
        )
    return notes


def _member_note(shared_groups: bool | None) -> str:
    if shared_groups is None:
        return (
            "It is not known whether non-members share groups (patients) with members. So it is not known "
            "whether 'used' means this image or this patient."
        )
    if shared_groups:
        return (
            "Non-members come from the same groups (patients) as members: 'used' means that this very "
            "image was in training."
        )
    return (
        "Non-members come from other groups (patients) than members: 'used' can mean that this patient was "
        "in training, not necessarily this image."
    )


def _attribution_note(baselines: Mapping[str, Evaluation], *, metric: str) -> str:
    note = (
        "If each subset trained its own generator, the detector may tell the generators apart and not the "
        "subsets: then it has learnt nothing about real images."
    )
    other = baselines.get("histogram_generated")
    estimate = None if other is None else other.metrics.get(metric)
    if estimate is None or estimate.value is None:
        return f"{note} No blind baseline fitted on generated images was run to test that."
    return (
        f"{note} Grey-level histograms of generated images alone reach {_named(metric)} {_figure(estimate)}."
    )


def _recognises_data(held_out_real: Evaluation, *, metric: str) -> bool:
    """Whether real images that the detector has not seen are attributed better than by chance."""
    chance = chance_level(held_out_real, metric)
    return _above(held_out_real.metrics[metric], chance=chance, alpha=ALPHA)


def _held_out_note(evaluation: Evaluation, *, metric: str) -> str:
    estimate = evaluation.metrics[metric]
    if estimate.value is None:
        return f"Held-out real images cannot be judged here: {estimate.reason}."
    chance = chance_level(evaluation, metric)
    said = (
        f"Real images of the same subsets, held out of the detector's training but known to the generators, "
        f"are attributed with {_named(metric)} {_figure(estimate)}, where chance gives {chance:.2f}"
    )
    if _recognises_data(evaluation, metric=metric):
        return f"{said}: the detector recognises something of the real data as well."
    return f"{said}: nothing shows that the detector recognises the real data and not just the generator."


def _p_notes(evaluation: Evaluation, *, metric: str) -> list[str]:
    """Tests of other hypotheses beside the one in the headline."""
    ours = evaluation.metrics.get(metric)
    if ours is None or ours.p is None:
        return []
    notes = []
    by_image, by_name = evaluation.p_among_images(metric), evaluation.p_of_names(metric)
    if by_image is not None and f"{by_image:.2f}" != f"{ours.p:.2f}":
        notes.append(
            f"Permuted among groups, {said_p(ours.p)}; if all images were independent, {said_p(by_image)}. "
            "Images of one patient are alike, so that the first one counts."
        )
    if by_name is not None:
        notes.append(
            f"If the detector told the classes apart without having learnt which is which, its answers would "
            f"do as well with a probability of {by_name:.2g} (all exchanges of the names of the classes)."
        )
    return notes


def said_p(p: float) -> str:
    """`p = 0.190`; `p <= 0.001` where fewer permutations would not tell."""
    return f"p = {p:.3f}" if p > 0.001 else "p <= 0.001"


def _score_notes(*, task: Task, evaluation: Evaluation, generators: int) -> list[str]:
    these = "this one generator" if generators == 1 else f"these {generators} generators"
    notes = [
        f"Intervals are conditional on {these}: they cover other images of the same generators, but not "
        "images of a generator that is trained again."
    ]
    if task.unit == "generated":
        notes.append(
            "The p-value tests whether these answers agree with the truth, not whether the training labels "
            "are the cause: images of one generator are similar, so that a detector trained on shuffled "
            "labels can differ from chance too. Train again with data.shuffle_labels=true to see by how much."
        )
    perfect = [
        name
        for name in dict.fromkeys([task.official, "accuracy", "auc"])
        if (estimate := evaluation.metrics.get(name)) is not None and estimate.value == 1.0
    ]
    if perfect:
        notes.append(
            f"A perfect {' and '.join(_named(name) for name in perfect)} is suspect: check for duplicates "
            "across splits, labels in file names and differences of format before you rely on it."
        )
    return notes


def _validation_notes(
    *, task: Task, evaluation: Evaluation | None, validation: Evaluation, clustered: bool
) -> list[str]:
    held_out = validation.metrics.get(task.official)
    if held_out is None or held_out.value is None:
        return []
    which = "On the labelled images of the training part, clustered without their labels"
    which = which if clustered else "On held-out images of the training part"
    notes = [f"{which}: {_named(task.official)} {_figure(held_out)}."]
    if clustered:
        return [
            *notes,
            "Answers are clusters without label names: each cluster was matched to the label that it fits "
            "best before accuracy and similar figures were computed. 'Unmatched' accuracy, which some "
            "sources print, takes the first cluster as the first label.",
        ]
    ours = None if evaluation is None else evaluation.metrics.get(task.official)
    if ours is None or ours.high is None or held_out.low is None:
        return notes
    if ours.high < held_out.low:
        notes.append(
            "The test part scores clearly lower than held-out training images: the two parts differ, or "
            "settings were chosen to fit the held-out images."
        )
    return notes


def _named(metric: str) -> str:
    return NAMES.get(metric, metric)


def _figure(estimate: Estimate) -> str:
    """`0.52 (95 % interval 0.48 to 0.56, p = 0.19)`; missing pieces are left out."""
    if estimate.low is None or estimate.high is None:
        interval = "no interval"
    else:
        interval = f"95 % interval {estimate.low:.2f} to {estimate.high:.2f}"
    p = "" if estimate.p is None else f", {said_p(estimate.p)}"
    return f"{estimate.value:.2f} ({interval}{p})"
