"""The network of an encoder's settings."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import part_of, plain
from fingerprints.core.weights import load_into, read_weights, unwrapped
from fingerprints.encoders.network import EmbeddingNetwork
from fingerprints.encoders.settings import (
    ConcatenatedSettings,
    EncoderSettings,
    PretrainedSettings,
    TrainedFromScratchSettings,
)


def build_network(settings: EncoderSettings, *, size: int, on_pairs: bool = True) -> EmbeddingNetwork:
    """The network that an encoder's settings describe.

    Args:
        settings: Those of the encoder.
        size: Pixels a side.
        on_pairs: The network is, or was, trained on pairs: it has the projection head of its settings, and
            its embeddings have unit length. Frozen features and a classifier's have neither.

    Raises:
        FingerprintsError: If the settings do not fit the images, weights cannot be had or do not fit, or the
            encoder is to be trained and has nothing to train.
    """
    encoder = _encoder(settings, size=size)
    if not on_pairs:
        return EmbeddingNetwork(encoder, normalise=False)
    network = EmbeddingNetwork(encoder, projection=settings.projection)
    if not any(True for _ in network.parameters()):
        raise FingerprintsError(
            f"Encoder '{plain(settings)['name']}' has nothing to train.",
            where="encoder",
            fix="use its features frozen, or train a projection of them: encoder.projection=256",
        )
    return network


def _encoder(settings: EncoderSettings, *, size: int) -> nn.Module:
    kind = part_of(settings)
    if isinstance(settings, ConcatenatedSettings):
        return kind([_encoder(entry, size=size) for entry in settings.encoders])
    options = {key: getattr(settings, key) for key in plain(settings) if key not in ("name", "projection")}
    if isinstance(settings, PretrainedSettings):  # these resize images themselves
        return kind(name=settings.name, **options)
    weights = options.pop("weights", None)
    encoder = kind(size=size, **options)
    if isinstance(settings, TrainedFromScratchSettings) and weights not in (None, "none"):
        state = unwrapped(read_weights(Path(weights)), encoder.state_dict().keys())
        load_into(encoder, state, where=f"encoder.weights={weights}")
    return encoder
