"""The Siamese encoder of the 2025 paper [A25], and the options that the `metric_*` experiments add."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.encoders.preprocessing import as_grey


class SiameseCNN(nn.Module):
    """Convolution blocks and one dense layer; maps `(n, C, S, S)` in [0, 1] to `(n, embedding)`.

    Published [A25]: blocks of 16, 32, 64 and 128 filters, 3 x 3, ReLU, 2 x 2 max-pooling; dense layer of 256
    units. From the authors' script: no padding, ReLU on the dense layer. The L2 normalisation is not part of
    the encoder, so that the training module can count zero vectors.

    Args:
        size: S, image side in pixels.
        channels: Filters of each block.
        embedding: Units of the dense layer; `None`: the last feature map, flattened.
        final_relu: ReLU on the output [script]; it can cause zero vectors.
        batch_norm: Batch normalisation after each convolution.
        downsampling: How a block halves its feature map: `max_pool`, as published, or `stride`: a convolution
            with stride 2 and padding, which keeps positions in the image.
        standardise: Scale each image to mean 0 and standard deviation 1 first.

    Raises:
        FingerprintsError: If the images are too small for that many blocks.
    """

    def __init__(
        self,
        *,
        size: int,
        channels: Sequence[int] = (16, 32, 64, 128),
        embedding: int | None = 256,
        final_relu: bool = True,
        batch_norm: bool = False,
        downsampling: Literal["max_pool", "stride"] = "max_pool",
        standardise: bool = False,
    ) -> None:
        super().__init__()
        strided = downsampling == "stride"
        blocks: list[nn.Module] = []
        before, side = 1, size
        for number, width in enumerate(channels, start=1):
            side = -(-side // 2) if strided else (side - 2) // 2
            if side < 1:
                raise FingerprintsError(
                    f"Images of {size} x {size} pixels are too small for {len(channels)} convolution blocks "
                    f"(no pixels are left after block {number}).",
                    where="data.size",
                    fix=f"give data.size of at least {smallest_size(len(channels))}, "
                    "or fewer encoder.channels",
                )
            blocks.append(
                nn.Conv2d(
                    before,
                    width,
                    kernel_size=3,
                    stride=2 if strided else 1,
                    padding=1 if strided else 0,
                    bias=not batch_norm,
                )
            )
            if batch_norm:
                blocks.append(nn.BatchNorm2d(width))
            # Pooling before ReLU: same values and gradients, but ReLU sees a quarter of the values.
            if not strided:
                blocks.append(nn.MaxPool2d(2))
            last = number == len(channels) and embedding is None
            if final_relu or not last:
                blocks.append(nn.ReLU(inplace=True))
            before = width
        flat = before * side * side
        self.standardise = standardise
        self.features = nn.Sequential(*blocks)
        self.dense = nn.Identity() if embedding is None else nn.Linear(flat, embedding)
        self.final = nn.ReLU(inplace=True) if final_relu and embedding is not None else nn.Identity()
        self.embedding = flat if embedding is None else embedding
        self._record = {
            "channels": 1,
            "size": size,
            "standardise": standardise,
            "filters": list(channels),
            "downsampling": downsampling,
            "final_relu": final_relu,
        }

    def preprocessing(self) -> dict[str, Any]:
        """Image size, filters, and the options that cannot be seen in the weights."""
        return dict(self._record)

    def forward(self, images: Tensor) -> Tensor:
        """Embed images `(n, C, S, S)`, float in [0, 1], as `(n, embedding)`, not normalised."""
        images = as_grey(images)
        if self.standardise:
            images = images - images.mean(dim=(1, 2, 3), keepdim=True)
            images = images / (images.std(dim=(1, 2, 3), keepdim=True) + 1e-4)
        embedded: Tensor = self.final(self.dense(torch.flatten(self.features(images), 1)))
        return embedded


def smallest_size(blocks: int) -> int:
    """The smallest image side for `blocks` convolution blocks with max-pooling."""
    side = 1
    for _ in range(blocks):
        side = 2 * side + 2
    return side
