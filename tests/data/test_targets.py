"""What a classifier learns, counted by hand."""

from __future__ import annotations

import pytest

from fingerprints.data.targets import labelled_images, lesson

GENERATORS = ("model_1", "model_2")


@pytest.fixture
def usage(usage_root, prepared):
    def make(generators=GENERATORS):
        layout = "usage_2024" if len(generators) > 1 else "usage"
        index, _ = prepared(usage_root(per_class=8, generators=generators), layout, folds=2)
        train = index.select(split="train", generator=generators[0])
        inside, held = train[train["fold"] != 0], train[train["fold"] == 0]
        return (
            index,
            inside,
            held,
            lambda target: lesson(target, index, train=inside, held=held, fit_on="real"),
        )

    return make


def test_own_labels_are_those_of_real_images_in_the_order_of_the_task(usage):
    index, inside, held, learnt = usage()
    found = learnt("labels")
    assert found.classes == index.classes == ("not_used", "used")
    real = inside[inside["domain"] == "real"]
    assert found.train.index.tolist() == real.index.tolist()
    assert found.train["label"].tolist() == real["label"].tolist()
    assert set(found.held.index) == set(held.index[held["domain"] == "real"])


def test_by_origin_used_images_stand_against_generated_ones(usage):
    _, inside, held, learnt = usage()
    found = learnt("origin")
    assert found.classes == ("generated", "used")
    for rows, before in ((found.train, inside), (found.held, held)):
        generated = before.index[before["domain"] == "generated"]
        used = before.index[before["label"] == "used"]
        assert set(rows.index[rows["label"] == "generated"]) == set(generated)
        assert set(rows.index[rows["label"] == "used"]) == set(used)
        assert len(rows) == len(generated) + len(used)


def test_generators_are_those_of_the_whole_data_without_held_out_images(usage):
    index, inside, held, learnt = usage()
    found = learnt("generators")
    assert found.classes == GENERATORS
    everything = index.select(domain="generated", split="train")
    own = inside[inside["domain"] == "generated"]
    other = everything[everything["generator"] == "model_2"]
    assert set(found.train.index) == {*own.index, *other.index}
    assert (found.train["label"] == found.train["generator"]).all()
    assert set(found.held.index) == set(held.index[held["domain"] == "generated"])
    assert set(found.train["split"]) == {"train"}


def test_with_one_generator_real_images_stand_against_generated_ones(usage):
    _, inside, held, learnt = usage(("",))
    found = learnt("generators")
    assert found.classes == ("generated", "real")
    assert found.train.index.tolist() == inside.index.tolist()
    assert found.held["label"].tolist() == held["domain"].tolist()


def test_which_domain_is_learnt(subset_root, prepared):
    index, _ = prepared(subset_root(), "subset")
    train = index.select(split="train")
    assert set(labelled_images(train, "real")["domain"]) == {"real"}
    assert len(labelled_images(train, "both")) == len(train)
