from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from fingerprints.config.simulation import (
    ModelScale,
    ScaleSettings,
    ShadowScale,
    SimulateSettings,
    SubsetScale,
    UsageScale,
)
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.signals import Interrupted, handled
from fingerprints.generators.settings import GANSettings, PlantedSettings, VAESettings
from fingerprints.runs.status import claimed
from fingerprints.simulation.benchmark import make_benchmark, partial_folder
from fingerprints.simulation.plan import plan_generators
from fingerprints.simulation.sources import phantom_images

GAN = GANSettings(width=2, discriminator_width=2, widest=4, latent=4, batch_size=4, max_steps=3)
VAE = VAESettings(width=2, widest=8, latent=4, batch_size=4, max_steps=3)
SUBSET = SimulateSettings(
    task="subset",
    out=Path("out"),
    size=16,
    scale=ScaleSettings(subset=SubsetScale(subsets=2, real=8, generated=6, test=7)),
    generator=GAN,
)
USAGE = replace(
    SUBSET,
    task="usage",
    scale=ScaleSettings(
        usage=UsageScale(
            members=6, nonmembers=5, generated=7, test_members=5, test_nonmembers=6, test_generated=8
        )
    ),
)
MODEL = replace(
    SUBSET,
    task="model",
    scale=ScaleSettings(model=ModelScale(real=16, labelled=2, generated=6, test=8)),
    generators=(VAE, GAN, replace(VAE, max_steps=2)),
    planted=PlantedSettings(fraction=0.5, kinds=("blend", "noise")),
)
SHADOW = replace(
    SUBSET,
    task="shadow",
    scale=ScaleSettings(shadow=ShadowScale(candidates=12, generators=4, generated=6)),
    generator=VAE,
    planted=PlantedSettings(fraction=0.5, kinds=("exact", "blend")),
)


class Silent:
    """Counts steps; may do something at one of them."""

    def __init__(self, at=None, act=None):
        self.steps, self.at, self.act, self.lines = 0, at, act, []

    def begin(self, steps):
        self.planned = steps

    def step(self, name, step, point):
        self.steps += 1
        if self.steps == self.at:
            self.act()

    def trained(self, name, *lines):
        self.lines += lines


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
    for plan in plan_generators(real.groups, SUBSET):
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
    training, test = plan_generators(real.groups, USAGE)
    members = {real.names[i] for i in test.members}
    assert len(truth) == 11
    for image, used in truth.items():
        assert (sources[f"test/real_unknown/{image}.png"] in members) == (used == "1")
    used = {sources[f"real_used/{path.name}"] for path in (out / "real_used").iterdir()}
    assert used == {real.names[i] for i in training.members}
    assert len(list((out / "test/generated").iterdir())) == 8


def test_planted_copies_are_listed_with_their_members(real, tmp_path):
    out = tmp_path / "planted"
    settings = replace(SUBSET, planted=PlantedSettings(fraction=0.5, kinds=("exact",)))
    document = make_benchmark(real, settings, out, progress=Silent())
    planted = rows(out / "planted.csv")[1:]
    assert len(planted) == document["planted"]["copies"] == 3 + 3 + 2 + 2
    truth = dict(rows(out / "test_truth.csv"))
    for generated, member, kind, second in planted:
        assert np.array_equal(pixels(out / generated), pixels(out / member))
        assert (kind, second) == ("exact", "")
        label = generated.split("/")[1].removeprefix("gen_")
        if generated.startswith("test/"):
            label = truth[generated.split("/")[-1].removesuffix(".png")]
        assert member.startswith(f"real/{label}/")
    others = {f"generated/gen_t1/gen_t1_{i:06d}.png" for i in range(6)} - {row[0] for row in planted}
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
    with pytest.raises(FingerprintsError, match=r"another benchmark.*differences in: seed, designs"):
        make_benchmark(real, replace(SUBSET, seed=5, generator=VAE), out, progress=Silent())
    assert files(out) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(FingerprintsError, match="is not empty and not a benchmark"):
        make_benchmark(real, SUBSET, tmp_path / "mine", progress=Silent())
    empty = tmp_path / "empty"
    empty.mkdir()
    make_benchmark(real, SUBSET, empty, progress=Silent())
    assert (empty / "benchmark.json").is_file()


