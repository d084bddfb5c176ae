"""What encoders are shown."""

from __future__ import annotations

import pytest
import torch

from fingerprints.core.errors import FingerprintsError
from fingerprints.encoders.preprocessing import ColourInput, ImageInput, as_grey, resize

INPUT = ImageInput(
    size=6, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0), interpolation="bicubic", smallest=4, multiple=2
)


def test_channels_are_normalised_each_by_its_own() -> None:
    images = torch.rand(2, 1, 6, 6)
    shown = ColourInput(INPUT)(images)
    for channel in range(3):
        expected = (images[:, 0] - INPUT.mean[channel]) / INPUT.std[channel]
        torch.testing.assert_close(shown[:, channel], expected)
    assert not ColourInput(INPUT).state_dict()


def test_bicubic_stays_in_range() -> None:
    edge = torch.zeros(1, 1, 8, 8)
    edge[..., 4:] = 1
    free = torch.nn.functional.interpolate(edge, size=(20, 20), mode="bicubic", antialias=True)
    assert free.max() > 1.01
    cut = resize(edge, 20, interpolation="bicubic")
    assert (cut.min(), cut.max()) == (0, 1)
    assert resize(edge, 8, interpolation="bicubic") is edge


def test_grey_stays_and_colour_is_weighted() -> None:
    grey = torch.rand(2, 1, 3, 3)
    assert as_grey(grey) is grey
    pure = torch.eye(3).view(3, 3, 1, 1)
    assert as_grey(pure).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])


def test_size_is_the_weights_own_or_checked() -> None:
    assert INPUT.at(None, encoder="x") is INPUT
    assert INPUT.at(8, encoder="x").facts()["size"] == 8
    with pytest.raises(FingerprintsError, match="x cannot take images of 2 x 2 pixels; it needs at least 4"):
        INPUT.at(2, encoder="x")
    with pytest.raises(FingerprintsError, match="patches of 2 pixels") as error:
        INPUT.at(7, encoder="x")
    assert "encoder.input_size=8" in str(error.value)
