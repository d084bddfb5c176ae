"""The figure of a leakage dial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fingerprints.reporting.drawing import (
    CLASS_COLOURS,
    MUTED,
    legend_below,
    new_figure,
    short,
    style,
)


def leakage_dial(table: pd.DataFrame, *, x: str, series: Sequence[str]) -> Figure:
    """How well members of a generator's training set are separated from non-members, as leakage increases.

    Args:
        table: A row for each generator: the columns `x` and `series`, and for non-members of the
            `same_groups` and of `other_groups` the columns `KIND.auc` and `KIND.tpr_at_fpr_0.01`.
        x: Column along the horizontal axis; numbers.
        series: Columns that define the lines. Rows with equal values in them and in `x` are repeats: each
            is a point, and the line goes through their mean.
    """
    lines = list(table.groupby(list(series))) if series else [((), table)]
    colours = [CLASS_COLOURS[i % len(CLASS_COLOURS)] for i in range(len(lines))]
    panels_of = {"auc": ("AUC", 0.5), "tpr_at_fpr_0.01": ("TPR at 1 % FPR", 0.01)}
    kinds: dict[str, tuple[str, Any]] = {"same_groups": ("o", "-"), "other_groups": ("s", "--")}
    places = {value: place for place, value in enumerate(sorted(table[x].unique()))}
    with style():
        figure, panels = new_figure(height=6.4, ratios=(1, 1))
        for axes, (column, (title, chance)) in zip(panels, panels_of.items(), strict=True):
            axes.axhline(chance, color=MUTED, linestyle=":", linewidth=1.2)
            for (_, rows), colour in zip(lines, colours, strict=True):
                for kind, (marker, line) in kinds.items():
                    found = rows[[x, f"{kind}.{column}"]].dropna()
                    at = [places[value] for value in found[x]]
                    face = colour if marker == "o" else "white"
                    points: dict[str, Any] = {"linestyle": "", "markerfacecolor": face, "alpha": 0.8}
                    axes.plot(at, found[f"{kind}.{column}"], marker, color=colour, markersize=5, **points)
                    means = found.groupby(x)[f"{kind}.{column}"].mean()
                    axes.plot([places[v] for v in means.index], means, line, color=colour, linewidth=1.4)
            axes.set(ylabel=title, ylim=(-0.03, 1.03))
        # Equal distances between values, since they mostly are multiples of each other.
        panels[-1].set_xticks(list(places.values()), [f"{value:g}" for value in places])
        names = {"members": "training images", "planted": "share of planted copies"}
        panels[-1].set(xlabel=names.get(x, x))
        handles = [
            Line2D([], [], color=colour, linewidth=1.8, label=short(_named(series, values), 40))
            for (values, _), colour in zip(lines, colours, strict=True)
            if series
        ]
        handles += [
            Line2D([], [], color=MUTED, linestyle=line, marker=marker, markersize=5, label=label)
            for (marker, line), label in zip(
                kinds.values(), ("non-members of the same groups", "of other groups"), strict=True
            )
        ]
        handles[-1].set_markerfacecolor("white")
        legend_below(figure, handles)
    return figure


def _named(columns: Sequence[str], values: Any) -> str:
    """Name of a line, such as `gan, 600 steps` from the columns `design` and `steps`."""
    bare = ("design", "kinds")
    return ", ".join(
        str(v) or f"no {c}" if c in bare else f"{c} {v:g}" if isinstance(v, float) else f"{c} {v}"
        for c, v in zip(columns, values if isinstance(values, tuple) else (values,), strict=True)
    )
