from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pandas as pd
import pytest

from fingerprints import simulate, train
from fingerprints.generators.module import GeneratorModule
from tests.compose import complaint

SMALL = ["size=16", "accelerator=cpu", "phantoms.slices_per_patient=4"]
TINY = [
    *SMALL,
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
    assert "control same_images: " not in said
    (next_command,) = (line for line in said.splitlines() if line.startswith("next: "))
    assert f"experiment={experiment} data.root={tmp_path / 'made'} data.size=46" in next_command
    document = json.loads((tmp_path / "made/benchmark.json").read_text())
    assert document["settings"]["designs"][0]["steps"] == 2
    assert document["images"]["origin"] == "phantoms"
    words = [*next_command.split()[4:], "data.size=48", "trainer=cpu", "trainer.max_epochs=1"]
    words += ["encoder.channels=[2,2,2,2]", "evidence.permutations=9", *extra]
    code, said = command(train, *words, "run_dir=run")
    assert code == 0, said
    assert (tmp_path / "run/report.html").is_file()


def test_the_same_command_says_that_it_is_done(command, tmp_path):
    words = ["task=subset", "out=made", *TINY, *SUBSET, "subsets=same"]
    first = command(simulate, *words)
    assert "control same_images: " in first[1]
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


# A mistake of each kind: no such value, no such key, out of range, files that are not there, what does not go
# together, too few images.
ON_COMMAND_LINE = (
    "task=style is not one of subset, usage, model, shadow",
    "scale.subset.real",
    "planted.fraction",
    "images=nowhere",
    "task=subset takes one generator; 2 are given",
    "needs 250 real images",
)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task=style"], "task=style is not one of subset, usage, model, shadow"),
        (["task=subset", "images=nowhere"], "images=nowhere"),
        (["task=subset", "reuse=nowhere"], "reuse=nowhere"),
        (["task=subset", "generator=flow"], "no generator 'flow'; there are diffusion, gan, stylegan, vae"),
        (
            ["task=model", "generators=[gan,vea]"],
            "no generator 'vea'; there are diffusion, gan, stylegan, vae",
        ),
        (["task=subset", "scale=huge"], "demo, paper"),
        (["task=subset", "scale.subset.reel=3"], "scale.subset.real"),
        (["task=subset", "planted.fraction=1.5"], "planted.fraction"),
        (["task=subset", "generator.learning_rate=1"], "generator.learning_rate"),
        (["task=model", "generators=[{name: gan, leer: 1}]"], "cannot take leer"),
        (["task=model", "generators=[{name: gan, lr: -1}]"], "generators.0.lr=-1"),
        (["task=model", "generator.width=2"], "generator.width=2 is for one generator; this benchmark has 4"),
        (["task=usage", "generators=[vae]", "generator.lr=1"], "generator.lr=1 is for one generator"),
        (["task=subset", "generators=[gan,vae]"], "task=subset needs exactly one generator; 2 are given"),
        (["task=shadow", "generator=diffusion", "size=60"], "a multiple of 8 from 16"),
        (["task=usage", "scale.usage.test_members=0"], "all three greater than 0, or all three 0"),
        (
            ["task=model", "scale.model.labelled=5", "scale.model.real=8", "size=16"],
            "5 labelled generators of 4",
        ),
        (["task=usage", "dial=plantde"], "dial=planted"),
        (["task=subset", "subsets=sam"], "not one of disjoint, same"),
        (["task=subset", "seeds=0"], "not one of own, shared"),
        (["task=usage", "subsets=same"], "this control is only for task=subset"),
        (["task=shadow", "images=ct", "size=16"], "needs 250 real images"),
        (["task=shadow", "images=ct", "size=16", "scale.shadow.candidates=16"], "fewer than one batch of 16"),
    ],
)
def test_mistakes_are_said_in_plain_words(
    command, tmp_path, write_image, write_rows, words, said, monkeypatch
):
    if "images=ct" in words:
        for number in range(24):
            write_image(tmp_path / f"ct/{number:02d}.png", number, size=16)
        write_rows(
            tmp_path / "ct/groups.csv",
            [("file", "group"), *((f"{n:02d}.png", f"p{n // 2}") for n in range(24))],
        )
    words = ["out=made", "accelerator=cpu", *words]
    if said not in ON_COMMAND_LINE:
        monkeypatch.chdir(tmp_path)
        assert said in complaint(simulate._job, "simulate", *words, folder=tmp_path)
        assert not (tmp_path / "made").exists()
        return
    code, text = command(simulate, *words)
    assert code == 2
    assert said in text
    assert len([line for line in text.splitlines() if line.startswith("error: ")]) == 1
    assert "Traceback" not in text
    assert not (tmp_path / "made").exists()


