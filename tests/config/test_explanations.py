from __future__ import annotations

import pytest

from fingerprints.config.explanations import explain
from fingerprints.core.errors import FingerprintsError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Could not override 'x.y'.\nKey 'y' is not in struct\n    full_key: data.siez", "data.size"),
        ("Could not override 'traner'.\nNo match in the defaults list.", "trainer"),
        ("Could not find 'encoder/resnet5'", "resnet50"),
        ("You must specify 'experiment', e.g, experiment=<OPTION>", "siamese_subtask2"),
    ],
)
def test_configuration_errors_in_plain_words(text, expected):
    from hydra.errors import ConfigCompositionException

    message = explain(ConfigCompositionException(text), "train")
    assert message is not None
    assert expected in message


def test_a_defect_is_not_explained_away():
    assert explain(RuntimeError("bug"), "train") is None
    assert explain(FingerprintsError("what", where="w", fix="f"), "train") == "what\n  where: w\n  fix:   f"
