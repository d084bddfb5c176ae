from __future__ import annotations

from dataclasses import replace

from fingerprints.reporting.comparison_plot import SystemPoint, systems_plot

ONE = SystemPoint("svm", "Systems", 0.6, 0.5, 0.7, 1)


def test_every_system_has_a_row_and_what_it_must_beat_is_marked():
    long = replace(
        ONE, name="features_subtask2 encoder=mobilenet_v2 decision=hierarchical fit_on=generated", runs=3
    )
    points = [
        ONE,
        replace(long, printed=0.99),
        replace(ONE, group="Controls"),
        replace(ONE, name="x", value=None),
    ]
    figure = systems_plot(points, metric="Accuracy", chance=0.2, blind=("file", 0.47))
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == names[2] == "svm"
    assert names[1].count("\n") == 1
    assert names[1].replace("\n", " ") == long.name
    assert [text.get_text() for text in axes.texts] == ["Systems", "Controls"]
    lines = [line.get_xdata() for line in axes.lines]
    assert [0.2, 0.2] in [list(x) for x in lines]
    assert [0.47, 0.47] in [list(x) for x in lines]
    assert [0.99] in [list(x) for x in lines]
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {
        *("chance 0.200", "best blind baseline: file 0.470", "one run and its 95 % interval"),
        *("mean over runs; their 95 % intervals, joined", "printed, on the source’s own data"),
    }


def test_nothing_to_draw_gives_no_figure():
    assert systems_plot([replace(ONE, value=None)], metric="Accuracy") is None
    figure = systems_plot([replace(ONE, low=None, high=None)], metric="Accuracy")
    assert len(figure.axes[0].get_yticklabels()) == 1
