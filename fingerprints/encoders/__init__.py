"""Encoders: `siamese_cnn` and ImageNet backbones, built by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from fingerprints.encoders.network import EmbeddingNetwork
from fingerprints.encoders.pretrained import PRETRAINED, PretrainedEncoder
from fingerprints.encoders.siamese_cnn import SiameseCNN
from fingerprints.encoders.weights import load_into, read_weights
from fingerprints.errors import FingerprintsError, nearest

__all__ = ["EmbeddingNetwork", "build_network"]


def build_network(settings: Mapping[str, Any], *, size: int) -> EmbeddingNetwork:
    """The network that an `encoder` configuration describes.

    Args:
        settings: `name`, `projection` and the encoder's own options.
        size: Pixels a side.

    Raises:
        FingerprintsError: If there is no encoder of that name, or its options do not fit the images.
    """
    options = dict(settings)
    name, projection = options.pop("name"), options.pop("projection", None)
    if name == "siamese_cnn":
        weights = options.pop("weights", None)
        encoder: nn.Module = SiameseCNN(size=size, **options)
        if weights is not None:
            path = Path(weights)
            load_into(encoder, _encoder_part(read_weights(path)), where=f"encoder.weights={path}")
    elif name in PRETRAINED:
        encoder = PretrainedEncoder(name=name, **options)
    else:
        valid = ("siamese_cnn", *PRETRAINED)
        near = nearest(name, valid)
        raise FingerprintsError(
            f"There is no encoder '{name}'; there are {', '.join(valid)}.",
            where="encoder.name",
            fix=f"encoder={near[0]}" if near else "choose one of them",
        )
    return EmbeddingNetwork(encoder, projection=projection)


def _encoder_part(state: dict[str, Any]) -> dict[str, Any]:
    """The encoder's own tensors, out of a training checkpoint or a state dict of the encoder."""
    prefix = "network.encoder."
    inner = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return inner or state
