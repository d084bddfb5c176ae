"""`python -m fingerprints.segment images=DIR masks=DIR out=RUN`: train a segmenter for `region.mask=unet`."""

from __future__ import annotations

from fingerprints.config.launch import Place, launch
from fingerprints.detector.settings import SegmentSettings

USAGE = """\
Train a U-Net on images and lung masks, and compare it with the default mask on held-out pairs.

usage: python -m fingerprints.segment images=DIR masks=DIR out=DIR [KEY=VALUE ...]

  images=DIR        PNG, JPEG, BMP and TIFF files, with or without subfolders
  masks=DIR         their masks, bright in the lungs, of two values: same relative path, or same file name
  out=DIR           folder to make: segmenter.safetensors, dice.json, overlays.png
  size=128          side of the network's input in pixels; its masks are resized to the image size
  epochs=120        number of passes over the training pairs
  validation=0.2    share of the pairs held out for evaluation
  groups=CSV        patient of each image (two columns, file and group): patients are not split
  seed=0            seed of the split and of the training
  widths=[16,32,64,128]   channels of each level of the network
  batch_size=4      pairs per step
  lr=0.002          highest learning rate
  accelerator=auto  auto, cpu or gpu
"""


def main() -> None:
    """Entry point."""
    launch(_job, "segment", usage=USAGE)


def _job(config: SegmentSettings, place: Place) -> None:
    # Imported late, so that help and configuration errors do not wait for it.
    from fingerprints.core.signals import handled
    from fingerprints.detector.segmenter import describe, segment

    with handled():
        figures = segment(config)
    print(describe(figures, config.out))


if __name__ == "__main__":
    main()
