from __future__ import annotations

import numpy as np
import pytest

from fingerprints.auditing.exposure import Pooling
from fingerprints.auditing.power import FEWEST_PATIENTS, Slices, choose, power
from tests.auditing.folders import BATTERY, patient


def patients(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.array([pixels for _ in range(count) for pixels in patient(rng, 2)], np.uint8)


def run(*, reference: int, most: int | None = 8, candidates: int = 20) -> dict:
    rng = np.random.default_rng(0)
    own, unused = (patients(rng, count) for count in (candidates, reference))
    return power(
        BATTERY.detectors,
        candidates=Slices(own, np.repeat(np.arange(candidates).astype(str), 2)),
        reference=Slices(unused.reshape(-1, 16, 16), np.repeat(np.arange(reference).astype(str), 2)),
        generated=np.concatenate([patient(rng, 1) for _ in range(60)]),
        rule=Pooling(),
        weights=None,
        error=0.05,
        most=most,
        seed=0,
        progress=None,
    )


def test_images_of_a_third_of_the_patients_are_planted_patient_by_patient() -> None:
    groups = np.repeat(np.arange(12).astype(str), 3)
    copies, blends = choose(groups, most=5, seed=1)
    assert (copies.kind, blends.kind) == ("copies", "blends")
    assert len(set(copies.patients) | set(blends.patients)) == 12 // 3
    assert not set(copies.patients) & set(blends.patients)
    for one in (copies, blends):
        assert len(set(one.images.tolist())) == 5
        assert (groups[one.images] == one.patients).all()
        assert sorted(np.unique(one.patients, return_counts=True)[1]) == [2, 3]


def test_a_larger_reference_sees_smaller_leaks(monkeypatch) -> None:
    monkeypatch.setattr("fingerprints.auditing.power.DRAWS", 10)
    small, large = (run(reference=count) for count in (30, 150))
    assert large["reference_left"] == {"images": 268, "patients": 134}  # 16 images, each of its own patient
    curve = large["blends"]["standing"]
    assert curve["planted"] == [1, 2, 4, 8]
    # With 268 images left, p can be 1 / 269: 2 of 40 candidates need at most 0.05 x 2 / 40, and 4 twice that.
    assert curve["found"][:2] == [0, 0]
    assert (curve["smallest"], curve["found"][-1], curve["alone_at_error"]) == (4, 1, 1)
    # With the 134 patients of these images p of an image, or a patient, can be 1 / 135.
    assert large["blends"]["images"]["smallest"] == 8
    assert large["blends"]["patients"]["smallest"] == 4
    for unit in ("images", "standing"):
        own = small["blends"][unit]
        assert own | {"found": 0} == large["blends"][unit] | {"found": 0, "smallest": None}
        assert not any(own["found"])


def test_without_a_number_many_are_planted_but_most_images_stay_generated() -> None:
    curve = run(reference=60, most=None, candidates=6)["copies"]["images"]
    assert curve["planted"] == [1, 2, 4, 8, 12]  # a fifth of the 60 generated images, below PLANTED


@pytest.mark.parametrize(
    ("reference", "most", "said"),
    [(0, 8, "no reference"), (FEWEST_PATIENTS - 1, 8, "11 patient"), (30, 0, "planted=0")],
)
def test_without_figures_there_is_a_reason(reference: int, most: int, said: str) -> None:
    assert said in run(reference=reference, most=most)["reason"]
