"""Several encoders used as one: their features are concatenated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class ConcatenatedEncoder(nn.Module):
    """Concatenates the features of several encoders, in their order and without rescaling.

    Args:
        encoders: At least one; each has an `embedding` and a `preprocessing()`.
    """

    def __init__(self, encoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        widths: list[Any] = [encoder.embedding for encoder in encoders]
        self.embedding: int = sum(widths)

    def preprocessing(self) -> dict[str, Any]:
        """The preprocessing of each encoder, in their order."""
        parts: Any = self.encoders
        return {"encoders": [encoder.preprocessing() for encoder in parts]}

    def forward(self, images: Tensor) -> Tensor:
        """Features `(n, sum of widths)` of `(n, C, S, S)`, float in [0, 1]."""
        return torch.cat([encoder(images).float() for encoder in self.encoders], dim=1)
