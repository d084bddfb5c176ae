"""What the figures show is read back from their artists."""

from __future__ import annotations

import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fingerprints.evidence.metrics import roc_curve, tpr_at_fpr
from fingerprints.reporting import drawing, plots


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def lines(figure: Figure) -> dict[str, Line2D]:
    return {str(line.get_label()): line for axes in figure.axes for line in axes.get_lines()}


def clouds(figure: Figure) -> list[PathCollection]:
    return [c for axes in figure.axes for c in axes.collections if isinstance(c, PathCollection)]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for found in figure.legends for text in found.get_texts()]


def histogram_heights(figure: Figure, colour: str) -> np.ndarray:
    """Vertices (k, 2) of the outline with that edge colour."""
    found = [p for p in figure.axes[0].patches if mpl.colors.same_color(p.get_edgecolor(), colour)]
    assert len(found) == 1
    return np.asarray(found[0].get_path().vertices)


class TestConfusionMatrix:
    def test_counts_and_row_percentages(self):
        figure = plots.confusion_matrix([[1_200, 300], [1, 3]], ["a", "b"])
        assert texts(figure) == ["1,200", "80 %", "300", "20 %", "1", "25 %", "3", "75 %"]

    def test_first_true_class_is_on_top(self):
        figure = plots.confusion_matrix([[1, 2], [3, 4]], ["a", "b"])
        bottom, top = figure.axes[0].get_ylim()
        assert bottom > top
        assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]

    def test_a_class_without_images_has_no_percentage(self):
        figure = plots.confusion_matrix([[0, 0], [1, 1]], ["a", "b"])
        assert texts(figure)[:4] == ["0", "–", "0", "–"]

    def test_wrong_shape(self):
        with pytest.raises(ValueError, match="shape"):
            plots.confusion_matrix(np.ones((2, 3)), ["a", "b"])

    def test_twelve_long_names_stay_apart_and_inside(self):
        names = [f"generator_number_{i}" for i in range(12)]
        figure = plots.confusion_matrix(np.full((12, 12), 1_234), names)
        labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert len(set(labels)) == 12
        drawing.png_bytes(figure, scale=1)
        cell = figure.axes[0].get_window_extent().width / 12
        assert max(text.get_window_extent().width for text in figure.axes[0].texts) < cell

    @pytest.mark.parametrize("name", ["$\\frac{$", "_hidden", "<b>&", "a\nb", ""])
    def test_odd_names_can_be_drawn(self, name):
        assert drawing.svg_bytes(plots.confusion_matrix([[1]], [name])).startswith(b"<?xml")


