"""One run as one self-contained HTML page: the verdict first, then the evidence.

The page has no script and loads no files: styles are inline, and figures are embedded as data. All text is
escaped, including class names and configuration.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from matplotlib.figure import Figure

from fingerprints.config.published import Caveat
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.files import write_atomically
from fingerprints.core.tasks import Task
from fingerprints.evidence.estimates import p_text
from fingerprints.evidence.verdict import Level
from fingerprints.reporting import drawing

Estimate = tuple[float | None, float | None, float | None]
"""A value with lower and upper end of its interval."""

INTERVAL_NOTE = "95 % interval, over groups; conditional on these generators."
PARTITION_NOTE = (
    "All images were clustered together, and the partition is held fixed: the interval varies the patients "
    "or images, not the clustering."
)

LEVEL_WORDS: dict[Level, str] = {
    "unscored": "Not scored",
    "nothing_found": "Nothing found",
    "underpowered": "Too few images to tell",
    "weak": "Weak trace",
    "not_above_blind": "Not shown to exceed a blind baseline",
    "generators": "Generators told apart; no trace of the data shown",
    "clear": "Clear trace",
}

SAID_ONCE = 3
"""A reason that this many rows of a table have is a note below it."""

MAX_SVG_BYTES = 200_000
"""Largest SVG; a larger figure (a scatter plot) is embedded as a PNG at twice its size."""


@dataclass(frozen=True)
class MetricRow:
    """One metric of one part.

    Attributes:
        name: Its key in `metrics.json`.
        value: The figure, or `None` if it cannot be estimated.
        low: Lower end of its 95 % interval.
        high: Upper end of it.
        p: Permutation p-value.
        reason: Why something in this row is missing.
        printed: The figure that the system's source prints for its own data.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    reason: str | None = None
    printed: float | None = None


@dataclass(frozen=True)
class Baseline:
    """A trivial or blind baseline; `values` has an estimate for each of its metrics."""

    name: str
    description: str
    values: dict[str, Estimate]


@dataclass(frozen=True)
class FigurePanel:
    """A figure with its texts; `alt` is the alternative text, one sentence."""

    title: str
    caption: str
    figure: Figure
    alt: str


@dataclass(frozen=True)
class TextTable:
    """A table of text; the first column names the row. Rows after the first `shown` are folded."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str]
    shown: int = 15


@dataclass(frozen=True)
class PictureTile:
    """One image: a PNG file, its caption (a new line for each line), and its alternative text."""

    png: bytes
    caption: str
    alt: str

    @property
    def source(self) -> str:
        """The image as a `data:` address."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


@dataclass(frozen=True)
class PictureRow:
    """Images that belong together."""

    title: str
    tiles: list[PictureTile]


@dataclass(frozen=True)
class PicturePanel:
    """Rows of images under one caption."""

    title: str
    caption: str
    rows: list[PictureRow]


@dataclass(frozen=True)
class Section:
    """The test part of one generator, or the whole test part; `metrics` is empty if there is no truth.

    `clustered`: whether the answers are clusters of all images together.
    """

    title: str
    metrics: list[MetricRow]
    baselines: list[Baseline]
    panels: list[FigurePanel]
    tables: list[TextTable] = field(default_factory=list)
    images: list[PicturePanel] = field(default_factory=list)
    clustered: bool = False


@dataclass(frozen=True)
class NoImages:
    """Why a page has no images of the data, and the command of a run whose page has them; it may be empty."""

    reason: str
    command: str = ""


@dataclass(frozen=True)
class PrintedRow:
    """Figures that the source prints and that stand beside none of the run's, by metric."""

    title: str
    figures: dict[str, float]


@dataclass(frozen=True)
class ReportContent:
    """Content of a report.

    Attributes:
        title: Heading of the page.
        task: The task, with the official metric of the layout.
        experiment: Name of the experiment.
        headline: The verdict as a sentence.
        level: The verdict as a word, which determines the banner's colour, icon and label.
        caveats: What makes the figures no evidence, shown above the verdict.
        notes: Limitations, one sentence each, shown directly below the verdict.
        sections: One per generator, or a single one.
        validation: Metrics of the validation part.
        validation_clustered: As `clustered` of a section.
        facts: Facts of the run, in the order shown.
        config_yaml: The resolved configuration.
        printed_source: Where the printed figures come from.
        printed: Printed figures of parts, generators and runs that the run has no figures of.
        no_images: Said if the page has no images of the data.
    """

    title: str
    task: Task
    experiment: str
    headline: str
    level: Level
    notes: list[str]
    sections: list[Section]
    validation: list[MetricRow]
    facts: dict[str, str]
    config_yaml: str
    printed_source: str
    printed: list[PrintedRow] = field(default_factory=list)
    no_images: NoImages | None = None
    caveats: list[Caveat] = field(default_factory=list)
    validation_clustered: bool = False


