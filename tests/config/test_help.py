from __future__ import annotations

import pytest

from fingerprints.config.help import describe_options, help_on
from fingerprints.config.schema import ROOT_GROUPS, options
from fingerprints.core.errors import FingerprintsError


def test_keys_of_an_option_have_defaults_choices_bounds_and_help():
    page = help_on(["--help", "decision=svm"], "train")
    lines = {line.split("  ")[1]: line for line in page.splitlines() if line.startswith("  decision.")}
    assert "linear | rbf" in lines["decision.kernel=linear"]
    assert "greater than 0" in lines["decision.C=1.0"]
    assert "cross-validation" in lines["decision.C=1.0"]
    assert "decision.fit_on=null" in page
    assert "decision.name" not in page


def test_a_variant_shows_its_own_values():
    assert "reduction.variance=0.9 " in help_on(["reduction=pca90"], "train")
    assert "encoder.input_size=224" in help_on(["encoder=dinov2"], "train")
    assert "generator.augment.enabled=false" in help_on(["generator=vae"], "simulate")
    assert "generator.augment.enabled=true" in help_on(["generator=gan"], "simulate")


@pytest.mark.parametrize("group", sorted({group for groups in ROOT_GROUPS.values() for group in groups}))
def test_every_option_of_every_group_is_explained(group):
    root = next(root for root, groups in ROOT_GROUPS.items() if group in groups)
    for option in options(group):
        page = help_on([f"{group}={option}"], root)
        first, _, *rows = page.splitlines()
        assert first.startswith(f"{group}={option}: ")
        assert len(first) > len(f"{group}={option}: ") + 5
        assert first[-1] not in ",;:", first  # a whole sentence
        assert rows
        assert all(len(line) < 115 for line in rows)


def test_groups_whose_options_share_a_class_show_what_an_option_sets():
    page = help_on(["trainer=ddp", "callbacks=best", "logger=csv"], "train")
    for shown in (
        "trainer.devices=-1 ",
        "trainer.max_epochs=30 ",
        "callbacks.early_stopping.enabled=true",
        "callbacks.early_stopping.patience=5 ",
        "logger.offline=true",
    ):
        assert shown in page
    page = help_on(["data=imageclef2025_subset"], "train")
    assert "data.sources=[{pattern: real/{label}/*, domain: real, part: train}" in page
    assert "data.root=... " in page
    assert "scale.usage.members=100 " in help_on(["scale=demo"], "simulate")


def test_experiments_and_sweeps_show_what_they_set():
    page = help_on(["experiment=metric_subtask2", "sweep=grid"], "train").splitlines()
    for shown in ("pairing=all", "pairing.images_per_class=8", "pairing=random,all,nearest", "seed=range(3)"):
        assert f"  {shown}" in page


def test_several_words_give_several_pages_and_a_group_alone_its_options():
    pages = help_on(["decision=svm", "pairing=all"], "train")
    assert "decision=svm: " in pages
    assert "pairing=all: " in pages
    assert "dbscan_rerank" in help_on(["decision"], "train")
    assert help_on(["--help"], "train") is None


@pytest.mark.parametrize(
    ("word", "said"),
    [("decision=svn", "decision=svm"), ("decisin=svm", "no options to explain"), ("seed=3", "decision")],
)
def test_what_cannot_be_explained_is_said(word, said):
    with pytest.raises(FingerprintsError) as caught:
        help_on([word], "train")
    assert said in str(caught.value)


def test_every_option_of_every_group_has_a_summary():
    for group in {group for groups in ROOT_GROUPS.values() for group in groups}:
        for line in describe_options(group):
            assert len(line.split()) > 2, line
