from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fingerprints.errors import FingerprintsError
from fingerprints.generators.adversarial import GANSettings
from fingerprints.interruption import Interrupted, handled
from fingerprints.simulation.benchmark import (
    SimulationSettings,
    contact_sheet,
    make_benchmark,
    make_plans,
    partial_folder,
)
from fingerprints.simulation.plan import SubsetCounts, UsageCounts
from fingerprints.simulation.sources import phantom_images
from fingerprints.status import claimed

SUBSET = SimulationSettings(
    counts=SubsetCounts(subsets=2, real=8, generated=6, test=7),
    size=16,
    seed=0,
    nonmembers="other_groups",
    generator=GANSettings(width=2, discriminator_width=2, widest=4, latent=4, batch_size=4),
    steps=3,
    planted_fraction=0.0,
    planted_kinds=("noise",),
)
USAGE = replace(
    SUBSET,
    counts=UsageCounts(
        members=6, nonmembers=5, generated=7, test_members=5, test_nonmembers=6, test_generated=8
    ),
)


class Silent:
    """Counts steps; may do something at one of them."""

    def __init__(self, at=None, act=None):
        self.steps, self.at, self.act, self.lines = 0, at, act, []

    def begin(self, plans, steps):
        self.planned = (len(plans), steps)

    def step(self, name, step, point):
        self.steps += 1
        if self.steps == self.at:
            self.act()

    def trained(self, name, generator, quality):
        self.lines.append(quality.line())


@pytest.fixture(scope="module")
def real():
    return phantom_images(40, size=16, seed=0, slices_per_patient=4)


