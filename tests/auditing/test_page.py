from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from fingerprints.auditing.document import document
from fingerprints.auditing.page import like, render
from tests.browser import needs_browser, open_page


def test_images_are_on_the_page_only_if_asked_for(done) -> None:
    without = replace(done, settings=replace(done.settings, embed_images=False))
    pages = [render(audit, document(audit)) for audit in (done, without)]
    assert ["data:image/png" in page for page in pages] == [True, False]
    assert ["embed_images=true" in page.split("<dl")[0] for page in pages] == [False, True]


def test_every_row_shows_the_most_exposed_image_and_the_nearest_ones(done) -> None:
    few = replace(done, settings=replace(done.settings, shown=2))
    found = document(few)
    page = render(few, found)
    titles = re.findall("<h4>(.*?): score (.*?), p (.*?), q (.*?)</h4>", page)
    assert [title[0] for title in titles] == [row["group"] for row in found["groups"][:2]]
    first = page.split("of the most exposed patients")[1].split("<h4>")[1]
    near = {row["id"]: row["nearest"] for row in found["images"]}[found["groups"][0]["most_exposed"]][0]
    assert f"{near['generated']}, rms {near['rms']:.1f}" in first
    assert first.count("<img") == 6


def test_copies_are_shown_as_they_were_changed(done) -> None:
    found = document(done)
    panel = render(done, found).split("Images of the most similar pairs")[1].split("</section>")[0]
    for pair, row in zip(found["copies"]["matches"]["listed"][:10], panel.split("<h4>")[1:], strict=True):
        title, tiles = row.split("</h4>")
        assert title.startswith(f"{pair['group']}: similarity {pair['similarity']:.4f}, {pair['change']}")
        assert ("below the level" in title) == (not pair["above"])
        assert all(name in tiles for name in (pair["real"], pair["generated"], pair["change"]))


@needs_browser
def test_a_browser_has_no_complaint_and_nothing_is_too_wide(done, tmp_path) -> None:
    page = tmp_path / "audit.html"
    page.write_text(render(done, document(done)), encoding="utf-8")
    opened = open_page(page, tmp_path)
    assert opened.console == []
    for layout in opened.layouts:
        assert (layout.page <= layout.width, layout.wide, layout.empty) == (True, [], [])
    copies, patients = opened.layouts[0].sorted
    assert [len(column["texts"]) for column in (copies[0], patients[0])] == [20, 6]
    for column in [*copies, *patients]:
        assert column["way"] == "ascending"
        values = [float(text) if column["number"] else text for text in column["texts"]]
        assert values == sorted(values)


@pytest.mark.parametrize("contrast", [1.0, 0.6])
def test_contrast_is_fitted_before_images_are_subtracted(contrast: float) -> None:
    image = np.random.default_rng(0).integers(0, 200, (8, 8)).astype(np.uint8)
    other = (contrast * image + 20).astype(np.uint8)
    assert np.abs(like(image.astype(np.float32), other) - other.astype(float)).max() <= 1
    assert like(np.zeros((8, 8), np.float32), other).std() == 0
