from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fingerprints.config.auditing import AuditSettings
from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.scores.settings import DistanceSettings, SimilaritySettings
from tests.compose import settings

WORDS = ("real=R", "generated=G", "out=O")


def test_the_command_line_gives_the_defaults_of_the_class_and_a_battery() -> None:
    found = settings(*WORDS, root="audit")
    own = AuditSettings(real=Path("R"), generated=Path("G"), out=Path("O"), battery=found.battery)
    assert found == own
    assert all("usage" in detector.tasks for detector in found.battery.detectors)
    assert [detector.name for detector in found.battery.detectors][:2] == ["copies", "window_em"]
    weighted = settings(*WORDS, "battery.weights=[1,4,1,1]", root="audit").battery
    assert weighted.weights == (1, 4, 1, 1)


def test_detectors_are_names_or_mappings_with_the_defaults_of_their_decision() -> None:
    found = settings(
        *WORDS, "battery.detectors=[similarity, {name: distance, rule: mean, cut: half}]", root="audit"
    )
    assert found.battery.detectors == (SimilaritySettings(), DistanceSettings(rule="mean", cut="half"))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("battery.detectors=[distanc]", "decision=distance"),
        ("battery.detectors=[{name: distance, ruel: mean}]", "ruel"),
        ("battery.weights=[1,2]", "2 weights for 4 detectors"),
        ("battery.weights=[1,2,0,1]", "greater than 0"),
        ("size=8", "at least 16"),
        ("error=0", "greater than 0"),
        ("names=maybe", "hash, keep"),
    ],
)
def test_mistakes_are_named(word: str, said: str) -> None:
    with pytest.raises(FingerprintsError) as caught:
        settings(*WORDS, word, root="audit")
    assert said in str(caught.value)


def test_no_torch_is_needed() -> None:
    script = "import sys, fingerprints.config.auditing; assert not {'torch', 'hydra'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
