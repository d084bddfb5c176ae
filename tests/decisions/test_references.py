"""Which reference images a score learns from, and which set its cut."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Fitting
from fingerprints.decisions.references import reference_images
from tests.decisions.parts import about_real, images, settings

RNG = np.random.default_rng(0)
GIVEN = images(RNG.normal(size=(12, 3)), groups=[f"p{n // 2}" for n in range(12)])
TRAINING = about_real(
    images(RNG.normal(size=(9, 3)), [USED] * 4 + [NOT_USED] * 5), images(RNG.normal(size=(6, 3)))
)


def chosen(*, given=GIVEN, seed: int = 0, **options):
    own = settings("distance", **options)
    return reference_images(own, Fitting(TRAINING, (NOT_USED, USED), seed=seed, reference=given))


def test_a_score_that_learns_from_none_gets_none() -> None:
    found = chosen(cut="reference")
    assert found.learnt is None
    np.testing.assert_array_equal(found.scored.embeddings, GIVEN.embeddings)
    assert len(chosen().scored) == 0


def test_without_a_cut_by_the_reference_all_of_it_is_learnt_from_and_none_is_scored() -> None:
    found = chosen(scaled_by="reference")
    np.testing.assert_array_equal(found.learnt.embeddings, GIVEN.embeddings)
    assert len(found.scored) == 0
    unused = chosen(scaled_by="reference", given=None).learnt.embeddings
    np.testing.assert_array_equal(unused, TRAINING.real.embeddings[4:])


@pytest.mark.parametrize("seed", range(3))
def test_an_image_is_learnt_from_or_sets_the_cut_and_a_patient_is_never_divided(seed: int) -> None:
    found = chosen(scaled_by="reference", cut="reference", seed=seed)
    both = np.concatenate([found.learnt.embeddings, found.scored.embeddings])
    np.testing.assert_array_equal(np.unique(both, axis=0), np.unique(GIVEN.embeddings, axis=0))
    assert len(both) == len(GIVEN)
    assert not set(found.learnt.groups) & set(found.scored.groups)
    assert len(set(found.learnt.groups)) == 3


def test_members_are_never_learnt_from() -> None:
    found = chosen(scaled_by="reference", cut="reference", reference="real", given=None)
    assert (len(found.learnt) + len(found.scored), len(found.elsewhere)) == (5, 4)
    np.testing.assert_array_equal(found.elsewhere.embeddings, TRAINING.real.embeddings[:4])


def test_names_of_patients_are_not_kept() -> None:
    assert set(chosen(cut="reference").scored.groups) == {f"reference {n}" for n in range(6)}


def test_a_single_patient_cannot_do_both() -> None:
    alone = images(GIVEN.embeddings, groups=["p"] * 12)
    with pytest.raises(FingerprintsError, match="of one patient"):
        chosen(scaled_by="reference", cut="reference", given=alone)
    assert len(chosen(scaled_by="reference", given=alone).learnt) == 12


def test_a_score_that_needs_a_reference_refuses_to_go_without() -> None:
    with pytest.raises(FingerprintsError, match="compares with reference images") as error:
        settings("domias", reference="none")
    assert "data.reference=DIR" in str(error.value.fix)
    with pytest.raises(FingerprintsError, match="no reference images"):
        chosen(scaled_by="reference", reference="given", given=None)
