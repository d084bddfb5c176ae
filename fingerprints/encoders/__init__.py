"""Encoders: own CNNs, pretrained backbones, handcrafted features, and several of them side by side."""

from fingerprints.encoders.build import ENCODERS, build_network, without_weights
from fingerprints.encoders.identity import describe_network, weights_digest
from fingerprints.encoders.network import EmbeddingNetwork

__all__ = [
    "ENCODERS",
    "EmbeddingNetwork",
    "build_network",
    "describe_network",
    "weights_digest",
    "without_weights",
]
