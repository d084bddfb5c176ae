"""The folders of a benchmark are those that the package itself reads."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fingerprints.config.simulation import (
    ModelScale,
    ScaleSettings,
    ShadowScale,
    SimulateSettings,
    UsageScale,
)
from fingerprints.generators.settings import PlantedSettings, VAESettings
from fingerprints.simulation.benchmark import make_benchmark
from fingerprints.simulation.plan import plan_generators
from fingerprints.simulation.sources import phantom_images

VAE = VAESettings(width=2, widest=8, latent=4, batch_size=4, max_steps=1)
USAGE = SimulateSettings(
    task="usage",
    out=Path("out"),
    size=16,
    scale=ScaleSettings(
        usage=UsageScale(
            members=6, nonmembers=5, generated=7, test_members=5, test_nonmembers=6, test_generated=8
        )
    ),
    generator=VAE,
    generators=(VAE, VAE),
    planted=PlantedSettings(fraction=0.5, kinds=("exact",)),
)
MODEL = replace(
    USAGE,
    task="model",
    scale=ScaleSettings(model=ModelScale(real=12, labelled=2, generated=6, test=9)),
    generators=(VAE,) * 3,
    planted=PlantedSettings(fraction=0.5, kinds=("blend",)),
)
SHADOW = replace(
    USAGE,
    task="shadow",
    scale=ScaleSettings(shadow=ShadowScale(candidates=12, generators=4, generated=6)),
    generators=(),
    planted=PlantedSettings(fraction=0.5, kinds=("exact", "blend")),
)


class Quiet:
    def begin(self, steps):
        pass

    def step(self, name, step, point):
        pass

    def trained(self, name, *lines):
        pass


@pytest.fixture(scope="module")
def real():
    return phantom_images(40, size=16, seed=0, slices_per_patient=4)


def fixture_of(settings):
    """A benchmark, made once for all tests that look at it."""

    @pytest.fixture(scope="module")
    def made(real, tmp_path_factory):
        out = tmp_path_factory.mktemp(settings.task) / "made"
        make_benchmark(real, settings, out, progress=Quiet())
        return out

    return made


usage, model, shadow = (fixture_of(settings) for settings in (USAGE, MODEL, SHADOW))


def rows(path):
    with path.open(newline="") as handle:
        return list(csv.reader(handle))


def records(path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def pixels(path):
    return np.asarray(Image.open(path))


def folders(root):
    found = {path.parent.relative_to(root).as_posix() for path in root.rglob("*.png")}
    return {name for name in found if not name.startswith("generators/")}


def sources_of(root):
    return {row["file"]: row["source"] for row in records(root / "sources.csv")}


class TestUsageOfTwoGenerators:
    def test_it_has_the_folders_of_2024(self, usage):
        assert folders(usage) == {
            f"{above}{generator}/{kind}"
            for generator in ("vae", "vae_2")
            for above, kinds in (
                ("", ("real_used", "real_not_used", "generated")),
                ("test/", ("real_unknown", "generated")),
            )
            for kind in kinds
        }

    def test_it_is_read_with_truth_and_groups_for_each_generator(self, usage, prepared):
        index, _ = prepared(usage, "usage_2024", size=16, folds=2)
        assert index.generators == ["vae", "vae_2"]
        assert index.has_truth
        assert not index.pseudo_groups
        for generator in index.generators:
            table = index.select(generator=generator)
            test = table["split"] == "test"
            assert table[test]["domain"].value_counts().to_dict() == {"real": 11, "generated": 8}
            assert table[~test]["domain"].value_counts().to_dict() == {"real": 11, "generated": 7}
            unknown = table[test & (table["domain"] == "real")]
            assert sorted(unknown["label"]) == ["not_used"] * 6 + ["used"] * 5

    def test_generators_were_trained_on_the_same_images_and_truth_says_which(self, usage, real):
        sources = sources_of(usage)
        truth = dict(rows(usage / "test_truth.csv"))
        assert len(truth) == 22
        plans = {plan.name: plan for plan in plan_generators(real.groups, USAGE)}
        for label in ("vae", "vae_2"):
            for folder, found in (
                ("real_used", plans[f"{label}_training"].members),
                ("real_not_used", plans[f"{label}_training"].nonmembers),
            ):
                written = [file for file in sources if file.startswith(f"{label}/{folder}/")]
                assert {sources[file] for file in written} == {real.names[row] for row in found}
            members = {real.names[row] for row in plans[f"{label}_test"].members}
            unknown = [file for file in sources if file.startswith(f"test/{label}/real_unknown/")]
            assert len(unknown) == 11
            for file in unknown:
                name = file.split("/")[-1].removesuffix(".png")
                assert truth[name] == str(int(sources[file] in members))

    def test_the_order_of_unknown_images_differs_between_generators(self, usage):
        sources = sources_of(usage)
        orders = [
            [sources[file] for file in sorted(sources) if file.startswith(f"test/{label}/")]
            for label in ("vae", "vae_2")
        ]
        assert sorted(orders[0]) == sorted(orders[1])
        assert orders[0] != orders[1]

    def test_copies_name_the_image_in_their_own_generators_folder(self, usage):
        copies = records(usage / "planted.csv")
        assert len(copies) == 2 * (4 + 4)
        for copy in copies:
            assert np.array_equal(pixels(usage / copy["generated"]), pixels(usage / copy["member"]))
            *above, generator, _, _ = copy["generated"].split("/")
            kind = "real_unknown" if above else "real_used"
            assert copy["member"].startswith("/".join([*above, generator, kind]) + "/")
            assert copy["second_member"] == ""


class TestModel:
    def test_it_is_read_with_the_labels_of_all_generators(self, model, prepared):
        index, _ = prepared(model, "model", size=16, validation=0.3)
        assert index.classes == ("vae", "vae_2")
        train, test = index.select(split=("train", "validation")), index.select(split="test")
        assert train["label"].value_counts().to_dict() == {"vae": 6, "vae_2": 6}
        assert len(test) == 9
        assert index.has_truth

    def test_the_unlabelled_generator_is_in_the_truth_and_in_no_folder(self, model):
        truth = [label for _, label in rows(model / "test_truth.csv")]
        assert {label: truth.count(label) for label in truth} == {"vae": 3, "vae_2": 3, "vae_3": 3}
        assert truth != sorted(truth)
        assert folders(model) == {"generated/vae", "generated/vae_2", "test/generated_unknown"}

    def test_no_real_image_is_shown_but_named(self, model, real):
        assert not (model / "groups.csv").exists()
        assert not (model / "sources.csv").exists()
        group_of = dict(zip(real.names, real.groups, strict=True))
        (plan, *_) = plan_generators(real.groups, MODEL)
        named = {row["source"]: row["group"] for row in records(model / "training_images.csv")}
        assert named == {real.names[row]: group_of[real.names[row]] for row in plan.members}

    def test_blends_name_both_images_by_their_sources(self, model, real):
        copies = records(model / "planted.csv")
        row = {name: number for number, name in enumerate(real.names)}
        members = set(plan_generators(real.groups, MODEL)[0].members.tolist())
        assert len(copies) == 3 + 3 + 3 * 2
        for copy in copies:
            assert copy["kind"] == "blend"
            first, second = row[copy["member"]], row[copy["second_member"]]
            assert first != second
            assert {first, second} <= members
            blend = pixels(model / copy["generated"]).astype(float).ravel()
            one, other = (real.images[n].astype(float).ravel() for n in (first, second))
            share = ((blend - other) @ (one - other)) / ((one - other) @ (one - other))
            assert 0.5 - 0.01 <= share <= 0.7 + 0.01
            assert np.abs(blend - share * one - (1 - share) * other).max() < 1


class TestShadow:
    def test_membership_agrees_with_what_each_was_trained_on(self, shadow, real):
        table = records(shadow / "membership.csv")
        sources, plans = sources_of(shadow), plan_generators(real.groups, SHADOW)
        assert list(table[0]) == ["file", "s000", "s001", "s002", "s003"]
        assert len(table) == 12
        for plan in plans:
            used = {sources[row["file"]] for row in table if row[plan.name] == "1"}
            assert used == {real.names[n] for n in plan.members}
        assert {sum(row[plan.name] == "1" for plan in plans) for row in table} == {2}

    def test_candidates_are_written_once_with_their_groups(self, shadow, real):
        assert folders(shadow) == {"real", *(f"generated/s{n:03d}" for n in range(4))}
        number = {name: row for row, name in enumerate(real.names)}
        groups = {row["file"]: row["group"] for row in records(shadow / "groups.csv")}
        sources = sources_of(shadow)
        assert len(sources) == len(set(sources.values())) == 12
        for file, source in sources.items():
            assert np.array_equal(pixels(shadow / file), real.images[number[source]])
            assert groups[file] == real.groups[number[source]]

    def test_a_candidates_name_says_nothing(self, shadow, real):
        table = records(shadow / "membership.csv")
        sources = sources_of(shadow)
        files = sorted(sources)
        assert files == [f"real/candidate_{n:05d}.png" for n in range(12)]
        place = {name: row for row, name in enumerate(real.names)}
        order = [place[sources[file]] for file in files]
        assert order != sorted(order)  # of the folder they come from
        for name in ("s000", "s001"):
            column = [row[name] for row in table]
            assert column not in (sorted(column), sorted(column, reverse=True))

    def test_copies_name_candidates_that_their_generator_was_trained_on(self, shadow):
        copies = records(shadow / "planted.csv")
        used = {row["file"]: row for row in records(shadow / "membership.csv")}
        assert len(copies) == 4 * 3
        assert {copy["kind"] for copy in copies} == {"exact", "blend"}
        for copy in copies:
            generator = copy["generated"].split("/")[1]
            assert used[copy["member"]][generator] == "1"
            assert (copy["second_member"] == "") == (copy["kind"] == "exact")
            if copy["kind"] == "blend":
                assert used[copy["second_member"]][generator] == "1"
            else:
                assert np.array_equal(pixels(shadow / copy["generated"]), pixels(shadow / copy["member"]))


def test_without_a_test_part_there_is_no_truth(real, tmp_path, prepared):
    sizes = UsageScale(
        members=6, nonmembers=5, generated=7, test_members=0, test_nonmembers=0, test_generated=0
    )
    settings = replace(
        USAGE,
        scale=ScaleSettings(usage=sizes),
        generators=(),
        planted=PlantedSettings(fraction=0.0, kinds=("exact",)),
    )
    out = tmp_path / "usage"
    document = make_benchmark(real, settings, out, progress=Quiet())
    assert folders(out) == {"real_used", "real_not_used", "generated"}
    assert not (out / "test_truth.csv").exists()
    assert not (out / "planted.csv").exists()
    assert document["planted"] == {"fraction": 0.0, "kinds": [], "copies": 0}
    index, _ = prepared(out, "usage", size=16, folds=2)
    assert len(index.select(split="test")) == 0
    assert len(index.table) == 18
