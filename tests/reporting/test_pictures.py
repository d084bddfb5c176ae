"""Images of a page: which are shown, which lie nearest, and that none is shown unasked."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fingerprints.detector.detection import Predictions
from fingerprints.reporting import pictures, run_report
from fingerprints.reporting.pictures import kinds, may_show, nearest, picture_notes, picture_panels


def tiles(panel: Any) -> list[list[str]]:
    return [[tile.caption for tile in row.tiles] for row in panel.rows]


def test_pixels_are_shown_if_asked_for_or_if_every_image_is_embedded(
    embedded: Any, usage_root: Any, prepared: Any
) -> None:
    _, phantoms = prepared(embedded / "usage", "usage")
    _, patients = prepared(usage_root(), "usage")
    assert may_show(phantoms, asked=False)
    assert not may_show(patients, asked=False)
    assert may_show(patients, asked=True)
    # Such as embedded training data with a test part of patients.
    assert not may_show(replace(phantoms, paths=(*phantoms.paths, patients.paths[0])), asked=False)
    assert not may_show(replace(phantoms, paths=()), asked=False)


@pytest.mark.parametrize("shape", [(530, 16, 16), (40, 128, 128), (40, 3, 48, 48)])
def test_nearest_images_against_a_slow_reference(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    store = SimpleNamespace(images=images)
    queries, candidates = np.array([3, 0]), np.arange(10, shape[0])
    images[37] = images[3]
    found, rms = nearest(store, queries, candidates, count=3)  # type: ignore[arg-type]

    grey = images.mean(axis=1) if images.ndim == 4 else images
    side, step = min(64, shape[-1]), shape[-1] // min(64, shape[-1])
    small = grey.reshape(len(images), side, step, side, step).mean(axis=(2, 4))
    for query, others, far in zip(queries, found, rms, strict=True):
        expected = sorted(
            (float(np.sqrt(np.mean((small[query] - small[row]) ** 2))), row) for row in candidates
        )
        assert others.tolist() == [row for _, row in expected[:3]]
        assert far == pytest.approx([distance for distance, _ in expected[:3]], abs=0.05)
    assert found[0, 0] == 37


def test_the_surest_answers_come_first(usage_root: Any, subset_root: Any, detected: Any) -> None:
    index, _, (detection,), _ = detected(usage_root(), "usage")
    found, test = kinds(index, detection.test), detection.test
    truth = test.rows["label"].to_numpy(dtype=str)
    assert next(iter(found)) == "used, called not used"
    for name, places in found.items():
        label, answer = name.replace("not used", "not_used").split(", called ")
        expected = [i for i in range(len(truth)) if (truth[i], test.labels[i]) == (label, answer)]
        sign = -1 if answer == "used" else 1
        assert places.tolist() == sorted(expected, key=lambda i: sign * test.scores[i])
    unlabelled = replace(test, rows=test.rows.assign(label=""))
    assert list(kinds(index, unlabelled)) == ["called not used", "called used"]

    index, _, (detection,), _ = detected(subset_root(), "subset")
    found, test = kinds(index, detection.test), detection.test
    leads = np.diff(np.sort(test.scores, axis=1)[:, -2:], axis=1)[:, 0]
    for name, places in found.items():
        assert (np.diff(leads[places]) <= 0).all()
        assert (
            (test.rows["label"].to_numpy()[places] == test.labels[places]) == (name == "right answers")
        ).all()
    assert list(kinds(index, replace(test, rows=test.rows.assign(label="")))) == ["answers"]


def test_clusters_are_right_or_wrong_whatever_their_names(model_root: Any, detected: Any) -> None:
    index, store, (detection,), _ = detected(model_root(), "model")
    rows = detection.test.rows
    names = {label: f"cluster_{9 - i}" for i, label in enumerate(sorted(set(rows["label"])))}
    answers = rows["label"].map(names).to_numpy(dtype=str)
    answers[5] = next(name for name in names.values() if name != answers[5])
    judged = Predictions(rows=rows, labels=answers, scores=None, clusters=True)
    found = kinds(index, judged)
    assert found["wrong answers"].tolist() == [5]
    assert len(found["right answers"]) == pictures.IN_A_ROW
    (panel,) = picture_panels(index, replace(detection, test=judged), store)
    assert panel.title == "Answers"
    assert "no scores" in panel.caption


def test_a_suspect_stands_beside_the_generated_images_of_its_part(usage_root: Any, detected: Any) -> None:
    index, store, (detection,), _ = detected(usage_root(), "usage")
    surest, suspects = picture_panels(index, detection, store)
    assert sum(map(len, tiles(surest))) > 7
    assert tiles(surest)[0][0].startswith("unknown_") or "\nscore" in tiles(surest)[0][0]
    generated = set(index.select(domain="generated", split="test")["id"])
    assert 0 < len(suspects.rows) <= pictures.SUSPECTS
    for row in suspects.rows:
        assert len(row.tiles) == 1 + 2 * pictures.NEAREST
        for tile in row.tiles[1::2]:
            assert tile.caption.split("\n")[1].split(",")[0] in generated
            assert tile.alt
        assert {tile.caption for tile in row.tiles[2::2]} == {"difference"}
    with Image.open(io.BytesIO(suspects.rows[0].tiles[0].png)) as shown:
        first = detection.test.rows["id"] == suspects.rows[0].tiles[0].caption.split("\n")[0]
        assert (np.asarray(shown) == store.images[detection.test.rows.index[first][0]]).all()


def test_without_truth_suspects_are_of_the_test_part(usage_root: Any, detected: Any) -> None:
    index, store, (detection,), _ = detected(usage_root(truth=False), "usage")
    surest, suspects = picture_panels(index, detection, store)
    assert "validation" in surest.caption
    assert "test part" in suspects.caption
    assert {row.title for row in suspects.rows} == {"Called used"}
    nobody = np.full(len(detection.test.rows), "not_used")
    cleared = replace(detection, test=replace(detection.test, labels=nobody))
    assert [panel.title for panel in picture_panels(index, cleared, store)] == ["Surest answers"]


def test_a_generated_image_stands_beside_real_ones_of_the_two_leading_subsets(
    subset_root: Any, detected: Any
) -> None:
    index, store, (detection,), _ = detected(subset_root(), "subset")
    _, panel = picture_panels(index, detection, store)
    real = index.select(domain="real", split="train").set_index("id")["label"]
    test = detection.test
    for row in panel.rows:
        own, first, _, second, _ = row.tiles
        place = test.rows["id"].tolist().index(own.caption.split("\n")[0])
        order = np.array(index.classes)[np.argsort(-test.scores[place])]
        for tile, name in zip((first, second), order[:2], strict=True):
            what, other = tile.caption.split("\n")
            assert what == f"real {name}"
            assert real[other.split(",")[0]] == name


def test_the_difference_is_white_where_images_are_equal(usage_root: Any, detected: Any) -> None:
    index, store, _, _ = detected(usage_root(), "usage")
    one, other = index.table.index[:2]
    same = pictures._beside(index, store, one, one, "x", 0.0)[1]
    with Image.open(io.BytesIO(same.png)) as shown:
        assert np.asarray(shown).min() == 255
    images = np.zeros_like(store.images)
    images[one] = 255
    lit = replace(store, images=images)
    for left, right, colour in ((one, other, pictures.VERMILLION), (other, one, pictures.BLUE)):
        tile = pictures._beside(index, lit, left, right, "x", 255.0)[1]
        with Image.open(io.BytesIO(tile.png)) as shown:
            assert "#{:02X}{:02X}{:02X}".format(*shown.getpixel((0, 0))) == colour


def test_a_store_that_cannot_be_read_costs_the_images_and_not_the_page(
    usage_root: Any, detected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, store, detections, _ = detected(usage_root(), "usage")
    config: Any = SimpleNamespace(report=SimpleNamespace(images=True), run_dir="my run")
    shown, none = run_report._images(config, index, detections, store)
    assert list(shown) == [""]
    assert none is None
    assert picture_notes(store, shown) == [
        "This page holds images of the data: whoever may not see the data may not get it."
    ]
    assert picture_notes(store, {"": []}) == []
    gone = replace(store, images=store.images[:1])
    shown, none = run_report._images(config, index, detections, gone)
    assert shown == {}
    assert none is not None
    assert "could not be read" in none.reason
    config.report.images = False
    shown, none = run_report._images(config, index, detections, store)
    assert shown == {}
    assert none is not None
    assert none.command == "python -m fingerprints.redraw 'run=my run' images=true"
