"""The last words of a simulation."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.encoders.build import build_network
from fingerprints.encoders.settings import SiameseCNNSettings
from fingerprints.simulation.summary import summary


def document(*, task="subset", designs=1, collapsed=(), below=(), copies=0, control=None, origin="phantoms"):
    generators = {
        name: {
            "quality": {"collapsed": name in collapsed, "below_floor": ["precision"] if name in below else []}
        }
        for name in ("t1", "t2")
    }
    return {
        "settings": {"task": task, "size": 64, "designs": [{}] * designs},
        "images": {"count": 1200, "origin": origin},
        "groups": {"count": 30},
        "generators": generators,
        "files": {".": {"files": 9}, "real/t1": {"files": 1000}, "real/t2": {"files": 500}},
        "planted": {"copies": copies},
        "control": control,
        "seconds": 61.4,
    }


def test_images_groups_and_generators_are_counted():
    first, second, *_ = summary(document(), Path("OUT"))
    assert first == "benchmark: subset, 1,500 images of 64 x 64 in OUT"
    assert second == "real: 1,200 phantoms of 30 groups; 2 generators, 61 s"
    assert "1,200 images of" in summary(document(origin="images"), Path("OUT"))[1]


@pytest.mark.parametrize(
    ("task", "designs", "words"),
    [
        ("subset", 1, "experiment=siamese_subtask2 data.root=OUT data.size=64"),
        ("usage", 1, "experiment=siamese_subtask1 data.root=OUT data.size=64"),
        ("usage", 2, "experiment=siamese_subtask1 data=imageclef2024_usage data.root=OUT data.size=64"),
        ("model", 4, "experiment=features_models data.root=OUT data.size=64"),
        ("shadow", 1, None),
    ],
)
def test_the_next_command_fits_the_task(task, designs, words):
    last = summary(document(task=task, designs=designs), Path("OUT"))[-1]
    assert last.startswith("next: ") == (words is not None)
    assert words is None or last.endswith(words)


def test_bad_generators_copies_and_controls_are_said():
    text = "\n".join(
        summary(
            document(
                collapsed=["t1"], below=["t1", "t2"], copies=12, control={"name": "same_start", "means": "m"}
            ),
            Path("OUT"),
        )
    )
    assert "COLLAPSED: t1;" in text
    assert "BELOW THE FLOOR: t2;" in text
    assert "planted: 12 copies" in text
    assert "control same_start: m" in text


def test_benchmarks_of_earlier_versions_have_a_summary():
    old = document()
    del old["control"]
    assert len(summary(old, Path("OUT"))) == 3


def test_the_next_command_runs_as_it_is_printed():
    small = document()
    small["settings"]["size"] = 16
    last = summary(small, Path("Müller's out"))[-1]
    *_, root, size = shlex.split(last)
    assert root == "data.root=Müller's out"
    side = int(size.removeprefix("data.size="))  # the smallest that the encoder of the experiment takes
    settings = SiameseCNNSettings()
    build_network(settings, size=side)
    with pytest.raises(FingerprintsError, match="too small"):
        build_network(settings, size=side - 1)
