"""Backbones with pretrained weights, torchvision's and timm's, behind one class."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from fingerprints.encoders import timm_zoo, torchvision_zoo
from fingerprints.encoders.preprocessing import ColourInput
from fingerprints.encoders.settings import TIMM, TORCHVISION

PRETRAINED = (*TORCHVISION, *TIMM)


class PretrainedEncoder(nn.Module):
    """A backbone without its classifier: `(n, C, S, S)` in [0, 1] to features `(n, width)`.

    Grey is repeated to three channels, resized and normalised as the weights expect.

    Args:
        name: One of `PRETRAINED`.
        weights: `default` (a download, or the embedded file of `efficientnet_lite0`), `none` (random), or
            the path of a local state dict.
        input_size: Side the backbone sees; `None` takes the weights' own.

    Raises:
        FingerprintsError: If the backbone cannot take that size, or the weights cannot be had or do not fit.
    """

    def __init__(self, *, name: str, weights: str = "default", input_size: int | None = None) -> None:
        super().__init__()
        zoo = torchvision_zoo if name in TORCHVISION else timm_zoo
        # The size is checked before a download.
        self.input = ColourInput(zoo.image_input(name).at(input_size, encoder=name))
        self.backbone = zoo.backbone(name, weights)
        self.embedding = zoo.width(name)
        self.name = name

    def preprocessing(self) -> dict[str, Any]:
        """The backbone and what it is shown."""
        return {"backbone": self.name, **self.input.expected.facts()}

    def forward(self, images: Tensor) -> Tensor:
        """Features of `(n, C, S, S)`, float in [0, 1]."""
        features: Tensor = self.backbone(self.input(images))
        return features
