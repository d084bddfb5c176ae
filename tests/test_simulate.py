from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fingerprints import simulate, train

TINY = [
    "size=16",
    "accelerator=cpu",
    "phantoms.slices_per_patient=4",
    "generator.max_steps=2",
    "generator.width=2",
    "generator.discriminator_width=2",
    "generator.widest=4",
    "generator.batch_size=4",
]
SUBSET = ["scale.subset.subsets=2", "scale.subset.real=12", "scale.subset.generated=8", "scale.subset.test=6"]
USAGE = [
    f"scale.usage.{part}{kind}={n}"
    for part in ("", "test_")
    for kind, n in (("members", 8), ("nonmembers", 8), ("generated", 10))
]


@pytest.mark.parametrize(
    ("task", "counts", "experiment", "extra"),
    [
        ("subset", SUBSET, "siamese_subtask2", ["data.validation=0.4"]),
        ("usage", USAGE, "siamese_subtask1", ["data.folds=2"]),
    ],
)
def test_a_benchmark_of_phantoms_is_made_and_trained_on(command, tmp_path, task, counts, experiment, extra):
    code, said = command(simulate, f"task={task}", "out=made", *TINY, *counts, "planted.fraction=0.25")
    assert code == 0
    assert "1-NN two-sample accuracy" in said
    assert "planted:" in said
    (next_command,) = (line for line in said.splitlines() if line.startswith("next: "))
    assert f"experiment={experiment} data.root={tmp_path / 'made'} data.size=16" in next_command
    document = json.loads((tmp_path / "made/benchmark.json").read_text())
    assert document["settings"]["steps"] == 2
    assert document["images"]["origin"] == "phantoms"
    words = [*next_command.split()[4:], "data.size=48", "trainer=cpu", "trainer.max_epochs=1"]
    words += ["encoder.channels=[2,2,2,2]", "evidence.resamples=10", "evidence.permutations=9", *extra]
    code, said = command(train, *words, "run_dir=run")
    assert code == 0, said
    assert (tmp_path / "run/report.html").is_file()


def test_the_same_command_says_that_it_is_done(command, tmp_path):
    words = ["task=subset", "out=made", *TINY, *SUBSET]
    first = command(simulate, *words)
    before = (tmp_path / "made/benchmark.json").read_bytes()
    second = command(simulate, *words)
    assert first[0] == second[0] == 0
    assert "step" not in second[1].split("benchmark:")[0]
    assert (tmp_path / "made/benchmark.json").read_bytes() == before


def test_real_images_and_their_groups_are_used(command, tmp_path, write_image, write_rows):
    for number in range(40):
        write_image(tmp_path / f"ct/{number:02d}.png", number)
    write_rows(tmp_path / "ct.csv", [("file", "run"), *((f"{n:02d}.png", f"r{n // 4}") for n in range(40))])
    words = ["task=subset", "images=ct", "groups=ct.csv", "out=made", *TINY, *SUBSET]
    code, said = command(simulate, *words, "store=store")
    assert code == 0, said
    assert "real: 40 images of 10 groups" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task=model"], "task=subset or task=usage"),
        (["task=subset", "size=65"], "size=64"),
        (["task=subset", "images=nowhere"], "images=nowhere"),
        (["task=subset", "planted.kinds=[blur]"], "exact, noise, shift, contrast"),
        (["task=subset", "generator=diffusion"], "There is no generator 'diffusion'"),
        (["task=subset", "scale=huge"], "demo, paper"),
        (["task=subset", "scale.subset.reel=3"], "scale.subset.real"),
        (["task=subset", "planted.fraction=1.5"], "planted.fraction"),
        (["task=usage", "nonmembers=others"], "other_groups"),
        (["task=subset", "generator.learning_rate=1"], "generator.learning_rate"),
    ],
)
def test_mistakes_are_said_in_plain_words(command, tmp_path, words, said):
    code, text = command(simulate, "out=made", *words)
    assert code == 2
    assert said in text
    assert not (tmp_path / "made").exists()
    assert not (tmp_path / "made.partial").exists()


def test_help_needs_no_torch():
    script = (
        "import sys; sys.argv = ['x', '--help']; from fingerprints.simulate import main; main();"
        "assert 'torch' not in sys.modules and 'hydra' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "scale=demo" in done.stdout
