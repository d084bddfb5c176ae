"""The words must follow from the figures."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from fingerprints.core.tasks import TASKS
from fingerprints.evidence.estimates import THRESHOLD, Estimate, Evaluation
from fingerprints.evidence.intervals import estimate_metrics
from fingerprints.evidence.mean import mean_evaluation
from fingerprints.evidence.verdict import Verdict, verdict

USAGE, SUBSET = TASKS["usage"], TASKS["subset"]


def evaluation(
    chance: float = 0.0, **metrics: tuple[float | None, float | None, float | None, float | None]
) -> Evaluation:
    """Made up: each metric as (value, low, high, p)."""
    return Evaluation(
        metrics={name: Estimate(*figures, reason=None) for name, figures in metrics.items()},
        without={},
        nulls={
            name: np.random.default_rng(0).normal(0.5, 0.03, 999) if name == "auc" else np.full(9, chance)
            for name in metrics
        },
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
        "shared_groups": 0.0,
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
    inverted = judge(evaluation(kappa=(-0.4, -0.6, -0.2, 1.0), auc=(0.3, 0.2, 0.4, 1.0)))
    assert inverted.level == "weak"
    assert "used images lower, the wrong way round: AUC 0.30" in inverted.headline
    assert judge(evaluation(kappa=nothing, auc=(0.7, 0.45, 0.8, 0.001))).level == "nothing_found"
    one_answer = judge(
        evaluation(chance=0.2, accuracy=(0.2, 0.1, 0.3, 1.0), auc=(0.83, 0.8, 0.86, 0.001)), task=SUBSET
    )
    assert one_answer.level == "weak"
    assert "the scores rank the right class higher: AUC 0.83" in one_answer.headline


def test_too_few_images_find_nothing_because_of_it() -> None:
    nothing = (0.0, -0.1, 0.1, 0.5)
    few = replace(evaluation(kappa=nothing), least_p=1 / 15)
    assert judge(few).level == "underpowered"
    assert "the groups allow no p below 0.07" in judge(few).headline
    wide = evaluation(kappa=nothing, auc=(0.5, 0.2, 0.8, 0.5))
    assert judge(wide).level == "nothing_found"
    wide.nulls["auc"] = 0.5 + 3.5 * (wide.nulls["auc"] - 0.5)
    assert "only an AUC of 0.79 or more" in judge(wide).headline
    assert judge(wide).level == "underpowered"
    assert judge(replace(evaluation(kappa=CLEAR), least_p=1 / 15)).level == "clear"


def answers(kappa: float, auc: float, *, n: int = 240, seed: int = 0) -> Evaluation:
    """Answers and scores of about that quality to the same images, each a group of its own."""
    rng = np.random.default_rng(seed)
    truth, names = np.arange(n) % 2, np.array(["not_used", "used"])
    right = rng.random(n) < (1 + kappa) / 2
    return estimate_metrics(
        task=USAGE,
        classes=("not_used", "used"),
        truth=names[truth],
        predicted=names[np.where(right, truth, 1 - truth)],
        scores=rng.normal(size=n) + 2**0.5 * norm.ppf(auc) * truth,
        groups=np.arange(n).astype(str),
        seed=0,
        permutations=199,
    )


@pytest.mark.parametrize(
    ("blind", "level"),
    [
        (answers(0.0, 0.5, seed=1), "clear"),
        (answers(0.65, 0.9, seed=1), "not_above_blind"),  # as good
        (answers(0.0, 0.999, seed=1), "not_above_blind"),  # a bad threshold hides its ranking
        (answers(-1.0, 0.001, seed=1), "not_above_blind"),  # inverted
    ],
)
def test_clear_is_what_exceeds_every_blind_baseline(blind: Evaluation, level: str) -> None:
    result = judge(answers(0.65, 0.9), baselines={"histogram": blind})
    assert result.level == level
    assert ("the blind baseline 'histogram' (difference in" in result.headline) == (level != "clear")


def test_below_chance_out_of_fold_is_no_ranking() -> None:
    """An AUC of 0.001 names the labels to whoever knows the direction from another part."""
    blind = answers(0.0, 0.001, seed=1)
    assert judge(answers(0.65, 0.9), baselines={"file": blind}).level == "not_above_blind"
    within = {"file_within_test": replace(blind, cross_fitted=True)}
    assert judge(answers(0.65, 0.9), baselines=within).level == "clear"
    good = {"file_within_test": replace(answers(0.0, 0.999, seed=1), cross_fitted=True)}
    assert "(difference in AUC -0.1" in judge(answers(0.65, 0.9), baselines=good).headline
    assert mean_evaluation([blind, replace(blind, cross_fitted=True)]).cross_fitted


def test_a_blind_without_a_figure_is_noted_and_is_no_rival() -> None:
    missing = evaluation()
    missing.metrics["kappa"] = Estimate(None, None, None, None, "too few")
    result = judge(answers(0.65, 0.9), baselines={"file_within_test": missing})
    assert result.level == "clear"
    assert has(result.notes, "The blind baseline 'file_within_test' has no figure: too few.")


def test_of_several_rivals_the_strongest_is_shown_and_the_others_named() -> None:
    blinds = {
        "a": answers(0.65, 0.9, seed=1),
        "b": answers(0.9, 0.97, seed=2),
        "c": answers(0.6, 0.9, seed=3),
    }
    headline = judge(answers(0.65, 0.9), baselines=blinds).headline
    assert headline.startswith("Not shown to exceed the blind baselines 'b' (difference in Cohen's kappa -0.")
    assert re.search(r"\), '[ac]' and '[ac]': Cohen", headline)


def test_two_equally_good_ones_are_seldom_clear() -> None:
    """20 pairs; when the blind's interval was compared with our point, 8 to 11 % were clear."""
    levels = [
        judge(answers(0.5, 0.8, seed=s), baselines={"file": answers(0.5, 0.8, seed=s + 500)}).level
        for s in range(20)
    ]
    assert levels.count("clear") <= 1


