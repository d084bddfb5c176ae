"""`python -m benchmarks.evidence [--quick]`: how often intervals cover.

Samples with a known truth: normal scores, a shift between the classes, and a share of the variance that all
images of a group have in common. "Before" is what stood here until the intervals were audited: percentiles of
resampled groups, a TPR with floor(0.01 m) false positives, labels permuted among images as soon as one group
was mixed, and a blind baseline whose own interval was compared with our figure. Prints Markdown; about half
an hour on one core, minutes with `--quick`. A share of 400 samples is known to within 2 points.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.stats import norm

from fingerprints.core.tasks import TASKS
from fingerprints.evidence import metrics
from fingerprints.evidence.difference import difference
from fingerprints.evidence.estimates import Evaluation, tpr_name
from fingerprints.evidence.intervals import estimate_metrics

TWO = ("not_used", "used")
SHIFT = 1.0
TPR = tpr_name(0.01)
TRUTHS = {
    "accuracy": norm.cdf(SHIFT / 2),
    "auc": norm.cdf(SHIFT / 2**0.5),
    "kappa": 2 * norm.cdf(SHIFT / 2) - 1,
    TPR: norm.sf(norm.isf(0.01) - SHIFT),
}

Sample = dict[str, Any]


def sample(rng: np.random.Generator, *, groups: int, n: int, icc: float, pure: bool, shift: float) -> Sample:
    """Truth, answers, scores and groups of about n images; half of the groups, or of the images, are used."""
    sizes = np.maximum(rng.multinomial(n, rng.dirichlet(np.full(groups, 5.0))), 1)
    group = np.repeat(np.arange(groups), sizes)
    used = rng.permutation(np.arange(groups) % 2 == 0)[group] if pure else rng.random(len(group)) < 0.5
    own = rng.normal(size=groups)[group] * icc**0.5
    scores = shift * used + own + rng.normal(size=len(group)) * (1 - icc) ** 0.5
    return {
        "truth": np.array(TWO)[used * 1],
        "predicted": np.array(TWO)[(scores > shift / 2) * 1],
        "scores": scores,
        "groups": group.astype(str),
    }


def evaluate(given: Sample, *, permutations: int = 1) -> Evaluation:
    return estimate_metrics(task=TASKS["usage"], classes=TWO, seed=0, permutations=permutations, **given)


def percentiles(given: Sample, rng: np.random.Generator, draws: int) -> dict[str, tuple[float, float]]:
    """Before: the middle 95 % of resampled groups, the TPR with floor(0.01 m) false positives."""
    used, called = (given[part] == "used" for part in ("truth", "predicted"))
    ranks = metrics.score_ranks(given["scores"])
    members = [np.flatnonzero(given["groups"] == name) for name in np.unique(given["groups"])]
    found = np.array(
        [
            _figures(used[rows], called[rows], ranks[rows])
            for rows in (
                np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
                for _ in range(draws)
            )
        ]
    )
    low, high = np.nanpercentile(found, [2.5, 97.5], axis=0)
    return dict(zip(TRUTHS, zip(low, high, strict=True), strict=True))


def _figures(used: np.ndarray, called: np.ndarray, ranks: np.ndarray) -> list[float]:
    """Accuracy, AUC, kappa and TPR, as in `TRUTHS`; NaN if a class is missing."""
    table = metrics.contingency(rows=used * 1, columns=called * 1, shape=(2, 2))
    found = metrics.from_confusion(table)
    accuracy, kappa = float(found["accuracy"]), float(found["kappa"])
    if used.all() or not used.any():
        return [accuracy, np.nan, kappa, np.nan]
    others = np.sort(ranks[~used])[::-1]
    rate = np.mean(ranks[used] > others[int(0.01 * len(others))])
    return [accuracy, metrics.auc(positive=used, scores=ranks), kappa, float(rate)]


def coverage(samples: int, draws: int, groups: tuple[int, ...], n: int) -> Iterator[list[str]]:
    names = ["accuracy", "auc", "kappa", TPR]
    yield ["labels", "groups", "icc", *(f"{name}, {when}" for name in names for when in ("before", "after"))]
    for pure in (True, False):
        for count in groups:
            for icc in (0.0, 0.3, 0.7):
                rng = np.random.default_rng(0)
                hits: dict[tuple[str, str], list[bool]] = {}
                for _ in range(samples):
                    given = sample(rng, groups=count, n=n, icc=icc, pure=pure, shift=SHIFT)
                    before, after = percentiles(given, rng, draws), evaluate(given).metrics
                    for name in names:
                        if name == TPR and after[name].value is None:
                            continue
                        low, high = before[name]
                        hits.setdefault((name, "before"), []).append(low <= TRUTHS[name] <= high)
                        if after[name].low is not None:
                            inside = after[name].low <= TRUTHS[name] <= after[name].high  # type: ignore[operator]
                            hits.setdefault((name, "after"), []).append(inside)
                cells = [hits.get((name, when)) for name in names for when in ("before", "after")]
                kind = "one per group" if pure else "mixed"
                yield [kind, str(count), f"{icc:g}", *(f"{np.mean(c):.1%}" if c else "-" for c in cells)]


def rejections(samples: int, groups: tuple[int, ...], n: int) -> Iterator[list[str]]:
    """Share of p <= 0.05 where there is nothing, but one image has another label than its group."""
    yield [
        "groups",
        "icc",
        "p among images (before)",
        "p among groups (after)",
    ]
    for count in groups:
        for icc in (0.3, 0.7):
            rng, before, after = np.random.default_rng(1), [], []
            for _ in range(samples):
                given = sample(rng, groups=count, n=n, icc=icc, pure=True, shift=0)
                given["truth"][0] = TWO[given["truth"][0] == TWO[0]]
                found = evaluate(given, permutations=199)
                before.append(float(found.p_among_images("auc") or 0) <= 0.05)
                after.append(float(found.metrics["auc"].p or 0) <= 0.05)
            yield [str(count), f"{icc:g}", f"{np.mean(before):.1%}", f"{np.mean(after):.1%}"]


def rivals(samples: int, groups: tuple[int, ...], n: int) -> Iterator[list[str]]:
    """Share of detectors called better than a blind baseline that is as good, with independent errors."""
    yield ["groups", "icc", "blind's interval below our kappa (before)", "difference above 0 (after)"]
    for count in groups:
        for icc in (0.0, 0.3):
            rng, before, after = np.random.default_rng(2), [], []
            for _ in range(samples):
                given = sample(rng, groups=count, n=n, icc=icc, pure=True, shift=SHIFT)
                used = given["truth"] == "used"
                own = rng.normal(size=count)[given["groups"].astype(int)] * icc**0.5
                scores = SHIFT * used + own + rng.normal(size=len(used)) * (1 - icc) ** 0.5
                other = {**given, "scores": scores, "predicted": np.array(TWO)[(scores > SHIFT / 2) * 1]}
                ours, theirs = evaluate(given), evaluate(other)
                high = percentiles(other, rng, 100)["kappa"][1]
                before.append(high < float(ours.metrics["kappa"].value or 0))
                ends = [difference(ours, theirs, "kappa"), difference(ours, theirs, "auc", folded=True)]
                after.append(all(end is not None and end.low is not None and end.low > 0 for end in ends))
            yield [str(count), f"{icc:g}", f"{np.mean(before):.1%}", f"{np.mean(after):.1%}"]


def show(title: str, rows: Iterator[list[str]]) -> None:
    print(f"\n### {title}\n")
    for number, row in enumerate(rows):
        print(f"| {' | '.join(row)} |", flush=True)
        if number == 0:
            print(f"|{'---|' * len(row)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few samples, two numbers of groups")
    quick = parser.parse_args().quick
    groups = (13, 30) if quick else (13, 30, 60)
    samples = 40 if quick else 400
    for n in (200,) if quick else (200, 500):
        show(f"Coverage of 95 % intervals, {n} images", coverage(samples, 100 if quick else 300, groups, n))
    show("Nothing there, one stray image: p <= 0.05", rejections(samples, groups, 200))
    show("Two equally good ones: ours called better", rivals(samples, groups, 200))


if __name__ == "__main__":
    main()
