"""Settings for training a lung segmenter on pairs of image and mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fingerprints.core.options import option
from fingerprints.training.settings import Accelerator


@dataclass(frozen=True, kw_only=True)
class SegmentSettings:
    """Root of `python -m fingerprints.segment`."""

    images: Path = option(help="folder of images")
    masks: Path = option(help="folder of their masks: same relative path, or same file name")
    out: Path = option(help="new folder for the results")
    size: int = option(128, least=1, most=4096, help="image side in pixels, as input of the network")
    epochs: int = option(120, least=1, most=1_000_000)
    validation: float = option(0.2, above=0, most=0.5, help="share of the pairs held out")
    groups: Path | None = option(None, help="CSV of file and patient: a patient is on one side only")
    seed: int = option(0, least=0, most=2**32 - 1, help="seed of the split and the training")
    widths: tuple[int, ...] = option((16, 32, 64, 128), least=1, help="channels of each level of the U-Net")
    batch_size: int = option(4, least=1, most=65_536, help="images per step")
    lr: float = option(2e-3, above=0, help="highest learning rate of AdamW")
    accelerator: Accelerator = option("auto")