def test_a_weak_signal_stays_weak_beside_a_blind_at_chance() -> None:
    """Its wide interval may include the blind's figure: that makes it no worse than weak."""
    ours, blind = answers(0.4, 0.75, n=60, seed=3), answers(0.0, 0.5, n=60, seed=4)
    assert blind.metrics["kappa"].p > 0.05  # type: ignore[operator]
    result = judge(ours, baselines={"histogram": blind})
    assert result.level == "weak"
    assert result.headline.startswith("Weak signal: Cohen's kappa")


def test_a_baseline_without_the_same_images_is_not_exceeded() -> None:
    result = judge(answers(0.65, 0.9), baselines={"histogram": evaluation(kappa=(0.0, -0.1, 0.1, 0.5))})
    assert result.level == "not_above_blind"


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
    assert has(judge(None, shared_groups=1.0).notes, "this very image")
    assert has(judge(None, shared_groups=0.0).notes, "this patient was in training")
    assert has(judge(None, shared_groups=0.25).notes, "Of the non-members, 25% come from")
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
    assert (plain.level, pseudo.level) == ("clear", "weak")
    assert "it is unknown which images are of one patient" in pseudo.headline
    of_generated = judge(evaluation(chance=0.2, accuracy=CLEAR), task=SUBSET, pseudo_groups=True)
    assert of_generated.level == "clear"
    assert has(judge(evaluation(kappa=(1.0, 0.99, 1.0, 0.001))).notes, "A perfect Cohen's kappa is suspect")


def test_notes_on_validation() -> None:
    held_out = evaluation(kappa=(0.9, 0.85, 0.95, 0.001))
    notes = judge(evaluation(kappa=CLEAR), validation=held_out).notes
    assert has(notes, "held-out images of the training part: Cohen's kappa 0.90")
    assert has(notes, "scores clearly lower")
    assert not has(judge(evaluation(kappa=CLEAR), validation=evaluation(kappa=CLEAR)).notes, "clearly lower")
    assert not has(notes, "too good")
    chosen = replace(held_out, chosen_on=(THRESHOLD,))
    notes = judge(evaluation(kappa=CLEAR), validation=chosen).notes
    assert has(notes, "0.95, p <= 0.001) (threshold chosen on these same images, so that the figure may be")


@pytest.mark.parametrize(
    ("real", "level", "in_headline", "in_note"),
    [
        (
            (0.23, 0.11, 0.31, 0.25),
            "generators",
            "Generators told apart; no trace of the data shown: accuracy 0.99",
            "nothing shows",
        ),
        (
            (0.80, 0.70, 0.90, 0.001),
            "clear",
            "where chance gives 0.20",
            "recognises something of the real data",
        ),
    ],
)
def test_held_out_real_images_say_whether_it_is_the_data(real, level, in_headline, in_note) -> None:
    found = judge(
        evaluation(chance=0.2, accuracy=(0.99, 0.98, 1.0, 0.001)),
        task=SUBSET,
        held_out_real=evaluation(chance=0.2, accuracy=real),
    )
    assert found.level == level
    assert in_headline in found.headline
    assert has(found.notes, in_note)


def test_other_p_values_are_noted_where_they_differ() -> None:
    ours = evaluation(kappa=(0.3, 0.1, 0.5, 0.27))
    assert not has(judge(ours).notes, "independent,")
    ours.image_nulls["kappa"] = np.zeros(999)
    assert has(judge(ours).notes, "among groups, p = 0.270; if all images were independent, p <= 0.001.")
    subset = evaluation(chance=0.2, accuracy=CLEAR)
    subset.name_nulls["accuracy"] = np.array([0.6, 0.1, 0.2, 0.0, 0.5, 0.3])
    assert has(judge(subset, task=SUBSET).notes, "with a probability of 0.17")


def test_the_first_note_says_what_these_images_could_show() -> None:
    few = replace(
        evaluation(kappa=(0.1, -0.2, 0.4, 0.3)), least_p=0.02, groups_by_class={"used": 7, "not_used": 6}
    )
    (first, *_) = judge(few).notes
    assert first == "500 images in 480 groups (7 of used, 6 of not_used): the least possible p is 0.02."
    ranked = replace(few, nulls={**few.nulls, "auc": np.random.default_rng(0).normal(0.5, 0.05, 999)})
    assert re.search(
        r"0\.02, and an AUC of 0\.6[34] or more would be found in four of five", judge(ranked).notes[0]
    )
