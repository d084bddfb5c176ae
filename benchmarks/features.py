"""`make bench`: what frozen features cost over the bare forward pass, interleaved in one process.

    python -m benchmarks.features --encoder efficientnet_lite0 --input-size 224 --images 320

Each round computes the features of a store of noise images anew and passes the same batches through the
same network, one after the other; figures are medians of the rounds' ratios with the lowest and highest.
Then the features are asked for once more: seconds, and images that went through the network (none, if all
is well).
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.run import make_data, ratios
from fingerprints.core.options import build_option
from fingerprints.embeddings.embed import frozen_features
from fingerprints.encoders.build import build_network
from fingerprints.training.hardware import make_trainer
from fingerprints.training.settings import TrainerSettings

BATCH = 64


class Counted:
    """Counts images that pass a network."""

    def __init__(self, network: nn.Module) -> None:
        self.images = 0
        network.register_forward_pre_hook(self._count)

    def _count(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.images += len(inputs[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default="efficientnet_lite0")
    parser.add_argument("--weights", default="none")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--input-size", type=int, default=128)
    parser.add_argument("--images", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    settings = {"name": options.encoder, "weights": options.weights, "input_size": options.input_size}
    with tempfile.TemporaryDirectory() as folder:
        _, store = make_data(Path(folder), size=options.size, per_class=options.images // 10)
        encoder = build_option("encoder", settings)
        network = build_network(encoder, size=options.size, on_pairs=False).eval()
        network.to(memory_format=torch.channels_last)  # as features are computed
        counted = Counted(network)

        def features() -> float:
            trainer = make_trainer(TrainerSettings(accelerator="cpu"))
            start = time.perf_counter()
            frozen_features(network, store, trainer=trainer, batch_size=BATCH)
            return time.perf_counter() - start

        computed, forward = [], []
        for _ in range(options.rounds + 1):
            shutil.rmtree(store.folder / "features", ignore_errors=True)
            computed.append(features())
            batches = [
                torch.from_numpy(store.images[i : i + BATCH]).unsqueeze(1)
                for i in range(0, len(store.images), BATCH)
            ]
            start = time.perf_counter()
            with torch.inference_mode():
                for batch in batches:
                    network(batch)
            forward.append(time.perf_counter() - start)
        counted.images = 0
        again = features()
    figure, rate = ratios(forward, computed), len(store.images) / statistics.median(computed[1:])
    print(
        f"{options.encoder} at {options.input_size} x {options.input_size}, {len(store.images)} images, "
        f"batches of {BATCH}, {torch.get_num_threads()} threads, {options.rounds} rounds\n"
        f"  features over bare forward  {figure['median']:.3f}  [{figure['low']:.3f}, {figure['high']:.3f}]\n"
        f"  images a second             {rate:.1f}\n"
        f"  asked again                 {again:.3f} s, {counted.images} images through the network"
    )


if __name__ == "__main__":
    main()