def render(content: ReportContent) -> str:
    """The page as text; equal content gives equal text."""
    validation = _Table.of(content.validation, baselines=[], task=content.task)
    return _template().render(
        content=content,
        level_word=LEVEL_WORDS[content.level],
        sections=[_SectionView.of(section, task=content.task) for section in content.sections],
        validation=validation,
        interval_note=INTERVAL_NOTE,
        partition_note=PARTITION_NOTE,
        printed_metrics=list(dict.fromkeys(name for row in content.printed for name in row.figures)),
    )


def write_report(path: Path, content: ReportContent) -> None:
    """Write the page to `path` atomically: the file appears only when it is complete.

    Raises:
        FingerprintsError: If the folder cannot be written to.
    """
    path = Path(path)
    page = render(content)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, page.encode())
    except OSError as error:
        raise FingerprintsError(
            f"The report could not be written: {error.strerror or error}.",
            where=path,
            fix="check that the folder exists, is writable and has free space",
        ) from error


def split_metrics(rows: Sequence[MetricRow], *, task: Task) -> tuple[list[MetricRow], list[MetricRow]]:
    """The visible rows, the official one first, and the rows that are folded.

    Folded rows are support-weighted averages, figures of the class that is not the task's positive one,
    and averages over the classes if the positive class has its own figure. The official metric and all
    metrics that the source prints are always visible.
    """
    names = {row.name for row in rows}

    def folded(row: MetricRow) -> bool:
        if row.name == task.official or row.printed is not None:
            return False
        stem = row.name.removesuffix("_macro")
        return row.name.endswith(("_weighted", "_not_used")) or f"{stem}_{task.positive}" in names

    shown = [row for row in rows if not folded(row)]
    return sorted(shown, key=lambda row: row.name != task.official), [row for row in rows if folded(row)]


def number(value: float | None, *, places: int = 3) -> str:
    """A figure as text: fixed number of decimals, a real minus sign, a dash if missing."""
    if value is None or value != value:
        return "–"
    text = f"{value:.{places}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def p_value(value: float | None) -> str:
    """A p-value as text, a dash if missing."""
    return number(None) if value is None or value != value else p_text(value)


def printed_figure(value: float | None) -> str:
    """A source's figure with three decimals, or four if the fourth is not zero."""
    return number(value, places=4).removesuffix("0")


def metric_label(name: str) -> str:
    """A metric's key in words: `f1_weighted` -> `F1 score, support-weighted`."""
    suffixes = {
        "_weighted": "support-weighted",
        "_macro": "macro",
        "_not_used": "class not used",
        "_used": "class used",
        "_unmatched": "unmatched",
    }
    words = {
        "ari": "adjusted Rand index",
        "auc": "AUC",
        "f1": "F1 score",
        "fpr": "FPR",
        "kappa": "Cohen’s kappa",
        "mcc": "Matthews correlation",
        "nmi": "normalised mutual information",
        "roc": "ROC",
        "tpr": "TPR",
    }
    suffix = next((ending for ending in suffixes if name.endswith(ending)), "")
    stem = name.removesuffix(suffix)
    text = " ".join(words.get(word, word) for word in stem.split("_") if word)
    text = text[:1].upper() + text[1:]
    return f"{text}, {suffixes[suffix]}" if suffix and text else text or name


@dataclass(frozen=True)
class _Scale:
    """The axis of a table's interval bars, in SVG units: 10 to 210 of 220."""

    low: float
    high: float = 1.0

    @classmethod
    def of(cls, values: Sequence[float | None]) -> _Scale | None:
        """The narrowest standard axis that contains the values; none if they are outside of [-1, 1]."""
        there = [value for value in values if value is not None and value == value]
        if not there or min(there) < -1 or max(there) > 1:
            return None
        return cls(next(low for low in (0.0, -0.25, -0.5, -1.0) if low <= min(there)))

    def at(self, value: float) -> str:
        return f"{10 + 200 * (value - self.low) / (self.high - self.low):.1f}"