def files(root):
    """Every file but those that hold times."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in ("benchmark.json", "training.json")
    }


def rows(path):
    with path.open(newline="") as handle:
        return list(csv.reader(handle))


def pixels(path):
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def made(real, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "benchmark"
    return out, make_benchmark(real, SUBSET, out, progress=Silent())


def test_the_subset_layout_is_written_with_its_truth(made, real, prepared):
    out, document = made
    index, _store = prepared(out, "subset", size=16, validation=0.3)
    assert index.classes == ("t1", "t2")
    assert index.has_truth
    assert not index.pseudo_groups
    assert len(index.select(split="test")) == 7
    assert len(index.select(domain="generated", split=("train", "validation"))) == 12
    assert dict(rows(out / "test_truth.csv")).keys() == {f"generated_unknown_{i:06d}" for i in range(7)}
    assert document["files"]["real/t1"]["files"] == 8
    assert json.loads((out / "benchmark.json").read_text()) == document
    assert not partial_folder(out).exists()


def test_real_images_are_the_subsets_own_pixels(made, real):
    out, _ = made
    sources = dict(rows(out / "sources.csv")[1:])
    groups = dict(rows(out / "groups.csv")[1:])
    row = {name: i for i, name in enumerate(real.names)}
    for plan in make_plans(real, SUBSET):
        members = {real.names[i] for i in plan.members}
        written = {file for file in sources if file.startswith(f"real/{plan.name}/")}
        assert {sources[file] for file in written} == members
        for file in written:
            assert np.array_equal(pixels(out / file), real.images[row[sources[file]]])
            assert groups[file] == real.groups[row[sources[file]]]


def test_test_images_are_in_no_order(made):
    labels = [label for _, label in rows(made[0] / "test_truth.csv")]
    assert labels != sorted(labels)


def test_real_and_generated_files_are_written_alike(made):
    out, _ = made

    def form(path):
        with Image.open(path) as image:
            return image.mode, image.size, image.info, image.format

    real = {str(form(path)) for path in (out / "real").rglob("*.png")}
    generated = {str(form(path)) for path in (out / "generated").rglob("*.png")}
    assert real == generated == {str(("L", (16, 16), {}, "PNG"))}


def test_the_usage_layout_is_written_with_its_truth(real, tmp_path, prepared):
    out = tmp_path / "usage"
    make_benchmark(real, USAGE, out, progress=Silent())
    index, _ = prepared(out, "usage", size=16, folds=2)
    assert index.has_truth
    truth = dict(rows(out / "test_truth.csv"))
    sources = dict(rows(out / "sources.csv")[1:])
    training, test = make_plans(real, USAGE)
    members = {real.names[i] for i in test.members}
    assert len(truth) == 11
    for image, used in truth.items():
        assert (sources[f"test/real_unknown/{image}.png"] in members) == (used == "1")
    used = {sources[f"real_used/{path.name}"] for path in (out / "real_used").iterdir()}
    assert used == {real.names[i] for i in training.members}
    assert len(list((out / "test/generated").iterdir())) == 8


def test_planted_copies_are_listed_with_their_members(real, tmp_path):
    out = tmp_path / "planted"
    settings = replace(SUBSET, planted_fraction=0.5, planted_kinds=("exact",))
    document = make_benchmark(real, settings, out, progress=Silent())
    planted = rows(out / "planted.csv")[1:]
    assert len(planted) == document["planted"]["copies"] == 3 + 3 + 2 + 2
    truth = dict(rows(out / "test_truth.csv"))
    for generated, member, kind in planted:
        assert np.array_equal(pixels(out / generated), pixels(out / member))
        assert kind == "exact"
        label = generated.split("/")[1].removeprefix("gen_")
        if generated.startswith("test/"):
            label = truth[generated.split("/")[-1].removesuffix(".png")]
        assert member.startswith(f"real/{label}/")
    others = {f"generated/gen_t1/gen_t1_{i:06d}.png" for i in range(6)} - {g for g, _, _ in planted}
    real_pixels = {pixels(path).tobytes() for path in (out / "real").rglob("*.png")}
    assert not real_pixels & {pixels(out / file).tobytes() for file in others}


def test_the_same_seed_writes_the_same_bytes(made, real, tmp_path):
    again = tmp_path / "again"
    make_benchmark(real, SUBSET, again, progress=Silent())
    assert files(again) == files(made[0])
    other = tmp_path / "other"
    make_benchmark(real, replace(SUBSET, seed=1), other, progress=Silent())
    assert files(other).keys() != files(again).keys() or files(other) != files(again)


@pytest.mark.parametrize("at", [1, 2, 3, 4, 6])
def test_an_interrupted_simulation_ends_as_one_that_was_not(made, real, tmp_path, at):
    out = tmp_path / "stopped"
    stop = Silent(at=at, act=lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted), handled():
        make_benchmark(real, SUBSET, out, progress=stop)
    assert not out.exists()
    rest = Silent()
    make_benchmark(real, SUBSET, out, progress=rest)
    assert stop.steps + rest.steps == 6
    assert files(out) == files(made[0])


def test_a_killed_simulation_ends_as_one_that_was_not(made, real, tmp_path):
    out = tmp_path / "killed"
    with pytest.raises(ZeroDivisionError):
        make_benchmark(real, SUBSET, out, progress=Silent(at=5, act=lambda: 1 / 0))
    (partial_folder(out) / "tree/real").mkdir(parents=True)
    (partial_folder(out) / "tree/real/half.png").write_bytes(b"half")
    rest = Silent()
    make_benchmark(real, SUBSET, out, progress=rest)
    assert rest.steps == 3  # the first generator is finished, the second begins anew
    assert files(out) == files(made[0])


def test_a_finished_benchmark_is_not_made_again(made, real, tmp_path):
    out = tmp_path / "finished"
    shutil.copytree(made[0], out)
    silent = Silent()
    assert make_benchmark(real, SUBSET, out, progress=silent) == made[1]
    assert silent.steps == 0


def test_no_other_benchmark_is_overwritten(made, real, tmp_path):
    out, _ = made
    before = files(out)
    with pytest.raises(FingerprintsError, match=r"another benchmark.*differs in: seed, steps"):
        make_benchmark(real, replace(SUBSET, seed=5, steps=9), out, progress=Silent())
    assert files(out) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(FingerprintsError, match="holds something else"):
        make_benchmark(real, SUBSET, tmp_path / "mine", progress=Silent())
    empty = tmp_path / "empty"
    empty.mkdir()
    make_benchmark(real, SUBSET, empty, progress=Silent())
    assert (empty / "benchmark.json").is_file()


def test_another_simulation_in_the_making_is_left_alone(real, tmp_path):
    out = tmp_path / "half"
    with pytest.raises(ZeroDivisionError):
        make_benchmark(real, SUBSET, out, progress=Silent(at=2, act=lambda: 1 / 0))
    with pytest.raises(FingerprintsError, match="Another simulation was begun"):
        make_benchmark(real, replace(SUBSET, seed=1), out, progress=Silent())
    with claimed(partial_folder(out)), pytest.raises(FingerprintsError, match="still going"):
        make_benchmark(real, SUBSET, out, progress=Silent())


def test_what_cannot_be_done_is_said_before_any_training(real, tmp_path):
    silent = Silent()
    for settings, words in (
        (replace(SUBSET, size=48), "48 x 48"),
        (replace(SUBSET, counts=replace(SUBSET.counts, real=80)), "needs 160 real images"),
        (replace(SUBSET, planted_kinds=("mirror",)), "mirror"),
        (replace(SUBSET, generator=replace(SUBSET.generator, batch_size=9)), "fewer than one batch"),
    ):
        with pytest.raises(FingerprintsError, match=words):
            make_benchmark(real, settings, tmp_path / "out", progress=silent)
        assert not (tmp_path / "out").exists()
    assert silent.steps == 0


def test_a_contact_sheet_has_training_images_left_and_generated_ones_right():
    real = np.full((3, 16, 16), 50, dtype=np.uint8)
    generated = np.full((100, 16, 16), 200, dtype=np.uint8)
    sheet = contact_sheet(real, generated)
    assert sheet.shape == (128, 128 + 2 + 128)
    assert (sheet[:16, :48] == 50).all()
    assert (sheet[16:, :128] == 0).all()
    assert (sheet[:, 130:] == 200).all()


def test_a_checkpoint_of_another_training_is_refused(real, tmp_path):
    out = tmp_path / "other"
    with pytest.raises(ZeroDivisionError):
        make_benchmark(real, USAGE, out, progress=Silent(at=5, act=lambda: 1 / 0))
    (partial_folder(out) / "simulation.json").unlink()
    with pytest.raises(FingerprintsError, match="of other images or settings"):
        make_benchmark(real, replace(USAGE, seed=1), out, progress=Silent())
