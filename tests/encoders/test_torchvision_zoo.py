"""Backbones of torchvision: widths, normalisation, old keys, downloads that fail."""

from __future__ import annotations

from urllib.error import URLError

import pytest
import torch
from torchvision.models.inception import Inception3

from fingerprints.core.errors import FingerprintsError
from fingerprints.encoders import torchvision_zoo
from fingerprints.encoders.fetching import LITE0
from fingerprints.encoders.pretrained import PretrainedEncoder


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


def test_failed_download_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(FingerprintsError, match="resnet18 cannot be downloaded") as error:
        PretrainedEncoder(name="resnet18")
    for remedy in (".pth", "encoder.weights=PATH", f"encoder={LITE0}", "encoder.weights=none"):
        assert remedy in str(error.value)
