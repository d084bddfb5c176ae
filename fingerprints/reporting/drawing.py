"""Common parts of all figures: palette, style, size, and export to files.

Nothing here uses pyplot or its global state. Every figure is 6.4 inches wide, that is 640 px at 100 dpi,
and is designed for that width. `svg_bytes` and `png_bytes` turn a figure into a file; the same figure
always gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from fingerprints.core.tasks import NOT_USED, USED

WIDTH = 6.4
"""Width of every figure, in inches."""

DPI = 100

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW = "#E69F00", "#56B4E9", "#F0E442"
INK, MUTED, FAINT = "#22272E", "#68717C", "#DDE1E6"

# Okabe and Ito's colours, with the pale yellow second to last; then darker shades of four of them.
CLASS_COLOURS = (
    *(BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, YELLOW, INK),
    *("#003F63", "#7A3600", "#005840", "#7C3A5C"),
)

USAGE_COLOURS = {USED: VERMILLION, NOT_USED: BLUE}

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": DPI,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # included in matplotlib, so that figures look the same everywhere
    "font.size": 10,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "legend.columnspacing": 1.5,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "svg.fonttype": "path",
    "svg.hashsalt": "fingerprints",
    "text.color": INK,
    "text.parse_math": False,  # a class may be called `$x$`
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 9,
}


@contextmanager
def style() -> Iterator[None]:
    """The style of the report, independent of the user's matplotlib settings; restores them afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def svg_bytes(figure: Figure) -> bytes:
    """The figure as an SVG file without date, creator or random identifiers."""
    nameless = {"Date": None, "Creator": None, "Format": None, "Type": None}
    return _saved(figure, kind="svg", dpi=DPI, metadata=nameless)


def png_bytes(figure: Figure, *, scale: int = 2) -> bytes:
    """The figure as a PNG file of `scale` times 100 dots an inch, in 256 colours and without metadata."""
    full = _saved(figure, kind="png", dpi=DPI * scale, metadata={"Software": None})
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(full)) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def new_figure(*, height: float, ratios: Sequence[float] = (1.0,)) -> tuple[Figure, list[Axes]]:
    """A figure of the common width with panels above one another that share the horizontal axis."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)
    return figure, list(panels[:, 0])


def _saved(figure: Figure, *, kind: str, dpi: int, metadata: Mapping[str, str | None]) -> bytes:
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=dict(metadata))
    return buffer.getvalue()


def legend_below(figure: Figure, handles: Sequence[Artist], labels: Sequence[str] | None = None) -> None:
    """A legend below the panels, in as many columns as fit."""
    if not handles:
        return
    names = [str(handle.get_label()) for handle in handles] if labels is None else list(labels)
    room, symbol = 86, 7  # width of the figure and of a symbol, in characters
    in_a_row = sum(symbol + len(name) for name in names) <= room
    columns = len(names) if in_a_row else max(1, room // (symbol + max(map(len, names))))
    figure.legend(handles, names, loc="outside lower center", ncols=columns)


def key_entry(marker: str, label: str, *, size: float = 6.5) -> Line2D:
    """A grey legend entry that explains a marker, whatever its colour."""
    return Line2D([], [], color=MUTED, linestyle="", marker=marker, markersize=size, label=label)


def short(name: str, limit: int = 24) -> str:
    """A class name as label: shortened in the middle, without leading `_` (matplotlib hides such labels)."""
    text = " ".join(str(name).split())
    if len(text) > limit:
        text = text[: limit // 2] + "…" + text[len(text) + limit // 2 + 1 - limit :]
    return "\u200a" + text if text.startswith("_") else text
