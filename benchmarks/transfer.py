"""`python -m benchmarks.transfer OUT gan=B gan=S/gan=C/gan aug=S/aug ...`: does a learnt detector transfer?

Each argument is FAMILY=ROOT or FAMILY=ROOT=CONTROL: a benchmark in the layout of `usage` 2025 with truth and
`groups.csv`, and the folder `same_patients` of `benchmarks.usage_controls`. Each part of a root is a task
(`benchmarks.window_statistics`). Compared with `window_em` on the same images of a task:

- unlearnt variants: one statistic of one map, its mean over maps, or less that with the other generator;
- learnt: a classifier of the statistics, trained on candidates of other families and other patients.

Variant and classifier are chosen without the tested family and without the tested patients (`inner`). The
statistics are kept in OUT. Prints Markdown: AUC, and kappa with the cut by reference, each with the paired
difference to `window_em` and its 95 % interval over patients.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.window_statistics import ALL_MAPS, CONTROL, FUSED, SETTINGS, Floats, Task, tasks_of
from fingerprints.core.tasks import NOT_USED, USED, get_task
from fingerprints.decisions.cuts import above_reference
from fingerprints.evidence.difference import difference
from fingerprints.evidence.estimates import Evaluation
from fingerprints.evidence.intervals import estimate_metrics

BASE = "base em"  # what `window_em` computes
SHUFFLES = 20


class Choice(NamedTuple):
    """Of a classifier: the maps, the units of the features, and C of logistic regression, or trees."""

    maps: str
    units: str
    model: str


CHOICES = [
    Choice(*each)
    for each in product(
        ("base map", "all maps", "all maps and the other generator"),
        ("units", "ranks"),
        ("0.01", "0.1", "1", "trees"),
    )
]
FOLDS = 3  # of patients in the inner choice


def variants(task: Task) -> list[str]:
    """Names of the unlearnt variants."""
    means = [name.replace("base", "mean", 1) for name in task.own if name.startswith("base ")]
    return [f"{where}: {name}" for where, name in product(("own", "less other"), (*task.own, *means))]


@cache
def features_of(task: Task, choice: Choice) -> Floats:
    """`(n + references, d)`."""
    start = "base " if choice.maps == "base map" else ""
    names = sorted(name for name in task.own if name.startswith(start))
    return task.features(names, kind=choice.units, other="other" in choice.maps)


def classifier(choice: Choice) -> ClassifierMixin:
    if choice.model == "trees":
        return GradientBoostingClassifier(max_features="sqrt", subsample=0.5, random_state=0)
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=float(choice.model), class_weight="balanced", max_iter=500)
    )


def fitted(
    choice: Choice, tasks: Sequence[Task], families: set[str], patients: set[str], seed: int | None = None
) -> Any:
    """A classifier trained without these families and patients.

    With a seed the labels are shuffled among all candidates.
    """
    rows, labels = [], []
    for task in tasks:
        if task.family not in families:
            keep = ~np.isin(task.groups, list(patients))
            rows.append(features_of(task, choice)[: len(keep)][keep])
            labels.append(task.member[keep])
    x, y = np.concatenate(rows), np.concatenate(labels)
    if seed is not None:
        y = np.random.default_rng(seed).permutation(y)
    return classifier(choice).fit(x, y)


def mean_auc(found: Sequence[tuple[Task, NDArray[np.bool_], Floats]]) -> float:
    """Of scores `(n,)` of some candidates of each task: mean over families of the mean over tasks."""
    by_family: dict[str, list[float]] = {}
    for task, keep, scores in found:
        if len(set(task.member[keep])) == 2:
            by_family.setdefault(task.family, []).append(roc_auc_score(task.member[keep], scores[keep]))
    return float(np.mean([np.mean(values) for values in by_family.values()]))


def inner(choice: Choice, tasks: Sequence[Task], patients: set[str]) -> float:
    """AUC of a classifier in families and patients that it was not trained on; never those of the test."""
    found = {id(task): np.zeros(len(task.member)) for task in tasks}
    names = sorted({name for task in tasks for name in task.groups} - patients)
    for family, fold in product(sorted({task.family for task in tasks}), range(FOLDS)):
        asked = names[fold::FOLDS]
        model = fitted(choice, tasks, {family}, patients | set(asked))
        for task in tasks:
            if task.family == family:
                rows = np.isin(task.groups, asked)
                if rows.any():
                    own = features_of(task, choice)[: len(rows)][rows]
                    found[id(task)][rows] = model.decision_function(own)
    return mean_auc([(task, ~np.isin(task.groups, list(patients)), found[id(task)]) for task in tasks])


def evaluated(task: Task, scores: Floats) -> Evaluation:
    n = len(task.member)
    cut = above_reference(scores[n:], rate=SETTINGS.cut_rate)
    return estimate_metrics(
        task=get_task("usage"),
        classes=(NOT_USED, USED),
        truth=np.where(task.member, USED, NOT_USED),
        predicted=np.where(scores[:n] >= cut, USED, NOT_USED),
        scores=scores[:n],
        groups=task.groups,
        seed=0,
        permutations=19,
    )


def cell(found: Evaluation, plain: Evaluation | None = None) -> str:
    """AUC, kappa and, with another evaluation, both differences with their intervals."""
    words = [f"{found.metrics['auc'].value:.3f}, {found.metrics['kappa'].value:.2f}"]
    for name in ("auc", "kappa") if plain is not None else ():
        gap = difference(found, plain, name) if plain is not None else None
        if gap is not None:
            interval = "" if gap.low is None else f" ({gap.low:+.3f} to {gap.high:+.3f})"
            words.append(f"{name} {gap.value:+.3f}{interval}")
    return "; ".join(words)


def answers(tasks: Sequence[Task], task: Task, controls: Sequence[Task]) -> Iterator[str]:
    """Rows of the report: the test of a task with what other families and patients chose, and its control."""
    rest = [other for other in tasks if other.family != task.family]
    patients = set(task.groups.tolist())
    kept = [(other, ~np.isin(other.groups, list(patients))) for other in rest]

    def known(variant: str) -> float:
        return mean_auc([(other, keep, other.scores(variant)[: len(keep)]) for other, keep in kept])

    variant = max(variants(task), key=known)
    choice = max(CHOICES, key=lambda each: inner(each, rest, patients))
    models = {each: fitted(each, rest, set(), patients) for each in CHOICES}
    count = sum(keep.sum() for _, keep in kept)

    def answered(each: Task, by: Choice) -> Floats:
        return each.in_units(models[by].decision_function(features_of(each, by)))

    shuffled = []
    for seed in range(SHUFFLES):
        nonsense = fitted(choice, rest, set(), patients, seed)
        found = nonsense.decision_function(features_of(task, choice))
        shuffled.append(roc_auc_score(task.member, found[: len(task.member)]))
    control = [each for each in controls if task.part == "test" and each.root == task.root]
    for each in (task, *control):
        plain = evaluated(each, each.scores(f"own: {BASE}"))
        learnt = evaluated(each, answered(each, choice))
        together = evaluated(each, np.mean([answered(each, by) for by in CHOICES], axis=0))
        cells = (
            each.name,
            f"{count}",
            cell(plain),
            variant,
            cell(evaluated(each, each.scores(variant)), plain),
            ", ".join(choice),
            cell(learnt, plain),
            cell(together, plain),
            f"{np.mean(shuffled):.2f} ({min(shuffled):.2f} to {max(shuffled):.2f})",
        )
        yield f"| {' | '.join(cells)} |"


def report(tasks: Sequence[Task]) -> Iterator[str]:
    """Lines of Markdown."""
    controls = [task for task in tasks if task.part == CONTROL]
    known = [task for task in tasks if task.part != CONTROL]
    yield f"Tried: {len(variants(tasks[0]))} variants, {len(CHOICES)} classifiers. AUC, kappa; differences."
    yield ""
    yield "| task | trained on | `window_em` | variant | | classifier | | all classifiers | shuffled labels |"
    yield "|---" * 9 + "|"
    for task in known:
        yield from answers(known, task, controls)


def table(tasks: Sequence[Task]) -> Iterator[str]:
    """AUC of each named variant in each task, without any choice."""
    soft = ("soft 0.5 em", "soft 1 em", "soft 2 em")
    named = [f"own: {name} em" for name in (*ALL_MAPS, *FUSED, "mean")]
    named += [f"own: {name} {stat}" for name, stat in product(("base", *FUSED), soft)]
    named += [
        f"{where}: mean {stat}" for where, stat in product(("own", "less other"), ("top 5", "windows top"))
    ]
    named += [f"less other: {BASE}"]
    yield "| variant | " + " | ".join(f"{task.name}" for task in tasks) + " |"
    yield "|---" * (len(tasks) + 1) + "|"
    for name in named:
        found = [roc_auc_score(task.member, task.scores(name)[: len(task.member)]) for task in tasks]
        yield f"| {name} | " + " | ".join(f"{value:.3f}" for value in found) + " |"


def fixed(tasks: Sequence[Task], variant: str) -> Iterator[str]:
    """One variant in each task, without any choice."""
    yield f"| task | `window_em` | {variant} |"
    yield "|---|---|---|"
    for task in tasks:
        plain = evaluated(task, task.scores(f"own: {BASE}"))
        yield f"| {task.name} | {cell(plain)} | {cell(evaluated(task, task.scores(variant)), plain)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("benchmarks", nargs="+", metavar="FAMILY=ROOT[=CONTROL]")
    parser.add_argument("--only", metavar="VARIANT", help="compare this variant and choose nothing")
    given = parser.parse_args()
    tasks = []
    for each in given.benchmarks:
        family, root, *control = each.split("=")
        tasks += tasks_of(family, Path(root), Path(control[0]) if control else None, given.out)
    lines = fixed(tasks, given.only) if given.only else chain(table(tasks), [""], report(tasks))
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
