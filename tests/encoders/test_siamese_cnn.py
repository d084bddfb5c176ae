"""The published architecture, layer by layer."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.encoders.siamese_cnn import SiameseCNN, smallest_size
from tests.networks import build_network


def shapes(module: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for p in module.parameters()]


@pytest.mark.parametrize(("size", "side"), [(256, 14), (128, 6), (48, 1)])
def test_parameters_are_as_published(size: int, side: int) -> None:
    assert shapes(SiameseCNN(size=size)) == [
        *[(16, 1, 3, 3), (16,), (32, 16, 3, 3), (32,), (64, 32, 3, 3), (64,), (128, 64, 3, 3), (128,)],
        *[(256, 128 * side * side), (256,)],
    ]


def test_layers_are_as_published() -> None:
    encoder = SiameseCNN(size=64)
    assert [type(layer) for layer in encoder.features] == [nn.Conv2d, nn.MaxPool2d, nn.ReLU] * 4
    for layer in encoder.features:
        if isinstance(layer, nn.Conv2d):
            assert (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (0, 0))
        if isinstance(layer, nn.MaxPool2d):
            assert (layer.kernel_size, layer.stride) == (2, 2)


def test_forward_is_the_chain_of_its_layers() -> None:
    torch.manual_seed(0)
    encoder = SiameseCNN(size=64, embedding=32)
    images = torch.rand(3, 1, 64, 64)
    features = images
    for layer in encoder.features:
        if isinstance(layer, nn.Conv2d):
            features = nn.functional.max_pool2d(
                nn.functional.conv2d(features, layer.weight, layer.bias).clamp_min(0), 2
            )
    dense = features.reshape(3, -1) @ encoder.dense.weight.T + encoder.dense.bias
    torch.testing.assert_close(encoder(images), dense.clamp_min(0))
    assert encoder(images).shape == (3, 32)


@pytest.mark.parametrize("options", [{}, {"batch_norm": True}], ids=str)
def test_pooling_first_changes_neither_values_nor_gradients(options: dict) -> None:
    """The order that the paper names, ReLU before pooling, with the weights of a run that had it."""
    torch.manual_seed(0)
    ours = SiameseCNN(size=64, channels=(4, 8), embedding=6, **options).double()
    blocks, published = list(ours.features), []
    for layer in blocks:
        if isinstance(layer, nn.ReLU):
            published.insert(len(published) - 1, nn.ReLU())
        else:
            published.append(copy.deepcopy(layer))
    old = copy.deepcopy(ours)
    old.features = nn.Sequential(*published)
    assert [type(layer).__name__ for layer in old.features[-2:]] == ["ReLU", "MaxPool2d"]
    ours.load_state_dict(old.state_dict())
    images = torch.rand(5, 1, 64, 64, dtype=torch.float64)
    found, expected = ours(images), old(images)
    assert torch.equal(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    for own, other in zip(ours.parameters(), old.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-12, atol=1e-15)


def test_final_relu_is_an_option() -> None:
    torch.manual_seed(0)
    images = torch.rand(4, 1, 48, 48)
    assert SiameseCNN(size=48)(images).min() >= 0
    assert SiameseCNN(size=48, final_relu=False)(images).min() < 0


def test_batch_norm_is_an_option() -> None:
    encoder = SiameseCNN(size=64, channels=(4, 8), embedding=10, batch_norm=True)
    assert [type(layer) for layer in encoder.features] == [
        nn.Conv2d,
        nn.BatchNorm2d,
        nn.MaxPool2d,
        nn.ReLU,
    ] * 2
    assert shapes(encoder)[:3] == [(4, 1, 3, 3), (4,), (4,)]


@pytest.mark.parametrize("blocks", [1, 2, 3, 4, 5])
def test_least_size_works_and_one_less_does_not(blocks: int) -> None:
    least, channels = smallest_size(blocks), [2] * blocks
    assert SiameseCNN(size=least, channels=channels)(torch.rand(1, 1, least, least)).shape == (1, 256)
    with pytest.raises(FingerprintsError, match="too small") as error:
        SiameseCNN(size=least - 1, channels=channels)
    assert f"data.size of at least {least}" in str(error.value)


def test_published_blocks_need_46_pixels() -> None:
    with pytest.raises(FingerprintsError, match="at least 46"):
        build_network({"name": "siamese_cnn"}, size=45)


def test_strided_blocks_halve_the_map_and_keep_it_where_no_dense_layer_follows():
    encoder = SiameseCNN(size=33, channels=(4, 6), embedding=None, downsampling="stride", final_relu=False)
    out = encoder(torch.rand(2, 1, 33, 33))
    assert out.shape == (2, 6 * 9 * 9)
    assert encoder.embedding == out.shape[1]
    assert (out < 0).any()
    with_relu = SiameseCNN(size=33, channels=(4, 6), embedding=None, downsampling="stride", final_relu=True)
    assert (with_relu(torch.rand(2, 1, 33, 33)) >= 0).all()


def test_standardised_images_lose_brightness_and_contrast():
    torch.manual_seed(0)
    images = torch.rand(2, 1, 48, 48)
    encoder = SiameseCNN(size=48, channels=(4,), embedding=8, standardise=True, final_relu=False)
    torch.testing.assert_close(encoder(images), encoder(0.2 + 0.5 * images), atol=1e-3, rtol=1e-3)
    plain = SiameseCNN(size=48, channels=(4,), embedding=8, final_relu=False)
    assert not torch.allclose(plain(images), plain(0.2 + 0.5 * images), atol=1e-3)
