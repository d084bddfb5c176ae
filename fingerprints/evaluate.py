"""`python -m fingerprints.evaluate task=TASK predictions=FILE truth=FILE`: score a run file."""

from __future__ import annotations

import json
import sys

from fingerprints.config.launch import Place, launch
from fingerprints.config.roots import EvaluateSettings

USAGE = """\
Score any run file against a truth file.

usage: python -m fingerprints.evaluate task=TASK predictions=run.csv truth=truth.csv [KEY=VALUE ...]

  task=subset          usage, subset or model
  predictions=run.csv  <image id>,<label>; with a header it may have score columns, like the
                       predictions.csv of a run folder (they are needed for AUC)
  truth=truth.csv      <image id>,<label>, header optional
  groups=CSV           patient of each image (file,group): intervals vary patients; an image with
                       an empty group is a group of its own
  out=metrics.json     also write the figures to a file
  permutations=999 seed=0
"""


def main() -> None:
    """Entry point."""
    launch(_job, "evaluate", usage=USAGE)


def _job(config: EvaluateSettings, place: Place) -> None:
    from fingerprints.evidence.estimates import p_text
    from fingerprints.evidence.intervals import estimate_metrics
    from fingerprints.evidence.submission import read_submission

    submission = read_submission(
        task_name=config.task,
        predictions=config.predictions,
        truth=config.truth,
        groups=config.groups,
    )
    evaluation = estimate_metrics(
        task=submission.task,
        classes=submission.classes,
        truth=submission.truth,
        predicted=submission.predicted,
        scores=submission.scores,
        groups=submission.groups,
        seed=config.seed,
        permutations=config.permutations,
    )
    document = {
        "task": submission.task.name,
        "predictions": str(config.predictions),
        "n": evaluation.n,
        "n_groups": evaluation.n_groups,
        "test": {name: evaluation.metric_json(name) for name in evaluation.metrics},
    }
    if config.out is not None:
        out = config.out
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    for note in submission.notes:
        print(f"note: {note}", file=sys.stderr)
    print(f"{submission.task.name}: {evaluation.n:,} images in {evaluation.n_groups:,} groups")
    for name, estimate in evaluation.metrics.items():
        if estimate.value is None:
            print(f"  {name:<22}     -  {estimate.reason}")
            continue
        interval = "" if estimate.low is None else f"[{estimate.low:.4f}, {estimate.high:.4f}]"
        p = "" if estimate.p is None else p_text(estimate.p, named=True)
        print(f"  {name:<22}{estimate.value:8.4f}  {interval:<18}  {p}")


if __name__ == "__main__":
    main()
