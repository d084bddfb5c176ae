"""One class for all backbones with pretrained weights from torchvision and timm."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from fingerprints.encoders import timm_zoo, torchvision_zoo
from fingerprints.encoders.preprocessing import ColourInput
from fingerprints.encoders.settings import TIMM, TORCHVISION

PRETRAINED = (*TORCHVISION, *TIMM)


class PretrainedEncoder(nn.Module):
    """A backbone without its classifier: `(n, C, S, S)` in [0, 1] to features `(n, width)`.

    Images are resized, repeated to three channels if grey, and normalised, as the weights expect.

    Args:
        name: One of `PRETRAINED`.
        weights: `default` (downloaded; for `efficientnet_lite0`, the file in its package), `v1` or `v2`
            (torchvision only), `none` (random), or the path of a local state dict.
        input_size: Image side of the backbone's input in pixels; `None` uses that of the weights.

    Raises:
        FingerprintsError: If the backbone does not accept this size, or weights are missing or do not fit.
    """

    def __init__(self, *, name: str, weights: str = "default", input_size: int | None = None) -> None:
        super().__init__()
        zoo = torchvision_zoo if name in TORCHVISION else timm_zoo
        # Check the size before a download.
        self.input = ColourInput(zoo.image_input(name).at(input_size, encoder=name))
        self.backbone = zoo.backbone(name, weights)
        self.embedding = zoo.width(name)
        self.name = name

    def preprocessing(self) -> dict[str, Any]:
        """The backbone and its input."""
        return {"backbone": self.name, **self.input.expected.facts()}

    def forward(self, images: Tensor) -> Tensor:
        """Features of `(n, C, S, S)`, float in [0, 1]."""
        features: Tensor = self.backbone(self.input(images))
        return features
