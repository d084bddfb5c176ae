"""Facts beside the figures, and how they are written."""

from __future__ import annotations

import pytest

from fingerprints.evidence.estimates import EPOCHS, THRESHOLD, Estimate, Evaluation, chosen_text, p_text
from fingerprints.evidence.mean import mean_evaluation


def evaluation(*chosen_on: str) -> Evaluation:
    names = ("kappa", "auc", "tpr_at_fpr_0.01")
    metrics = {name: Estimate(0.5, 0.4, 0.6, 0.01) for name in names}
    return Evaluation(metrics, {}, {}, n=9, groups=frozenset("ab"), permuted="groups", chosen_on=chosen_on)


def test_a_ranking_has_no_threshold_but_a_length_of_training() -> None:
    both = evaluation(THRESHOLD, EPOCHS)
    assert both.metric_json("kappa")["chosen_on"] == ["threshold", "number of epochs"]
    assert both.metric_json("auc")["chosen_on"] == ["number of epochs"]
    assert "chosen_on" not in evaluation(THRESHOLD).metric_json("tpr_at_fpr_0.01")
    assert "chosen_on" not in evaluation().metric_json("kappa")


def test_a_mean_is_chosen_on_as_its_parts_are() -> None:
    assert mean_evaluation([evaluation(EPOCHS), evaluation(THRESHOLD, EPOCHS)]).chosen_on == (
        EPOCHS,
        THRESHOLD,
    )


def test_choices_in_words() -> None:
    assert chosen_text([]) is None
    assert chosen_text([THRESHOLD]) == "threshold chosen on these same images"
    assert chosen_text([THRESHOLD, EPOCHS]) == "threshold and number of epochs chosen on these same images"


@pytest.mark.parametrize(
    ("p", "text", "named"),
    [
        (0.0, "<= 0.001", "p <= 0.001"),
        (0.001, "<= 0.001", "p <= 0.001"),
        (0.002, "0.002", "p = 0.002"),
        (0.19, "0.190", "p = 0.190"),
    ],
)
def test_p_values_in_words(p: float, text: str, named: str) -> None:
    assert (p_text(p), p_text(p, named=True)) == (text, named)
