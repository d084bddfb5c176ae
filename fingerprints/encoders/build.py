"""Encoders by name, and the network around one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from fingerprints.core.errors import FingerprintsError, nearest
from fingerprints.core.weights import load_into, read_weights, unwrapped
from fingerprints.encoders.concatenated import ConcatenatedEncoder
from fingerprints.encoders.custom_cnn import CustomCNN
from fingerprints.encoders.handcrafted import HANDCRAFTED
from fingerprints.encoders.hub import HUB, HubEncoder
from fingerprints.encoders.network import EmbeddingNetwork
from fingerprints.encoders.pretrained import PRETRAINED, PretrainedEncoder
from fingerprints.encoders.siamese_cnn import SiameseCNN

CONCATENATED = "concatenated"
_OWN: dict[str, type[nn.Module]] = {"siamese_cnn": SiameseCNN, "custom_cnn": CustomCNN}
ENCODERS = (*_OWN, *PRETRAINED, *HUB, *HANDCRAFTED, CONCATENATED)


def build_network(settings: Mapping[str, Any], *, size: int, on_pairs: bool = True) -> EmbeddingNetwork:
    """The network that an `encoder` configuration describes.

    Args:
        settings: `name`, `projection` and the encoder's own options.
        size: Pixels a side.
        on_pairs: The network is, or was, trained on pairs: it has the projection head of its settings, and
            its embeddings have unit length. Frozen features and a classifier's have neither.

    Raises:
        FingerprintsError: If there is no encoder of that name, its options do not fit the images, or it is
            to be trained and has nothing to train.
    """
    encoder = _encoder(settings, size=size)
    if not on_pairs:
        return EmbeddingNetwork(encoder, normalise=False)
    network = EmbeddingNetwork(encoder, projection=settings.get("projection"))
    if not any(True for _ in network.parameters()):
        raise FingerprintsError(
            f"Encoder '{settings['name']}' has nothing to train.",
            where="encoder",
            fix="use its features frozen, or train a projection of them: encoder.projection=256",
        )
    return network


def without_weights(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same `encoder` configuration with random weights: for a checkpoint that holds all of them."""
    bare = dict(settings)
    if "weights" in bare:
        bare["weights"] = "none"
    if "encoders" in bare:
        bare["encoders"] = [without_weights(entry) for entry in bare["encoders"]]
    return bare


def _encoder(settings: Mapping[str, Any], *, size: int) -> nn.Module:
    options = {key: value for key, value in settings.items() if key != "projection"}
    name = options.pop("name")
    if name in _OWN:
        weights = options.pop("weights", None)
        encoder = _OWN[name](size=size, **options)
        if weights is not None and weights != "none":
            state = unwrapped(read_weights(Path(weights)), encoder.state_dict().keys())
            load_into(encoder, state, where=f"encoder.weights={weights}")
        return encoder
    if name in PRETRAINED:
        return PretrainedEncoder(name=name, **options)
    if name in HUB:
        return HubEncoder(name=name, **options)
    if name in HANDCRAFTED:
        return HANDCRAFTED[name](size=size, **options)
    if name == CONCATENATED:
        return _concatenated(options["encoders"], size=size)
    near = nearest(name, ENCODERS)
    raise FingerprintsError(
        f"There is no encoder '{name}'; there are {', '.join(ENCODERS)}.",
        where="encoder.name",
        fix=f"encoder={near[0]}" if near else "choose one of them",
    )


def _concatenated(entries: list[Mapping[str, Any]], *, size: int) -> ConcatenatedEncoder:
    if not entries:
        raise FingerprintsError(
            "There are no encoders to put side by side.",
            where="encoder.encoders",
            fix="encoder.encoders=[dinov2,lbp], or others",
        )
    if any(entry["name"] == CONCATENATED for entry in entries):
        raise FingerprintsError(
            "Concatenated encoders do not hold others that are concatenated.",
            where="encoder.encoders",
            fix="one list of all of them",
        )
    return ConcatenatedEncoder([_encoder(entry, size=size) for entry in entries])