class TestEmbeddingPca:
    classes = ("t1", "t2", "t3")

    def figure(self, *, n=30, m=60, seed=0, centroids=None, features=5) -> Figure:
        rng = np.random.default_rng(7)
        return plots.embedding_pca(
            real=rng.normal(size=(n, features)),
            real_labels=[self.classes[i % 3] for i in range(n)],
            generated=rng.normal(size=(m, features)),
            generated_labels=[self.classes[i % 3] for i in range(m)],
            centroids=centroids,
            classes=self.classes,
            seed=seed,
        )

    def test_markers_tell_the_domains_apart(self):
        made, real = clouds(self.figure())
        assert (len(made.get_offsets()), len(real.get_offsets())) == (60, 30)
        assert made.get_paths()[0] != real.get_paths()[0]
        assert not np.array_equal(made.get_paths()[0].vertices, real.get_paths()[0].vertices)

    def test_at_most_two_thousand_points_of_each_domain(self):
        made, real = clouds(self.figure(n=2_500, m=3_000))
        assert len(made.get_offsets()) == len(real.get_offsets()) == plots.MAX_POINTS == 2_000

    def test_the_subsample_depends_on_the_seed_alone(self):
        first, again, other = (
            np.asarray(clouds(self.figure(n=2_500, seed=seed))[1].get_offsets()) for seed in (0, 0, 1)
        )
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_points_keep_their_classes(self):
        """Three classes at three far corners: each corner has one colour, the class's."""
        corners = np.eye(3)[[0, 1, 2] * 20] * 100
        labels = ["t1", "t2", "t3"] * 20
        figure = plots.embedding_pca(
            real=corners,
            real_labels=labels,
            generated=corners,
            generated_labels=labels,
            centroids=np.eye(3) * 100,
            classes=self.classes,
            seed=3,
        )
        made, real, _, stars = clouds(figure)
        for spot, colour in zip(stars.get_offsets(), drawing.CLASS_COLOURS, strict=False):
            for cloud in (made, real):
                near = np.linalg.norm(np.asarray(cloud.get_offsets() - spot), axis=1) < 1
                assert near.sum() == 20
                assert np.allclose(cloud.get_facecolors()[near, :3], mpl.colors.to_rgb(colour))

    def test_explained_variance_is_on_the_axes(self):
        along = np.outer(np.linspace(-1, 1, 50), [3.0, 4.0])
        figure = plots.embedding_pca(
            real=along,
            real_labels=["t1"] * 50,
            generated=along,
            generated_labels=None,
            centroids=None,
            classes=["t1"],
            seed=0,
        )
        assert figure.axes[0].get_xlabel() == "component 1 (100.0 % of the variance)"
        assert figure.axes[0].get_ylabel() == "component 2 (0.0 % of the variance)"
        assert np.ptp(np.asarray(clouds(figure)[0].get_offsets())[:, 0]) == pytest.approx(10)

    def test_a_centroid_of_an_empty_class_is_left_out(self):
        middles = np.zeros((3, 5))
        middles[1] = np.nan
        assert len(clouds(self.figure(centroids=middles))[-1].get_offsets()) == 2

    def test_usage_has_one_generated_class(self):
        figure = plots.embedding_pca(
            real=np.eye(4),
            real_labels=["used", "not_used", "used", "unknown"],
            generated=np.eye(4),
            generated_labels=None,
            centroids=None,
            classes=("not_used", "used"),
            seed=0,
        )
        assert sorted(legend(figure)) == ["generated", "not_used", "real", "used"]
        colours = {tuple(np.round(c[:3], 3)) for c in clouds(figure)[0].get_facecolors()}
        assert colours == {tuple(np.round(mpl.colors.to_rgb(drawing.MUTED), 3))}

    @pytest.mark.parametrize(("n", "m", "features"), [(0, 5, 3), (5, 0, 3), (0, 0, 3), (1, 0, 3), (4, 4, 1)])
    def test_small_cases(self, n, m, features):
        figure = self.figure(n=n, m=m, features=features)
        assert sum(len(cloud.get_offsets()) for cloud in clouds(figure)) == n + m
        assert all(np.isfinite(np.asarray(cloud.get_offsets())).all() for cloud in clouds(figure))

    def test_rows_that_are_not_finite_are_left_out(self):
        rows = np.eye(6)
        rows[2, 2] = np.inf
        figure = plots.embedding_pca(
            real=rows,
            real_labels=["t1"] * 6,
            generated=np.zeros((0, 6)),
            generated_labels=None,
            centroids=None,
            classes=["t1"],
            seed=0,
        )
        assert len(clouds(figure)[0].get_offsets()) == 5

    def test_labels_must_fit(self):
        with pytest.raises(ValueError, match="2 labels for 3"):
            plots.embedding_pca(
                real=np.eye(3),
                real_labels=["t1", "t1"],
                generated=np.eye(3),
                generated_labels=None,
                centroids=None,
                classes=["t1"],
                seed=0,
            )

    def test_the_legend_of_many_classes_stays_inside(self):
        classes = [f"generator_{i}_of_twelve" for i in range(12)]
        figure = plots.embedding_pca(
            real=np.eye(12),
            real_labels=classes,
            generated=np.eye(12),
            generated_labels=classes,
            centroids=np.eye(12),
            classes=classes,
            seed=0,
        )
        drawing.png_bytes(figure, scale=1)
        box = figure.legends[0].get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


