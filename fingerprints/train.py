"""`python -m fingerprints.train experiment=NAME [data.root=DIR]`: fit, predict, evaluate, report."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fingerprints.config.help import describe_options, wrapped
from fingerprints.config.launch import Place, launch, plain_errors
from fingerprints.config.roots import TrainSettings
from fingerprints.config.words import folder_of
from fingerprints.core.errors import FingerprintsError
from fingerprints.data.embedded import OF_LAYOUT

USAGE = """\
Train and evaluate a detector of training-data traces.

usage: python -m fingerprints.train experiment=NAME [data.root=DIR] [KEY=VALUE ...]
       python -m fingerprints.train resume=OUT

  data.root=DIR            folder of the training part; DIR/test/ is predicted, and scored
                           if DIR/test_truth.csv is there (id,label). Default: the embedded
                           benchmark of the layout (phantoms; {embedded})
  data.test_root=DIR       folder of the test part, if it is not DIR/test/: a download of its own
  data.size=64             side length to which images are scaled, in pixels (default 256; without
                           data.root the size of the embedded benchmark)
  data.groups=CSV          patient of each image (file,group); default DIR/groups.csv,
                           else clusters of near-duplicates are used as groups
  data.on_bad_image=skip   leave out unreadable images and continue
  trainer=cpu              auto (default: a GPU if there is one), cpu, gpu, ddp, ddp_cpu
  trainer.devices=N        processes on each node (ddp: default all GPUs; ddp_cpu: 2)
  trainer.precision=P      32-true, bf16-mixed, 16-mixed, auto (bf16-mixed if the GPU supports it)
  trainer.accumulate=N     pass each batch through the encoder in N parts: less memory, the same step
  trainer.max_epochs=N     epochs (default 30)
  filter=F                 {filters}
  region=R                 {regions}
  encoder=E                {encoders}
  encoder.weights=W        default (downloaded, or embedded), none (random), or your own file
  training=T               pairs (a Siamese network), frozen, classifier
  pairing=all              random, all, nearest
  reduction=R              {reductions}
  decision=D               {decisions}
  decision.fit_on=D        real, generated or both: the images that a classifier learns from
  logger=wandb             none, csv, tensorboard, wandb (offline unless logger.offline=false)
  seed=N                   seed of splits, weights and pairs (default 0)
  run_dir=OUT              run folder (default outputs/<experiment>/<time>)
  resume=OUT               continue a stopped run, or the unfinished jobs of a sweep
  --multirun               every combination of comma-separated values
  --cfg job                print the whole configuration and stop
  --help decision=svm      show the keys of an option with their defaults, choices and bounds; works for
                           any group, and for several: --help decision=svm pairing=all

experiments:
{experiments}

layouts (data=...):
{layouts}

sweeps (sweep=...):
{sweeps}

A run folder holds config.yaml, metrics.json, predictions.csv, run.csv, report.html,
checkpoints/, status.json and train.log. FINGERPRINTS_DEBUG=1 shows tracebacks.
"""


def usage() -> str:
    """The text of `--help`, with the available experiments and layouts."""
    return USAGE.format(
        embedded=", ".join(OF_LAYOUT),
        filters=wrapped("filter"),
        regions=wrapped("region"),
        encoders=wrapped("encoder"),
        reductions=wrapped("reduction"),
        decisions=wrapped("decision"),
        experiments="\n".join(describe_options("experiment")),
        layouts="\n".join(describe_options("data")),
        sweeps="\n".join(describe_options("sweep")),
    )


def train(
    config: TrainSettings, folder: Path, *, overrides: Sequence[str] = (), job: int | None = None
) -> dict[str, Any]:
    """Fit, predict, evaluate and report into a run folder; see `lifecycle.start`.

    Args:
        config: The settings.
        folder: The run folder.
        overrides: Overrides of the command line, for the record.
        job: Number of the job in a sweep.

    Returns:
        Content of `metrics.json`.
    """
    # Imported late: help and configuration errors must not wait for torch.
    from fingerprints.experiment.lifecycle import start

    return start(config, folder, overrides=overrides, job=job)


def main() -> None:
    """Entry point."""
    words = sys.argv[1:]
    resumed = [word.removeprefix("resume=") for word in words if word.startswith("resume=")]
    if resumed:
        with plain_errors("train"):
            _resume(
                folder_of(resumed[-1], key="resume"),
                [word for word in words if not word.startswith("resume=")],
            )
    else:
        complete = True
        try:
            launch(_job, "train", usage=usage())
        finally:
            # Already loaded by Hydra if it got this far; help and misspelt keys must not wait for it.
            if (record := sys.modules.get("fingerprints.config.sweep_record")) is not None:
                complete = record.conclude()
        if not complete:
            raise SystemExit(2)


def _job(config: TrainSettings, place: Place) -> float | None:
    if place.sweep is not None and config.logger.group is None:
        config = replace(config, logger=replace(config.logger, group=place.sweep))
    document = train(config, place.folder, overrides=place.overrides, job=place.job)
    if place.sweep is None or not document:
        return None
    from fingerprints.runs.figures import objective

    return objective(document, config.objective)


def _resume(folder: Path, others: list[str]) -> None:
    """Continue a run or a sweep."""
    if others:
        raise FingerprintsError(
            f"resume= uses the run's own configuration and allows no other arguments: {' '.join(others)}.",
            where="command line",
            fix="leave them out, or start a new run with them",
        )
    from fingerprints.runs.folder import SWEEP, read_metrics

    if (folder / SWEEP).is_file():
        from fingerprints.config.sweep_record import sweep_command

        sys.argv[1:], place = sweep_command(folder)
        with contextlib.chdir(place):
            main()
        return
    from fingerprints.experiment.lifecycle import resume
    from fingerprints.reporting.summary import document_lines

    finished = bool(read_metrics(folder))
    document = resume(folder)
    if finished:
        print(f"The run is finished: {folder}")
        print("\n".join(document_lines(document, folder)))


if __name__ == "__main__":
    main()
