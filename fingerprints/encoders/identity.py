"""Description and digest of a network: if both are equal, two networks compute the same features."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import nn

from fingerprints.encoders.network import EmbeddingNetwork


def describe_network(network: EmbeddingNetwork) -> dict[str, Any]:
    """Everything besides the weights that determines the features, as JSON values.

    Returns:
        `encoder` (class), `embedding` (width), `projection` (units or null), `normalised`, `parameters`
        (their number) and `preprocessing` (the encoder's own record).
    """
    encoder: Any = network.encoder
    projection = network.projection
    return {
        "encoder": type(encoder).__name__,
        "embedding": network.embedding,
        "projection": projection.out_features if isinstance(projection, nn.Linear) else None,
        "normalised": network.normalise,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "preprocessing": encoder.preprocessing(),
    }


def weights_digest(network: nn.Module) -> str:
    """SHA-256, in hexadecimal, of names, types, shapes and bytes of the state dict.

    The digest is the same on every device. All encoders without weights have the same digest (of no data);
    `describe_network` distinguishes them.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(data.numpy().data)
    return digest.hexdigest()
