"""What a network is, in words and as a digest: features of two networks with both alike are the same."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import nn

from fingerprints.encoders.network import EmbeddingNetwork


def describe_network(network: EmbeddingNetwork) -> dict[str, Any]:
    """What decides the features beside the weights, as JSON values.

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

    The same on every device. An encoder without weights has the digest of nothing: what tells two of them
    apart is `describe_network`.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(data.numpy().data)
    return digest.hexdigest()
