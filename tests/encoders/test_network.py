"""Networks by name, the projection and the L2 norm."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.encoders.build import build_network as build
from fingerprints.encoders.network import EmbeddingNetwork, as_unit_float, l2_normalise
from tests.networks import build_network, encoder

SMALL = {"name": "siamese_cnn", "channels": [4, 8], "embedding": 16, "final_relu": False}


class Flatten(nn.Module):
    embedding = 9

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)


def test_rows_are_unit_vectors_in_the_same_direction() -> None:
    images = torch.rand(5, 1, 3, 3)
    flat = images.flatten(1)
    vectors = EmbeddingNetwork(Flatten())(images)
    torch.testing.assert_close(vectors, flat / flat.pow(2).sum(1, keepdim=True).sqrt())


def test_zero_vectors_stay_zero_with_a_finite_gradient() -> None:
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-20, 0.0]], requires_grad=True)
    unit = l2_normalise(vectors)
    assert unit[:2].tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 0.0]]
    assert unit.isfinite().all()
    unit.sum().backward()
    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()


def test_bytes_are_divided_by_255() -> None:
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8)
    assert as_unit_float(pixels).tolist() == pytest.approx([0, 0.2, 1])
    floats = torch.rand(4)
    assert as_unit_float(floats) is floats
    images = torch.randint(0, 256, (2, 1, 3, 3), dtype=torch.uint8)
    network = EmbeddingNetwork(Flatten())
    torch.testing.assert_close(network(images), network(images.float() / 255))


def test_projection_is_a_linear_layer_before_the_norm() -> None:
    network = EmbeddingNetwork(Flatten(), projection=4)
    images = torch.rand(3, 1, 3, 3)
    projected = images.flatten(1) @ network.projection.weight.T + network.projection.bias
    torch.testing.assert_close(network.raw(images), projected)
    torch.testing.assert_close(network(images), nn.functional.normalize(projected))
    assert network.embedding == 4
    assert EmbeddingNetwork(Flatten()).embedding == 9


def test_network_by_name() -> None:
    network = build_network({**SMALL, "projection": 5}, size=32)
    assert network(torch.rand(2, 1, 32, 32)).shape == (2, 5)
    with pytest.raises(FingerprintsError, match="no encoder 'siamese_cn'") as error:
        build_network({"name": "siamese_cn"}, size=32)
    assert "encoder=siamese_cnn" in str(error.value)


@pytest.mark.parametrize("wrapped", [False, True])
def test_trained_encoder_is_loaded(tmp_path: Path, wrapped: bool) -> None:
    torch.manual_seed(0)
    trained = build_network({**SMALL, "projection": 5}, size=32)
    if wrapped:
        state = {f"network.{key}": value for key, value in trained.state_dict().items()}
        torch.save({"state_dict": {**state, "images_encoded": torch.tensor(7)}}, tmp_path / "last.ckpt")
    else:
        torch.save(trained.encoder.state_dict(), tmp_path / "last.ckpt")
    torch.manual_seed(1)
    loaded = build_network({**SMALL, "weights": str(tmp_path / "last.ckpt")}, size=32)
    images = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(loaded.encoder(images), trained.encoder(images))


def test_weights_for_another_size_are_an_error(tmp_path: Path) -> None:
    torch.save(build_network(SMALL, size=32).encoder.state_dict(), tmp_path / "w.pt")
    with pytest.raises(FingerprintsError, match="another architecture") as error:
        build_network({**SMALL, "weights": str(tmp_path / "w.pt")}, size=40)
    assert "shape: dense.weight" in str(error.value)
    assert f"encoder.weights={tmp_path / 'w.pt'}" in str(error.value)


def test_frozen_features_have_no_random_projection_and_no_norm() -> None:
    torch.manual_seed(0)
    network = build_network({**SMALL, "projection": 5}, size=32, on_pairs=False)
    images = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    assert network.embedding == 16
    torch.testing.assert_close(network(images), network.encoder(images / 255))
    assert not network.normalise
    assert build_network(SMALL, size=32).normalise


def test_handcrafted_features_are_trained_only_through_a_projection() -> None:
    with pytest.raises(FingerprintsError, match="nothing to train") as error:
        build_network({"name": "lbp", "projection": None}, size=32)
    assert "encoder.projection" in str(error.value)
    assert build_network({"name": "lbp", "projection": 3}, size=32).embedding == 3
    assert build_network({"name": "lbp", "projection": 3}, size=32, on_pairs=False).embedding == 10


def test_colour_is_turned_grey_for_own_networks() -> None:
    network = build_network(SMALL, size=32)
    grey = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(network(grey.expand(-1, 3, -1, -1)), network(grey))


def test_settings_without_weights_read_no_file() -> None:
    settings = {**SMALL, "weights": "nowhere.pt"}
    with pytest.raises(FingerprintsError, match="do not exist"):
        build_network(settings, size=32)
    assert build(encoder(settings).without_weights(), size=32).embedding == 16
    both = encoder({"name": "concatenated", "encoders": [settings, {"name": "lbp"}]}).without_weights()
    assert build(both, size=32).embedding == 26
    assert encoder({"name": "lbp"}).without_weights() == encoder({"name": "lbp"})