@dataclass(frozen=True)
class _Line:
    """One row of a metric table as shown: positions are on the table's scale, `marks` number its notes."""

    row: MetricRow
    best: tuple[str, float] | None
    bar: dict[str, str] | None
    reason: str
    marks: str

    @classmethod
    def of(
        cls, row: MetricRow, *, baselines: Sequence[Baseline], scale: _Scale | None, notes: Sequence[str]
    ) -> _Line:
        best = _best(row.name, baselines)
        places = {
            "value": row.value,
            "low": row.low,
            "high": row.high,
            "printed": row.printed,
            "best": best[1] if best else None,
        }
        bar = {name: scale.at(x) for name, x in places.items() if x is not None} if scale else None
        reasons = _reasons(row)
        own = "; ".join(reason for reason in reasons if reason not in notes)
        marks = " ".join(f"({number})" for number, note in enumerate(notes, start=1) if note in reasons)
        return cls(row, best, bar, own, marks)

    @property
    def label(self) -> str:
        return metric_label(self.row.name)


@dataclass(frozen=True)
class _Table:
    """Visible rows and folded rows, on one scale; `notes` are the reasons that many rows have."""

    shown: list[_Line]
    folded: list[_Line]
    scale: _Scale | None
    zero: str | None
    notes: list[str]
    has_interval: bool
    has_p: bool
    has_printed: bool
    has_best: bool

    @classmethod
    def of(cls, rows: Sequence[MetricRow], *, baselines: Sequence[Baseline], task: Task) -> _Table:
        rows = [_without_nan(row) for row in rows]
        best = [_best(row.name, baselines) for row in rows]
        ends = [x for row in rows for x in (row.low, row.high)]
        has_interval = any(x is not None for x in ends)
        everything = [*ends, *(x for row in rows for x in (row.value, row.printed))]
        scale = _Scale.of([*everything, *(b[1] for b in best if b)]) if has_interval else None
        counts = Counter(reason for row in rows for reason in _reasons(row))
        notes = [reason for reason, count in counts.items() if count >= SAID_ONCE]
        shown, folded = (
            [_Line.of(row, baselines=baselines, scale=scale, notes=notes) for row in part]
            for part in split_metrics(rows, task=task)
        )
        return cls(
            shown=shown,
            folded=folded,
            scale=scale,
            zero=scale.at(0) if scale else None,
            notes=notes,
            has_interval=has_interval,
            has_p=any(row.p is not None for row in rows),
            has_printed=any(row.printed is not None for row in rows),
            has_best=any(best),
        )


@dataclass(frozen=True)
class _Picture:
    """A panel with its figure as a `data:` address and its size in CSS pixels."""

    panel: FigurePanel
    source: str
    width: int
    height: int

    @classmethod
    def of(cls, panel: FigurePanel) -> _Picture:
        inches = panel.figure.get_size_inches()
        width, height = (round(float(side) * drawing.DPI) for side in inches)
        data, kind = drawing.svg_bytes(panel.figure), "svg+xml"
        if len(data) > MAX_SVG_BYTES:
            data, kind = drawing.png_bytes(panel.figure), "png"
        return cls(panel, f"data:image/{kind};base64,{base64.b64encode(data).decode()}", width, height)


@dataclass(frozen=True)
class _SectionView:
    """A section with its numbers and figures prepared for the template."""

    section: Section
    table: _Table
    compared: list[MetricRow]
    pictures: list[_Picture]

    @classmethod
    def of(cls, section: Section, *, task: Task) -> _SectionView:
        table = _Table.of(section.metrics, baselines=section.baselines, task=task)
        named = {name for baseline in section.baselines for name in baseline.values}
        compared = [line.row for line in table.shown if line.row.name in named]
        return cls(section, table, compared, [_Picture.of(panel) for panel in section.panels])


def _reasons(row: MetricRow) -> list[str]:
    return row.reason.split("; ") if row.reason else []


def _best(metric: str, baselines: Sequence[Baseline]) -> tuple[str, float] | None:
    """Name and value of the baseline that scores highest by a metric."""
    found = [(b.values[metric][0], b.name) for b in baselines if metric in b.values]
    scored = [(value, name) for value, name in found if value is not None and value == value]
    if not scored:
        return None
    value, name = max(scored, key=lambda pair: pair[0])
    return name, value


def _without_nan(row: MetricRow) -> MetricRow:
    """The row with `None` in place of NaN."""

    def known(value: float | None) -> float | None:
        return None if value is None or value != value else float(value)

    return replace(
        row,
        value=known(row.value),
        low=known(row.low),
        high=known(row.high),
        p=known(row.p),
        printed=known(row.printed),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("fingerprints.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(number=number, p_value=p_value, printed=printed_figure, label=metric_label)
    return environment.get_template("report.html.j2")
