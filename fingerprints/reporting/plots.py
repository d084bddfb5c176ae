"""The figures of a report: arrays in, one matplotlib `Figure` out; nothing is written to disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA

from fingerprints.evidence.metrics import allowed_false
from fingerprints.reporting.drawing import (
    BLUE,
    CLASS_COLOURS,
    INK,
    MUTED,
    USAGE_COLOURS,
    VERMILLION,
    key_entry,
    legend_below,
    new_figure,
    short,
    style,
)

MAX_POINTS = 2_000
"""Largest number of points of one domain that `embedding_pca` draws."""

MIN_NEGATIVES = 100
"""Smallest number of non-members with which a false positive rate of 1 % can be observed."""


def confusion_matrix(
    matrix: ArrayLike, classes: Sequence[str], *, clusters: Sequence[str] | None = None
) -> Figure:
    """Counts with row percentages; the colour of a cell is its share of the row.

    Args:
        matrix: (C, K) counts; cell [i][j] is the number of images of class i with answer j.
        classes: The C names in the order of the rows.
        clusters: The K names of the columns if answers are clusters; else the columns are the classes.
    """
    counts = np.asarray(matrix)
    n_classes, answers = len(classes), classes if clusters is None else clusters
    if counts.shape != (n_classes, len(answers)):
        raise ValueError(f"matrix has the shape {counts.shape}, expected {(n_classes, len(answers))}")
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    names = [short(name, 14) for name in classes]
    columns = [short(name.replace("_", " "), 14) for name in answers] if clusters is not None else names
    size = float(np.clip(13 - 0.5 * n_classes, 6.5, 12))
    with style():
        figure, (axes,) = new_figure(height=float(np.clip(1.5 + 0.5 * n_classes, 3.2, 7.5)))
        axes.pcolormesh(shares, cmap=_BLUES, vmin=0, vmax=1, edgecolors="white", linewidth=1.5)
        for i, j in np.ndindex(counts.shape):
            colour = "white" if shares[i, j] > 0.55 else INK
            share = f"{100 * shares[i, j]:.0f} %" if totals[i] else "–"
            here: dict[str, Any] = {"ha": "center", "va": "center", "color": colour}
            axes.text(j + 0.5, i + 0.38, f"{counts[i, j]:,}", fontsize=size, fontweight="bold", **here)
            axes.text(j + 0.5, i + 0.7, share, fontsize=0.82 * size, **here)
        tilted = len(columns) * max(map(len, columns), default=0) > 60
        turn: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if tilted else {}
        axes.set_xticks(np.arange(len(columns)) + 0.5, columns, **turn)
        axes.set_yticks(np.arange(n_classes) + 0.5, names)
        given = "given class" if clusters is None else "cluster, matched to the class in its column's place"
        axes.set(xlabel=given, ylabel="true class")
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return figure


def embedding_pca(
    *,
    real: ArrayLike,
    real_labels: Sequence[str],
    generated: ArrayLike,
    generated_labels: Sequence[str] | None,
    centroids: ArrayLike | None,
    classes: Sequence[str],
    seed: int,
) -> Figure:
    """The first two principal components of real and generated embeddings together.

    At most `MAX_POINTS` images of each domain, drawn at random, are used for fit and figure, so that the
    domain with more images does not determine the axes alone. Rows that are not finite are left out.

    Args:
        real: (n, ...) embeddings of real images; features are flattened.
        real_labels: (n,) their classes. A label that is not in `classes` is drawn in grey.
        generated: (m, ...) embeddings of generated images.
        generated_labels: (m,) their classes, or `None` if they have none.
        centroids: (C, ...) class centroids in the order of `classes`, or `None`.
        classes: The C names.
        seed: Seed of the subsample and of the drawing order.
    """
    colours = _class_colours(classes)
    real_points, real_names = _sample(real, real_labels, seed=[seed, 0])
    made_points, made_names = _sample(generated, generated_labels, seed=[seed, 1])
    project, shares = _pca([real_points, made_points], seed=seed)
    shown = {*real_names, *made_names}
    handles: list[Artist] = [Patch(color=colours[c], label=short(c)) for c in colours if c in shown]
    with style():
        figure, (axes,) = new_figure(height=5.2)
        # Crosses are drawn first: there are usually many, and circles on top of them stay visible.
        if made_names:
            x, y = project(made_points).T
            axes.scatter(x, y, marker="x", s=22, linewidths=0.9, c=_tints(made_names, colours))
            handles.append(key_entry("x", "generated"))
        if real_names:
            (x, y), tints = project(real_points).T, _tints(real_names, colours)
            axes.scatter(x, y, marker="o", s=18, linewidths=0.4, c=tints, edgecolors="white")
            handles.append(key_entry("o", "real"))
        if centroids is not None:
            middles = np.asarray(centroids, dtype=np.float64).reshape(len(colours), -1)
            known = np.isfinite(middles).all(axis=1)
            (x, y), tints = project(middles[known]).T, to_rgba_array(list(colours.values()))[known]
            axes.scatter(x, y, marker="*", s=560, c="white", zorder=5)
            axes.scatter(x, y, marker="*", s=300, linewidths=1.1, c=tints, edgecolors=INK, zorder=6)
            handles.append(key_entry("*", "class centroid", size=13))
        axes.set_xlabel(f"component 1 ({100 * shares[0]:.1f} % of the variance)")
        axes.set_ylabel(f"component 2 ({100 * shares[1]:.1f} % of the variance)")
        axes.margins(0.06)
        legend_below(figure, handles)
    return figure


def pair_distances(*, positive: ArrayLike, negative: ArrayLike, threshold: float | None) -> Figure:
    """Densities of the distances in positive and in negative pairs, over common bins.

    Args:
        positive: (p,) distances of pairs that belong together.
        negative: (q,) distances of pairs that do not belong together.
        threshold: The distance up to which a pair counts as positive, or `None`.
    """
    groups = {"positive pairs": _finite(positive), "negative pairs": _finite(negative)}
    with style():
        figure, (axes,) = new_figure(height=3.6)
        _histograms(axes, groups, [BLUE, VERMILLION], density=True)
        _threshold_line(axes, threshold)
        axes.set(xlabel="distance between the two embeddings", ylabel="density")
        legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure


def roc_log(
    *,
    fpr: ArrayLike,
    tpr: ArrayLike,
    auc: float | None,
    low: float | None = None,
    high: float | None = None,
    n_negative: int,
    band: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
) -> Figure:
    """The receiver operating characteristic on log axes, down to the smallest rate that n allows.

    The curve is a step function: at a false positive rate that no threshold has, it shows the threshold
    with the next lower rate. The true positive rate at 1 % is marked if 1 % can be observed.

    Args:
        fpr: (k,) false positive rates, ascending, in [0, 1].
        tpr: (k,) true positive rates at the same thresholds, in [0, 1].
        auc: Area under the curve on linear axes.
        low: Lower end of its interval.
        high: Upper end of its interval.
        n_negative: Non-members that were scored; the axis starts at 1 / `n_negative`.
        band: False positive rates, and the lower and upper limit of the true positive rate at each.
    """
    x, y = np.asarray(fpr, dtype=np.float64), np.asarray(tpr, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"fpr and tpr must be vectors of one length, not {x.shape} and {y.shape}")
    start = min(1 / max(n_negative, 1), 0.1)
    label = "detector"
    if auc is not None:
        label += f", AUC {auc:.3f}"
        if low is not None and high is not None:
            label += f" ({low:.3f} to {high:.3f})"
    with style():
        figure, (axes,) = new_figure(height=4.6)
        chance = np.geomspace(start, 1, 50)
        axes.plot(chance, chance, color=MUTED, linestyle="--", linewidth=1.2, label="chance")
        if band is not None:
            at, bottom, top = (np.asarray(values, dtype=np.float64) for values in band)
            axes.fill_between(
                at, np.maximum(bottom, 1e-9), top, color=BLUE, alpha=0.14, linewidth=0, label="95 % limits"
            )
        inside = x > start
        curve_x = np.concatenate([[start], x[inside], [1.0]])
        curve_y = np.concatenate([[_tpr_at(x, y, start)], y[inside], [1.0]])
        axes.plot(curve_x, curve_y, color=BLUE, linewidth=1.8, drawstyle="steps-post", label=label)
        _mark_one_percent(axes, x, y, n_negative=n_negative)
        positive = curve_y[curve_y > 0]
        _log_axes(axes, start=start, lowest=min(start, float(positive.min()), 0.1))
        legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure


def _mark_one_percent(
    axes: Axes, fpr: NDArray[np.float64], tpr: NDArray[np.float64], *, n_negative: int
) -> None:
    if n_negative < MIN_NEGATIVES:
        note = f"{n_negative} non-members: 1 % FPR cannot be estimated"
        axes.text(0.98, 0.03, note, transform=axes.transAxes, ha="right", color=MUTED, fontsize=9)
        return
    rate = _tpr_at(fpr, tpr, allowed_false(negatives=n_negative, fpr=0.01) / n_negative)
    axes.axvline(0.01, color=INK, linestyle=":", linewidth=1)
    name = f"TPR {100 * rate:.1f} % at 1 % FPR"
    axes.plot([0.01], [rate], "D", color=VERMILLION, markersize=7, clip_on=rate <= 0, label=name)


def _log_axes(axes: Axes, *, start: float, lowest: float) -> None:
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(start, 1),
        ylim=(lowest, 1.0),
        xlabel="false positive rate (share of non-members called used)",
        ylabel="true positive rate",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if start > 0.005 else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda rate, _: f"{100 * rate:g} %"))
        axis.set_minor_formatter(NullFormatter())


def learning_curves(history: pd.DataFrame) -> Figure:
    """Loss, pair accuracy and learning rate over epochs, one panel each, one thin line per fold.

    Args:
        history: A column `epoch` and any of `train_loss`, `val_loss`, `val_pair_accuracy`, `val_accuracy`,
            `lr`, with missing values allowed; a column `fold` if there are several. Rows of one epoch (and
            fold) are averaged.
    """
    panels = {
        "loss": [("train_loss", "training", BLUE, "--"), ("val_loss", "validation", VERMILLION, "-")],
        "pair accuracy": [("val_pair_accuracy", "validation", VERMILLION, "-")],
        "accuracy": [("val_accuracy", "validation", VERMILLION, "-")],
        "learning rate": [("lr", "training", BLUE, "-")],
    }
    drawn = {
        title: [line for line in lines if line[0] in history and history[line[0]].notna().any()]
        for title, lines in panels.items()
    }
    drawn = {title: lines for title, lines in drawn.items() if lines}
    folds = [part for _, part in history.groupby("fold", sort=True)] if "fold" in history else [history]
    with style():
        if not drawn:
            figure, (axes,) = new_figure(height=1.6)
            axes.text(0.5, 0.5, "nothing was recorded", ha="center", va="center", color=MUTED)
            axes.set_axis_off()
            return figure
        ratios = [0.5 if title == "learning rate" else 1.0 for title in drawn]
        figure, panels_axes = new_figure(height=1.0 + 2.1 * sum(ratios), ratios=ratios)
        for axes, (title, lines) in zip(panels_axes, drawn.items(), strict=True):
            for column, name, colour, dashes in lines:
                for fold in folds:
                    values = fold.groupby("epoch")[column].mean().dropna()
                    axes.plot(
                        values.index,
                        values,
                        color=colour,
                        linestyle=dashes,
                        linewidth=1.8 if len(folds) == 1 else 0.9,
                        marker="o" if len(values) <= 30 else None,
                        markersize=3.5 if len(folds) == 1 else 2.2,
                        label=name,
                    )
            axes.set_ylabel(title)
            if title == "learning rate":
                axes.yaxis.set_major_locator(MaxNLocator(3))
                axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:.3g}"))
        figure.align_ylabels(panels_axes)
        panels_axes[-1].set_xlabel("epoch")
        panels_axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        keys = {line.get_label(): line for axes in panels_axes for line in axes.get_lines()}
        each = f" ({len(folds)} folds)" if len(folds) > 1 else ""
        legend_below(figure, list(keys.values()), [f"{name}{each}" for name in keys])
    return figure


def score_histogram(*, scores: ArrayLike, labels: Sequence[str] | None, threshold: float | None) -> Figure:
    """The distribution of the member scores of real images, and the threshold.

    Args:
        scores: (n,) higher is more likely a member.
        labels: (n,) `used` or `not_used`, or `None` if unknown.
        threshold: Images with at least this score are called used; or `None`.
    """
    values = np.asarray(scores, dtype=np.float64)
    groups = {"real images, unlabelled": _finite(values)}
    colours = [MUTED]
    if labels is not None:
        names = np.asarray(labels, dtype=object)
        if names.shape != values.shape:
            raise ValueError(f"{len(names)} labels for {len(values)} scores")
        groups = {name.replace("_", " "): _finite(values[names == name]) for name in USAGE_COLOURS}
        colours = list(USAGE_COLOURS.values())
    with style():
        figure, (axes,) = new_figure(height=3.6)
        _histograms(axes, groups, colours, density=False)
        _threshold_line(axes, threshold)
        axes.set(xlabel="member score (higher: more likely used)", ylabel="real images")
        legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure


_BLUES = LinearSegmentedColormap.from_list("fingerprints_blues", ["#F3F6F9", "#8FC1DF", "#0072B2", "#00517F"])


def _class_colours(classes: Sequence[str]) -> dict[str, str]:
    if set(classes) <= set(USAGE_COLOURS):
        return {name: USAGE_COLOURS[name] for name in classes}
    return {str(name): CLASS_COLOURS[i % len(CLASS_COLOURS)] for i, name in enumerate(classes)}


def _tints(names: Sequence[str], colours: Mapping[str, str]) -> NDArray[np.float64]:
    """(k, 4) colours of k points, more transparent if there are many points; grey without a class."""
    opacity = float(np.clip(18 / np.sqrt(max(len(names), 1)), 0.35, 0.9))
    return to_rgba_array([colours.get(name, MUTED) for name in names], opacity)


def _sample(
    embeddings: ArrayLike, labels: Sequence[str] | None, *, seed: Sequence[int]
) -> tuple[NDArray[np.float64], list[str]]:
    """At most `MAX_POINTS` finite rows (k, D) in random order, and their labels ("" without)."""
    rows = np.asarray(embeddings)
    if labels is not None and len(labels) != len(rows):
        raise ValueError(f"{len(labels)} labels for {len(rows)} embeddings")
    if not rows.size:
        return np.zeros((0, 0)), []
    order = np.random.default_rng(seed).permutation(len(rows))[:MAX_POINTS]
    drawn = rows[order].reshape(len(order), -1).astype(np.float64)
    finite = np.isfinite(drawn).all(axis=1)
    return drawn[finite], ["" if labels is None else str(labels[i]) for i in order[finite]]


def _pca(
    domains: Sequence[NDArray[np.float64]], *, seed: int
) -> tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], NDArray[np.float64]]:
    """A map from rows (k, D) to the plane (k, 2), fitted on all domains, and two shares of variance.

    Missing components (fewer than two different rows, or only one feature) are zero.
    """
    filled = [rows for rows in domains if len(rows)]
    rows = np.concatenate(filled) if filled else np.zeros((0, 2))
    n_rows, n_features = rows.shape
    directions, shares = np.zeros((2, n_features)), np.zeros(2)
    mean = rows.mean(axis=0) if n_rows else np.zeros(n_features)
    if n_rows > 1 and np.ptp(rows, axis=0).any():
        kept = min(2, n_features)
        fitted = PCA(n_components=kept, random_state=seed).fit(rows)
        directions[:kept], shares[:kept] = fitted.components_, fitted.explained_variance_ratio_
    return lambda points: (points - mean) @ directions.T, shares


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    flat = np.asarray(values, dtype=np.float64).ravel()
    return flat[np.isfinite(flat)]


def _histograms(
    axes: Axes, groups: Mapping[str, NDArray[np.float64]], colours: Sequence[str], *, density: bool
) -> None:
    """Overlaid histograms over common bins; outlines differ in dash pattern and in colour."""
    everything = np.concatenate(list(groups.values()))
    n_bins = int(np.clip(np.sqrt(len(everything)), 12, 60))
    edges = np.histogram_bin_edges(everything, bins=n_bins)
    for (name, values), colour, dashes in zip(groups.items(), colours, ["-", "--"], strict=False):
        label = f"{name} (n = {len(values):,})"
        if not len(values):
            axes.plot([], [], color=colour, linestyle=dashes, label=label)
            continue
        axes.hist(
            values,
            bins=list(edges),
            density=density,
            histtype="stepfilled",
            facecolor=(*to_rgb(colour), 0.22),
            edgecolor=colour,
            linewidth=1.5,
            linestyle=dashes,
            label=label,
        )
    axes.set_ylim(bottom=0)


def _threshold_line(axes: Axes, threshold: float | None) -> None:
    if threshold is None or not np.isfinite(threshold):
        return
    label = f"threshold {threshold:.3g}".replace("-", "−")
    axes.axvline(threshold, color=INK, linestyle=":", linewidth=1.8, label=label)


def _tpr_at(fpr: NDArray[np.float64], tpr: NDArray[np.float64], rate: float) -> float:
    """The true positive rate at the largest false positive rate that is at most `rate`."""
    reached = np.searchsorted(fpr, rate, side="right")
    return float(tpr[reached - 1]) if reached else 0.0
