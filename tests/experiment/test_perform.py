"""The steps of an experiment, each by itself; test_train.py and test_options.py perform whole ones."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.experiment import perform as module
from fingerprints.runs.folder import LOG
from tests.compose import settings

FAST = ["data.size=48", "trainer=cpu", "evidence.permutations=19"]


@pytest.fixture
def config(tmp_path: Path) -> Any:
    """`config(*words)`: settings of `siamese_subtask2` for data at `tmp_path / "subset"`."""

    def make(*words: str) -> Any:
        root = f"data.root={tmp_path / 'subset'}"
        return settings("experiment=siamese_subtask2", root, f"paths.outputs={tmp_path / 'o'}", *FAST, *words)

    return make


def test_stages_and_sizes_that_do_not_fit_are_refused_before_any_image_is_read(config: Any) -> None:
    module.check(config())  # there are no data at all
    with pytest.raises(FingerprintsError, match="'subset' cannot be ranked by 'f1_used'"):
        module.check(config("data.official=f1_used"))
    of_another_task = settings("experiment=siamese_subtask1", "data.root=x").decision
    with pytest.raises(FingerprintsError) as error:
        module.check(replace(config(), decision=of_another_task))
    assert error.value.where == "decision"
    with pytest.raises(FingerprintsError) as error:
        module.check(replace(config(), data=replace(config().data, size=8)))
    assert error.value.fix


def test_the_encoder_sees_filtered_images_and_the_report_the_others(config: Any, subset_root: Any) -> None:
    subset_root(per_class=4, test=3)
    index, store, seen = module.load_data(config("filter=laplacian"))
    assert store.images.shape[0] == seen.images.shape[0] == len(index.table)
    assert not np.array_equal(store.images, seen.images)
    _, plain, same = module.load_data(config())
    assert same is plain
    np.testing.assert_array_equal(plain.images, store.images)


def test_a_filter_for_one_domain_reaches_its_images_only(config: Any, subset_root: Any) -> None:
    subset_root(per_class=4, test=3)
    index, store, seen = module.load_data(config("filter=noise", "filter.domain=real"))
    changed = (store.images != seen.images).any(axis=(1, 2))
    assert changed[index.table.index].tolist() == (index.table["domain"] == "real").tolist()


def test_what_masks_have_to_say_joins_the_notes_of_the_data(config: Any, subset_root: Any) -> None:
    subset_root(per_class=4, test=3)
    bare = module.load_data(config())[0]
    masked = module.load_data(config("region=lung", "region.mask=threshold"))[0]
    assert masked.notes[: len(bare.notes)] == bare.notes
    assert len(masked.notes) > len(bare.notes)


def test_the_recipe_is_made_of_the_settings(config: Any) -> None:
    words = ["reduction=pca", "reduction.components=3", "reduction.variance=null"]
    given = config("seed=5", "data.test_classes=2", "callbacks=best", *words)
    made = module.recipe(given)
    assert (made.seed, made.test_clusters) == (5, 2)
    assert (made.trainer, made.stopping) == (given.trainer, given.callbacks)
    points = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    assert made.reduction(points).apply(points).shape == (30, 3)


def test_a_run_whose_data_have_changed_does_not_go_on(finished_run: Any) -> None:
    run = finished_run()
    began_with = json.loads((run.folder / "status.json").read_text())["data_fingerprint"]
    module._check_data({"data_fingerprint": began_with}, began_with, run.folder)
    module._check_data({}, began_with, run.folder)  # its first attempt
    with pytest.raises(FingerprintsError) as error:
        module._check_data({"data_fingerprint": began_with}, "other", run.folder)
    assert error.value.where == str(run.folder)


@pytest.mark.parametrize(("job", "start"), [(None, ""), (3, "[3] ")])
def test_the_log_of_a_run_begins_and_ends_with_it(
    tmp_path: Path, job: int | None, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("fingerprints")
    before = (logger.level, logger.propagate, list(logger.handlers))
    with module._run_log(tmp_path / "run", enabled=True, job=job):
        logging.getLogger("fingerprints.any.module").info("hello")
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
    assert capsys.readouterr().err == f"{start}hello\n"
    assert (tmp_path / "run" / LOG).read_text().endswith("INFO hello\n")


def test_other_processes_say_errors_only_and_write_no_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with module._run_log(tmp_path / "run", enabled=False, job=None):
        logging.getLogger("fingerprints.any.module").warning("hello")
        logging.getLogger("fingerprints.any.module").error("trouble")
    assert capsys.readouterr().err == "trouble\n"
    assert not (tmp_path / "run").exists()
