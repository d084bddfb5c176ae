"""The embedded benchmark as it is shipped."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import fingerprints

ROOT = Path(fingerprints.__file__).parent / "embedded"
IMAGES = {
    "subset": {
        **{f"real/t{k}": 200 for k in range(1, 6)},
        **{f"generated/gen_t{k}": 200 for k in range(1, 6)},
        "test/generated_unknown": 1000,
    },
    "usage": {
        "real_used": 100,
        "real_not_used": 100,
        "generated": 1000,
        "test/real_unknown": 200,
        "test/generated": 1000,
    },
    "model": {
        **{f"generated/{name}": 100 for name in ("gan", "vae", "diffusion")},
        "test/generated_unknown": 600,
    },
}


def test_it_is_small_enough_to_ship():
    assert sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file()) < 25e6


@pytest.mark.parametrize("task", IMAGES)
def test_files_are_those_that_the_simulation_wrote(task):
    document = json.loads((ROOT / task / "benchmark.json").read_text())
    assert document["images"]["origin"] == "phantoms"
    assert {name: folder["files"] for name, folder in document["files"].items() if name != "."} == IMAGES[
        task
    ]
    for name, folder in document["files"].items():
        digest = hashlib.sha256()
        files = sorted(path for path in (ROOT / task / name).iterdir() if path.is_file())
        for path in files:
            if path.name != "benchmark.json":
                digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        assert digest.hexdigest()[:32] == folder["digest"], name
    assert not (ROOT / task / "generators").exists()


@pytest.mark.parametrize("task", IMAGES)
def test_it_can_be_read_with_its_truth_and_patients(task, prepared):
    index, store = prepared(ROOT / task, task, size=64)
    assert len(index.table) == sum(IMAGES[task].values())
    assert index.has_truth
    assert index.pseudo_groups == (task == "model")  # there, no image is real
    assert np.unique(store.native_sizes, axis=0).tolist() == [[64, 64]]
    assert index.notes == ()


def test_no_patient_is_on_two_sides():
    with (ROOT / "usage/groups.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    sides = {
        kind: {row["group"] for row in rows if row["file"].startswith(kind)}
        for kind in ("real_used", "real_not_used", "test/")
    }
    assert all(sides.values())
    assert not sides["real_used"] & sides["real_not_used"]
    assert not (sides["real_used"] | sides["real_not_used"]) & sides["test/"]


def test_generators_did_not_collapse():
    for task in IMAGES:
        generators = json.loads((ROOT / task / "benchmark.json").read_text())["generators"]
        assert generators
        assert not any(facts["quality"]["collapsed"] for facts in generators.values())
        assert not any(facts["quality"].get("below_floor") for facts in generators.values())


def test_the_fourth_generator_has_no_labelled_images():
    with (ROOT / "model/test_truth.csv").open(newline="") as handle:
        labels = [label for _, label in csv.reader(handle)]
    assert {label: labels.count(label) for label in labels} == dict.fromkeys(
        ("gan", "vae", "diffusion", "stylegan"), 150
    )
