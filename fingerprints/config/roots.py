"""Root settings of the commands, except `ingest`, `segment` and `simulate`, which have their own modules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fingerprints.core.options import chosen, option
from fingerprints.data.settings import DataSettings, IdForm, PairingSettings, Remedy
from fingerprints.decisions.settings import DecisionSettings
from fingerprints.encoders.settings import EncoderSettings
from fingerprints.evidence.settings import EvidenceSettings
from fingerprints.images.settings import FilterSettings, RegionSettings
from fingerprints.reductions.settings import ReductionSettings
from fingerprints.runs.figures import MEAN
from fingerprints.training.settings import (
    Accelerator,
    LoggerSettings,
    StoppingSettings,
    TrainerSettings,
    TrainingSettings,
)

SEEDS = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class PathsSettings:
    """Folders."""

    outputs: Path = option(Path("outputs"), help="parent folder of run folders")
    store: str = option("${paths.outputs}/store", help="folder of decoded images and cached features")


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """The page of a run."""

    images: bool = option(
        False, help="whether report.html has images of the data; always if all are of the embedded benchmark"
    )


@dataclass(frozen=True, kw_only=True)
class PrintedFigures:
    """Figures that a source prints, by metric, for each part of the data."""

    training: dict[str, float] = option({})
    validation: dict[str, float] = option({})
    test: dict[str, float] = option({})
    part_unknown: dict[str, float] = option({}, help="the source does not say for which part")


@dataclass(frozen=True, kw_only=True)
class PublishedSettings(PrintedFigures):
    """Figures that a source prints for the data of the challenge; filled in from `conf/published.yaml`.

    The figures of the class itself are for the only generator, or the mean over several.
    """

    source: str = option("")
    generators: dict[str, PrintedFigures] = option({}, help="figures of each generator")
    runs: dict[str, PrintedFigures] = option({}, help="figures of further runs of the same system")

    def beside(self, generator: str) -> PrintedFigures:
        """The figures to show beside those of a generator; `''` or `mean` for the whole run."""
        return self if generator in ("", MEAN) else self.generators.get(generator, PrintedFigures())


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Root of `python -m fingerprints.train`."""

    name: str = option(help="name of the experiment")
    task: Literal["usage", "subset", "model"] = option()
    seed: int = option(0, least=0, most=SEEDS, help="seed of splits, weights and pairs")
    objective: str | None = option(None, help="validation figure that a search maximises")
    run_dir: Path | None = option(help="run folder")
    data: DataSettings
    filter: FilterSettings = chosen("filter")
    region: RegionSettings = chosen("region")
    encoder: EncoderSettings = chosen("encoder")
    pairing: PairingSettings = chosen("pairing")
    training: TrainingSettings = chosen("training")
    reduction: ReductionSettings = chosen("reduction")
    decision: DecisionSettings = chosen("decision")
    trainer: TrainerSettings = TrainerSettings()
    callbacks: StoppingSettings = StoppingSettings()
    logger: LoggerSettings = LoggerSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    report: ReportSettings = ReportSettings()
    paths: PathsSettings = PathsSettings()
    published: PublishedSettings = PublishedSettings()


@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """Root of `python -m fingerprints.predict`."""

    run: Path = option(help="folder of a finished run")
    images: Path = option(help="folder of images to label")
    generated: Path | None = option(None, help="usage: folder of images that the generator made")
    generator: str | None = option(None, help="generator whose detector is used, if the run has several")
    out: Path = option(Path("run.csv"))
    header: str | None = option(None, help="first line of the run file; null: as the run")
    ids: IdForm | None = option(None, help="names of images in the run file; null: as the run")
    scores: Path | None = option(None, help="file for a CSV of labels and scores")
    groups: Path | None = option(None, help="usage: CSV of file,group, for a table of patients")
    patients: Path | None = option(None, help="file for the table of patients; null: beside out")
    on_bad_image: Remedy = option("error")
    store: Path = option(Path("outputs/store"))
    accelerator: Accelerator = option("auto")


@dataclass(frozen=True, kw_only=True)
class RedrawSettings:
    """Root of `python -m fingerprints.redraw`."""

    run: Path = option(help="folder of a finished run")
    images: bool | None = option(None, help="whether the page has images of the data; null: as the run")
    accelerator: Accelerator = option("auto")


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """Root of `python -m fingerprints.evaluate`."""

    task: str = option()
    predictions: Path = option(help="a run file")
    truth: Path = option(help="CSV of id,label")
    groups: Path | None = option(None, help="CSV of file,group")
    out: Path | None = option(None)
    seed: int = option(0, least=0, most=SEEDS)
    permutations: int = option(999, least=1, most=1_000_000)


@dataclass(frozen=True, kw_only=True)
class CompareSettings:
    """Root of `python -m fingerprints.compare`."""

    runs: Any = option(help="globs of run folders")
    out: Path | None = option(None)
    baseline: str | None = option(None)
    vote: Literal["none", "majority", "unanimous", "rerank"] = option("none")
    generators: Literal["random", "fixed"] = option("random")
    seed: int = option(0, least=0, most=SEEDS)
    permutations: int = option(999, least=1, most=1_000_000)


@dataclass(frozen=True, kw_only=True)
class DashboardSettings:
    """Root of `python -m fingerprints.dashboard`."""

    project: str = option("fingerprints")
    entity: str | None = option(None)
    name: str = option("fingerprints")
    generators: tuple[str, ...] = option(())
    out: Path | None = option(None)
