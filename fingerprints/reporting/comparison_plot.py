"""Systems by their official metric: a dot and an interval each, with chance and the best blind baseline."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fingerprints.reporting.drawing import BLUE, DPI, FAINT, INK, MUTED, PURPLE, VERMILLION, style

WIDTH = 10.4
"""Width in inches: names of systems are long, and the page is wide."""

LABEL = 44
"""Most characters on a line of a system's name; two lines show the experiment and its differing settings."""


@dataclass(frozen=True)
class SystemPoint:
    """One system.

    Attributes:
        name: The name of its row.
        group: The table that it belongs to; points of a group are shown together under the group's name.
        value: The figure on the test part, or the mean over runs; if `None`, the system is left out.
        low: Lower end of its 95 % interval; of several runs, the lowest of theirs.
        high: Upper end of it.
        runs: Number of runs; several have another style.
        printed: The source's figure for its own data.
    """

    name: str
    group: str
    value: float | None
    low: float | None
    high: float | None
    runs: int
    printed: float | None = None


def systems_plot(
    points: Sequence[SystemPoint],
    *,
    metric: str,
    chance: float | None = None,
    blind: tuple[str, float] | None = None,
) -> Figure | None:
    """Dots and intervals, the first point on top; `None` if no point has a value.

    Args:
        points: In the order shown; groups are in the order of their first point.
        metric: The metric in words, for the axis.
        chance: Figure of chance, a dotted line.
        blind: Name and figure of the best blind baseline, a dashed line.
    """
    there = [point for point in points if point.value is not None]
    if not there:
        return None
    placed, heads, rows = _placed(there)
    ticks = [(at, _wrapped(point.name)) for at, point in placed]
    tall = any("\n" in name for _, name in ticks)
    with style():
        figure = Figure(
            figsize=(WIDTH, 1.35 + (0.42 if tall else 0.31) * rows), dpi=DPI, layout="constrained"
        )
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        handles: dict[str, Line2D] = {}
        if chance is not None:
            axes.axvline(chance, color=MUTED, linestyle=":", linewidth=1.4)
            handles[f"chance {chance:.3f}"] = Line2D([], [], color=MUTED, linestyle=":", linewidth=1.4)
        if blind is not None:
            axes.axvline(blind[1], color=VERMILLION, linestyle="--", linewidth=1.4)
            label = f"best blind baseline: {blind[0]} {blind[1]:.3f}"
            handles[label] = Line2D([], [], color=VERMILLION, linestyle="--", linewidth=1.4)
        for at, point in placed:
            _draw_point(axes, at, point, handles)
        _label_rows(axes, ticks, heads)
        axes.set_ylim(rows - 0.5, -0.8)
        axes.grid(visible=False, axis="y")
        for at, _ in ticks:
            axes.axhline(at, color=FAINT, linewidth=0.7, zorder=0)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"{metric}, test part")
        axes.margins(x=0.04)
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2)
    return figure


def _placed(
    points: Sequence[SystemPoint],
) -> tuple[list[tuple[float, SystemPoint]], list[tuple[float, str]], float]:
    """Points and titles of groups with their rows, and how many rows there are."""
    groups = list(dict.fromkeys(point.group for point in points))
    heads: list[tuple[float, str]] = []
    placed: list[tuple[float, SystemPoint]] = []
    row = 0.0
    for group in groups:
        if len(groups) > 1:
            heads.append((row, group))
            row += 0.9
        for point in (p for p in points if p.group == group):
            placed.append((row, point))
            row += 1.0
        row += 0.3
    return placed, heads, row


def _draw_point(axes: Axes, at: float, point: SystemPoint, handles: dict[str, Line2D]) -> None:
    """Draw one system with its interval and its printed figure, and add new entries to the legend."""
    several = point.runs > 1
    colour, marker = (PURPLE, "s") if several else (BLUE, "o")
    if point.low is not None and point.high is not None:
        axes.hlines(at, point.low, point.high, color=colour, linewidth=4, alpha=0.45)
    value = np.nan if point.value is None else point.value
    axes.plot([value], [at], marker, color=colour, markersize=6)
    name = "mean over runs; their 95 % intervals, joined" if several else "one run and its 95 % interval"
    handles.setdefault(name, Line2D([], [], color=colour, marker=marker, linewidth=4, alpha=0.7))
    if point.printed is not None:
        axes.plot([point.printed], [at], "D", markerfacecolor="white", markeredgecolor=INK, markersize=6)
        handles.setdefault(
            "printed, on the source’s own data",
            Line2D([], [], color="none", marker="D", markerfacecolor="white", markeredgecolor=INK),
        )


def _label_rows(axes: Axes, ticks: Sequence[tuple[float, str]], heads: Sequence[tuple[float, str]]) -> None:
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
    for at, group in heads:
        axes.annotate(
            group,
            (0, at),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=MUTED,
            fontsize=9,
            fontweight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
        )


def _wrapped(name: str) -> str:
    """A name on at most two lines; a long one is cut in the middle, since similar names differ at the end."""
    room = 2 * LABEL - 10
    if len(name) > room:
        name = f"{name[: room // 2]}…{name[1 + room // 2 - room :]}"
    return textwrap.fill(name, LABEL, max_lines=2, placeholder="…")
