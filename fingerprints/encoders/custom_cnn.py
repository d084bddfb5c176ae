"""The custom CNN of GAN-Amis: the convolution blocks of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.encoders.preprocessing import as_grey


class CustomCNN(nn.Module):
    """Convolution blocks and one dense layer; maps `(n, C, S, S)` in [0, 1] to `(n, embedding)`.

    [O24] describes GAN-Amis' CNN by: batch normalisation, ReLU, max-pooling. The rest is our interpretation:
    blocks of 32, 64, 128 and 128 filters, 3 x 3 with padding, batch normalisation, ReLU, 2 x 2 max-pooling;
    then a dense layer of 256 units and ReLU. Its output is the penultimate layer of a classifier that is
    trained on top of it.

    Args:
        size: S, image side in pixels.
        channels: Filters of each block.
        embedding: Units of the dense layer.

    Raises:
        FingerprintsError: If the images are too small for that many blocks.
    """

    def __init__(
        self, *, size: int, channels: Sequence[int] = (32, 64, 128, 128), embedding: int = 256
    ) -> None:
        super().__init__()
        side = size // 2 ** len(channels)
        if side < 1:
            raise FingerprintsError(
                f"Images of {size} x {size} pixels are too small for {len(channels)} convolution blocks.",
                where="data.size",
                fix=f"give data.size of at least {2 ** len(channels)}, or fewer encoder.channels",
            )
        blocks: list[nn.Module] = []
        before = 1
        for width in channels:
            blocks += [
                nn.Conv2d(before, width, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                # Pooling before ReLU: same values and gradients, but ReLU sees a quarter of the values.
                nn.MaxPool2d(2),
                nn.ReLU(inplace=True),
            ]
            before = width
        self.features = nn.Sequential(*blocks)
        self.dense = nn.Linear(before * side * side, embedding)
        self.embedding = embedding
        self._record = {"channels": 1, "size": size, "filters": list(channels)}

    def preprocessing(self) -> dict[str, Any]:
        """Image size and filters."""
        return dict(self._record)

    def forward(self, images: Tensor) -> Tensor:
        """Penultimate features `(n, embedding)`, not negative, of `(n, C, S, S)`, float in [0, 1]."""
        return self.dense(torch.flatten(self.features(as_grey(images)), 1)).relu()
