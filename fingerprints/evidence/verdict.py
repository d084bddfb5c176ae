"""The verdict in words, before any table.

Thresholds here choose words, not figures: every headline states the figure, its interval and p. The level
depends on the metric that the challenge ranks by. From the least to the most that can be said:
- `unscored`: there is no truth, or the metric has no value;
- `nothing_found`: p is 0.05 or more, or the interval includes chance (the mean of the permutations).
  The AUC is checked too (p below 0.025, two-sided), since a bad threshold, one answer for all images or an
  inverted detector can hide a good ranking: such a signal is `weak`;
- `underpowered`: nothing is found, but nothing could have been: the least p that the groups allow is above
  0.05, or only an AUC above 0.75 would be found in four of five studies (`power.detectable_auc`);
- `weak`: the interval's lower end is less than a fifth of the way from chance to 1, or there is no interval,
  or a trivial answer scores as well, or it is unknown which real images are of one patient;
- `not_above_blind`: the interval of the difference to a blind baseline (`difference`) includes 0, in the
  metric or in max(AUC, 1 - AUC) (in AUC, if the baseline was fitted within the test part): the signal may be
  what the baseline sees, and not a fingerprint;
- `generators`: for `subset`, generated images are told apart, but not the held-out real images;
- `clear`: none of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fingerprints.core.tasks import Task
from fingerprints.evidence.baselines import TRIVIAL
from fingerprints.evidence.difference import difference
from fingerprints.evidence.estimates import Estimate, Evaluation, chosen_text, p_text, p_value
from fingerprints.evidence.metrics import FloatArray
from fingerprints.evidence.power import detectable_auc

Level = Literal["unscored", "nothing_found", "underpowered", "weak", "not_above_blind", "generators", "clear"]

ALPHA = 0.05
SECOND_LOOK = 0.025
"""For the ranking, which is checked only if the answers are no better than chance."""

CLEAR = 0.2
"""Least chance-corrected lower bound of a clear signal: where Landis and Koch's (1977) "slight" ends."""

POWERFUL = 0.75
"""If only a higher AUC can be found, a study that finds nothing says little."""

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
    shared_groups: float | None = None,
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
        shared_groups: `usage`: share of non-members from groups of members; `None` if unknown.
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
    unknown_patients = pseudo_groups and task.unit == "real"
    headline, level = _above_chance(
        evaluation, baselines, figure, chance=chance, metric=task.official, unknown_patients=unknown_patients
    )
    if held_out_real is None or _recognises_data(held_out_real, metric=task.official):
        return Verdict(headline, level, notes)
    if level == "clear":
        headline, level = f"Generators told apart; no trace of the data shown: {figure}.", "generators"
    return Verdict(f"{headline} Held-out real images are not told apart.", level, notes)


def _above_chance(
    evaluation: Evaluation,
    baselines: Mapping[str, Evaluation],
    figure: str,
    *,
    chance: float,
    metric: str,
    unknown_patients: bool,
) -> tuple[str, Level]:
    """Headline and level of a figure above chance."""
    ours = evaluation.metrics[metric]
    rivals = _rivals(evaluation, baselines, metric=metric)
    doubts = _doubts(ours, baselines, metric=metric)
    corrected = None if ours.low is None or chance >= 1 else (ours.low - chance) / (1 - chance)
    if corrected is None:
        doubts.append(ours.reason or "there is no interval")
    elif corrected < CLEAR:
        doubts.append("the interval reaches nearly down to chance")
    if unknown_patients:
        doubts.append("it is unknown which images are of one patient, which alone can look like a signal")
    if doubts:
        doubts += [] if rivals is None else [f"it is not shown to exceed {rivals}"]
        return f"Weak signal: {figure}, above chance ({chance:z.2f}), but {'; '.join(doubts)}.", "weak"
    if rivals:
        return f"Not shown to exceed {rivals}: {figure}.", "not_above_blind"
    return f"Clear signal: {figure}, where chance gives {chance:z.2f}.", "clear"


def _rivals(ours: Evaluation, baselines: Mapping[str, Evaluation], *, metric: str) -> str | None:
    """Blind baselines that the detector does not clearly exceed; the strongest with its difference."""
    rivals: list[tuple[float, str, str]] = []
    for name, theirs in baselines.items():
        if name in TRIVIAL:
            continue
        ranking = "AUC" if theirs.cross_fitted else "max(AUC, 1 - AUC)"
        auc = (ranking, difference(ours, theirs, "auc", folded=not theirs.cross_fitted))
        for what, found in ((_named(metric), difference(ours, theirs, metric)), auc):
            if found is not None and (found.low is None or found.low <= 0):
                value = 0.0 if found.value is None else found.value
                rivals.append((value, f"'{name}'", f" (difference in {what} {_figure(found)})"))
                break
    if not rivals:
        return None
    (_, first, shown), *others = sorted(rivals, key=lambda rival: rival[0])
    if not others:
        return f"the blind baseline {first}{shown}"
    *more, last = [first + shown, *(name for _, name, _ in others)]
    return f"the blind baselines {', '.join(more)} and {last}"


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
    """Verdict on answers that are no better than chance; the ranking may still tell images apart."""
    ranking, null = evaluation.metrics.get("auc"), evaluation.nulls.get("auc")
    if ranking is not None and null is not None and _ranks(ranking, null):
        higher = ranking.value is not None and ranking.value > 0.5
        whose = "the right class" if task.positive is None else f"{task.positive} images"
        headline = (
            f"Weak signal: the answers are no better than chance ({figure}), but the scores rank {whose} "
            f"{'higher' if higher else 'lower, the wrong way round'}: AUC {_figure(ranking)}."
        )
        return Verdict(headline, "weak", notes)
    too_few = _too_few(evaluation)
    if too_few is not None:
        headline = f"Too few images to tell: {figure}, where chance gives {chance:z.2f}; {too_few}."
        return Verdict(headline, "underpowered", notes)
    return Verdict(f"Nothing found: {figure}, where chance gives {chance:z.2f}.", "nothing_found", notes)


