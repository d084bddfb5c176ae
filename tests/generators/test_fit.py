"""Training one generator: the same whenever it is interrupted, and finished only once."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fingerprints.encoders.weights import read_weights
from fingerprints.errors import FingerprintsError
from fingerprints.generators import fit as fit_module
from fingerprints.generators.adversarial import GANModule, GANSettings
from fingerprints.generators.fit import RESULT, WEIGHTS, TrainedGenerator, train_generator
from fingerprints.interruption import Interrupted, handled
from fingerprints.training.checkpoint import LAST

STEPS = 9
Trained = tuple[TrainedGenerator, dict[str, Tensor]]


class Killed(BaseException):
    """No chance to save anything."""


def images(n: int = 10, *, size: int = 16) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, size, size)).astype(np.uint8)


def train(folder: Path, *, steps: int = STEPS, seed: int = 0, **options: Any) -> TrainedGenerator:
    networks = {"latent": 4, "width": 2, "discriminator_width": 2, "batch_size": 4}
    given = {name: options.pop(name) for name in list(options) if name in ("lr", "batch_size")}
    options = {"images": images(), "name": "gen_a", **options}
    settings = GANSettings(**{**networks, **given})
    return train_generator(settings=settings, steps=steps, seed=seed, folder=folder, **options)


def all_weights(trained: TrainedGenerator) -> dict[str, Tensor]:
    """Of generator, discriminator and average, with their buffers."""
    return {name: tensor.clone() for name, tensor in trained.module.state_dict().items()}


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(autouse=True)
def _several_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """A point of the curve every two steps: some interruptions fall between two."""
    before = GANModule.__init__

    def begin(self: GANModule, *args: Any, log_every: int, **options: Any) -> None:
        before(self, *args, log_every=min(log_every, 2), **options)

    monkeypatch.setattr(GANModule, "__init__", begin)


@pytest.fixture
def whole(tmp_path_factory: pytest.TempPathFactory, _several_points: None) -> Trained:
    """A training that nothing interrupted; made once."""
    if not _WHOLE:
        trained = train(tmp_path_factory.mktemp("whole"))
        _WHOLE.append((trained, all_weights(trained)))
    return _WHOLE[0]


_WHOLE: list[Trained] = []


def stop_at(step: int, how: Callable[[], None]) -> Callable[[int, dict[str, float]], None]:
    return lambda done, _: how() if done == step else None


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def kill() -> None:
    raise Killed


def test_training_leaves_weights_and_facts_and_nothing_else(tmp_path: Path) -> None:
    folder, seen = tmp_path / "new", []
    folder.mkdir()
    (folder / f"{LAST}.123.part").write_bytes(b"a writer that was killed")
    trained = train(folder, report=lambda step, point: seen.append((step, point)))
    assert names(folder) == [WEIGHTS, RESULT]
    facts = json.loads((folder / RESULT).read_text())
    assert len(facts.pop("identity")) == 32
    assert facts == {"steps": STEPS, "seconds": trained.seconds, "curve": trained.curve}
    assert [step for step, _ in seen] == list(range(1, STEPS + 1))
    assert seen[0][1] == {}
    assert [point["step"] for _, point in seen[1:]] == [2, 2, 4, 4, 6, 6, 8, 8]
    assert [point["step"] for point in trained.curve] == [2, 4, 6, 8]
    assert_same(read_weights(folder / WEIGHTS), dict(trained.module.sampler.state_dict()))
    assert not any(module.training for module in trained.module.modules())


def test_weights_have_learnt_in_both_networks(whole: Trained) -> None:
    torch.manual_seed(0)
    settings = GANSettings(latent=4, width=2, discriminator_width=2, batch_size=4)
    before = dict(GANModule(size=16, settings=settings, log_every=2).named_parameters())
    same = [name for name, parameter in before.items() if torch.equal(parameter, whole[1][name])]
    assert set(same) <= {"discriminator.last.bias"}  # moves only where a score is beyond its hinge


@pytest.mark.parametrize("earlier", [1, 2])
def test_seed_decides_every_bit_whatever_ran_before(tmp_path: Path, whole: Trained, earlier: int) -> None:
    torch.manual_seed(earlier)
    torch.rand(earlier)
    trained = train(tmp_path)
    assert_same(all_weights(trained), whole[1])
    assert trained.curve == whole[0].curve


def test_other_seed_is_another_generator(tmp_path: Path, whole: Trained) -> None:
    trained = train(tmp_path, seed=1)
    assert not torch.equal(trained.module.sampler.last.weight, whole[0].module.sampler.last.weight)
    assert trained.curve != whole[0].curve


@pytest.mark.parametrize("step", [1, 4, STEPS - 1, STEPS])
def test_interrupted_training_goes_on_to_the_same_bits(tmp_path: Path, whole: Trained, step: int) -> None:
    with pytest.raises(Interrupted) as caught, handled():
        train(tmp_path, report=stop_at(step, terminate))
    assert caught.value.number == signal.SIGTERM
    assert names(tmp_path) == [LAST]
    seen: list[int] = []
    torch.rand(3)
    trained = train(tmp_path, report=lambda done, _: seen.append(done))
    assert seen == list(range(step + 1, STEPS + 1))
    assert_same(all_weights(trained), whole[1])
    assert trained.curve == whole[0].curve
    assert names(tmp_path) == [WEIGHTS, RESULT]


def test_training_interrupted_after_every_few_steps_goes_on_to_the_same_bits(
    tmp_path: Path, whole: Trained
) -> None:
    for step in (2, 3, 7):
        with pytest.raises(Interrupted), handled():
            train(tmp_path, report=stop_at(step, terminate))
    trained = train(tmp_path)
    assert_same(all_weights(trained), whole[1])
    assert trained.curve == whole[0].curve


@pytest.mark.parametrize(("step", "saved"), [(2, 0), (4, 3), (6, 3), (7, 6)])
def test_killed_training_goes_on_from_its_last_checkpoint_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Trained, step: int, saved: int
) -> None:
    monkeypatch.setattr(fit_module, "CHECKPOINT_STEPS", 3)
    with pytest.raises(Killed):
        train(tmp_path, report=stop_at(step, kill))
    assert (tmp_path / LAST).exists() == bool(saved)
    seen: list[int] = []
    trained = train(tmp_path, report=lambda done, _: seen.append(done))
    assert seen == list(range(saved + 1, STEPS + 1))
    assert_same(all_weights(trained), whole[1])
    assert trained.curve == whole[0].curve


def test_training_killed_before_its_facts_were_written_is_finished_without_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Trained
) -> None:
    write = fit_module.write_atomically

    def dying(path: Path, content: bytes) -> None:
        if path.name == RESULT:
            raise Killed
        write(path, content)

    monkeypatch.setattr(fit_module, "write_atomically", dying)
    with pytest.raises(Killed):
        train(tmp_path)
    assert names(tmp_path) == [WEIGHTS, LAST]
    monkeypatch.setattr(fit_module, "write_atomically", write)
    trained = train(tmp_path, report=lambda *_: pytest.fail("trained again"))
    assert_same(all_weights(trained), whole[1])
    assert names(tmp_path) == [WEIGHTS, RESULT]


def test_seconds_are_those_of_all_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(fit_module.time, "perf_counter", lambda: float(next(clock)))
    with pytest.raises(Interrupted), handled():
        train(tmp_path, report=stop_at(4, terminate))
    assert train(tmp_path).seconds >= STEPS


def test_finished_training_is_taken_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train(tmp_path)
    content = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    monkeypatch.setattr(fit_module, "make_trainer", lambda *_, **__: pytest.fail("trained again"))
    torch.manual_seed(5)
    again = train(tmp_path, report=lambda *_: pytest.fail("trained again"))
    assert_same(dict(again.module.sampler.state_dict()), dict(first.module.sampler.state_dict()))
    assert (again.steps, again.seconds, again.curve) == (first.steps, first.seconds, first.curve)
    assert np.array_equal(again.sample(7, seed=3), first.sample(7, seed=3))
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == content


def test_sample_is_images_of_a_seed(whole: Trained) -> None:
    trained = whole[0]
    made = trained.sample(5, seed=1)
    assert isinstance(made, np.ndarray)
    assert (made.shape, made.dtype) == ((5, 16, 16), np.uint8)
    assert np.array_equal(trained.sample(5, seed=1), made)
    assert not np.array_equal(trained.sample(5, seed=2), made)


def test_damaged_checkpoint_is_named_with_what_to_do(tmp_path: Path, whole: Trained) -> None:
    with pytest.raises(Interrupted), handled():
        train(tmp_path, report=stop_at(3, terminate))
    last = tmp_path / LAST
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(FingerprintsError, match="The checkpoint cannot be read") as error:
        train(tmp_path)
    assert error.value.where == str(last)
    assert "delete it" in str(error.value.fix)
    last.unlink()
    assert_same(all_weights(train(tmp_path)), whole[1])


def test_damaged_weights_of_a_finished_training_are_named(tmp_path: Path) -> None:
    train(tmp_path, steps=1)
    (tmp_path / WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(FingerprintsError, match="The weights cannot be read") as error:
        train(tmp_path, steps=1)
    assert error.value.where == str(tmp_path / WEIGHTS)


def test_fewer_images_than_a_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match="trained on 3 image") as error:
        train(tmp_path, images=images(3))
    assert "'gen_a'" in error.value.what
    assert "one batch of 4" in error.value.what
    assert error.value.where == "generators/gen_a"
    assert names(tmp_path) == []
    assert train(tmp_path, images=images(4), steps=1).steps == 1


def test_size_that_the_networks_cannot_make_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match="images of 24 x 24"):
        train(tmp_path, images=images(size=24))


def test_divergence_ends_the_training_and_leaves_no_result(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match="Generator 'gen_a' diverged before step 2"):
        train(tmp_path, lr=float("inf"))
    assert RESULT not in names(tmp_path)


def test_divergence_after_the_last_point_of_the_curve_leaves_no_result_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = GANModule.training_step

    def spoilt(self: GANModule, batch: Any, batch_idx: int) -> None:
        if batch.step == STEPS - 1:  # the curve ends one step earlier
            with torch.no_grad():
                self.generator.last.bias.fill_(float("nan"))
        step(self, batch, batch_idx)

    monkeypatch.setattr(GANModule, "training_step", spoilt)
    with pytest.raises(FingerprintsError, match=f"Generator 'gen_a' diverged before step {STEPS}") as error:
        train(tmp_path)
    assert error.value.where == "generators/gen_a"
    assert names(tmp_path) == [LAST]
