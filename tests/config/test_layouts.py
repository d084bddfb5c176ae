"""Which layout a folder looks like, if the chosen one does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fingerprints.config.layouts import FIRST, suggestion
from fingerprints.config.schema import options, written
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import TASKS
from fingerprints.experiment.perform import load_data
from tests.compose import settings
from tests.data.archives import EDITIONS, unpack
from tests.data.test_layout import touch

SUGGESTED = {
    "2023": "`usage`: experiment=siamese_subtask1",
    "2024 in folders": "`usage`: experiment=siamese_subtask1 data=imageclef2024_usage",
    "2025 usage": "`usage`: experiment=siamese_subtask1",
    "2025 subset, t1": "`subset`: experiment=siamese_subtask2",
    "2025 subset, gen_t1": "`subset`: experiment=siamese_subtask2",
}


def test_every_task_has_an_experiment_of_its_own_to_begin_with():
    assert list(FIRST) == ["subset", "usage", "model"] == sorted(TASKS, key=list(FIRST).index)
    assert all(written("experiment", name)["task"] == task for task, name in FIRST.items())
    assert {name.rpartition("_")[2] for name in options("data") if name != "generic"} == set(TASKS)


@pytest.mark.parametrize("edition", SUGGESTED)
def test_the_layout_that_explains_most_images_is_suggested(tmp_path: Path, edition: str) -> None:
    root, _ = unpack(tmp_path, edition, count=2)
    task = EDITIONS[edition][0].partition("_")[0]
    other = {"subset": ("imageclef2025_usage", "usage"), "usage": ("imageclef2025_subset", "subset")}[task]
    found = suggestion(root, layout=other[0], task=other[1])
    assert found == f"the folder looks like {SUGGESTED[edition]}"


def test_another_edition_of_the_same_task_is_a_layout(tmp_path: Path) -> None:
    root, _ = unpack(tmp_path, "2024 in folders", count=2)
    with pytest.raises(FingerprintsError, match="2 folders hold the train part") as caught:
        load_data(
            settings("experiment=siamese_subtask1", f"data.root={root}", f"paths.store={tmp_path / 's'}")
        )
    assert str(caught.value.fix).endswith("; the folder looks like another edition: data=imageclef2024_usage")


def test_the_error_of_a_wrong_layout_ends_with_the_right_one(
    tmp_path: Path, model_root: Callable[..., Path]
) -> None:
    words = ["experiment=siamese_subtask2", f"paths.store={tmp_path / 's'}"]
    with pytest.raises(FingerprintsError, match="No real images match") as caught:
        load_data(settings(*words, f"data.root={model_root()}"))
    assert str(caught.value).endswith("; the folder looks like `model`: experiment=features_models")
    touch(tmp_path, "pictures/1.png")
    with pytest.raises(FingerprintsError, match="No real images match") as caught:
        load_data(settings(*words, f"data.root={tmp_path / 'pictures'}"))
    assert "looks like" not in str(caught.value)


def test_an_error_in_the_test_part_is_not_about_the_layout(tmp_path: Path) -> None:
    root, _ = unpack(tmp_path, "2025 usage", count=2)
    touch(tmp_path, "other/1.png")
    words = ["experiment=siamese_subtask1", f"data.root={root}", f"data.test_root={tmp_path / 'other'}"]
    with pytest.raises(FingerprintsError, match=r"check data\.test_root") as caught:
        load_data(settings(*words))
    assert "looks like" not in str(caught.value)


def test_two_tasks_that_fit_equally_well_are_no_suggestion(tmp_path: Path) -> None:
    touch(
        tmp_path, "a/real/t1/1.png", "a/generated/t1/2.png", "used/1.png", "not_used/2.png", "generated/3.png"
    )
    assert suggestion(tmp_path, layout="generic", task="model") is not None
    touch(tmp_path, "a/real/t1/3.png")
    assert suggestion(tmp_path, layout="generic", task="model") is None
