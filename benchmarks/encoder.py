"""`python -m benchmarks.encoder`: training images per CPU second of the published encoder, two ways.

`before`: ReLU, then pooling; plain Adam. `after`: pooling, then ReLU; fused Adam, as the framework trains.
Both have the same weights and see the same batches; rounds are interleaved in one process.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time

import torch
from torch import nn

from fingerprints.encoders.siamese_cnn import SiameseCNN


def relu_first(encoder: SiameseCNN) -> SiameseCNN:
    """The same network with ReLU before pooling."""
    other, blocks = copy.deepcopy(encoder), []
    for layer in other.features:
        blocks.insert(len(blocks) - isinstance(layer, nn.ReLU), layer)
    other.features = nn.Sequential(*blocks)
    return other


def seconds(encoder: nn.Module, optimiser: torch.optim.Optimizer, batch: torch.Tensor, steps: int) -> float:
    """CPU seconds of some training steps."""
    start = time.process_time()
    for _ in range(steps):
        optimiser.zero_grad()
        encoder(batch).square().mean().backward()
        optimiser.step()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    after = SiameseCNN(size=options.size)
    before = relu_first(after)
    ways = {
        "before": (before, torch.optim.Adam(before.parameters(), lr=1e-4)),
        "after": (after, torch.optim.Adam(after.parameters(), lr=1e-4, fused=True)),
    }
    batch = torch.rand(options.batch, 1, options.size, options.size)
    for way in ways.values():
        seconds(*way, batch, 1)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            rates[name].append(options.steps * options.batch / seconds(*way, batch, options.steps))
    for name, found in rates.items():
        print(
            f"{name}: {statistics.median(found):.1f} images per CPU second"
            f" ({min(found):.1f} to {max(found):.1f})"
        )
    ratios = [a / b for a, b in zip(rates["after"], rates["before"], strict=True)]
    print(f"after / before: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
