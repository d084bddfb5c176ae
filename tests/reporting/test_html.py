"""The page is parsed as a browser would, and asked what a reader would ask."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure

from fingerprints.config.published import Caveat
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import get_task
from fingerprints.reporting import html, plots
from fingerprints.reporting.html import (
    Baseline,
    FigurePanel,
    MetricRow,
    NoImages,
    ReportContent,
    Section,
    render,
    split_metrics,
    write_report,
)
from tests.browser import needs_browser, open_page

HOSTILE = "<script>alert('x')</script>\"&"
VOID = {"meta", "img", "link", "br", "hr", "input", "line", "circle", "rect", "path"}


@dataclass
class Page(HTMLParser):
    """Tags with attributes in order, and the text of every table row."""

    text: str
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td") and "tr" in self.open:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.words.append(data)
        if "th" in self.open or "td" in self.open:
            self.rows[-1][-1] = " ".join([*self.rows[-1][-1].split(), *data.split()])

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def row(self, start: str) -> list[str]:
        return next(row for row in self.rows if row[0].startswith(start))


def panel(name: str = "Pairs") -> FigurePanel:
    caption, alt = "Distances of pairs.", "Two histograms apart."
    return FigurePanel(title=name, caption=caption, figure=Figure(figsize=(2, 1)), alt=alt)


def section(title: str = "Generator 1", panels: list[FigurePanel] | None = None) -> Section:
    return Section(
        title=title,
        metrics=[
            MetricRow("accuracy", 0.5214, 0.47, 0.56, 0.21, None, 0.518),
            MetricRow("kappa", 0.041, -0.052, 0.122, 0.0004, None, 0.036),
            MetricRow("f1", 0.51),
            MetricRow("f1_weighted", 0.512),
            MetricRow("f1_used", 0.54),
            MetricRow("tpr_at_fpr_0.01", None, reason="40 non-members; 100 are needed"),
        ],
        baselines=[
            Baseline("all used", "calls every image used", {"accuracy": (0.5, None, None)}),
            Baseline("grey levels", "never looks at the generated set", {"accuracy": (0.509, 0.46, 0.55)}),
        ],
        panels=[panel()] if panels is None else panels,
    )


def content(**changes) -> ReportContent:
    plain = ReportContent(
        title="Siamese network",
        task=get_task("usage"),
        experiment="siamese_subtask1",
        headline="No better than guessing.",
        level="nothing_found",
        notes=["Near-duplicate clusters stand in for patients."],
        sections=[section()],
        validation=[MetricRow("val_pair_accuracy", 0.71, 0.66, 0.75)],
        facts={"seed": "0", "data root": "some/where"},
        config_yaml="task: usage\nseed: 0\n",
        printed_source="Paper of the year, table 3",
    )
    return replace(plain, **changes)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render(content()))


def test_verdict_comes_before_the_first_table_and_figure(page):
    at = page.text.index("No better than guessing.")
    assert page.text.index("Nothing found</p>") < at < page.text.index("<table")
    assert at < page.text.index("<img")


@pytest.mark.parametrize("level", html.LEVEL_WORDS)
def test_a_level_has_a_word_an_icon_and_a_colour(level):
    text = render(content(level=level, sections=[], validation=[]))
    page = Page(text)
    banner = next(attrs for attrs in page.named("div") if attrs.get("class", "").startswith("banner"))
    assert banner["class"] == f"banner {level}"
    assert f".{level} {{ color:" in text
    assert html.LEVEL_WORDS[level] in page.words
    assert [attrs for attrs in page.named("svg") if attrs.get("class") == "icon"]


def test_caveats_come_before_the_verdict_with_their_reasons(page):
    assert "caveats" not in [attrs.get("class") for attrs in page.named("dl")]
    text = render(content(caveats=[Caveat("random weights", HOSTILE), Caveat("open set", "No t1.")]))
    assert (
        text.index("<dt>random weights</dt>")
        < text.index("<dd>No t1.</dd>")
        < text.index("Nothing found</p>")
    )
    assert HOSTILE in Page(text).words
    assert HOSTILE not in text


def test_an_interval_of_clusters_says_what_it_does_not_vary():
    note = html.PARTITION_NOTE
    assert note not in render(content())
    clustered = replace(section(), clustered=True)
    assert render(content(sections=[clustered, section()])).count(note) == 1
    assert render(content(sections=[clustered], validation_clustered=True)).count(note) == 2
    bare = replace(clustered, metrics=[MetricRow("f1", 0.5)])
    assert note not in render(content(sections=[bare])), "there is no interval"


@needs_browser
def test_a_browser_finds_no_fault_and_nothing_too_wide(tmp_path):
    long = "a_name_without_any_blank_in_it_" * 12
    full = content(
        title=long,
        caveats=[Caveat("shortened training", long)],
        notes=[long],
        sections=[section("Generator 1"), section(long)],
        facts={"command": long},
        config_yaml=f"name: {long}",
        no_images=NoImages("No images.", long),
    )
    write_report(tmp_path / "report.html", full)
    found = open_page(tmp_path / "report.html", tmp_path)
    assert found.console == []
    desktop, phone = found.layouts
    assert (desktop.width, desktop.wide, desktop.scrolled) == (1280, [], [])
    assert phone.wide == []
    for layout in found.layouts:
        assert layout.page <= layout.width, "the page scrolls sideways"


def test_an_unknown_level_is_refused():
    with pytest.raises(KeyError):
        render(content(level="maybe"))


def test_the_page_needs_nothing_but_itself(page):
    for tag, attrs in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "base", "form"}
        assert not [name for name in attrs if name.startswith("on")]
        for name in ("src", "href", "srcset", "xlink:href", "action", "poster"):
            assert attrs.get(name, "#").startswith(("#", "data:image/"))
    style = page.text[page.text.index("<style>") : page.text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    targets = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert {attrs["href"][1:] for attrs in page.named("a")} <= targets


def test_printed_figure_stands_beside_ours(page):
    header = next(row for row in page.rows if row[0] == "Metric")
    assert header[:4] == ["Metric", "This run", "Printed", "Best baseline"]
    accuracy, kappa = page.row("Accuracy"), page.row("Cohen’s kappa")
    assert accuracy[1:5] == ["0.521 0.470 to 0.560", "0.518", "0.509 grey levels", "0.210"]
    assert kappa[1:5] == ["0.041 −0.052 to 0.122", "0.036", "–", "<= 0.001"]
    assert "Paper of the year, table 3" in page.text
    assert html.INTERVAL_NOTE in page.text


def test_no_printed_column_where_nothing_is_printed():
    bare = replace(section(panels=[]), metrics=[MetricRow("accuracy", 0.5, 0.4, 0.6)])
    text = render(content(sections=[bare]))
    assert Page(text).rows[0][:3] == ["Metric", "This run", "Best baseline"]
    assert "Paper of the year" not in text


def test_what_cannot_be_estimated_is_a_dash_with_its_reason(page):
    assert page.row("TPR at FPR 0.01")[1] == "– 40 non-members; 100 are needed"


def test_a_reason_of_many_rows_is_said_once_below():
    rows = [MetricRow(f"m{n}", None, reason=f"one answer for all; own {n}") for n in range(3)]
    rows.append(MetricRow("m3", 0.5, reason="rare"))
    page = Page(render(content(sections=[replace(section(), metrics=rows, baselines=[])])))
    assert [page.row(f"M{n}")[1] for n in range(4)] == [
        "– own 0 (1)",
        "– own 1 (1)",
        "– own 2 (1)",
        "0.500 rare",
    ]
    assert sum("one answer for all" in words for words in page.words) == 1


def test_not_a_number_is_a_dash_too():
    rows = [MetricRow("kappa", float("nan"), float("nan"), 0.3, float("nan"), "one class only", float("nan"))]
    page = Page(render(content(sections=[Section("s", rows, [], [])], validation=[])))
    assert page.row("Cohen’s kappa")[1] == "– one class only"
    assert "nan" not in page.text.lower().replace("nano", "")


def test_baselines_have_rows_of_their_own_beside_this_run(page):
    answers = page.rows[[row[0] for row in page.rows].index("Answer") :][:4]
    assert [row[0].split(" calls")[0].split(" never")[0] for row in answers] == [
        *("Answer", "This run", "all used", "grey levels")
    ]
    assert [row[1] for row in answers] == [
        *("Accuracy", "0.521 0.470 to 0.560", "0.500", "0.509 0.460 to 0.550")
    ]


def test_bar_positions_are_proportional(page):
    bar = page.text[page.text.index('<svg class="bar"') :]
    bar = Page(bar[: bar.index("</svg>") + 6])
    track, zero = bar.named("line")[:2]
    left, right = float(track["x1"]), float(track["x2"])

    def position(value: float) -> float:
        return left + (right - left) * (value + 0.25) / 1.25  # the first row is kappa, the axis -0.25 to 1

    span = next(line for line in bar.named("line") if line["class"] == "span")
    assert float(zero["x1"]) == pytest.approx(position(0), abs=0.06)
    assert float(span["x1"]) == pytest.approx(position(-0.052), abs=0.06)
    assert float(span["x2"]) == pytest.approx(position(0.122), abs=0.06)
    assert float(bar.named("circle")[0]["cx"]) == pytest.approx(position(0.041), abs=0.06)


def test_figures_beyond_one_have_no_bars():
    rows = [MetricRow("perplexity", 12.0, 11.0, 13.0)]
    text = render(content(sections=[Section("s", rows, [], [])], validation=[]))
    assert Page(text).row("Perplexity")[1] == "12.000 11.000 to 13.000"
    assert '<svg class="bar"' not in text


def test_long_lists_are_folded(page):
    rows = section().metrics
    shown, folded = split_metrics(rows, task=get_task("usage"))
    assert [row.name for row in shown] == ["kappa", "accuracy", "f1_used", "tpr_at_fpr_0.01"]
    assert [row.name for row in folded] == ["f1", "f1_weighted"]
    shown, _ = split_metrics(rows, task=get_task("usage", official="f1_used"))
    assert [row.name for row in shown] == ["f1_used", "accuracy", "kappa", "tpr_at_fpr_0.01"]
    details = page.text[page.text.index("<details") : page.text.index("</details>")]
    assert "2 further metrics" in details
    assert "<code>f1_weighted</code>" in details
    assert page.text.count("<code>f1_weighted</code>") == page.text.count("<code>f1_used</code>") == 1


def test_macro_is_shown_where_no_class_is_positive_and_what_is_printed_always():
    rows = [
        MetricRow("f1", 0.5),
        MetricRow("f1_weighted", 0.5),
        MetricRow("recall_weighted", 0.5, printed=0.6),
    ]
    shown, folded = split_metrics(rows, task=get_task("subset"))
    assert [row.name for row in shown] == ["f1", "recall_weighted"]
    assert [row.name for row in folded] == ["f1_weighted"]


def test_without_truth_there_is_no_test_table_but_the_figures():
    unscored = replace(section(), metrics=[])
    text = render(content(level="unscored", sections=[unscored], validation=[]))
    page = Page(text)
    assert "Not scored" in page.words
    assert not page.named("table")
    assert [image["alt"] for image in page.named("img")] == ["Two histograms apart."]


def test_empty_report():
    full = Page(render(content()))
    assert all(full.named(kind) for kind in ("table", "dl"))
    page = Page(render(content(notes=[], sections=[], validation=[], facts={}, config_yaml="")))
    assert page.named("h1")
    assert not page.named("table")
    assert not page.named("img")
    assert not page.named("dl")


def test_everything_is_escaped():
    figure = plots.confusion_matrix([[1, 0], [0, 1]], [HOSTILE, "b"])
    hostile = Section(
        title=HOSTILE,
        metrics=[
            MetricRow(HOSTILE, 0.5, reason=HOSTILE, printed=0.1),
            MetricRow("kappa", None, reason=HOSTILE),
        ],
        baselines=[Baseline(HOSTILE, HOSTILE, {HOSTILE: (0.1, 0.0, 0.2)})],
        panels=[FigurePanel(HOSTILE, HOSTILE, figure, HOSTILE)],
    )
    text = render(
        content(
            title=HOSTILE,
            task=replace(get_task("usage"), name=HOSTILE),
            experiment=HOSTILE,
            headline=HOSTILE,
            notes=[HOSTILE],
            sections=[hostile, hostile],
            validation=[MetricRow(HOSTILE, None, reason=HOSTILE)],
            facts={HOSTILE: HOSTILE},
            config_yaml=f"</code></pre>{HOSTILE}",
            printed_source=HOSTILE,
        )
    )
    assert "<script" not in text
    page = Page(text)
    assert page.named("img")[0]["alt"] == HOSTILE
    assert HOSTILE in page.words
    assert f"</code></pre>{HOSTILE}" in "".join(page.words)


def test_big_figures_are_png_and_others_svg():
    rng = np.random.default_rng(0)
    scatter = plots.embedding_pca(
        real=rng.normal(size=(900, 3)),
        real_labels=["used"] * 900,
        generated=rng.normal(size=(900, 3)),
        generated_labels=None,
        centroids=None,
        classes=("not_used", "used"),
        seed=0,
    )
    panels = [panel(), FigurePanel("Embeddings", "", scatter, "a cloud")]
    small, big = Page(render(content(sections=[section(panels=panels)]))).named("img")
    assert small["src"].startswith("data:image/svg+xml;base64,")
    assert big["src"].startswith("data:image/png;base64,")
    assert (big["width"], big["height"]) == ("640", "520")
    assert len(big["src"]) < 500_000


def test_a_link_to_each_generator():
    sections = [section("Model A", panels=[]), section("Model B", panels=[])]
    page = Page(render(content(sections=sections)))
    assert [attrs["href"] for attrs in page.named("a")] == ["#section-1", "#section-2", "#validation", "#run"]


def test_facts_and_configuration(page):
    assert "some/where" in page.words
    assert "task: usage\nseed: 0\n" in page.words


def test_equal_content_gives_equal_bytes(tmp_path):
    write_report(tmp_path / "a.html", content())
    write_report(tmp_path / "b.html", content())
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_writing_replaces_the_old_page_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "run" / "report.html"
    write_report(target, content(headline="first", sections=[]))
    write_report(target, content(headline="second", sections=[]))
    assert [entry.name for entry in target.parent.iterdir()] == ["report.html"]
    text = target.read_text(encoding="utf-8")
    assert "second" in text
    assert "first</p>" not in text


def test_a_page_that_cannot_be_made_leaves_the_old_one(tmp_path):
    target = tmp_path / "report.html"
    write_report(target, content(headline="first", sections=[]))
    with pytest.raises(KeyError):
        write_report(target, content(level="maybe", sections=[]))
    assert "first" in target.read_text(encoding="utf-8")


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(FingerprintsError, match="could not be written") as caught:
        write_report(tmp_path / "run" / "report.html", content(sections=[]))
    assert caught.value.where == str(tmp_path / "run" / "report.html")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("kappa", "Cohen’s kappa"),
        ("f1_weighted", "F1 score, support-weighted"),
        ("precision_not_used", "Precision, class not used"),
        ("accuracy_unmatched", "Accuracy, unmatched"),
        ("_weighted", "_weighted"),
    ],
)
def test_metric_label(name, label):
    assert html.metric_label(name) == label


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (-0.0001, "0.000"), (-0.25, "−0.250"), (1, "1.000")]
)
def test_number(value, text):
    assert html.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.9904, "0.9904"), (0.518, "0.518"), (1.0, "1.000")]
)
def test_printed_figure(value, text):
    assert html.printed_figure(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0, "<= 0.001"), (0.001, "<= 0.001"), (0.002, "0.002"), (1.0, "1.000")]
)
def test_p_value(value, text):
    assert html.p_value(value) == text
