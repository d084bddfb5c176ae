"""`python -m fingerprints.redraw run=OUT`: draw the page of a finished run again, without training."""

from __future__ import annotations

from fingerprints.config.launch import Place, launch
from fingerprints.config.roots import RedrawSettings

USAGE = """\
Draw the page of a finished run again, with the statistics of this version. Nothing is trained.

usage: python -m fingerprints.redraw run=OUT [KEY=VALUE ...]

  run=OUT           run folder that `python -m fingerprints.train` made
  images=true       whether the page has images of the data (default: as the run)
  accelerator=cpu   auto, cpu, gpu: where images are encoded

The run's data are read again and must be as they were. Its checkpoints, predictions.csv and run.csv stay;
report.html and metrics.json are replaced, unless this version would give other answers than the run did.
"""


def main() -> None:
    """Entry point."""
    launch(_job, "redraw", usage=USAGE)


def _job(config: RedrawSettings, place: Place) -> None:
    # Imported late, so that help and configuration errors do not wait for torch.
    from fingerprints.experiment.lifecycle import redraw

    redraw(config.run, images=config.images, accelerator=config.accelerator)


if __name__ == "__main__":
    main()
