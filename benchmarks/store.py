"""`python -m benchmarks.store`: index and image store of many files, first and second time.

Every stage runs in a process of its own, so that seconds and peak memory are its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("t1", "t2", "t3", "t4", "t5")


def write_images(folder: Path, *, count: int, size: int) -> None:
    """Smooth random images with some noise, so that PNG decoding has work to do; half of them real."""
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = rng.integers(0, 256, (16, 16), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC), np.int16)
        pixels = np.clip(smooth + rng.integers(-6, 7, (size, size)), 0, 255).astype(np.uint8)
        name = CLASSES[i % 5]
        part = folder / ("real" if i % 2 else "generated") / (name if i % 2 else f"gen_{name}")
        part.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(part / f"{part.name}_{i:06d}.png")


def measure(root: Path, cache: Path, size: int) -> dict[str, float]:
    """Seconds after imports to the index and to the first batch, and peak memory in MB."""
    from fingerprints.core.tasks import get_task
    from fingerprints.data.datamodule import PairDataModule
    from fingerprints.data.index import prepare
    from fingerprints.data.pairs import RandomPairs
    from fingerprints.data.settings import DataSettings, Source

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    sources = [
        Source("real/{label}/*", "real", "train"),
        Source("generated/gen_{label}/*", "generated", "train"),
    ]
    settings = DataSettings(root=root, sources=sources, size=size)
    index, store = prepare(settings, get_task("subset"), cache=cache, seed=0)
    ready = time.perf_counter() - start
    data = PairDataModule(
        index,
        store,
        strategy=lambda pools, store: RandomPairs(pools, batch_size=32, seed=0),
        train=index.select(split="train"),
        validation=index.select(split="validation"),
        seed=0,
    )
    import torch

    step = next(iter(data.train_dataloader()))
    data.transfer_batch_to_device(step, torch.device("cpu"), 0)
    first_batch = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "index_and_store_s": round(ready, 2),
        "first_batch_s": round(first_batch, 2),
        "peak_mb": round(peak),
        "peak_over_imports_mb": round(peak - before),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--measure", nargs=2, metavar=("ROOT", "CACHE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        root, cache = map(Path, options.measure)
        print(json.dumps(measure(root, cache, options.size)))
        return
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder) / "data", Path(folder) / "store"
        write_images(root, count=options.images, size=options.size)
        for title in ("first time", "second time"):
            command = [sys.executable, "-m", "benchmarks.store", "--size", str(options.size)]
            done = subprocess.run(
                [*command, "--measure", str(root), str(cache)], capture_output=True, text=True, check=True
            )
            what = f"{options.images:,} images of {options.size} x {options.size}"
            print(f"{what}, {title}: {done.stdout.strip()}")


if __name__ == "__main__":
    main()
