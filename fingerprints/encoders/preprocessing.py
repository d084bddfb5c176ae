"""What an encoder is shown: size, channels and normalisation, as its weights expect them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fingerprints.core.errors import FingerprintsError

Triple = tuple[float, float, float]

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def as_grey(images: Tensor) -> Tensor:
    """`(n, 1, S, S)` from grey or colour images `(n, C, S, S)`; colour is weighted by BT.601's luma."""
    if images.shape[1] == 1:
        return images
    weights = torch.tensor(_LUMA, device=images.device, dtype=images.dtype).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def resize(images: Tensor, size: int, *, interpolation: str) -> Tensor:
    """`(n, C, size, size)` with antialiasing; images of that size already are left alone.

    Args:
        images: `(n, C, S, S)`, float in [0, 1].
        size: Pixels a side.
        interpolation: `bilinear` or `bicubic`; what bicubic overshoots is cut off, as in 8-bit images.
    """
    if images.shape[-2:] == (size, size):
        return images
    resized = functional.interpolate(images, size=(size, size), mode=interpolation, antialias=True)
    return resized.clamp(0, 1) if interpolation == "bicubic" else resized


@dataclass(frozen=True)
class ImageInput:
    """What the weights of an encoder were trained to see.

    Slices are resized whole: the centre crop that goes with ImageNet weights would cut the body.

    Attributes:
        size: Pixels a side.
        mean: Of each of three channels, of pixels in [0, 1].
        std: Standard deviation, likewise.
        interpolation: `bilinear` or `bicubic`.
        smallest: The least `size` that the encoder can take.
        multiple: `size` is a multiple of it: the patch of a vision transformer.
    """

    size: int
    mean: Triple
    std: Triple
    interpolation: str
    smallest: int = 1
    multiple: int = 1

    def at(self, size: int | None, *, encoder: str) -> ImageInput:
        """The same input at another size; `None` keeps the weights' own.

        Raises:
            FingerprintsError: If the encoder cannot take that size.
        """
        if size is None:
            return self
        if size < self.smallest:
            raise FingerprintsError(
                f"{encoder} cannot take images of {size} x {size} pixels; it needs at least {self.smallest}.",
                where=f"encoder.input_size={size}",
                fix=f"encoder.input_size={self.size}, or null for the same (images are resized to it)",
            )
        if size % self.multiple:
            near = max(1, round(size / self.multiple)) * self.multiple
            raise FingerprintsError(
                f"{encoder} cuts images into patches of {self.multiple} pixels; {size} is no multiple.",
                where=f"encoder.input_size={size}",
                fix=f"encoder.input_size={near}",
            )
        return replace(self, size=size)

    def facts(self) -> dict[str, Any]:
        """JSON values to record with the features."""
        return {
            "channels": 3,
            "size": self.size,
            "crop": "none",
            "interpolation": self.interpolation,
            "antialias": True,
            "mean": list(self.mean),
            "std": list(self.std),
        }


class ColourInput(nn.Module):
    """Images `(n, C, S, S)` in [0, 1] as an `ImageInput` wants them: `(n, 3, size, size)`, normalised.

    Grey is repeated to three channels. It holds no weights: mean and deviation are not in the state dict.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, expected: ImageInput) -> None:
        super().__init__()
        self.expected = expected
        self.register_buffer("mean", torch.tensor(expected.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(expected.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """`(n, 3, size, size)`, normalised."""
        images = resize(images, self.expected.size, interpolation=self.expected.interpolation)
        return (images.expand(-1, 3, -1, -1) - self.mean) / self.std


def triple(values: Sequence[float]) -> Triple:
    """Three floats, one for each channel."""
    red, green, blue = (float(values[channel]) for channel in range(3))
    return red, green, blue
