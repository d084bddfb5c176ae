"""ImageNet backbones of torchvision, without their classifiers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from fingerprints.core.weights import load_into, read_weights
from fingerprints.encoders.fetching import no_download
from fingerprints.encoders.preprocessing import ImageInput, triple
from fingerprints.encoders.settings import VERSIONS

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum


@dataclass(frozen=True)
class _Model:
    """A backbone: torchvision's name, the attribute that holds the classifier, and the number of features."""

    model: str
    head: str
    width: int


# Numbers of features stated in [A24] and [A25]: 25,088 for VGG-16 (the last feature map, flattened), 2048 for
# ResNet-50, 1280 for MobileNetV2 and EfficientNet-B0, 1024 for DenseNet-121.
MODELS = {
    "mobilenet_v2": _Model("mobilenet_v2", "classifier", 1280),
    "mobilenet_v3": _Model("mobilenet_v3_large", "classifier", 960),
    "resnet18": _Model("resnet18", "fc", 512),
    "resnet34": _Model("resnet34", "fc", 512),
    "resnet50": _Model("resnet50", "fc", 2048),
    "resnet101": _Model("resnet101", "fc", 2048),
    "resnet152": _Model("resnet152", "fc", 2048),
    "efficientnet_b0": _Model("efficientnet_b0", "classifier", 1280),
    "densenet121": _Model("densenet121", "classifier", 1024),
    "vgg16": _Model("vgg16", "classifier", 25_088),
    "vgg19": _Model("vgg19", "classifier", 25_088),
    "inception_v3": _Model("inception_v3", "fc", 2048),
    "squeezenet": _Model("squeezenet1_1", "classifier", 512),
}


def width(name: str) -> int:
    """Number of features of a model of this zoo."""
    return MODELS[name].width


def image_input(name: str) -> ImageInput:
    """The input that the ImageNet weights of a model expect, in both versions; nothing is downloaded."""
    weights = imagenet_weights(name, "default")
    transform: Any = weights.transforms()
    mean, std = triple(transform.mean), triple(transform.std)
    if name == "inception_v3":
        # These weights come from TensorFlow and expect [-1, 1]. torchvision normalises for ImageNet and
        # corrects this inside the model (`transform_input`). The correction is switched off here: this mean
        # and std give the same result in one step.
        mean = std = (0.5, 0.5, 0.5)
    return ImageInput(
        size=transform.crop_size[0],
        mean=mean,
        std=std,
        interpolation=transform.interpolation.value,
        smallest=max(weights.meta["min_size"]),
    )


def backbone(name: str, weights: str) -> nn.Module:
    """A model without its classifier, which maps normalised `(n, 3, S, S)` to `(n, width)`.

    Feature maps are pooled; those of VGG are flattened.

    Args:
        name: One of `MODELS`.
        weights: `default` (torchvision's own choice), `v1` or `v2` (its first or second ImageNet weights),
            `none` (random), or a path. All but the last two are downloaded.

    Raises:
        FingerprintsError: If the weights are missing or do not fit.
    """
    from torchvision.models import get_model

    entry = MODELS[name]
    extra: dict[str, Any] = {}
    if name == "inception_v3":
        extra = {"aux_logits": False, "transform_input": False, "init_weights": weights == "none"}
    model: nn.Module = get_model(entry.model, weights=None, **extra)
    # SqueezeNet's pooling is part of its classifier.
    setattr(model, entry.head, nn.AdaptiveAvgPool2d(1) if name == "squeezenet" else nn.Identity())
    if weights != "none":
        fetched = weights in ("default", *VERSIONS)
        state = _download(name, weights) if fetched else read_weights(Path(weights), model.state_dict())
        load_into(
            model,
            _renamed(state),
            where=f"encoder.weights={weights}",
            surplus=(f"{entry.head}.", "AuxLogits."),
        )
    return model


_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename keys of the published DenseNet files (`norm.1`) to those of torchvision's model (`norm1`)."""
    return {_OLD_DENSENET.sub(r"\1\2", key): tensor for key, tensor in state.items()}


def imagenet_weights(name: str, weights: str) -> WeightsEnum:
    """The entry of torchvision for `default`, `v1` or `v2`."""
    from torchvision.models import get_model_weights

    entries: Any = get_model_weights(MODELS[name].model)
    found: WeightsEnum = entries.DEFAULT if weights == "default" else entries[f"IMAGENET1K_{weights.upper()}"]
    return found


def _download(name: str, weights: str) -> dict[str, Tensor]:
    chosen = imagenet_weights(name, weights)
    try:
        return dict(chosen.get_state_dict(progress=True, check_hash=True))
    except OSError as error:  # includes the errors of urllib
        file = f"the file {chosen.url.rsplit('/', 1)[-1]}"
        raise no_download(name, error, weights=weights, files=file) from error
