"""The words must follow from the figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fingerprints.core.tasks import TASKS
from fingerprints.evidence.estimates import Estimate, Evaluation
from fingerprints.evidence.intervals import estimate_metrics
from fingerprints.evidence.verdict import Verdict, verdict

USAGE, SUBSET = TASKS["usage"], TASKS["subset"]


def evaluation(
    chance: float = 0.0, **metrics: tuple[float | None, float | None, float | None, float | None]
) -> Evaluation:
    """Made up: each metric as (value, low, high, p)."""
    return Evaluation(
        metrics={name: Estimate(*figures, reason=None) for name, figures in metrics.items()},
        without={},
        nulls={name: np.full(9, chance) for name in metrics},
        n=500,
        groups=frozenset(str(i) for i in range(480)),
        permuted="groups",
    )


def judge(ours: Evaluation | None, **options: Any) -> Verdict:
    given: dict[str, Any] = {
        "task": USAGE,
        "baselines": {},
        "validation": None,
        "effective_n": 480,
        "pseudo_groups": False,
        "generators": 1,
        "shared_groups": False,
    }
    return verdict(**{**given, "evaluation": ours, **options})


def has(notes: list[str], words: str) -> bool:
    return any(words in note for note in notes)


CLEAR = (0.6, 0.5, 0.7, 0.001)


def test_accuracy_of_052_on_500_images_is_nothing() -> None:
    truth = np.repeat(["not_used", "used"], 250)
    predicted = np.tile(["not_used", "used"], 250)
    predicted[:10] = "not_used"
    predicted[250:265] = "used"
    found = estimate_metrics(
        task=USAGE,
        classes=("not_used", "used"),
        truth=truth,
        predicted=predicted,
        scores=None,
        groups=np.arange(500).astype(str),
        seed=0,
    )
    assert found.metrics["accuracy"].value == pytest.approx(0.52, abs=0.011)
    result = judge(found)
    assert result.level == "nothing_found"
    assert result.headline.startswith("Nothing found: Cohen's kappa 0.0")
    for words in ("95 % interval -0.", "p = 0.", "500 images in 500 groups"):
        assert words in result.headline
    by_f1 = judge(found, task=USAGE.ranked_by("f1_used")).headline
    assert by_f1.startswith("Nothing found: F1 of used images 0.5")


@pytest.mark.parametrize(
    ("kappa", "level"),
    [
        (CLEAR, "clear"),
        ((0.25, 0.1, 0.4, 0.001), "weak"),
        ((0.6, None, None, 0.001), "weak"),
        ((0.1, -0.02, 0.22, 0.04), "nothing_found"),
        ((0.1, 0.01, 0.22, 0.06), "nothing_found"),
        ((-0.5, -0.6, -0.4, 1.0), "nothing_found"),
    ],
)
def test_level_follows_interval_and_p(kappa: Any, level: str) -> None:
    assert judge(evaluation(kappa=kappa)).level == level


def test_chance_is_that_of_the_permutations() -> None:
    figure = (0.45, 0.40, 0.5, 0.001)
    assert judge(evaluation(chance=0.2, accuracy=figure), task=SUBSET).level == "clear"
    assert judge(evaluation(chance=0.35, accuracy=figure), task=SUBSET).level == "weak"
    assert judge(evaluation(chance=0.41, accuracy=figure), task=SUBSET).level == "nothing_found"


def test_ranking_gets_a_second_look() -> None:
    nothing = (0.0, -0.1, 0.1, 0.5)
    result = judge(evaluation(kappa=nothing, auc=(0.7, 0.6, 0.8, 0.001)))
    assert result.level == "weak"
    assert "AUC 0.70" in result.headline
    assert judge(evaluation(kappa=nothing, auc=(0.55, 0.51, 0.6, 0.04))).level == "nothing_found"


@pytest.mark.parametrize(
    ("blind", "level"),
    [
        ((0.59, 0.5, 0.68, 0.001), "confounded"),
        ((0.5, 0.4, 0.61, 0.001), "confounded"),
        ((0.3, -0.1, 0.61, 0.2), "weak"),
        ((0.3, 0.2, 0.4, 0.001), "clear"),
    ],
)
def test_blind_baseline_that_does_as_well_confounds(blind: Any, level: str) -> None:
    result = judge(evaluation(kappa=CLEAR), baselines={"histogram": evaluation(kappa=blind)})
    assert result.level == level
    assert ("'histogram'" in result.headline) == (level != "clear")


def test_trivial_answers_do_not_confound_but_shame() -> None:
    result = judge(
        evaluation(chance=0.2, accuracy=CLEAR),
        task=SUBSET,
        baselines={"majority": evaluation(accuracy=(0.7, 0.6, 0.8, 1.0))},
    )
    assert result.level == "weak"
    assert "'majority' reaches 0.70" in result.headline


def test_unscored_says_why() -> None:
    assert judge(None).headline == "Not scored: there are no true labels."
    missing = evaluation()
    missing.metrics["kappa"] = Estimate(None, None, None, None, "all images are of one class")
    result = judge(missing)
    assert result.level == "unscored"
    assert "all images are of one class" in result.headline


def test_notes_on_what_member_means() -> None:
    assert has(judge(None, shared_groups=True).notes, "this very image")
    assert has(judge(None, shared_groups=False).notes, "this patient was in training")
    assert has(judge(None, shared_groups=None).notes, "not known")
    assert not has(judge(None, task=SUBSET).notes, "in training")


def test_subset_always_names_the_generator_as_a_suspect() -> None:
    ours = evaluation(chance=0.2, accuracy=CLEAR)
    alone = judge(ours, task=SUBSET)
    assert has(alone.notes, "tell the generators apart")
    assert has(alone.notes, "No blind baseline")
    blind = evaluation(accuracy=(0.31, 0.25, 0.37, 0.01))
    assert has(judge(ours, task=SUBSET, baselines={"histogram_generated": blind}).notes, "accuracy 0.31")
    assert has(judge(ours, task=SUBSET, generators=5).notes, "these 5 generators")


def test_notes_on_groups_and_perfection() -> None:
    plain = judge(evaluation(kappa=CLEAR))
    assert not has(plain.notes, "near-duplicates are used instead")
    assert not has(plain.notes, "suspect")
    pseudo = judge(evaluation(kappa=CLEAR), pseudo_groups=True, effective_n=123)
    assert has(pseudo.notes, "sample size of 500 images is 123")
    assert has(judge(evaluation(kappa=(1.0, 0.99, 1.0, 0.001))).notes, "A perfect Cohen's kappa is suspect")


def test_notes_on_validation() -> None:
    held_out = evaluation(kappa=(0.9, 0.85, 0.95, 0.001))
    notes = judge(evaluation(kappa=CLEAR), validation=held_out).notes
    assert has(notes, "held-out images of the training part: Cohen's kappa 0.90")
    assert has(notes, "scores clearly lower")
    assert not has(judge(evaluation(kappa=CLEAR), validation=evaluation(kappa=CLEAR)).notes, "clearly lower")


@pytest.mark.parametrize(
    ("real", "in_headline", "in_note"),
    [
        ((0.23, 0.11, 0.31, 0.25), "generators alone", "nothing shows"),
        ((0.80, 0.70, 0.90, 0.001), "where chance gives 0.20", "recognises something of the real data"),
    ],
)
def test_held_out_real_images_say_whether_it_is_the_data(real, in_headline, in_note) -> None:
    found = judge(
        evaluation(chance=0.2, accuracy=(0.99, 0.98, 1.0, 0.001)),
        task=SUBSET,
        held_out_real=evaluation(chance=0.2, accuracy=real),
    )
    assert found.level == "clear"
    assert in_headline in found.headline
    assert ("generators alone" in found.headline) == (in_note == "nothing shows")
    assert has(found.notes, in_note)


def test_other_p_values_are_noted_where_they_differ() -> None:
    ours = evaluation(kappa=(0.3, 0.1, 0.5, 0.27))
    assert not has(judge(ours).notes, "independent,")
    ours.image_nulls["kappa"] = np.zeros(999)
    assert has(judge(ours).notes, "among groups, p = 0.270; if all images were independent, p <= 0.001.")
    subset = evaluation(chance=0.2, accuracy=CLEAR)
    subset.name_nulls["accuracy"] = np.array([0.6, 0.1, 0.2, 0.0, 0.5, 0.3])
    assert has(judge(subset, task=SUBSET).notes, "with a probability of 0.17")
