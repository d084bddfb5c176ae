from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fingerprints.auditing.document import document, verdict
from fingerprints.auditing.exposure import judged
from tests.auditing.folders import EXPOSED


def test_the_most_exposed_come_first_and_nothing_is_lost(done) -> None:
    found = document(done)
    for rows, count in ((found["images"], 24), (found["groups"], 6)):
        assert len(rows) == count
        scores = [row["score"] for row in rows]
        assert scores == sorted(scores, reverse=True)
    assert {row["group"] for row in found["groups"][:3]} == set(EXPOSED)
    first = found["images"][0]
    assert first["group"] in EXPOSED
    assert [set(near) for near in first["nearest"]] == [{"generated", "rms"}] * 3
    assert set(first["detectors"]) == {"similarity_matrix", "distance"}
    assert found["groups"][0]["most_exposed"].startswith(found["groups"][0]["group"])
    assert [row["found_images"] > 0 for row in found["groups"]] == [True] * 3 + [False] * 3
    assert found["null"]["patients"]["least_p"] == 1 / 61
    assert found["inputs"]["generated"]["digest"] == done.inputs.generated.digest
    json.dumps(found, allow_nan=False)


def test_three_sentences_say_what_how_sure_and_what_not(done) -> None:
    found = verdict(done)
    assert found["level"] == "exposed"
    first, sure, limit = found["sentences"]
    assert first.startswith("3 of 6 patients stand out")
    assert "5%" in sure
    assert "to find a patient who is the only one exposed, it needs 119 patients" in sure
    assert "8 planted copies" in limit


def with_reference(done, size: int | None):
    """The audit with patients who are above a reference of this size, and images that are not."""
    found = done.findings
    own, images = found.patients, found.images
    reference = None if size is None else np.zeros(size)
    patients = judged(own.names, own.counts, own.scores, reference)
    nobody = judged(images.names, images.counts, images.scores, None if size is None else np.ones(50))
    return replace(done, findings=replace(found, patients=patients, images=nobody))


@pytest.mark.parametrize(
    ("size", "level", "said"),
    [
        (None, "ranks_only", "only ranks"),
        (18, "nothing_shown", "at least 19 are needed, 119 to find"),
        (19, "exposed", "it needs 119 patients"),
        (119, "exposed", "119 patients suffice"),
    ],
)
def test_a_small_reference_says_what_it_cannot_find(done, size, level, said) -> None:
    found = verdict(with_reference(done, size))
    assert found["level"] == level
    assert said in " ".join(found["sentences"])


def test_an_identical_image_needs_no_reference(done) -> None:
    alone = with_reference(done, None)
    copies = replace(alone.findings.copies, identical=((3, 7), (3, 8)))
    found = verdict(replace(alone, findings=replace(alone.findings, copies=copies)))
    assert (found["level"], found["identical"]) == ("exposed", 1)
    assert found["sentences"][0].startswith("1 real image is among the generated ones, pixel for pixel")