def _ranks(auc: Estimate, null: FloatArray) -> bool:
    """Whether an AUC differs from 0.5, in either direction."""
    if auc.value is None:
        return False
    tails = p_value(observed=auc.value, null=null), p_value(observed=-auc.value, null=-null)
    inside = auc.low is not None and auc.high is not None and auc.low <= 0.5 <= auc.high
    return 2 * min(tails) < SECOND_LOOK and not inside


def _too_few(evaluation: Evaluation) -> str | None:
    """Why these images could not have shown anything; `None` if they could."""
    if evaluation.least_p > ALPHA:
        return f"the groups allow no p below {evaluation.least_p:.2f}"
    auc = detectable_auc(evaluation)
    if auc is not None and auc > POWERFUL:
        return f"only an AUC of {auc:.2f} or more would be found in four of five such studies"
    return None


def _above(estimate: Estimate, *, chance: float, alpha: float) -> bool:
    """Whether p is below alpha and the interval, if there is one, above chance."""
    if estimate.value is None or estimate.p is None or estimate.p >= alpha:
        return False
    return estimate.value > chance if estimate.low is None else estimate.low > chance


def _doubts(ours: Estimate, baselines: Mapping[str, Evaluation], *, metric: str) -> list[str]:
    """Trivial answers that do as well."""
    doubts = []
    for name in TRIVIAL:
        theirs = baselines[name].metrics.get(metric) if name in baselines else None
        if theirs is None or theirs.value is None or ours.value is None:
            continue
        if theirs.value >= ours.value:
            doubts.append(f"the trivial answer '{name}' reaches {theirs.value:.2f}")
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
    shared_groups: float | None,
    clustered: bool,
) -> list[str]:
    notes: list[str] = [] if evaluation is None else [_size_note(evaluation)]
    if pseudo_groups:
        size = "" if evaluation is None else f" of {evaluation.n} images"
        notes.append(
            "No groups (patients) were given: clusters of near-duplicates are used instead. The effective "
            f"sample size{size} is {effective_n} at most; the number of true groups may be smaller."
        )
    notes.extend(_left_out_notes(baselines, metric=task.official))
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


def _size_note(evaluation: Evaluation) -> str:
    """How much these images can show at all."""
    counts = ", ".join(f"{count:,} of {name}" for name, count in evaluation.groups_by_class.items())
    note = f"{evaluation.n:,} images in {evaluation.n_groups:,} groups{f' ({counts})' if counts else ''}"
    note += f": the least possible p is {evaluation.least_p:.2g}"
    auc = detectable_auc(evaluation)
    if auc is None:
        return f"{note}."
    return f"{note}, and an AUC of {auc:.2f} or more would be found in four of five such studies."


def _left_out_notes(baselines: Mapping[str, Evaluation], *, metric: str) -> list[str]:
    """Blind baselines without a figure, which are no rivals."""
    left_out = {
        name: found.metrics[metric].reason
        for name, found in baselines.items()
        if name not in TRIVIAL and metric in found.metrics and found.metrics[metric].value is None
    }
    return [f"The blind baseline '{name}' has no figure: {reason}." for name, reason in left_out.items()]


def _member_note(shared_groups: float | None) -> str:
    if shared_groups is None:
        return (
            "It is not known whether non-members share groups (patients) with members. So it is not known "
            "whether 'used' means this image or this patient."
        )
    if shared_groups == 1:
        return (
            "All non-members come from the same groups (patients) as members: 'used' means that this very "
            "image was in training."
        )
    if shared_groups == 0:
        return (
            "Non-members come from other groups (patients) than members: 'used' can mean that this patient "
            "was in training, not necessarily this image."
        )
    return (
        f"Of the non-members, {shared_groups:.0%} come from groups (patients) of members: 'used' can mean "
        "this image or this patient, in a mixture that the figures do not separate."
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
        f"are attributed with {_named(metric)} {_figure(estimate)}, where chance gives {chance:z.2f}"
        f"{_too_good(evaluation, metric)}"
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
            f"Permuted among groups, {p_text(ours.p, named=True)}; if all images were independent, "
            f"{p_text(by_image, named=True)}. Images of one patient are alike, so that the first one counts."
        )
    if by_name is not None:
        notes.append(
            f"If the detector told the classes apart without having learnt which is which, its answers would "
            f"do as well with a probability of {by_name:.2g} (all exchanges of the names of the classes)."
        )
    return notes


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
    notes = [f"{which}: {_named(task.official)} {_figure(held_out)}{_too_good(validation, task.official)}."]
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


def _too_good(evaluation: Evaluation, metric: str) -> str:
    """What a figure owes to choices on the same images; empty if there are none."""
    chosen = chosen_text(evaluation.chosen_for(metric))
    return "" if chosen is None else f" ({chosen}, so that the figure may be too good)"


def _named(metric: str) -> str:
    return NAMES.get(metric, metric)


def _figure(estimate: Estimate) -> str:
    """`0.52 (95 % interval 0.48 to 0.56, p = 0.19)`; missing pieces are left out."""
    if estimate.low is None or estimate.high is None:
        interval = "no interval"
    else:
        interval = f"95 % interval {estimate.low:.2f} to {estimate.high:.2f}"
    p = "" if estimate.p is None else f", {p_text(estimate.p, named=True)}"
    return f"{estimate.value:.2f} ({interval}{p})"
