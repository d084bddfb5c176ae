"""A small U-Net for lung masks, and its weights on disk (Ronneberger et al. 2015, U-Net)."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.files import write_atomically
from fingerprints.core.weight_files import check_file
from fingerprints.core.weights import load_into, read_weights

LARGEST = 4096  # side that the settings of `segment` allow
FORMAT = "fingerprints segmenter 1"


class UNet(nn.Module):
    """A network from images to logits of "lung": two convolutions per level; each level halves the size.

    Every image is first normalised to mean 0 and standard deviation 1, so that the window of Hounsfield
    units does not matter.

    Args:
        widths: Channels of each level, from full size down; sides must be divisible by `2^(levels - 1)`.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 64, 128)) -> None:
        super().__init__()
        self.widths = tuple(widths)
        ins = (1, *self.widths[:-1])
        self.down = nn.ModuleList(_level(i, o) for i, o in zip(ins, self.widths, strict=True))
        deeper = list(itertools.pairwise(self.widths))[::-1]
        self.up = nn.ModuleList(_level(upper + lower, upper) for upper, lower in deeper)
        self.last = nn.Conv2d(self.widths[0], 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """`(n, 1, S, S)` float in [0, 1] to `(n, 1, S, S)` logits."""
        mean = images.mean(dim=(2, 3), keepdim=True)
        deviation = images.std(dim=(2, 3), keepdim=True)
        features, kept = (images - mean) / (deviation + 1e-3), []
        for number, level in enumerate(self.down):
            features = level(features if number == 0 else functional.max_pool2d(features, 2))
            kept.append(features)
        kept.pop()
        for level in self.up:
            above = kept.pop()
            features = level(torch.cat([above, functional.interpolate(features, scale_factor=2.0)], dim=1))
        logits: Tensor = self.last(features)
        return logits


def check_side(size: int, widths: Sequence[int]) -> None:
    """Check that a side can be halved often enough for a network with these widths.

    The last level needs 2 x 2 pixels, so that its batch normalisation has several values with one image, too.

    Raises:
        FingerprintsError: If it cannot, or if there is no level or a level without channels; the error names
            the nearest side that is possible.
    """
    if not widths or min(widths) < 1:
        raise FingerprintsError(
            "A U-Net needs at least one level, and channels on every level.",
            where=f"widths={list(widths)}",
            fix="for example widths=[16,32,64,128]",
        )
    step = 2 ** (len(widths) - 1)
    if size % step != 0 or size < 2 * step:
        near = max(round(size / step), 2) * step
        raise FingerprintsError(
            f"A U-Net of {len(widths)} levels needs a side that is a multiple of {step}, from {2 * step}.",
            where=f"size={size}",
            fix=f"for example size={near}" if near <= LARGEST else "fewer widths, such as [16,32,64,128]",
        )


def save_unet(path: Path, network: UNet, *, size: int) -> None:
    """Write weights as safetensors, with the size trained at and the widths as metadata."""
    from safetensors.torch import save

    facts = {"format": FORMAT, "size": str(size), "widths": json.dumps(network.widths)}
    tensors = {key: tensor.contiguous() for key, tensor in network.state_dict().items()}
    write_atomically(path, save(tensors, facts))


def load_unet(path: Path) -> tuple[UNet, int]:
    """A trained U-Net in evaluation mode, and the image size of its training.

    Raises:
        FingerprintsError: If the file is missing or damaged, or does not contain a segmenter.
    """
    from safetensors import SafetensorError, safe_open

    check_file(path)
    try:
        with safe_open(path, framework="pt") as opened:
            facts: dict[str, str] = opened.metadata() or {}
    except (SafetensorError, OSError):
        facts = {}
    if facts.get("format") != FORMAT:
        raise FingerprintsError(
            "The file holds no segmenter of this version.",
            where=path,
            fix="give region.weights=PATH of a segmenter.safetensors from `python -m fingerprints.segment`",
        )
    state = read_weights(path)
    network = UNet(json.loads(facts["widths"]))
    load_into(network, state, where=path)
    return network.eval(), int(facts["size"])


@torch.inference_mode()
def predict_masks(
    network: UNet, images: NDArray[np.uint8], *, size: int, device: str = "cpu", batch: int = 32
) -> NDArray[np.bool_]:
    """Masks `(n, S, S)` of `(n, S, S)` uint8 images: true where the probability of lung is above 0.5.

    Args:
        network: The trained network.
        images: Images of any side; they are resized to `size` for the network.
        size: The side of the training images.
        device: Device of the network.
        batch: Images at a time.
    """
    network = network.to(device).eval()
    side = images.shape[-1]
    masks = np.zeros(images.shape, dtype=bool)
    for start in range(0, len(images), batch):
        block = torch.from_numpy(np.array(images[start : start + batch])).to(device).unsqueeze(1)
        logits = network(_resized(block.float() / 255, size))
        masks[start : start + batch] = (_resized(logits, side)[:, 0] > 0).cpu().numpy()
    return masks


def _resized(images: Tensor, side: int) -> Tensor:
    if images.shape[-1] == side:
        return images
    return functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True)


def _level(ins: int, outs: int) -> nn.Sequential:
    return nn.Sequential(*_convolution(ins, outs), *_convolution(outs, outs))


def _convolution(ins: int, outs: int) -> list[nn.Module]:
    # Group normalisation, because its statistics do not depend on the batch, and batches are small.
    return [nn.Conv2d(ins, outs, 3, padding=1), nn.GroupNorm(math.gcd(8, outs), outs), nn.SiLU()]