class TestPairDistances:
    def test_threshold_and_densities(self):
        rng = np.random.default_rng(0)
        figure = plots.pair_distances(
            positive=rng.uniform(0, 1, 500), negative=rng.uniform(1, 3, 200), threshold=0.75
        )
        line = lines(figure)["threshold 0.75"]
        assert np.asarray(line.get_xdata()).tolist() == [0.75, 0.75]
        low = histogram_heights(figure, drawing.BLUE)
        high = histogram_heights(figure, drawing.VERMILLION)
        # Unit area each: 1 over [0, 1] against 0.5 over [1, 3].
        assert low[low[:, 1] > 0, 1].mean() == pytest.approx(2 * high[high[:, 1] > 0, 1].mean(), rel=0.15)
        assert "positive pairs (n = 500)" in legend(figure)

    def test_without_threshold_or_negatives(self):
        figure = plots.pair_distances(positive=[0.1, 0.2], negative=[], threshold=None)
        assert legend(figure) == ["positive pairs (n = 2)", "negative pairs (n = 0)"]
        assert not [label for label in lines(figure) if label.startswith("threshold")]

    def test_all_distances_collapsed(self):
        figure = plots.pair_distances(positive=[0.0] * 9, negative=[0.0] * 9, threshold=0.0)
        assert len(drawing.svg_bytes(figure)) > 1_000


class TestRocLog:
    fpr = np.array([0.0, 0.005, 0.02, 0.5, 1.0])
    tpr = np.array([0.01, 0.1, 0.3, 0.8, 1.0])

    def test_marks_the_rate_at_one_percent(self):
        figure = plots.roc_log(fpr=self.fpr, tpr=self.tpr, auc=0.7, low=0.6, high=0.8, n_negative=1_000)
        mark = lines(figure)["TPR 10.0 % at 1 % FPR"]
        assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (0.01, 0.1)
        assert "detector, AUC 0.700 (0.600 to 0.800)" in legend(figure)
        assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"
        assert figure.axes[0].get_xlim() == (0.001, 1)

    def test_starts_at_what_the_first_visible_threshold_reaches(self):
        figure = plots.roc_log(fpr=self.fpr, tpr=self.tpr, auc=None, n_negative=100)
        curve = lines(figure)["detector"]
        assert (curve.get_xdata()[0], curve.get_ydata()[0]) == (0.01, 0.1)
        assert curve.get_drawstyle() == "steps-post"

    @pytest.mark.parametrize(("n_negative", "marked"), [(99, False), (100, True)])
    def test_only_where_one_percent_can_be_observed(self, n_negative, marked):
        figure = plots.roc_log(fpr=self.fpr, tpr=self.tpr, auc=0.7, n_negative=n_negative)
        assert any("at 1 % FPR" in label for label in lines(figure)) is marked
        assert any("cannot be estimated" in text for text in texts(figure)) is not marked

    @pytest.mark.parametrize("negatives", [100, 200])
    def test_the_mark_is_the_figure_of_the_table(self, negatives):
        scores = np.concatenate([np.arange(50) + 0.5, np.arange(negatives) * 48 / negatives])
        member = np.arange(len(scores)) < 50
        fpr, tpr, _ = roc_curve(positive=member, scores=scores)
        figure = plots.roc_log(fpr=fpr, tpr=tpr, auc=None, n_negative=negatives)
        rate = tpr_at_fpr(positive=member, scores=scores)
        assert rate < plots._tpr_at(fpr, tpr, 0.01), "one more false positive would reach further"
        assert f"TPR {100 * rate:.1f} % at 1 % FPR" in legend(figure)

    def test_chance_is_the_diagonal(self):
        chance = lines(plots.roc_log(fpr=self.fpr, tpr=self.tpr, auc=0.7, n_negative=50))["chance"]
        assert np.array_equal(chance.get_xdata(), chance.get_ydata())

    def test_a_band_down_to_zero_stays_on_the_log_axes(self):
        band = ([0.01, 0.1, 1.0], [0.0, 0.1, 1.0], [0.5, 0.6, 1.0])
        figure = plots.roc_log(fpr=self.fpr, tpr=self.tpr, auc=None, n_negative=100, band=band)
        corners = figure.axes[0].collections[0].get_paths()[0].vertices
        for rate, low, high in zip(*band, strict=True):
            there = corners[np.isclose(corners[:, 0], rate), 1]
            assert (there.min(), there.max()) == (pytest.approx(max(low, 1e-9)), pytest.approx(high))
        assert "95 % limits" in legend(figure)
        assert len(drawing.svg_bytes(figure)) > 1_000

    def test_a_constant_score(self):
        figure = plots.roc_log(fpr=[0, 1], tpr=[0, 1], auc=0.5, n_negative=200)
        assert "TPR 0.0 % at 1 % FPR" in legend(figure)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a mark at zero has no place on a log axis
            assert len(drawing.svg_bytes(figure)) > 1_000


