"""Input of an encoder: size, channels and normalisation, as its weights expect them."""

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
    """`(n, C, size, size)` with antialiasing; images that already have this size are returned unchanged.

    Args:
        images: `(n, C, S, S)`, float in [0, 1].
        size: New side in pixels.
        interpolation: `bilinear` or `bicubic`; bicubic values outside [0, 1] are clamped, as in 8-bit images.
    """
    if images.shape[-2:] == (size, size):
        return images
    resized = functional.interpolate(images, size=(size, size), mode=interpolation, antialias=True)
    return resized.clamp(0, 1) if interpolation == "bicubic" else resized


@dataclass(frozen=True)
class ImageInput:
    """The input that the weights of an encoder were trained on.

    Slices are resized without a crop: the centre crop of ImageNet weights would cut the body.

    Attributes:
        size: Image side in pixels.
        mean: Mean of each of the three channels, for pixels in [0, 1].
        std: Standard deviation of each of the three channels, for pixels in [0, 1].
        interpolation: `bilinear` or `bicubic`.
        smallest: The smallest `size` that the encoder accepts.
        multiple: `size` must be a multiple of this number, the patch side of a vision transformer.
    """

    size: int
    mean: Triple
    std: Triple
    interpolation: str
    smallest: int = 1
    multiple: int = 1

    def at(self, size: int | None, *, encoder: str) -> ImageInput:
        """The same input with another size; `None` keeps the size of the weights.

        Raises:
            FingerprintsError: If the encoder does not accept this size.
        """
        if size is None:
            return self
        if size < self.smallest:
            raise FingerprintsError(
                f"{encoder} cannot take images of {size} x {size} pixels; it needs at least {self.smallest}.",
                where=f"encoder.input_size={size}",
                fix=f"give encoder.input_size={self.size}, or null for this size (images are resized)",
            )
        if size % self.multiple:
            near = max(1, round(size / self.multiple)) * self.multiple
            raise FingerprintsError(
                f"{encoder} cuts images into patches of {self.multiple} pixels; {size} is not a multiple.",
                where=f"encoder.input_size={size}",
                fix=f"give encoder.input_size={near}",
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
    """Converts images `(n, C, S, S)` in [0, 1] to the `ImageInput`: `(n, 3, size, size)`, normalised.

    Grey is repeated to three channels. Mean and standard deviation are not in the state dict.
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
    """Three floats, one per channel."""
    red, green, blue = (float(values[channel]) for channel in range(3))
    return red, green, blue
