"""Error maps of an autoencoder."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fingerprints.encoders.autoencoder import ErrorMaps
from tests.networks import build_network

SMALL = {"channels": (3, 5), "latent": 4}


def test_embeddings_are_squared_errors_pixel_by_pixel() -> None:
    torch.manual_seed(0)
    network, images = ErrorMaps(size=12, side=None, **SMALL), torch.rand(3, 1, 12, 12)
    made = network.reconstruct(images).detach()
    assert made.shape == images.shape
    assert 0 <= made.min() <= made.max() <= 1
    errors = network(images).detach()
    assert errors.shape == (3, network.embedding) == (3, 144)
    for number in range(3):
        for row in (0, 5, 11):
            expected = (made[number, 0, row, 7] - images[number, 0, row, 7]) ** 2
            assert errors[number, 12 * row + 7] == pytest.approx(expected.item(), abs=1e-7)


def test_the_code_is_narrow_and_each_convolution_halves_the_image() -> None:
    network = ErrorMaps(size=256)
    assert network.side == 128
    dense = [layer for layer in (*network.encoder, *network.decoder) if isinstance(layer, nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in dense] == [(128, 256 * 8 * 8), (256 * 8 * 8, 128)]
    filters = [layer.out_channels for layer in network.encoder if isinstance(layer, nn.Conv2d)]
    assert filters == [32, 64, 128, 256]
    back = [layer.out_channels for layer in network.decoder if isinstance(layer, nn.Conv2d)]
    assert back == [128, 64, 32, 1]


@pytest.mark.parametrize("side", [2, 7, 13, 20])
def test_every_side_is_possible_and_images_are_scaled_to_it(side: int) -> None:
    network = ErrorMaps(size=20, side=side, **SMALL)
    images = torch.rand(2, 3, 20, 20)
    assert network(images).shape == (2, side**2)
    grey = images.mean(dim=1, keepdim=True)
    assert network(grey).shape == (2, side**2)


def test_settings_reach_it_and_its_record() -> None:
    values = {"name": "autoencoder", "side": 10, "channels": [2, 3], "latent": 5}
    network = build_network(values, size=24, on_pairs=False)
    assert network.embedding == 100
    assert not network.normalise
    record = {"channels": 1, "features": "reconstruction errors", "size": 10, "filters": [2, 3], "latent": 5}
    assert network.encoder.preprocessing() == record


def test_it_learns_to_reconstruct() -> None:
    torch.manual_seed(0)
    network, images = ErrorMaps(size=16, side=None, channels=(8, 8), latent=8), torch.rand(4, 1, 2, 2)
    images = nn.functional.interpolate(images, scale_factor=8.0)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(150):
        loss = network(images).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4
