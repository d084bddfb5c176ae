"""Sizes, names and legends of figures; what becomes of them as files stands in test_plots.py."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from matplotlib.lines import Line2D

from fingerprints.reporting import drawing


def test_panels_stand_above_one_another_and_share_the_horizontal_axis() -> None:
    figure, panels = drawing.new_figure(height=3.0, ratios=(2, 1))
    assert figure.get_size_inches().tolist() == [drawing.WIDTH, 3.0]
    figure.draw_without_rendering()
    upper, lower = (axes.get_position() for axes in panels)
    assert upper.y0 > lower.y1
    assert upper.height == pytest.approx(2 * lower.height, rel=0.05)
    panels[0].set_xlim(3, 7)
    assert panels[1].get_xlim() == (3, 7)


def test_the_style_holds_inside_and_ends() -> None:
    with mpl.rc_context({"axes.labelsize": 33, "lines.linewidth": 9.0}):
        with drawing.style():
            assert mpl.rcParams["axes.labelsize"] == 10
            assert mpl.rcParams["lines.linewidth"] == mpl.rcParamsDefault["lines.linewidth"]
        assert (mpl.rcParams["axes.labelsize"], mpl.rcParams["lines.linewidth"]) == (33, 9.0)


@pytest.mark.parametrize(
    ("name", "limit", "shown"),
    [
        ("short", 24, "short"),
        ("  two\n words ", 24, "two words"),
        ("x" * 24, 24, "x" * 24),
        ("abcdefghijkl", 6, "abc…kl"),
        ("_hidden", 24, "\u200a_hidden"),
    ],
)
def test_names_are_cut_in_the_middle_and_never_hidden(name: str, limit: int, shown: str) -> None:
    assert drawing.short(name, limit) == shown
    assert len(shown.lstrip("\u200a")) <= limit


@pytest.mark.parametrize(("names", "columns"), [(["a", "b", "c"], 3), (["n" * 30] * 5, 2), (["n" * 90], 1)])
def test_a_legend_has_the_columns_there_is_room_for(names: list[str], columns: int) -> None:
    figure, _ = drawing.new_figure(height=3.0)
    drawing.legend_below(figure, [Line2D([], []) for _ in names], names)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == names
    assert legend._ncols == columns


def test_without_entries_there_is_no_legend_and_else_labels_are_the_artists_own() -> None:
    figure, _ = drawing.new_figure(height=3.0)
    drawing.legend_below(figure, [])
    assert figure.legends == []
    drawing.legend_below(figure, [drawing.key_entry("^", "a triangle")])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a triangle"]
    (line,) = legend.get_lines()
    assert (line.get_marker(), line.get_color()) == ("^", drawing.MUTED)