class TestLearningCurves:
    def test_gaps_are_bridged(self):
        history = pd.DataFrame({"epoch": [0, 0, 1, 1], "train_loss": [3.0, np.nan, 2.0, np.nan]})
        history["val_loss"] = [np.nan, 5.0, np.nan, 4.0]
        figure = plots.learning_curves(history)
        (axes,) = figure.axes
        drawn = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in axes.get_lines()}
        assert drawn == {"training": [3.0, 2.0], "validation": [5.0, 4.0]}

    def test_one_line_a_fold_and_one_panel_a_quantity(self):
        folds = [
            pd.DataFrame({"epoch": [0, 1], "val_pair_accuracy": [0.5, k / 10], "lr": 0.1, "fold": k})
            for k in range(4)
        ]
        figure = plots.learning_curves(pd.concat(folds))
        accuracy, rate = figure.axes
        assert [np.asarray(line.get_ydata())[1] for line in accuracy.get_lines()] == [0.0, 0.1, 0.2, 0.3]
        assert (accuracy.get_ylabel(), rate.get_ylabel()) == ("pair accuracy", "learning rate")
        assert "validation (4 folds)" in legend(figure)

    def test_columns_without_a_number_have_no_panel(self):
        history = pd.DataFrame({"epoch": [0], "train_loss": [1.0], "val_pair_accuracy": [np.nan]})
        assert [axes.get_ylabel() for axes in plots.learning_curves(history).axes] == ["loss"]

    def test_nothing_recorded(self):
        assert texts(plots.learning_curves(pd.DataFrame({"epoch": []}))) == ["nothing was recorded"]


class TestScoreHistogram:
    def test_used_and_not_used(self):
        scores, labels = [0.0, 0.1, 0.2, 5.0], ["not_used", "not_used", "not_used", "used"]
        figure = plots.score_histogram(scores=scores, labels=labels, threshold=-1.5)
        assert {"used (n = 1)", "not used (n = 3)"} <= set(legend(figure))
        assert np.asarray(lines(figure)["threshold −1.5"].get_xdata()).tolist() == [-1.5, -1.5]
        used = histogram_heights(figure, drawing.USAGE_COLOURS["used"])
        assert used[used[:, 1] > 0, 0].min() > 4
        assert used[:, 1].max() == 1

    def test_unlabelled(self):
        figure = plots.score_histogram(scores=[1.0, 2.0, np.nan], labels=None, threshold=None)
        assert legend(figure) == ["real images, unlabelled (n = 2)"]

    def test_labels_must_fit(self):
        with pytest.raises(ValueError, match="1 labels for 2 scores"):
            plots.score_histogram(scores=[1.0, 2.0], labels=["used"], threshold=None)


class TestFiles:
    def figure(self) -> Figure:
        return plots.confusion_matrix([[3]], ["a"])

    @pytest.mark.parametrize("encode", [drawing.svg_bytes, drawing.png_bytes])
    def test_same_figure_same_bytes(self, encode):
        figure = self.figure()
        assert encode(figure) == encode(figure) == encode(self.figure())

    def test_no_date_and_no_program(self):
        svg, png = drawing.svg_bytes(self.figure()), drawing.png_bytes(self.figure())
        assert b"<svg" in svg
        assert b"IDAT" in png
        assert b"<dc:date>" not in svg
        assert b"matplotlib.org" not in svg
        assert b"tEXt" not in png
        assert b"tIME" not in png

    def test_png_is_twice_the_size_on_the_page(self):
        header = drawing.png_bytes(self.figure())[:24]
        assert (int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) == (1280, 640)

    def test_the_users_settings_neither_matter_nor_change(self):
        plain = drawing.svg_bytes(self.figure())
        with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "none"}):
            assert drawing.svg_bytes(self.figure()) == plain
            assert mpl.rcParams["font.size"] == 30
