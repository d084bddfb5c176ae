"""One table and one plot of several benchmarks, from what their `benchmark.json` say."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fingerprints.simulation.benchmark import FORMAT
from fingerprints.simulation.dial import PLOT, TABLE, plot_dial, read_dial, write_dial

TPR = "tpr_at_fpr_0.01"


def figure(value, width=0.1):
    if value is None:
        return {"value": None, "reason": "too few"}
    return {"value": value, "low": value - width, "high": value + width, "p": 0.5}


def document(  # what `make_benchmark` writes, as far as the dial reads it
    *, auc=0.6, members=20, planted=0.0, kinds=("exact",), seed=0, designs=(("gan", True),), steps=100
):
    def generator(number, name):
        leak = {"auc": figure(auc + 0.01 * number), TPR: figure(0.2)}
        return {
            "design": name,
            "design_number": number,
            "members": members,
            "outputs": {"generated": 30, "test/generated_unknown": 10},
            "steps": steps,
            "quality": {"diversity": 0.8, "two_sample": {"accuracy": 0.7}},
            "memorisation": {"same_groups": leak, "other_groups": {"auc": figure(0.9), TPR: figure(None)}},
        }

    return {
        "format": FORMAT,
        "settings": {
            "task": "usage",
            "seed": seed,
            "size": 16,
            "designs": [{"design": name, "augment": {"enabled": enabled}} for name, enabled in designs],
        },
        "planted": {"fraction": planted, "kinds": list(kinds) if planted else []},
        "generators": {f"{n}_{name}": generator(n, name) for n, (name, _) in enumerate(designs)},
    }


@pytest.fixture
def benchmarks(tmp_path):
    """`benchmarks(name=options of a document, ...)`: a folder of such benchmarks."""

    def write(**found):
        for name, options in found.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "benchmark.json").write_text(json.dumps(document(**options)))
        return tmp_path

    return write


def drawn(figure):
    """Places and heights of the points of the two panels, without the lines between them."""
    return [
        [
            (float(x), round(float(y), 4))
            for line in axes.get_lines()
            if line.get_linestyle() == "None"
            for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
        ]
        for axes in figure.axes
    ]


def means(figure, style):
    return [
        [round(float(y), 4) for y in line.get_ydata()]
        for line in figure.axes[0].get_lines()
        if line.get_linestyle() == style
    ]


def legend(figure):
    return [text.get_text() for found in figure.legends for text in found.get_texts()]


def ticks(figure):
    return [label.get_text() for label in figure.axes[-1].get_xticklabels()]


def test_every_generator_of_every_benchmark_is_a_row(benchmarks):
    two = {
        "designs": (("gan", True), ("gan", False)),
        "auc": 0.7,
        "planted": 0.2,
        "kinds": ("shift", "blend"),
    }
    folder = benchmarks(a={}, b={**two, "seed": 3})
    (folder / "c.partial/tree").mkdir(parents=True)
    (folder / "c.partial/tree/benchmark.json").write_text(json.dumps(document()))
    table = read_dial(folder)
    assert table[["benchmark", "generator"]].to_numpy().tolist() == [
        ["a", "0_gan"],
        ["b", "0_gan"],
        ["b", "1_gan"],
    ]
    assert table["augmented"].tolist() == [True, True, False]  # of its own settings, not the first gan's
    assert table["planted"].tolist() == [0, 0.2, 0.2]
    assert table["kinds"].tolist() == ["", "shift blend", "shift blend"]
    assert table["generated"].tolist() == [40] * 3
    last = table.iloc[-1]
    assert (last["seed"], last["size"], last["members"], last["steps"]) == (3, 16, 20, 100)
    assert (last["diversity"], last["two_sample"]) == (0.8, 0.7)
    assert last[["same_groups.auc", "same_groups.auc_low", "same_groups.auc_high"]].tolist() == pytest.approx(
        [0.71, 0.61, 0.81]
    )
    assert table[f"other_groups.{TPR}"].isna().all()


def test_benchmarks_of_an_earlier_format_are_passed_over(benchmarks):
    folder = benchmarks(a={})
    (folder / "old").mkdir()
    (folder / "old/benchmark.json").write_text(json.dumps({"format": FORMAT - 1, "settings": {"steps": 3}}))
    assert read_dial(folder)["benchmark"].tolist() == ["a"]


def test_table_and_plot_are_written_beside_the_benchmarks(benchmarks):
    folder = benchmarks(a={"members": 20}, b={"members": 40})
    table = write_dial(folder)
    kept = pd.read_csv(folder / TABLE)
    assert kept.columns.tolist() == table.columns.tolist()
    assert kept["benchmark"].tolist() == ["a", "b"]
    for column in ("members", "steps", "augmented", "same_groups.auc", f"same_groups.{TPR}_high"):
        assert kept[column].tolist() == table[column].tolist()
    image = np.asarray(Image.open(BytesIO((folder / PLOT).read_bytes())))
    assert image.shape[1] == 2 * 640


def test_nothing_is_written_where_there_is_no_benchmark(tmp_path):
    assert write_dial(tmp_path).empty
    assert list(tmp_path.iterdir()) == []


def test_each_generator_is_a_point_for_each_figure_that_it_has(benchmarks):
    folder = benchmarks(
        a={"members": 20, "auc": 0.6}, b={"members": 80, "auc": 0.7}, c={"members": 320, "auc": 0.8}
    )
    plot = plot_dial(read_dial(folder))
    auc, tpr = drawn(plot)
    assert sorted(auc) == [(0, 0.6), (0, 0.9), (1, 0.7), (1, 0.9), (2, 0.8), (2, 0.9)]
    assert sorted(tpr) == [(0, 0.2), (1, 0.2), (2, 0.2)]  # other groups have no estimate of it
    assert ticks(plot) == ["20", "80", "320"]
    assert plot.axes[-1].get_xlabel() == "training images"
    assert legend(plot) == ["non-members of the same groups", "of other groups"]


def test_seeds_are_points_of_one_line_through_their_mean(benchmarks):
    folder = benchmarks(
        **{
            f"s{seed}m{m}": {"members": m, "seed": seed, "auc": 0.6 + 0.1 * seed}
            for m in (20, 40)
            for seed in (0, 1)
        }
    )
    plot = plot_dial(read_dial(folder))
    assert means(plot, "-") == [[0.65, 0.65]]
    assert len(drawn(plot)[0]) == 8


def test_designs_and_lengths_have_lines_of_their_own(benchmarks):
    folder = benchmarks(
        **{
            f"{design}{steps}_{members}": {"designs": ((design, True),), "steps": steps, "members": members}
            for design in ("gan", "vae")
            for steps in (100, 500)
            for members in (20, 40)
        }
    )
    plot = plot_dial(read_dial(folder))
    assert legend(plot)[:-2] == ["gan, steps 100", "gan, steps 500", "vae, steps 100", "vae, steps 500"]
    colours = {line.get_color() for line in plot.axes[0].get_lines() if line.get_linestyle() == "-"}
    assert len(colours) == 4
    assert len(drawn(plot)[0]) == 16


def test_where_copies_are_planted_their_share_is_the_horizontal_axis(benchmarks):
    folder = benchmarks(a={}, b={"planted": 0.05, "auc": 0.7}, c={"planted": 0.2, "auc": 0.95})
    plot = plot_dial(read_dial(folder))
    assert plot.axes[-1].get_xlabel() == "share of planted copies"
    assert ticks(plot) == ["0", "0.05", "0.2"]
    # That nothing is planted at 0, and so no kind, makes no other line.
    assert means(plot, "-") == [[0.6, 0.7, 0.95]]
    assert len(legend(plot)) == 2


def test_kinds_of_copies_have_lines_of_their_own(benchmarks):
    folder = benchmarks(
        none={},
        **{
            f"{kind}{share}": {"planted": share / 10, "kinds": (kind,)}
            for kind in ("exact", "blend")
            for share in (1, 2)
        },
    )
    assert set(legend(plot_dial(read_dial(folder)))[:-2]) == {"no kinds", "exact", "blend"}


def test_members_are_the_axis_where_both_vary(benchmarks):
    folder = benchmarks(a={}, b={"members": 40}, c={"planted": 0.1}, d={"members": 40, "planted": 0.1})
    plot = plot_dial(read_dial(folder))
    assert ticks(plot) == ["20", "40"]
    assert legend(plot)[:-2] == ["planted 0", "planted 0.1"]