def test_help_needs_no_torch():
    script = (
        "import sys; sys.argv = ['x', '--help']; from fingerprints.simulate import main; main();"
        "assert 'torch' not in sys.modules and 'hydra' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "scale=demo" in done.stdout
    for words in ("dial=NAME", "planted", "stylegan", "task=shadow", "blend"):
        assert words in done.stdout


FOUR = (
    "generators=[{name: gan, width: 2, discriminator_width: 2, widest: 4, latent: 4, batch_size: 4},"
    "{name: vae, width: 2, widest: 8, latent: 4, batch_size: 4},"
    "{name: diffusion, channels: [8,8], attention: false, sampling_steps: 2, batch_size: 4},"
    "{name: stylegan, width: 2, discriminator_width: 2, widest: 4, latent: 4, mapping: 1, batch_size: 4}]"
)
TWO = (
    "generators=[{name: vae, width: 2, widest: 8, latent: 4, batch_size: 4},"
    "{name: gan, width: 2, discriminator_width: 2, widest: 4, latent: 4, batch_size: 4}]"
)
MODEL = ["scale.max_steps=2", "scale.model.real=12", "scale.model.generated=5", "scale.model.test=9"]


@pytest.fixture
def steps(monkeypatch):
    """Names of generators, one for each training step that is made."""
    made, plain = [], GeneratorModule.record

    def record(self, *arguments):
        made.append(self.name)
        return plain(self, *arguments)

    monkeypatch.setattr(GeneratorModule, "record", record)
    return made


def test_generators_of_four_designs_make_a_model_benchmark(command, tmp_path, steps):
    code, said = command(simulate, "task=model", "out=made", *SMALL, *MODEL, FOUR)
    assert code == 0, said
    assert steps == [name for name in ("gan", "vae", "diffusion", "stylegan") for _ in range(2)]
    document = json.loads((tmp_path / "made/benchmark.json").read_text())
    assert [facts["design"] for facts in document["generators"].values()] == [*dict.fromkeys(steps)]
    assert {name: folder["files"] for name, folder in document["files"].items() if name != "."} == {
        "generated/gan": 5,
        "generated/vae": 5,
        "generated/diffusion": 5,
        "test/generated_unknown": 9,
    }
    truth = (tmp_path / "made/test_truth.csv").read_text()
    assert {line.split(",")[1] for line in truth.split()} == {"gan", "vae", "diffusion", "stylegan"}
    for name in dict.fromkeys(steps):
        assert (tmp_path / f"made/generators/{name}/contact_sheet.png").is_file()
        assert f"generator {name}: nearest generated image tells members" in said
    assert "next: python -m fingerprints.train experiment=features_models data.root=" in said


def test_jobs_with_a_generator_each_write_a_benchmark_of_two_generators(command, tmp_path):
    words = ["task=usage", "out=made", *SMALL, "scale.max_steps=2", *USAGE, TWO]
    code, said = command(simulate, "-m", *words, "only=0,1,2,3", "hydra.sweep.dir=jobs")
    assert code == 0, said
    assert said.count("the job that finishes last writes the benchmark") == 3
    (next_command,) = (line for line in said.splitlines() if line.startswith("next: "))
    assert f"data=imageclef2024_usage data.root={tmp_path / 'made'}" in next_command
    assert not (tmp_path / "made.partial").exists()
    code, said = command(simulate, "task=usage", "out=other", *SMALL, *USAGE, TWO, "only=4")
    assert code == 2
    assert "There is no generator 4; the benchmark has 4 (0: vae_training, 1: gan_training" in said


def test_shadow_generators_are_made(command, tmp_path):
    words = ["scale.shadow.candidates=12", "scale.shadow.generators=2", "scale.shadow.generated=5"]
    code, said = command(simulate, "task=shadow", "out=made", *TINY, *words)
    assert code == 0, said
    table = pd.read_csv(tmp_path / "made/membership.csv")
    assert (table["s000"] + table["s001"] == 1).all()
    assert table["s000"].sum() == 6


def test_a_dial_of_planted_copies_trains_each_generator_once(command, tmp_path, steps):
    words = ["task=usage", "out=out", *TINY, "scale.usage.members=12", "scale.usage.nonmembers=8"]
    words += ["scale.usage.generated=20", "dial=planted", "seed=0", "hydra.sweep.dir=jobs"]
    code, said = command(simulate, *words, "planted.fraction=0,1", "planted.kinds=[exact]")
    assert code == 0, said
    assert steps == ["training"] * 2
    names = ["fraction-0_seed-0", "fraction-1_seed-0"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == names
    table = pd.read_csv(tmp_path / "out/dial.csv")
    assert table[["benchmark", "planted"]].to_numpy().tolist() == [[names[0], 0], [names[1], 1]]
    # Every training image is among the generated ones at last.
    assert table["other_groups.auc"][0] < table["other_groups.auc"][1] == 1
    before = (tmp_path / "out/dial.png").stat().st_size
    assert before > 0
    # A job that fails is said at once, the others are done, and the command says so, too.
    code, said = command(simulate, *words, "planted.fraction=-1,0.5", "planted.kinds=[exact]")
    assert code == 2
    assert "job 0 failed" in said
    assert "planted.fraction=-1" in said
    assert len(steps) == 2
    assert len(pd.read_csv(tmp_path / "out/dial.csv")) == 3


def test_the_fix_of_a_failed_simulation_works_in_the_same_folder(command, tmp_path):
    tiny = [word for word in TINY if "batch_size" not in word]
    words = ["task=usage", "out=my out", *tiny, *USAGE, "scale.usage.test_members=6"]
    code, printed = command(simulate, *words)
    assert code == 2
    assert not (tmp_path / "my out.partial").exists()
    advised = printed.splitlines()[2].split("a smaller batch: ")[1]
    assert advised == "generator.batch_size=6"  # also for the other generator, which has 8 images
    code, printed = command(simulate, *words, advised)
    assert code == 0, printed
    (line,) = (line for line in printed.splitlines() if line.startswith("next: "))
    assert f"data.root={tmp_path / 'my out'}" in shlex.split(line)
