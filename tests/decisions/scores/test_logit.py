"""The classifier's own answer, against its softmax."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Fitting
from fingerprints.decisions.registry import restore_decision
from fingerprints.decisions.usage import UsageDecision
from fingerprints.encoders.head import Head
from tests.decisions.parts import about_real, images, settings
from tests.decisions.scores.test_distance import part


def head(*classes: str) -> Head:
    rng = np.random.default_rng(0)
    weight, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((len(classes), 8), len(classes)))
    return Head(weight, bias, classes)


def decision(own: Head, **options) -> UsageDecision:
    fitting = Fitting(part=part(1), classes=(NOT_USED, USED), head=own)
    return UsageDecision.fit(settings("logit", **options), fitting)


@pytest.mark.parametrize("classes", [("generated", USED), (NOT_USED, USED), (USED, "z")])
def test_it_is_the_answer_of_the_classifier(classes) -> None:
    own, last = part(2), head(*classes)
    found = decision(last).predict(own)
    table = torch.from_numpy(last.logits(own.queries.embeddings)).softmax(dim=1).numpy()
    used = table[:, classes.index(USED)]
    np.testing.assert_allclose(found.scores, np.log(used / (1 - used)), rtol=1e-3, atol=1e-4)
    assert found.labels.tolist() == np.where(used >= 0.5, USED, NOT_USED).tolist()
    assert set(found.labels) == {USED, NOT_USED}


def test_it_needs_no_generated_image_and_comes_back_from_its_state() -> None:
    own = part(2)
    alone = about_real(own.queries, images(np.empty((0, 8), np.float32)))
    before = decision(head(NOT_USED, USED), cut="half")
    again = restore_decision(before.state())
    np.testing.assert_array_equal(again.scores(alone), before.scores(own))
    assert again.predict(own).labels.tolist() == before.predict(own).labels.tolist()


@pytest.mark.parametrize("last", [None, head("model_1", "model_2"), head("a", "b", USED)])
def test_a_classifier_of_something_else_is_a_defect(last) -> None:
    with pytest.raises(ValueError, match="one of them used"):
        decision(last)
