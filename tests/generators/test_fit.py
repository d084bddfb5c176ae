"""Training one generator: the same whenever it is interrupted, and finished only once."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import part_of, registered
from fingerprints.core.signals import Interrupted, handled
from fingerprints.core.weights import read_weights
from fingerprints.generators import fit as fit_module
from fingerprints.generators.fit import TRAINED, WEIGHTS, TrainedGenerator, Training, train_generator
from fingerprints.generators.gan import GANModule
from fingerprints.generators.module import GeneratorModule
from fingerprints.generators.settings import DiffAugment
from fingerprints.training.checkpoint import LAST
from fingerprints.training.hardware import TrainerSettings

STEPS = 9
Trained = tuple[TrainedGenerator, dict[str, Tensor]]


class Killed(BaseException):
    """No chance to save anything."""


def images(n: int = 10, *, size: int = 16) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, size, size)).astype(np.uint8)


SMALL: dict[str, dict[str, Any]] = {
    "gan": {"latent": 4, "width": 2, "discriminator_width": 2},
    "stylegan": {"latent": 4, "mapping": 2, "width": 2, "discriminator_width": 2},
    "vae": {"latent": 4, "width": 2},
    "diffusion": {"channels": (8, 8), "layers": 1, "attention": False, "warmup": 6, "sampling_steps": 2},
}
every_design = pytest.mark.parametrize("design", registered("generator"))


def settings_of(design: str, **given: Any) -> Any:
    return registered("generator")[design](**{**SMALL[design], "batch_size": 4, **given})


def train(
    folder: Path,
    *,
    design: str = "gan",
    steps: int = STEPS,
    seed: int = 0,
    pictures: NDArray[np.uint8] | None = None,
    report: Callable[[int, dict[str, float]], None] | None = None,
    **given: Any,
) -> TrainedGenerator:
    pictures = images() if pictures is None else pictures
    training = Training(pictures, settings_of(design, **given), steps, seed, "gen_a")
    return train_generator(training, folder, report=report)


def all_weights(trained: TrainedGenerator) -> dict[str, Tensor]:
    """Of all networks and of the average, with their buffers."""
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
    before = GeneratorModule.__init__

    def begin(self: GeneratorModule, *args: Any, log_every: int, **options: Any) -> None:
        before(self, *args, log_every=min(log_every, 2), **options)

    monkeypatch.setattr(GeneratorModule, "__init__", begin)


@pytest.fixture
def design() -> str:
    """What is trained where a test is not run for every design."""
    return "gan"


@pytest.fixture
def whole(design: str, tmp_path_factory: pytest.TempPathFactory, _several_points: None) -> Trained:
    """A training that nothing interrupted; made once for each design."""
    if design not in _WHOLE:
        trained = train(tmp_path_factory.mktemp("whole"), design=design)
        _WHOLE[design] = (trained, all_weights(trained))
    return _WHOLE[design]


_WHOLE: dict[str, Trained] = {}


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
    assert names(folder) == [WEIGHTS, TRAINED]
    facts = json.loads((folder / TRAINED).read_text())
    assert len(facts.pop("identity")) == 32
    assert facts == {"steps": STEPS, "seconds": trained.seconds, "curve": trained.curve}
    assert [step for step, _ in seen] == list(range(1, STEPS + 1))
    assert seen[0][1] == {}
    assert [point["step"] for _, point in seen[1:]] == [2, 2, 4, 4, 6, 6, 8, 8]
    assert [point["step"] for point in trained.curve] == [2, 4, 6, 8]
    assert_same(read_weights(folder / WEIGHTS), dict(trained.module.sampler.state_dict()))
    assert not any(module.training for module in trained.module.modules())


@every_design
def test_weights_of_every_network_have_learnt(whole: Trained, design: str) -> None:
    torch.manual_seed(0)
    before = dict(
        part_of(settings_of(design))(size=16, settings=settings_of(design), log_every=2).named_parameters()
    )
    same = [name for name, parameter in before.items() if torch.equal(parameter, whole[1][name])]
    # Moves only where a score is beyond its hinge.
    assert set(same) <= ({"discriminator.last.bias"} if design in ("gan", "stylegan") else set())


@pytest.mark.parametrize(("design", "earlier"), [("gan", 2), ("stylegan", 1), ("vae", 1), ("diffusion", 1)])
def test_seed_decides_every_bit_whatever_ran_before(
    tmp_path: Path, whole: Trained, design: str, earlier: int
) -> None:
    torch.manual_seed(earlier)
    torch.rand(earlier)
    trained = train(tmp_path, design=design)
    assert_same(all_weights(trained), whole[1])
    assert trained.curve == whole[0].curve


@every_design
def test_other_seed_is_another_generator(tmp_path: Path, whole: Trained, design: str) -> None:
    trained = train(tmp_path, design=design, seed=1)
    weights = [next(one.module.sampler.parameters()) for one in (trained, whole[0])]
    assert not torch.equal(*weights)
    assert trained.curve != whole[0].curve


@pytest.mark.parametrize(
    ("design", "step"),
    [
        *(("gan", step) for step in (1, 4, STEPS - 1, STEPS)),
        *((design, 5) for design in ("stylegan", "vae", "diffusion")),
    ],
)
def test_interrupted_training_goes_on_to_the_same_bits(
    tmp_path: Path, whole: Trained, design: str, step: int
) -> None:
    with pytest.raises(Interrupted) as caught, handled():
        train(tmp_path, design=design, report=stop_at(step, terminate))
    assert caught.value.number == signal.SIGTERM
    assert names(tmp_path) == [LAST]
    seen: list[int] = []
    torch.rand(3)
    trained = train(tmp_path, design=design, report=lambda done, _: seen.append(done))
    assert seen == list(range(step + 1, STEPS + 1))
    assert_same(all_weights(trained), whole[1])
    assert trained.curve == whole[0].curve
    assert names(tmp_path) == [WEIGHTS, TRAINED]


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
        if path.name == TRAINED:
            raise Killed
        write(path, content)

    monkeypatch.setattr(fit_module, "write_atomically", dying)
    with pytest.raises(Killed):
        train(tmp_path)
    assert names(tmp_path) == [WEIGHTS, LAST]
    monkeypatch.setattr(fit_module, "write_atomically", write)
    trained = train(tmp_path, report=lambda *_: pytest.fail("trained again"))
    assert_same(all_weights(trained), whole[1])
    assert names(tmp_path) == [WEIGHTS, TRAINED]


def test_seconds_are_those_of_all_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(fit_module.time, "perf_counter", lambda: float(next(clock)))
    with pytest.raises(Interrupted), handled():
        train(tmp_path, report=stop_at(4, terminate))
    assert train(tmp_path).seconds >= STEPS


@every_design
def test_finished_training_is_taken_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, design: str
) -> None:
    first = train(tmp_path, design=design)
    content = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    monkeypatch.setattr(fit_module, "make_trainer", lambda *_, **__: pytest.fail("trained again"))
    torch.manual_seed(5)
    again = train(tmp_path, design=design, report=lambda *_: pytest.fail("trained again"))
    assert_same(dict(again.module.sampler.state_dict()), dict(first.module.sampler.state_dict()))
    assert (again.steps, again.seconds, again.curve) == (first.steps, first.seconds, first.curve)
    assert np.array_equal(again.sample(7, seed=3), first.sample(7, seed=3))
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == content


@every_design
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
        train(tmp_path, pictures=images(3))
    assert "'gen_a'" in error.value.what
    assert "one batch of 4" in error.value.what
    assert error.value.where == "generators/gen_a"
    assert names(tmp_path) == []
    assert train(tmp_path, pictures=images(4), steps=1).steps == 1


@every_design
def test_size_that_the_networks_cannot_make_is_refused(tmp_path: Path, design: str) -> None:
    with pytest.raises(FingerprintsError, match="images of 18 x 18"):
        train(tmp_path, design=design, pictures=images(size=18))
    assert names(tmp_path) == []


def test_batch_that_processes_cannot_share_is_refused(tmp_path: Path) -> None:
    two = TrainerSettings(accelerator="cpu", devices=2, strategy="ddp")
    training = Training(images(), settings_of("vae", batch_size=5), STEPS, 0, "gen_a")
    training.check(processes=1)
    training.check(processes=5)
    with pytest.raises(FingerprintsError, match="batch of 5 images cannot be shared evenly among 2") as error:
        train_generator(training, tmp_path, hardware=two)
    assert error.value.where == "generators/gen_a"
    assert "generator.batch_size=N" in str(error.value.fix)
    assert names(tmp_path) == []


@every_design
def test_training_is_told_from_others_by_all_that_its_weights_depend_on(design: str) -> None:
    training = Training(images(), settings_of(design), STEPS, 0, "gen_a")
    changed = images()
    changed[3, 5, 7] ^= 1
    others = [
        replace(training, images=changed),
        replace(training, images=images()[::-1]),
        replace(training, images=images().reshape(40, 8, 8)),
        replace(training, steps=STEPS + 1),
        replace(training, seed=1),
        *(
            replace(training, settings=settings_of(design, **change))
            for change in (
                {"lr": 0.1},
                {"ema": 0.5},
                {"batch_size": 2},
                {"augment": DiffAugment(cutout=0.1)},
            )
        ),
    ]
    identities = {one.identity for one in [training, *others]}
    assert len(identities) == len(others) + 1
    assert replace(training, name="another", images=images().copy("F")).identity == training.identity


@pytest.mark.parametrize(
    ("design", "identity"),
    [
        ("gan", "248c39ffdf8949a5e4e33137e2763a51"),
        ("stylegan", "e4ee9a088a67d4c0ff5df13db04e8c35"),
        ("vae", "677723fb836b881d6477f1d461ab1fdb"),
        ("diffusion", "a59f0837bf740e714a11231ddee02d14"),
    ],
)
def test_finished_generators_of_earlier_versions_keep_their_identity(design: str, identity: str) -> None:
    black = np.zeros((2, 4, 4), np.uint8)
    settings = registered("generator")[design]
    assert Training(black, settings(), 7, 3, "x").identity == identity
    # Steps count once, wherever they were given.
    assert Training(black, settings(max_steps=7), 7, 3, "x").identity == identity


@pytest.mark.parametrize("finished", [False, True])
def test_folder_of_another_training_is_refused(tmp_path: Path, finished: bool) -> None:
    if finished:
        train(tmp_path)
    else:
        with pytest.raises(Interrupted), handled():
            train(tmp_path, report=stop_at(3, terminate))
    content = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    with pytest.raises(FingerprintsError, match="'gen_a' was made with other images or settings") as error:
        train(tmp_path, seed=1)
    assert error.value.where == "generators/gen_a"
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == content


@every_design
def test_training_survives_writing_and_reading(tmp_path: Path, design: str) -> None:
    augment = DiffAugment(brightness=0.1, cutout=0.3, enabled=design != "gan")
    settings = settings_of(design, lr=0.1 + 0.2, augment=augment)
    training = Training(images(), settings, STEPS, 2**63 + 7, "gen_ä")
    hardware = TrainerSettings(accelerator="cpu", devices=2, strategy="ddp")
    training.write(tmp_path / "new", hardware)
    again, found = Training.read(tmp_path / "new")
    assert again.identity == training.identity
    assert (again.settings, again.name, found) == (settings, "gen_ä", hardware)
    assert type(again.settings) is type(settings)
    assert np.array_equal(again.images, training.images)


def test_divergence_ends_the_training_and_leaves_no_result(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match="Generator 'gen_a' diverged before step 2"):
        train(tmp_path, lr=float("inf"))
    assert TRAINED not in names(tmp_path)


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
