from __future__ import annotations

from fingerprints.decisions.clusters.member import member
from fingerprints.decisions.settings import MixtureSettings


def test_a_member_has_the_default_settings_of_its_option() -> None:
    found = member("gmm", clusters=4, seed=7)
    assert (found.settings, found.clusters, found.seed) == (MixtureSettings(), 4, 7)
