from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fingerprints.auditing.document import EXPOSED as EXPOSED_LEVEL
from fingerprints.auditing.document import NOTHING, RANKS, STANDING, document, verdict
from fingerprints.auditing.exposure import Exposure, judged
from fingerprints.reporting.audit_page import WORDS
from tests.auditing.folders import EXPOSED


def test_the_most_exposed_come_first_and_nothing_is_lost(done) -> None:
    found = document(done)
    for rows, count in ((found["images"], 24), (found["groups"], 6)):
        assert len(rows) == count
        p = [(row["p"], row.get("p_images", 0), -row["score"]) for row in rows]
        assert p == sorted(p)
    assert {row["group"] for row in found["groups"][:3]} == set(EXPOSED)
    first = found["images"][0]
    assert first["group"] in EXPOSED
    assert [set(near) for near in first["nearest"]] == [{"generated", "rms"}] * 3
    assert set(first["detectors"]) == {"similarity_matrix", "distance"}
    assert found["groups"][0]["most_exposed"].startswith(found["groups"][0]["group"])
    assert [row["found_images"] > 0 for row in found["groups"]] == [True] * 3 + [False] * 3
    assert [row["standing_images"] > 0 for row in found["groups"]] == [True] * 3 + [False] * 3
    assert [found["null"][key]["least_p"] for key in ("images", "standing", "patients")] == [
        1 / 61,
        1 / 241,
        1 / 61,
    ]
    assert all(row["p_images"] <= row["q_images"] for row in found["images"])
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


def with_reference(done, size: int | None, *, standing: int | None = None):
    """The audit with patients who are above a reference of this size, and images that are not.

    With a number `standing` nobody is, but so many images have the smallest p among 10,000 images.
    """
    own = done.findings.exposure
    images, patients = len(own.images.names), len(own.patients.names)
    m = size or 0
    above = np.full(patients, 1 / (m + 1) if standing is None else 1.0)
    alone = np.where(np.arange(images) < (standing or 0), 1e-4, 1.0)

    def to(one, p, count):
        given = None if size is None else p
        return judged(one.names, one.counts, one.scores, given, compared_with=count)

    new = Exposure(
        images=to(own.images, np.ones(images), m),
        standing=to(own.standing, alone, 9_999),
        patients=to(own.patients, above, m),
    )
    return replace(done, findings=replace(done.findings, exposure=new))


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


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (5, "the reference has 5 patients, and at least 119 are needed to be sure of 4 images"),
        (200, "counted by patients, the 200 of the reference have too many such images"),
    ],
)
def test_images_that_stand_out_from_images_alone_are_not_exposed(done, size: int, said: str) -> None:
    found = verdict(with_reference(done, size, standing=4))
    assert (found["level"], found["images"], found["standing_images"]) == ("standing_out", 0, 4)
    first, sure, _ = found["sentences"]
    assert "Nobody is shown to be exposed, but 4 of 24 images, of 1 patient, stand out" in first
    assert said in sure


def test_an_identical_image_needs_no_reference(done) -> None:
    alone = with_reference(done, None)
    copies = replace(alone.findings.copies, identical=((3, 7), (3, 8)))
    found = verdict(replace(alone, findings=replace(alone.findings, copies=copies)))
    assert (found["level"], found["identical"]) == ("exposed", 1)
    assert found["sentences"][0].startswith("1 real image is among the generated ones, pixel for pixel")


def test_the_page_has_a_word_for_every_level() -> None:
    assert set(WORDS) == {EXPOSED_LEVEL, STANDING, NOTHING, RANKS}
