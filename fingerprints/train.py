"""`python -m fingerprints.train experiment=NAME data.root=DIR`: fit, predict, evaluate, report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fingerprints.cli import describe_options, launch

USAGE = """\
Train and evaluate a detector of training-data traces.

usage: python -m fingerprints.train experiment=NAME data.root=DIR [KEY=VALUE ...]

  data.root=DIR            folder of the training part; DIR/test/ is predicted, and scored
                           if DIR/test_truth.csv is there (id,label)
  data.size=64             side the images are brought to, in pixels (default 256)
  data.groups=CSV          patient of each image (file,group); default DIR/groups.csv,
                           else near-duplicate clusters stand in
  data.on_bad_image=skip   go on without unreadable images
  trainer=cpu              auto, cpu, gpu, ddp, ddp_cpu
  trainer.max_epochs=N     epochs (default 30)
  pairing=all              random, all
  seed=N                   seed of splits, weights and pairs (default 0)
  run_dir=OUT              run folder (default outputs/<experiment>/<time>)
  --multirun               every combination of comma-separated values
  --cfg job                print the whole configuration and stop

experiments:
{experiments}

layouts (data=...):
{layouts}

A run folder holds config.yaml, metrics.json, predictions.csv, run.csv, report.html,
checkpoints/ and train.log. FINGERPRINTS_DEBUG=1 shows tracebacks.
"""


def usage() -> str:
    """The text of `--help`, with the experiments and layouts that there are."""
    return USAGE.format(
        experiments="\n".join(describe_options("experiment")), layouts="\n".join(describe_options("data"))
    )


def main() -> None:
    """Entry point."""
    launch(_job, "train", usage=usage())


def _job(config: dict[str, Any], folder: Path) -> Any:
    # Imported late: help and configuration errors must not wait for torch.
    from fingerprints.experiment import run_experiment

    return run_experiment(config, folder)


if __name__ == "__main__":
    main()
