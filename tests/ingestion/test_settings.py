"""Settings of an ingest are checked where they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build
from fingerprints.ingestion.settings import IntakeSettings


def test_defaults_are_those_of_the_command() -> None:
    settings = build(IntakeSettings, {"images": "in", "out": "out"})
    assert settings == IntakeSettings(images=Path("in"), out=Path("out"))
    assert (settings.size, settings.window, settings.on_bad_image) == (256, "lung", "error")


@pytest.mark.parametrize("wrong", [{"size": 0}, {"near_duplicate": 1.5}, {"on_bad_image": "maybe"}])
def test_values_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(FingerprintsError, match=next(iter(wrong))):
        build(IntakeSettings, {"images": "in", "out": "out", **wrong})
