"""The job of one generator: done once, read back whole, measured as asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fingerprints.config.simulation import QualitySettings, ScaleSettings, SimulateSettings, UsageScale
from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.fit import CPU
from fingerprints.generators.settings import PlantedSettings, VAESettings
from fingerprints.runs.status import claimed
from fingerprints.simulation import generator_job
from fingerprints.simulation.generator_job import RESULT, GeneratorJob, read_result, seed_of
from fingerprints.simulation.plan import plan_generators
from fingerprints.simulation.sources import phantom_images

SETTINGS = SimulateSettings(
    task="usage",
    out=Path("out"),
    size=16,
    scale=ScaleSettings(
        max_steps=2,
        usage=UsageScale(
            members=6, nonmembers=5, generated=7, test_members=5, test_nonmembers=6, test_generated=8
        ),
    ),
    generator=VAESettings(width=2, widest=8, latent=4, batch_size=4),
    planted=PlantedSettings(fraction=0.5, kinds=("blend",)),
)


class Heard:
    """Remembers what it is told."""

    def __init__(self):
        self.steps, self.lines = [], []

    def begin(self, steps):
        pass

    def step(self, name, step, point):
        self.steps.append((name, step))

    def trained(self, name, *lines):
        self.lines += lines


@pytest.fixture(scope="module")
def real():
    return phantom_images(40, size=16, seed=0, slices_per_patient=4)


def job_of(real, folder, settings=SETTINGS, number=0):
    plan = plan_generators(real.groups, settings)[number]
    return GeneratorJob(real, settings, plan, number, folder / "generators" / plan.name)


@pytest.fixture(scope="module")
def done(real, tmp_path_factory):
    job, heard = job_of(real, tmp_path_factory.mktemp("done")), Heard()
    job.run(progress=heard, hardware=CPU)
    return job, heard


def test_a_job_says_each_step_and_how_good_the_generator_is(done):
    _, heard = done
    assert heard.steps == [("training", 1), ("training", 2)]
    assert [line.split(":")[0] for line in heard.lines] == ["generator training"] * 2
    assert "2 steps" in heard.lines[0]
    assert "nearest generated image tells members from others" in heard.lines[1]


def test_its_result_is_read_back(done, real):
    job, _ = done
    result = read_result(job.folder)
    ((folder, images, copies),) = result.outputs(job.plan)
    assert (folder, images.shape, images.dtype) == ("generated", (7, 16, 16), np.uint8)
    assert len(copies) == 4
    members = set(job.plan.members.tolist())
    assert {copy.member for copy in copies.values()} | {copy.second for copy in copies.values()} <= members
    facts = result.facts
    assert (facts["design"], facts["members"], facts["nonmembers"], facts["steps"]) == ("vae", 6, 5, 2)
    assert facts["outputs"] == {"generated": 7}
    assert set(facts["memorisation"]) == {"same_groups", "other_groups"}
    assert "fidelity" not in facts


def test_a_finished_job_does_nothing(done):
    job, _ = done
    before = (job.folder / RESULT).stat().st_mtime_ns
    again = Heard()
    job.run(progress=again, hardware=CPU)
    assert (again.steps, again.lines) == ([], [])
    assert (job.folder / RESULT).stat().st_mtime_ns == before


def test_the_result_of_other_settings_is_refused(done, real):
    job, _ = done
    other = replace(job, settings=replace(SETTINGS, seed=1))
    with pytest.raises(FingerprintsError, match="from other real images or settings"):
        other.run(progress=Heard(), hardware=CPU)


def test_a_folder_that_another_process_works_in_is_refused(real, tmp_path):
    job = job_of(real, tmp_path)
    with claimed(job.folder), pytest.raises(FingerprintsError, match="still going"):
        job.run(progress=Heard(), hardware=CPU)


def test_a_finished_training_elsewhere_is_taken_over(done, real, tmp_path):
    first, _ = done
    settings = replace(SETTINGS, reuse=first.folder.parents[1], planted=PlantedSettings())
    job, heard = job_of(real, tmp_path, settings), Heard()
    job.run(progress=heard, hardware=CPU)
    assert heard.steps == []
    here, there = read_result(job.folder), read_result(first.folder)
    assert here.facts["weights"] == there.facts["weights"]
    copied = list(there.copies["generated"])
    rows = np.setdiff1d(np.arange(7), [copy.row for copy in copied])
    assert np.array_equal(here.images[rows], there.images[rows])
    assert here.copies == {"generated": []}


def test_fid_and_kid_are_measured_where_they_are_asked_for(real, tmp_path, monkeypatch):
    asked = []

    def fidelity(generated, kept_out, *, weights, accelerator):
        asked.append((generated.shape[1:], len(kept_out) > 0, weights, accelerator))
        return {"fid": 1.0}

    monkeypatch.setattr(generator_job, "fidelity", fidelity)
    wanted = QualitySettings(fidelity=True, weights=Path("inception.pth"))
    job = job_of(real, tmp_path, replace(SETTINGS, quality=wanted))
    job.run(progress=Heard(), hardware=CPU)
    assert asked == [((16, 16), True, Path("inception.pth"), "cpu")]
    assert read_result(job.folder).facts["fidelity"] == {"fid": 1.0}


def test_only_training_shares_a_seed(real, tmp_path):
    own = [job_of(real, tmp_path, number=n) for n in (0, 1)]
    shared = [replace(job, settings=replace(SETTINGS, seeds="shared")) for job in own]
    assert own[0].training().seed != own[1].training().seed
    assert shared[0].training().seed == shared[1].training().seed == own[0].training().seed
    assert shared[0].seed(2) != shared[1].seed(2)


def test_seeds_differ_between_generators_and_uses():
    assert len({seed_of(s, number, use) for s in (0, 1) for number in range(3) for use in range(4)}) == 24
