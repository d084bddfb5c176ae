from __future__ import annotations

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.reporting.comparison_page import (
    ComparisonPage,
    Section,
    ShownCell,
    ShownTable,
    column,
    render_html,
    render_markdown,
    write_page,
)
from fingerprints.reporting.comparison_plot import SystemPoint, systems_plot

PLOT = systems_plot([SystemPoint("svm", "Systems", 0.6, 0.5, 0.7, 1)], metric="Accuracy")
CELL = ShownCell("0.600", ("[0.500, 0.700]", "printed 0.99"))
TABLE = ShownTable(
    "Systems",
    ("System", "Accuracy"),
    ((ShownCell("a|b_<i>", ("seed 0",), ("<short>",)), CELL),),
    ("A note.",),
)
LEFT_OUT = ShownTable("Runs left out", ("Run", "Why"), (column(["x", "failed"]),), numeric=False)
PAGE = ComparisonPage(
    "Title", "Lead.", (Section("One", {"Chance": "0.2"}, (TABLE,), PLOT, "seen", ("Mind.",)),), LEFT_OUT
)


def test_html_holds_all_of_it_and_nothing_from_elsewhere():
    text = render_html(PAGE)
    for words in (
        "<b>0.600</b>",
        "[0.500, 0.700]",
        "printed 0.99",
        "a|b_&lt;i&gt;",
        '<span class="mark">&lt;short&gt;</span>',
        "A note.",
        "Mind.",
        "Lead.",
    ):
        assert words in text
    assert 'alt="seen"' in text
    assert "data:image/png;base64," in text
    assert "http" not in text.replace("http-equiv", "")
    assert "Runs left out" in text
    assert "--blue" in text, "the look of report.html"
    assert render_html(PAGE) == text


def test_markdown_says_the_same_with_cells_on_one_line():
    text = render_markdown(PAGE)
    assert "| a\\|b\\_\\<i> seed 0, \\<short> | 0.600 [0.500, 0.700], printed 0.99 |" in text
    assert "| --- | ---: |" in text
    assert text.count("| --- | --- |") == 1
    assert (
        text.index("- Chance: 0.2")
        < text.index("- Mind.")
        < text.index("### Systems")
        < text.index("- A note.")
    )
    assert text.endswith("| x | failed |\n")


def test_a_page_that_cannot_be_written_is_an_error(tmp_path):
    write_page(tmp_path / "new" / "page.md", "text")
    assert (tmp_path / "new" / "page.md").read_text() == "text"
    with pytest.raises(FingerprintsError, match="could not be written"):
        write_page(tmp_path / "new" / "page.md" / "page.md", "text")