def test_another_simulation_in_the_making_is_left_alone(real, tmp_path):
    out = tmp_path / "half"
    with pytest.raises(ZeroDivisionError):
        make_benchmark(real, SUBSET, out, progress=Silent(at=2, act=lambda: 1 / 0))
    with pytest.raises(FingerprintsError, match="Another unfinished simulation"):
        make_benchmark(real, replace(SUBSET, seed=1), out, progress=Silent())
    with claimed(partial_folder(out)), pytest.raises(FingerprintsError, match="still going"):
        make_benchmark(real, SUBSET, out, progress=Silent())


def test_what_cannot_be_done_is_said_before_any_training(real, tmp_path):
    silent = Silent()
    for settings, words in (
        (replace(SUBSET, size=48), "48 x 48"),
        (
            replace(SUBSET, scale=ScaleSettings(subset=SubsetScale(subsets=2, real=80))),
            "needs 160 real images",
        ),
        (replace(SUBSET, planted=PlantedSettings(kinds=())), "No kind of planted copy"),
        (
            replace(SUBSET, generator=GANSettings(batch_size=9)),
            "fewer than one batch",
        ),
        (replace(SUBSET, generators=(GAN, VAE)), "task=subset needs exactly one generator; 2 are given"),
        (replace(SHADOW, generators=(GAN, VAE)), "task=shadow needs exactly one generator; 2 are given"),
        (
            replace(MODEL, scale=ScaleSettings(model=ModelScale(real=16, labelled=4))),
            "4 labelled generators of 3",
        ),
    ):
        with pytest.raises(FingerprintsError, match=words):
            make_benchmark(real, settings, tmp_path / "out", progress=silent)
        assert not (tmp_path / "out").exists()
    assert silent.steps == 0


def test_a_checkpoint_of_another_training_is_refused(real, tmp_path):
    out = tmp_path / "other"
    with pytest.raises(ZeroDivisionError):
        make_benchmark(real, USAGE, out, progress=Silent(at=5, act=lambda: 1 / 0))
    (partial_folder(out) / "simulation.json").unlink()
    with pytest.raises(FingerprintsError, match="from other real images or settings"):
        make_benchmark(real, replace(USAGE, seed=1), out, progress=Silent())


def test_the_console_hears_of_every_generator_once(real, tmp_path):
    heard = Silent()
    make_benchmark(real, replace(MODEL, planted=PlantedSettings()), tmp_path / "out", progress=heard)
    assert heard.planned == {"vae": 3, "gan": 3, "vae_2": 2}
    assert heard.steps == 8
    assert [line.split(":")[0] for line in heard.lines] == [
        f"generator {name}" for name in ("vae", "vae", "gan", "gan", "vae_2", "vae_2")
    ]
    assert "3 steps" in heard.lines[0]
    assert "AUC" in heard.lines[1]


def test_quality_is_against_the_members_groups_own_images_where_these_are_enough(real, tmp_path):
    found = []
    for per_group in (1, 8):
        groups = [f"p{row // per_group}" for row in range(len(real.images))]
        out = tmp_path / f"of_{per_group}"
        document = make_benchmark(replace(real, groups=groups), MODEL, out, progress=Silent())
        found.append({facts["quality"]["kept_out"] for facts in document["generators"].values()})
    assert found == [{"other_groups"}, {"same_groups"}]


