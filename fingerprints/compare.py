"""`python -m fingerprints.compare runs=GLOB`: compare finished runs, or fuse them into one run by a vote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fingerprints.config.launch import Place, launch
from fingerprints.config.roots import CompareSettings
from fingerprints.core.errors import FingerprintsError

if TYPE_CHECKING:
    from fingerprints.comparison.systems import DataSet

USAGE = """\
Compare finished runs: one table of systems and figures for each task and data set.

usage: python -m fingerprints.compare runs=GLOB [KEY=VALUE ...]

  runs='outputs/*/*'   folders of runs or of sweeps; several globs: 'runs=[GLOB,GLOB]'. A folder whose name
                       is written like a glob is that folder
  out=DIR              folder for comparison.csv, .md and .html; default: outputs/comparison
  baseline=NAME        the system that every other system is compared with (name of its row, its
                       experiment, or the folder of a run); default: the best system
  vote=none            majority, unanimous or rerank: fuse the runs by a vote into the run folder out=DIR,
                       without comparing them; unanimous (usage only): used if all runs agree;
                       rerank: the majority label of each cluster of images with like answers
  generators=random    generators are a sample of those that could have been trained: simulated benchmarks
                       that differ in their seed alone are one table, and intervals cover patients and
                       generators; fixed: one table for each benchmark, for its generators alone
  permutations=999 seed=0
"""


def main() -> None:
    """Entry point."""
    launch(_job, "compare", usage=USAGE)


def _job(config: CompareSettings, place: Place) -> None:
    from fingerprints.comparison.systems import data_sets, finished
    from fingerprints.runs.folder import find_runs

    given = config.runs
    patterns = [str(pattern) for pattern in given] if isinstance(given, list) else [str(given)]
    records, left_out = finished(find_runs(patterns))
    if not records:
        raise FingerprintsError(
            "None of the runs is finished: "
            + "; ".join(f"{job.name} {job.state}" for job, _ in left_out[:5])
            + ".",
            where="runs",
            fix="wait until they finish, or see their train.log",
        )
    if config.vote != "none":
        _vote(data_sets(records, generators="fixed"), config)
        return
    sets = data_sets(records, generators=config.generators)

    from fingerprints.comparison.paired import compare, find_baseline
    from fingerprints.comparison.report import comparison_page, console_lines
    from fingerprints.comparison.tables import wide_table
    from fingerprints.reporting.comparison_page import render_html, render_markdown, write_page

    named = [None] * len(sets) if config.baseline is None else find_baseline(sets, config.baseline)
    compared = [
        compare(
            data,
            baseline=name,
            generators=config.generators,
            seed=config.seed,
            permutations=config.permutations,
        )
        for data, name in zip(sets, named, strict=True)
    ]
    page = comparison_page(sets, compared, left_out, patterns=patterns)
    out = Path("outputs/comparison") if config.out is None else config.out
    write_page(out / "comparison.csv", wide_table(sets).to_csv(index=False))
    write_page(out / "comparison.md", render_markdown(page))
    write_page(out / "comparison.html", render_html(page))
    print("\n".join(console_lines(sets, compared, left_out, out=out)))


def _vote(sets: list[DataSet], config: CompareSettings) -> None:
    from fingerprints.comparison.fuse import fuse
    from fingerprints.reporting.summary import brief

    if config.out is None:
        raise FingerprintsError(
            "A vote needs its own output folder.", where="out", fix="give a new folder: out=DIR"
        )
    if len(sets) > 1:
        raise FingerprintsError(
            f"The runs have {len(sets)} tasks or data sets, but a vote needs runs of a single one: "
            + "; ".join(f"{data.task.name} ({data.records[0].name}, ...)" for data in sets)
            + ".",
            where="runs",
            fix="select fewer runs: runs=GLOB",
        )
    out = config.out
    draws = {"seed": config.seed, "permutations": config.permutations}
    document = fuse(sets[0], out, rule=config.vote, **draws)  # type: ignore[arg-type]
    print(f"vote over {', '.join(document['run']['fused'])}")
    print(brief({document["experiment"]: document}))
    print(f"run: {out}")


if __name__ == "__main__":
    main()
