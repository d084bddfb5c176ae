"""The CNN of GAN-Amis."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.encoders.custom_cnn import CustomCNN
from tests.networks import build_network


def test_blocks_are_convolution_batch_norm_pooling_and_relu() -> None:
    encoder = CustomCNN(size=64)
    assert [type(layer) for layer in encoder.features] == [
        nn.Conv2d,
        nn.BatchNorm2d,
        nn.MaxPool2d,
        nn.ReLU,
    ] * 4
    assert [m.out_channels for m in encoder.features if isinstance(m, nn.Conv2d)] == [32, 64, 128, 128]
    assert encoder.dense.weight.shape == (256, 128 * 4 * 4)


def test_forward_is_the_chain_of_its_layers() -> None:
    torch.manual_seed(0)
    encoder = CustomCNN(size=9, channels=(3, 4), embedding=5).eval()
    images = torch.rand(2, 1, 9, 9)
    maps = images
    for layer in encoder.features:
        if isinstance(layer, nn.Conv2d):
            maps = nn.functional.conv2d(maps, layer.weight, padding=1)
        if isinstance(layer, nn.BatchNorm2d):
            maps = nn.functional.max_pool2d((maps / (1 + layer.eps) ** 0.5).clamp_min(0), 2)
    expected = (maps.flatten(1) @ encoder.dense.weight.T + encoder.dense.bias).clamp_min(0)
    torch.testing.assert_close(encoder(images), expected)
    assert encoder(images).shape == (2, encoder.embedding) == (2, 5)


def test_too_small_images_are_an_error() -> None:
    CustomCNN(size=16)
    with pytest.raises(FingerprintsError, match="too small") as error:
        CustomCNN(size=15)
    assert "data.size of at least 16" in str(error.value)


def test_trained_weights_are_loaded(tmp_path: Path) -> None:
    settings = {"name": "custom_cnn", "channels": [2], "embedding": 3}
    trained = build_network(settings, size=8)
    torch.save(
        {"state_dict": {f"network.{k}": v for k, v in trained.state_dict().items()}}, tmp_path / "a.ckpt"
    )
    loaded = build_network({**settings, "weights": str(tmp_path / "a.ckpt")}, size=8)
    assert torch.equal(loaded.encoder.dense.weight, trained.encoder.dense.weight)