@pytest.fixture(scope="module")
def whole(real, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "benchmark"
    return out, make_benchmark(real, MODEL, out, progress=Silent())


def weights_of(document):
    return {name: facts["weights"] for name, facts in document["generators"].items()}


def tensors_of(out, name):
    return load_file(out / f"generators/{name}/generator.safetensors")


class TestControls:
    """Is it the data that is told apart, or the generator?"""

    def test_a_benchmark_that_is_none_says_so_and_nothing_else_of_controls(self, made):
        _, document = made
        assert document["control"] is None
        assert not {"subsets", "seeds"} & document["settings"].keys()

    def test_same_images_with_other_seeds(self, made, real, tmp_path, prepared):
        out, heard = tmp_path / "same", Silent()
        settings = replace(SUBSET, subsets="same", planted=PlantedSettings(fraction=0.5, kinds=("exact",)))
        document = make_benchmark(real, replace(settings, reuse=made[0]), out, progress=heard)
        assert document["control"]["name"] == "same_images"
        assert (document["settings"]["subsets"], document["settings"]["seeds"]) == ("same", "own")
        assert heard.steps == 3  # t1 is that of the benchmark which this is a control of
        assert weights_of(document)["t1"] == weights_of(made[1])["t1"]
        assert len(set(weights_of(document).values())) == 2
        groups, sources = (dict(rows(out / f"{name}.csv")[1:]) for name in ("groups", "sources"))
        of = {
            label: {
                (pixels(out / file).tobytes(), sources[file], group)
                for file, group in groups.items()
                if file.startswith(f"real/{label}/")
            }
            for label in ("t1", "t2")
        }
        assert len(of["t1"]) == 8
        assert of["t1"] == of["t2"]  # copies have one group, and one source
        row = {name: i for i, name in enumerate(real.names)}
        first, _ = plan_generators(real.groups, SUBSET)
        assert {row[source] for _, source, _ in of["t2"]} == set(first.members)
        truth = dict(rows(out / "test_truth.csv"))
        for generated, member, _, _ in rows(out / "planted.csv")[1:]:
            stem = generated.split("/")[-1].removesuffix(".png")
            assert member.split("/")[1] == truth.get(stem, stem.split("_")[1])
            assert np.array_equal(pixels(out / generated), pixels(out / member))
        for facts in document["generators"].values():
            assert facts["members"] == 8
            assert facts["memorisation"]["other_groups"]["nonmembers"] == len(real.images) - len(
                {i for i, group in enumerate(real.groups) if group in {real.groups[m] for m in first.members}}
            )
        index, store = prepared(out, "subset", size=16, validation=0.3)
        assert any("every subset has the same real images" in note for note in index.notes)
        table = index.select(domain="real")
        copies = table.groupby(store.digests[table.index.to_numpy()])["split"]
        assert (copies.size() == 2).all()
        assert (copies.nunique() == 1).all()
        assert set(table["split"]) == {"train", "validation"}

    @pytest.mark.parametrize("design", [GAN, VAE], ids=["gan", "vae"])
    def test_other_images_from_the_same_start(self, real, tmp_path, design):
        # So short a step leaves weights as good as where they began.
        still = replace(design, lr=1e-12)
        found = {}
        for seeds in ("own", "shared"):
            settings = replace(SUBSET, generator=still, seeds=seeds)
            document = make_benchmark(real, settings, tmp_path / seeds, progress=Silent())
            first, second = (tensors_of(tmp_path / seeds, name) for name in ("t1", "t2"))
            apart = [float((first[key] - second[key]).abs().max()) for key in first if key.endswith("weight")]
            found[seeds] = max(apart)
            folder = tmp_path / seeds
            assert not {path.read_bytes() for path in (folder / "real/t1").iterdir()} & {
                path.read_bytes() for path in (folder / "real/t2").iterdir()
            }
        assert document["control"]["name"] == "same_start"
        assert found["shared"] < 1e-6
        assert found["own"] > 1e-2

    def test_from_the_same_start_they_go_their_own_ways(self, made, real, tmp_path):
        heard = Silent()
        settings = replace(SUBSET, seeds="shared")
        document = make_benchmark(real, replace(settings, reuse=made[0]), tmp_path / "out", progress=heard)
        assert heard.steps == 3
        found, normal = weights_of(document), weights_of(made[1])
        assert found["t1"] == normal["t1"]
        assert len({found["t1"], found["t2"], normal["t2"]}) == 3
        assert {path.name for path in (tmp_path / "out/real/t2").iterdir()} == {
            path.name for path in (made[0] / "real/t2").iterdir()
        }

    def test_one_generator_under_every_label_is_trained_once_and_draws_other_images(self, real, tmp_path):
        out, heard = tmp_path / "out", Silent()
        settings = replace(SUBSET, subsets="same", seeds="shared")
        document = make_benchmark(real, settings, out, progress=heard)
        assert document["control"]["name"] == "same_generator"
        assert heard.steps == 3
        assert len(set(weights_of(document).values())) == 1
        drawn = [path.read_bytes() for path in sorted((out / "generated").rglob("*.png"))]
        assert len(set(drawn)) == len(drawn) == 12


class TestJobs:
    """Generators in calls of their own."""

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
    def test_the_last_one_writes_what_one_run_writes(self, whole, real, tmp_path, order):
        out = tmp_path / "jobs"
        for number in order[:-1]:
            heard = Silent()
            assert make_benchmark(real, replace(MODEL, only=number), out, progress=heard) is None
            assert list(heard.planned) == [("vae", "gan", "vae_2")[number]]
            assert not out.exists()
        document = make_benchmark(real, replace(MODEL, only=order[-1]), out, progress=Silent())
        assert document["files"] == whole[1]["files"]
        assert files(out) == files(whole[0])
        weights = {name: facts["weights"] for name, facts in document["generators"].items()}
        assert weights == {name: facts["weights"] for name, facts in whole[1]["generators"].items()}
        assert len(set(weights.values())) == 3
        assert not partial_folder(out).exists()

    def test_one_that_comes_after_the_last_finds_the_benchmark(self, whole, real, tmp_path):
        out = tmp_path / "late"
        shutil.copytree(whole[0], out)
        late = Silent()
        assert make_benchmark(real, replace(MODEL, only=1), out, progress=late) == whole[1]
        assert late.steps == 0
        assert not partial_folder(out).exists()

    def test_one_that_is_done_is_not_done_again(self, real, tmp_path):
        out = tmp_path / "again"
        make_benchmark(real, replace(MODEL, only=0), out, progress=Silent())
        again = Silent()
        assert make_benchmark(real, replace(MODEL, only=0), out, progress=again) is None
        assert (again.steps, again.lines) == (0, [])

    def test_a_run_of_all_takes_up_what_they_have_left(self, whole, real, tmp_path):
        out = tmp_path / "mixed"
        make_benchmark(real, replace(MODEL, only=1), out, progress=Silent())
        rest = Silent()
        make_benchmark(real, MODEL, out, progress=rest)
        assert rest.steps == 3 + 2
        assert files(out) == files(whole[0])

    def test_an_interrupted_one_is_gone_on_with(self, whole, real, tmp_path):
        out = tmp_path / "stopped"
        make_benchmark(real, replace(MODEL, only=2), out, progress=Silent())
        make_benchmark(real, replace(MODEL, only=1), out, progress=Silent())
        stop = Silent(at=2, act=lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Interrupted), handled():
            make_benchmark(real, replace(MODEL, only=0), out, progress=stop)
        assert not out.exists()
        rest = Silent()
        assert make_benchmark(real, replace(MODEL, only=0), out, progress=rest) is not None
        assert stop.steps + rest.steps == 3
        assert files(out) == files(whole[0])

    def test_one_may_begin_and_end_while_another_trains(self, whole, real, tmp_path):
        out = tmp_path / "during"
        between = []

        def other():
            between.append(make_benchmark(real, replace(MODEL, only=0), out, progress=Silent()))
            between.append(make_benchmark(real, replace(MODEL, only=1), out, progress=Silent()))

        last = make_benchmark(real, replace(MODEL, only=2), out, progress=Silent(at=1, act=other))
        assert between == [None, None]
        assert last["files"] == whole[1]["files"]

    def test_all_at_once_and_one_alone_keep_out_of_each_others_way(self, real, tmp_path):
        out = tmp_path / "both"
        refused = []

        def other(only):
            with pytest.raises(FingerprintsError, match="still going"):
                make_benchmark(real, replace(MODEL, only=only), out, progress=Silent())
            refused.append(only)

        make_benchmark(real, MODEL, out, progress=Silent(at=1, act=lambda: other(2)))
        shutil.rmtree(out)
        # ... nor is one generator made by two jobs, or by all while a job is at one.
        make_benchmark(real, replace(MODEL, only=0), out, progress=Silent(at=1, act=lambda: other(0)))
        make_benchmark(real, replace(MODEL, only=1), out, progress=Silent(at=1, act=lambda: other(None)))
        assert refused == [2, 0, None]

    def test_a_number_that_no_generator_has_is_refused_with_those_that_there_are(self, real, tmp_path):
        with pytest.raises(FingerprintsError, match=r"no generator 3; .* has 3 \(0: vae, 1: gan, 2: vae_2\)"):
            make_benchmark(real, replace(MODEL, only=3), tmp_path / "out", progress=Silent())
        assert not partial_folder(tmp_path / "out").exists()


class TestReuse:
    """Generators that another benchmark has trained already."""

    def test_the_same_training_is_taken_over_and_other_copies_are_planted(self, made, real, tmp_path):
        out, heard = tmp_path / "reusing", Silent()
        settings = replace(SUBSET, planted=PlantedSettings(fraction=0.5, kinds=("exact",)))
        document = make_benchmark(real, replace(settings, reuse=made[0].parent), out, progress=heard)
        assert heard.steps == 0
        for name, facts in document["generators"].items():
            before = made[1]["generators"][name]
            assert facts["weights"] == before["weights"]
            assert (facts["steps"], facts["curve"]) == (before["steps"], before["curve"])
        assert document["planted"]["copies"] == 10
        make_benchmark(real, settings, tmp_path / "anew", progress=Silent())
        assert files(out) == files(tmp_path / "anew")

    @pytest.mark.parametrize(
        "settings",
        [
            replace(SUBSET, seed=1),
            replace(SUBSET, generator=replace(GAN, max_steps=2)),
            replace(SUBSET, generator=replace(GAN, lr=1e-5)),
        ],
        ids=["seed", "steps", "lr"],
    )
    def test_another_training_is_not_taken_over(self, made, real, tmp_path, settings):
        heard = Silent()
        make_benchmark(real, replace(settings, reuse=made[0]), tmp_path / "out", progress=heard)
        assert heard.steps == 2 * settings.generator.max_steps

    def test_other_images_are_trained_on_anew(self, made, real, tmp_path):
        changed = replace(real, images=255 - real.images)
        heard = Silent()
        make_benchmark(changed, replace(SUBSET, reuse=made[0].parent), tmp_path / "out", progress=heard)
        assert heard.steps == 6

    def test_what_was_gone_before_it_could_be_copied_is_trained_anew(self, made, real, tmp_path):
        source = tmp_path / "vanishing"
        shutil.copytree(made[0], source)
        (source / "generators/t1/generator.safetensors").unlink()
        heard = Silent()
        make_benchmark(real, replace(SUBSET, reuse=source), tmp_path / "out", progress=heard)
        assert heard.steps == 3
        assert files(tmp_path / "out") == files(made[0])


def test_an_error_leaves_no_folder_without_work_and_names_one_with_work(real, tmp_path):
    def fail():
        raise FingerprintsError("It broke.", fix="mend it")

    out = tmp_path / "out"
    with pytest.raises(FingerprintsError, match="It broke") as caught:
        make_benchmark(real, SUBSET, out, progress=Silent(1, fail))
    assert caught.value.fix == "mend it"
    assert not partial_folder(out).exists()
    with pytest.raises(FingerprintsError, match="It broke") as caught:  # in the second generator
        make_benchmark(real, SUBSET, out, progress=Silent(4, fail))
    assert caught.value.fix.startswith("mend it; with other settings")
    assert str(partial_folder(out)) in caught.value.fix
    assert make_benchmark(real, SUBSET, out, progress=Silent()) is not None
