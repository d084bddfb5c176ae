"""Backbones of torchvision: widths, normalisation, old keys, downloads that fail."""

from __future__ import annotations

from urllib.error import URLError

import pytest
import torch
from torchvision.models import get_model_weights
from torchvision.models.inception import Inception3

from fingerprints.core.errors import FingerprintsError
from fingerprints.encoders import torchvision_zoo
from fingerprints.encoders.fetching import LITE0
from fingerprints.encoders.pretrained import PretrainedEncoder
from fingerprints.encoders.settings import HAVE_V2, VERSIONS, PretrainedSettings
from tests.compose import settings


@pytest.mark.parametrize("name", torchvision_zoo.MODELS)
def test_widths_are_as_stated(name: str) -> None:
    size = torchvision_zoo.image_input(name).size
    with torch.device("meta"):  # shapes without numbers
        features = torchvision_zoo.backbone(name, "none").eval()(torch.rand(1, 3, size, size))
    assert features.flatten(1).shape == (1, torchvision_zoo.width(name))


def test_inception_is_normalised_once_as_torchvision_does_in_two_steps() -> None:
    with torch.device("meta"):
        backbone = torchvision_zoo.backbone("inception_v3", "none")
    assert backbone.transform_input is False
    assert backbone.AuxLogits is None
    pixels = torch.rand(2, 3, 5, 5)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    backbone.transform_input = True
    theirs = Inception3._transform_input(backbone, (pixels - mean) / std)
    expected = torchvision_zoo.image_input("inception_v3")
    torch.testing.assert_close((pixels - expected.mean[0]) / expected.std[0], theirs)


def test_keys_of_the_published_densenet_are_renamed() -> None:
    with torch.device("meta"):
        state = torchvision_zoo.backbone("densenet121", "none").state_dict()
    old = {}
    for key, value in state.items():
        words = key.split(".")
        if "denselayer" in key:
            words[-2] = f"{words[-2][:-1]}.{words[-2][-1]}"
        old[".".join(words)] = value
    assert old.keys() != state.keys()
    assert list(torchvision_zoo._renamed(old)) == list(state)


@pytest.mark.parametrize("name", torchvision_zoo.MODELS)
def test_versions_are_those_that_torchvision_has(name: str) -> None:
    entries = get_model_weights(torchvision_zoo.MODELS[name].model).__members__
    assert ("IMAGENET1K_V2" in entries) == (name in HAVE_V2)
    assert torchvision_zoo.imagenet_weights(name, "v1") is entries["IMAGENET1K_V1"]
    if name in HAVE_V2:
        first, second = (torchvision_zoo.imagenet_weights(name, version) for version in VERSIONS)
        assert second is entries["IMAGENET1K_V2"]
        assert first.url != second.url
        one, other = first.transforms(), second.transforms()
        for key in ("crop_size", "mean", "std", "interpolation"):
            assert getattr(one, key) == getattr(other, key), key  # so that one input serves both


@pytest.mark.parametrize("name", torchvision_zoo.MODELS)
def test_experiments_take_the_first_version(name: str) -> None:
    encoder = settings(
        "experiment=features_subtask2", f"encoder={name}", "data.root=none", "data.size=64"
    ).encoder
    assert (encoder.name, encoder.weights) == (name, "v1")


@pytest.mark.parametrize(("name", "weights", "fix"), [("resnet18", "v2", "v1"), ("dinov2", "v1", "default")])
def test_a_version_that_a_model_lacks_is_an_error_before_any_work(name: str, weights: str, fix: str) -> None:
    with pytest.raises(FingerprintsError, match=f"'{name}' has no weights {weights}") as error:
        PretrainedSettings(name=name, weights=weights)
    assert error.value.fix == f"encoder.weights={fix}"


@pytest.mark.parametrize(("weights", "file"), [("v1", "resnet50-0676ba61"), ("v2", "resnet50-11ad3fa6")])
def test_the_version_asked_for_is_fetched(weights: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(url: str, **_: object) -> None:
        raise URLError(f"no route to {url}")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(FingerprintsError, match=file) as error:
        PretrainedEncoder(name="resnet50", weights=weights)
    assert error.value.where == f"encoder.weights={weights}"


def test_failed_download_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(FingerprintsError, match="resnet18 cannot be downloaded") as error:
        PretrainedEncoder(name="resnet18")
    for remedy in (".pth", "encoder.weights=PATH", f"encoder={LITE0}", "encoder.weights=none"):
        assert remedy in str(error.value)
