"""A finished run answers for new images as it did for its own test part."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fingerprints import train
from fingerprints.core.errors import FingerprintsError
from fingerprints.detector.predict import predict_folder
from fingerprints.detector.saved import Run, load_run
from tests.decisions.parts import finished_run

FAST = ["data.size=48", "trainer=cpu", "evidence.permutations=19"]
FAST += ["encoder=pixels", "training=frozen", "data.folds=2"]


@pytest.fixture
def trained(command: Any, tmp_path: Path, no_drawing: None) -> Any:
    """`trained(experiment, root, *words)`: a finished run on pixels as they are."""

    def make(experiment: str, root: Path, *words: str) -> Run:
        given = [f"experiment={experiment}", f"data.root={root}", f"run_dir={tmp_path / 'run'}"]
        code, printed = command(train, *given, *FAST, *words)
        assert code == 0, printed
        return load_run(tmp_path / "run")

    return make


def ask(run: Run, tmp_path: Path, images: Path, **options: Any) -> Any:
    given = {"generated": None, "generator": None, "cache": tmp_path / "cache", "accelerator": "cpu"}
    return predict_folder(run, images=images, **{**given, **options})


def test_subset_answers_are_those_of_the_run(trained: Any, subset_root: Any, tmp_path: Path) -> None:
    root = subset_root()
    run = trained("siamese_subtask2", root)
    images = root / "test/generated_unknown"
    found = ask(run, tmp_path, images)
    before = pd.read_csv(tmp_path / "run/predictions.csv", dtype=str)
    assert dict(zip(found.rows["id"], found.labels, strict=True)) == dict(
        zip(before["id"], before["label"], strict=True)
    )
    with pytest.raises(FingerprintsError, match="needs no second folder"):
        ask(run, tmp_path, images, generated=root / "real")
    with pytest.raises(FingerprintsError, match="are of no patient"):
        ask(run, tmp_path, images, groups=root / "groups.csv")
    with pytest.raises(FingerprintsError):
        ask(run, tmp_path, tmp_path / "nowhere")
    next(iter(images.iterdir())).write_bytes(b"no image")
    with pytest.raises(FingerprintsError, match="cannot be read") as error:
        ask(run, tmp_path, images)
    assert error.value.fix.endswith("on_bad_image=skip")
    assert len(ask(run, tmp_path, images, on_bad_image="skip").labels) == len(before) - 1


def test_answers_of_an_earlier_run_are_found_by_id_again(
    trained: Any, subset_root: Any, tmp_path: Path
) -> None:
    root = subset_root()
    ids = sorted(path.stem for path in (root / "test/generated_unknown").iterdir())
    given = {name: f"t{1 + number % 2}" for number, name in enumerate(ids)}
    earlier = finished_run(tmp_path / "earlier", given)
    words = ["decision=dbscan_rerank", f"decision.run={earlier}", "decision.cluster_on=generated"]
    few = ["decision.quantile=1e-9", "decision.min_samples=2"]  # a single region: nearly all labels stay
    run = trained("features_subtask2", root, *words, *few)
    before = pd.read_csv(tmp_path / "run/predictions.csv", dtype=str).set_index("id")["label"]
    pairs = pd.crosstab(before, before.index.map(given)).to_numpy()
    assert pairs.max(axis=0).sum() >= len(ids) - 1
    shutil.rmtree(earlier)
    found = ask(run, tmp_path, root / "test/generated_unknown")
    assert found.labels.tolist() == before[found.rows["id"]].tolist()


def test_usage_is_scored_against_generated_images(
    trained: Any, usage_root: Any, tmp_path: Path, write_image: Any, capsys: pytest.CaptureFixture
) -> None:
    root = usage_root()
    run = trained("siamese_subtask1", root, "filter=noise", "filter.domain=real", "decision.cut=reference")
    images, groups = root / "test/real_unknown", root / "groups.csv"
    with pytest.raises(FingerprintsError, match="and none were given"):
        ask(run, tmp_path, images)
    found = ask(run, tmp_path, images, generated=root / "test/generated", groups=groups)
    before = pd.read_csv(tmp_path / "run/predictions.csv").set_index("id")
    np.testing.assert_allclose(found.scores, before.loc[found.rows["id"], "score"], rtol=1e-4, atol=1e-5)
    given = pd.read_csv(groups, index_col="file")["group"]
    assert found.rows["group"].tolist() == [given[f"test/real_unknown/{path}"] for path in found.rows["path"]]
    assert len(found.reference.scores) == 16  # the unused images of the training part, two of each patient
    assert np.unique(found.reference.groups, return_counts=True)[1].tolist() == [2] * 8

    # Images without a group, and of another size.
    folders = {"images": tmp_path / "new", "generated": tmp_path / "made"}
    for name in ("new/a", "made/b", "made/c"):
        write_image(tmp_path / f"{name}.png", len(name) + ord(name[-1]), size=32)
    assert run.record.native_sizes == {"generated": {"48 x 48": 16}, "real": {"48 x 48": 32}}
    (tmp_path / "groups.csv").write_text("b,p1\n")
    with pytest.raises(FingerprintsError, match=r"1 image\(s\) have no group") as error:
        ask(run, tmp_path, groups=tmp_path / "groups.csv", **folders)
    assert error.value.where == str(tmp_path / "groups.csv")
    with pytest.raises(FingerprintsError, match="not trained on") as error:
        ask(run, tmp_path, **folders)
    assert "48 x 48: 16" in error.value.what
    with pytest.raises(FingerprintsError, match="differ in size") as error:
        ask(run, tmp_path, folders["images"], generated=root / "generated")
    assert "as the run's own images were (48 x 48)" in str(error.value.fix)
    run.config["data"]["on_mixed_size"] = "resize"
    assert len(ask(run, tmp_path, **folders).labels) == 1
    assert capsys.readouterr().err.count("have a size that the run was not trained on") == 2
    del run.metrics["run"]["native_sizes"]
    ask(run, tmp_path, **folders)
    assert "did not record which sizes" in capsys.readouterr().err


def test_of_several_generators_one_is_named(trained: Any, usage_root: Any, tmp_path: Path) -> None:
    root = usage_root(generators=("gan_a", "gan_b"))
    run = trained("siamese_subtask1", root, "data=imageclef2024_usage")
    folders = {"images": root / "test/gan_a/real_unknown", "generated": root / "test/gan_a/generated"}
    with pytest.raises(FingerprintsError, match="detectors for 2 generators") as error:
        ask(run, tmp_path, **folders)
    assert "gan_a, gan_b" in str(error.value.fix)
    assert len(ask(run, tmp_path, generator="gan_a", **folders).labels) == 12


def test_files_without_a_line_are_counted_with_their_reasons(
    trained: Any, subset_root: Any, tmp_path: Path, write_image: Any, capsys: pytest.CaptureFixture
) -> None:
    root = subset_root()
    run, images = trained("siamese_subtask2", root), root / "test/generated_unknown"
    capsys.readouterr()
    assert len(ask(run, tmp_path, images).labels) == 9
    assert "note" not in capsys.readouterr().err
    (images / "gone.png").symlink_to("/not/fetched.png")
    with pytest.raises(FingerprintsError, match="link to a file that does not exist"):
        ask(run, tmp_path, images)
    write_image(images / "more/1.png")
    write_image(images / "2.gif", format="GIF")
    (images / "readme.txt").touch()
    (images / "Thumbs.db").touch()
    assert len(ask(run, tmp_path, images, on_bad_image="skip").labels) == 9
    said = capsys.readouterr().err
    for note in (
        "1 unreadable image(s) skipped: cannot be read (1)",
        "1 image(s) were left out, because no pattern matches their folder or name: more/ (1)",
        "2 file(s) are not images and were left out: .gif (1), .txt (1)",
        f"4 file(s) in {images} get no line in the run file",
    ):
        assert f"note: {note}" in said
