"""`python -m fingerprints.segment images=DIR masks=DIR out=RUN`: a segmenter for `region.mask=unet`."""

from __future__ import annotations

from fingerprints.config.launch import Place, launch
from fingerprints.detector.settings import SegmentSettings

USAGE = """\
Train a U-Net on images and lung masks, and measure it on held-out pairs beside the default mask.

usage: python -m fingerprints.segment images=DIR masks=DIR out=DIR [KEY=VALUE ...]

  images=DIR        PNG, JPEG, BMP and TIFF files, in folders or not
  masks=DIR         their masks, bright in the lungs: same relative path, or same file name
  out=DIR           folder to make: segmenter.safetensors, dice.json, overlays.png
  size=128          pixels a side that the network sees; its masks are brought to any size
  epochs=120        times each training pair is seen
  validation=0.2    share of the pairs held out for measuring
  groups=CSV        patient of each image (two columns, file and group): no patient is on both sides
  seed=0            of the split and of the training
  widths=[16,32,64,128]   channels of each level of the network
  batch_size=4      pairs a step
  lr=0.002          highest learning rate
  accelerator=auto  auto, cpu or gpu
"""


def main() -> None:
    """Entry point."""
    launch(_job, "segment", usage=USAGE)


def _job(config: SegmentSettings, place: Place) -> None:
    # Imported late: help and configuration errors must not wait for it.
    from fingerprints.core.signals import handled
    from fingerprints.detector.segmenter import describe, segment

    with handled():
        figures = segment(config)
    print(describe(figures, config.out))


if __name__ == "__main__":
    main()
