"""Networks from plain values, as a configuration file has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fingerprints.core.options import build_option
from fingerprints.encoders import build
from fingerprints.encoders.network import EmbeddingNetwork
from fingerprints.encoders.settings import EncoderSettings


def encoder(values: Mapping[str, Any]) -> EncoderSettings:
    """Settings of an encoder, complete or not."""
    return build_option("encoder", values)


def build_network(values: Mapping[str, Any], **options: Any) -> EmbeddingNetwork:
    """The network of an encoder."""
    return build.build_network(encoder(values), **options)
