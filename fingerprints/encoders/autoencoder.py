"""An autoencoder of images whose embedding is the map of its errors (AI Multimedia Lab [A24])."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fingerprints.encoders.preprocessing import as_grey, resize


class ErrorMaps(nn.Module):
    """Squared error of each pixel between an image and its reconstruction; the mean is the training loss.

    The source gives no architecture; this one is ours: convolutions with stride 2, 3 x 3, ReLU; a dense layer
    to the code and one back; the same sizes upwards by repeating pixels, with 3 x 3 convolutions; sigmoid.

    Args:
        size: S, image side in pixels.
        side: Side to which images are scaled first; `None` keeps the full size.
        channels: Filters of each convolution on the way to the code.
        latent: Width of the code.
    """

    def __init__(
        self,
        *,
        size: int,
        side: int | None = 128,
        channels: Sequence[int] = (32, 64, 128, 256),
        latent: int = 128,
    ) -> None:
        super().__init__()
        self.side = size if side is None else side
        widths, sides = (1, *channels), [self.side]
        for _ in channels:
            sides.append(math.ceil(sides[-1] / 2))
        flat = (widths[-1], sides[-1], sides[-1])
        down: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            down += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
        up: list[nn.Module] = [nn.Linear(latent, math.prod(flat)), nn.ReLU(), nn.Unflatten(1, flat)]
        upwards = zip(itertools.pairwise(widths[::-1]), sides[-2::-1], strict=True)
        for (before, after), wanted in upwards:
            up += [nn.Upsample(size=wanted), nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(math.prod(flat), latent))
        self.decoder = nn.Sequential(*up[:-1], nn.Sigmoid())
        self.embedding = self.side**2
        self._record = {
            "channels": 1,
            "features": "reconstruction errors",
            "size": self.side,
            "filters": list(channels),
            "latent": latent,
        }

    def preprocessing(self) -> dict[str, Any]:
        """Side of the maps, filters, width of the code."""
        return dict(self._record)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstructions in [0, 1] of images `(n, 1, side, side)`; the same shape."""
        return self.decoder(self.encoder(images))

    def forward(self, images: Tensor) -> Tensor:
        """`(n, side ** 2)` squared errors, row by row, of images `(n, C, S, S)`, float in [0, 1]."""
        images = resize(as_grey(images), self.side, interpolation="bilinear")
        return torch.square(self.reconstruct(images).float() - images.float()).flatten(1)
