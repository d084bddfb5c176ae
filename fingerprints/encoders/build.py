"""Building the network that an encoder's settings describe."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import part_of, plain
from fingerprints.core.weights import load_into, read_weights
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
        settings: Settings of the encoder.
        size: Image side in pixels.
        on_pairs: Whether the network is (or was) trained on pairs. If so, it has the projection head of its
            settings, and its embeddings have unit length. If not (frozen features, or a classifier), there
            is no projection head, and embeddings are not normalised.

    Raises:
        FingerprintsError: If the settings do not fit the images, weights are missing or do not fit, or the
            encoder must be trained but has no trainable parameters.
    """
    encoder = _encoder(settings, size=size)
    if not on_pairs:
        return EmbeddingNetwork(encoder, normalise=False)
    network = EmbeddingNetwork(encoder, projection=settings.projection)
    if not any(True for _ in network.parameters()):
        raise FingerprintsError(
            f"Encoder '{plain(settings)['name']}' has nothing to train: it has no trainable parameters.",
            where="encoder",
            fix="use its features frozen: training=frozen, or train a projection: encoder.projection=256",
        )
    return network


def _encoder(settings: EncoderSettings, *, size: int) -> nn.Module:
    kind = part_of(settings)
    if isinstance(settings, ConcatenatedSettings):
        return kind([_encoder(entry, size=size) for entry in settings.encoders])
    options = {key: getattr(settings, key) for key in plain(settings) if key not in ("name", "projection")}
    if isinstance(settings, PretrainedSettings):  # these encoders resize images themselves
        return kind(name=settings.name, **options)
    weights = options.pop("weights", None)
    encoder = kind(size=size, **options)
    if isinstance(settings, TrainedFromScratchSettings) and weights not in (None, "none"):
        state = read_weights(Path(weights), encoder.state_dict())
        load_into(encoder, state, where=f"encoder.weights={weights}")
    return encoder
