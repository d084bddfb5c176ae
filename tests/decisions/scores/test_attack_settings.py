"""What the attacks need of other stages."""

from __future__ import annotations

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build_option
from tests.decisions.parts import settings


def test_what_needs_pixels_and_shadow_generators() -> None:
    assert settings("copies").needs_pixels
    assert not settings("shadow").needs_pixels
    assert settings("shadow", base="copies").needs_pixels
    assert [settings(name).uses_shadow for name in ("shadow", "copies", "svm")] == [True, False, False]


def test_copies_are_cut_by_a_reference_and_ratios_by_labels() -> None:
    assert settings("copies").takes_reference
    assert settings("shadow").cut == "out_of_fold"
    with pytest.raises(FingerprintsError, match="share"):
        build_option("decision", {"name": "copies", "share": 1.5})
