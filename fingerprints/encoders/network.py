"""Network from pixels to embeddings, the vectors that distances are measured between."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EmbeddingNetwork(nn.Module):
    """An encoder, an optional projection head, and optional L2 normalisation.

    Args:
        encoder: Maps `(n, C, S, S)` in [0, 1] to `(n, encoder.embedding)`.
        projection: Units of a linear layer after the encoder; `None`: no layer.
        normalise: Whether embeddings are scaled to unit length; false for frozen features.
    """

    def __init__(self, encoder: nn.Module, *, projection: int | None = None, normalise: bool = True) -> None:
        super().__init__()
        self.encoder = encoder
        width = int(encoder.embedding)  # type: ignore[arg-type]
        self.projection = nn.Identity() if projection is None else nn.Linear(width, projection)
        self.embedding = width if projection is None else projection
        self.normalise = normalise

    def raw(self, images: Tensor) -> Tensor:
        """Embeddings `(n, d)` before normalisation, of float images `(n, C, S, S)` in [0, 1]."""
        return self.projection(self.encoder(images))

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings `(n, d)` of images `(n, C, S, S)`, uint8 or float in [0, 1]; unit length by default."""
        embeddings = self.raw(as_unit_float(images))
        return l2_normalise(embeddings) if self.normalise else embeddings


def l2_normalise(embeddings: Tensor, *, epsilon: float = 1e-8) -> Tensor:
    """Rows `(n, d)` scaled to unit length; a zero row stays zero instead of becoming NaN."""
    return embeddings / embeddings.norm(dim=1, keepdim=True).clamp_min(epsilon)


def as_unit_float(images: Tensor) -> Tensor:
    """Pixels in [0, 1] in the default precision; uint8 is divided by 255."""
    return images.to(torch.get_default_dtype()).div(255.0) if images.dtype == torch.uint8 else images
