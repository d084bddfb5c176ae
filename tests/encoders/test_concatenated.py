"""Encoders side by side, and how a configuration names them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fingerprints.core.errors import FingerprintsError
from fingerprints.encoders import build
from fingerprints.encoders.settings import EncoderSettings, LBPSettings, PretrainedSettings
from tests.compose import settings
from tests.networks import build_network


def resolved(*words: str) -> EncoderSettings:
    return settings("experiment=siamese_subtask2", "data.root=D", "encoder=concatenated", *words).encoder


def test_features_stand_side_by_side_in_their_order() -> None:
    entries = [{"name": "lbp", "points": 4}, {"name": "pixels", "side": 4}]
    both = build_network({"name": "concatenated", "encoders": entries}, size=16, on_pairs=False)
    one, other = (build_network(entry, size=16, on_pairs=False) for entry in entries)
    images = torch.rand(3, 1, 16, 16)
    torch.testing.assert_close(both(images), torch.cat([one(images), other(images)], dim=1))
    assert both.embedding == 6 + 16
    records = both.encoder.preprocessing()["encoders"]
    assert records == [one.encoder.preprocessing(), other.encoder.preprocessing()]


def test_entries_are_options_by_name_or_with_what_differs() -> None:
    encoder = resolved("encoder.encoders=[dinov2,{name: lbp, points: 4},{name: resnet18, weights: none}]")
    dinov2, lbp, resnet18 = encoder.encoders
    assert (dinov2.name, dinov2.input_size, dinov2.weights) == ("dinov2", 224, "default")  # of its file
    assert lbp == LBPSettings(points=4)
    assert resnet18 == PretrainedSettings(name="resnet18", weights="none")
    assert encoder.has_random_weights
    assert not resolved().has_random_weights


def test_what_is_resolved_can_be_built() -> None:
    encoder = resolved("encoder.encoders=[{name: spectrum, grid: 8},residual,pixels,lbp]")
    network = build.build_network(encoder, size=16, on_pairs=False)
    assert network(torch.rand(1, 1, 16, 16)).shape == (1, 8 + 32 + 226 + 1024 + 10)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("[]", "no encoders"),
        ("[lbp,concatenated]", "cannot contain another"),
        ("[lpb]", "no encoder 'lpb'"),
        ("[{name: lbp, pionts: 3}]", "cannot take pionts"),
        ("[{name: lbp, points: many}]", "cannot take points"),
        ("[{name: lbp, points: 99}]", "encoder.encoders.0.points=99 is out of range"),
        ("[{points: 3}]", "no encoder 'None'"),
    ],
)
def test_bad_entries_are_an_error_of_the_configuration(entries: str, message: str) -> None:
    with pytest.raises(FingerprintsError, match=message):
        resolved(f"encoder.encoders={entries}")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "no encoders"),
        ([{"name": "concatenated", "encoders": [{"name": "lbp"}]}], "cannot contain another"),
    ],
)
def test_bad_entries_are_an_error_without_a_configuration_too(entries: list[Any], message: str) -> None:
    with pytest.raises(FingerprintsError, match=message):
        build_network({"name": "concatenated", "encoders": entries}, size=16)
