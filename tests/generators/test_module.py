"""What all designs share: the curve, the moving average, the checkpoint, and how images are made."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import part_of, registered
from fingerprints.generators.batches import RealBatch
from fingerprints.generators.module import SIZES, GeneratorModule, check_power_of_two, moving_average

SIZE = 16
SMALL: dict[str, dict[str, Any]] = {
    "gan": {"latent": 4, "width": 2, "discriminator_width": 2},
    "stylegan": {"latent": 4, "mapping": 1, "width": 2, "discriminator_width": 2},
    "vae": {"latent": 4, "width": 2},
    "diffusion": {"channels": (8, 8), "layers": 1, "attention": False, "warmup": 4, "sampling_steps": 2},
}
every_design = pytest.mark.parametrize("design", registered("generator"))


class Alone:
    """A module of a design with optimisers but without a trainer."""

    def __init__(self, design: str, *, log_every: int = 1, identity: str = "", **given: Any) -> None:
        settings = registered("generator")[design](**{**SMALL[design], "batch_size": 4, **given})
        torch.manual_seed(0)
        self.module: Any = part_of(settings)(
            size=SIZE,
            settings=settings,
            name="third",
            log_every=log_every,
            identity=identity,
        )
        self.optimisers = self.module.configure_optimizers()
        self.module.optimizers = lambda: self.optimisers
        self.module.manual_backward = lambda loss: loss.backward()

    def steps(self, *numbers: int) -> None:
        for number in numbers:
            self.module.training_step(batch(number), number)

    def state(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.module.state_dict().items()}

    def restore(self, other: Alone, checkpoint: dict[str, Any]) -> None:
        self.module.load_state_dict(other.state())
        mine, theirs = (
            one if isinstance(one, list) else [one] for one in (self.optimisers, other.optimisers)
        )
        for optimiser, source in zip(mine, theirs, strict=True):
            optimiser.load_state_dict(copy.deepcopy(source.state_dict()))
        self.module.on_load_checkpoint(checkpoint)


def batch(step: int = 0, *, n: int = 4) -> RealBatch:
    rng = torch.Generator().manual_seed(1000 + step)
    images = torch.randint(0, 256, (n, 1, SIZE, SIZE), generator=rng, dtype=torch.uint8)
    return RealBatch(images=images, step=step, seed=step)


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


class Painter(GeneratorModule):
    """Each image is the grey level that the generator of random numbers gave it."""

    figures = ("one", "two")
    sampling_batch = 4

    def __init__(self, *, size: int = SIZE, **options: Any) -> None:
        super().__init__(size=size, settings=None, **options)
        self.network = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(1))
        self.average = self.averaged(self.network, 0.9)
        self.levels: Iterator[float] | None = None

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        assert not self.sampler.training
        assert torch.is_inference_mode_enabled()
        if self.levels is not None:
            return torch.tensor([next(self.levels) for _ in range(n)])[:, None, None, None].expand(
                -1, 1, 2, 2
            )
        return 2 * torch.rand(n, 1, self.size, self.size, generator=rng) - 1


@every_design
def test_step_is_a_function_of_weights_and_batch_alone(design: str) -> None:
    found = []
    for other in (0, 1):
        alone = Alone(design)
        torch.manual_seed(other)
        before = torch.get_rng_state()
        alone.steps(0, 1, 2)
        assert torch.equal(torch.get_rng_state(), before)
        found.append((alone.state(), alone.module.curve))
    assert same(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    other_seed = Alone(design)
    given = batch(0)
    other_seed.module.training_step(RealBatch(images=given.images, step=0, seed=77), 0)
    alone = Alone(design)
    alone.steps(0)
    assert not same(other_seed.state(), alone.state())


@every_design
def test_points_of_the_curve_are_means_since_the_one_before(design: str) -> None:
    every, third = Alone(design), Alone(design, log_every=3)
    every.steps(*range(7))
    third.steps(*range(7))
    assert [point["step"] for point in every.module.curve] == [1, 2, 3, 4, 5, 6, 7]
    assert [point["step"] for point in third.module.curve] == [3, 6]
    for number, point in enumerate(third.module.curve):
        assert tuple(point) == ("step", *every.module.figures)
        of = every.module.curve[3 * number : 3 * number + 3]
        for name in every.module.figures:
            assert point[name] == pytest.approx(sum(one[name] for one in of) / 3, rel=1e-5, abs=1e-6)


@every_design
def test_curve_and_weights_go_on_after_a_checkpoint_as_if_there_had_been_none(design: str) -> None:
    whole, first, second = (Alone(design, log_every=3) for _ in range(3))
    whole.steps(*range(6))
    first.steps(*range(4))
    checkpoint: dict[str, Any] = {}
    first.module.on_save_checkpoint(checkpoint)
    checkpoint = copy.deepcopy(checkpoint)
    second.restore(first, checkpoint)
    second.steps(4, 5)
    assert second.module.curve == whole.module.curve
    assert same(second.state(), whole.state())
    assert len(checkpoint["curve"]) == 1


def test_figures_are_recorded_in_their_order_without_gradients() -> None:
    painter = Painter(log_every=2)
    one = torch.tensor(3.0, requires_grad=True)
    painter.record(batch(0), one, torch.tensor(5, dtype=torch.bfloat16))
    assert painter.curve == []
    painter.record(batch(1), one + 2, torch.tensor(6.0))
    assert painter.curve == [{"step": 2.0, "one": 4.0, "two": 5.5}]
    with pytest.raises(RuntimeError):  # one figure for two columns would be written to both
        painter.record(batch(2), torch.ones(3), one)


def test_figures_of_several_processes_are_their_mean_over_the_whole_batch() -> None:
    painter = Painter(log_every=1)
    asked = []

    def gather(figures: Tensor) -> Tensor:
        asked.append(figures)
        return torch.stack([figures, figures + 1, figures + 5])

    painter.all_gather = gather  # type: ignore[method-assign]
    share = RealBatch(images=batch(0).images, step=0, seed=0, rank=1, world=3)
    painter.record(share, torch.tensor(1.0), torch.tensor(2.0))
    assert painter.curve == [{"step": 1.0, "one": 3.0, "two": 4.0}]
    painter.record(batch(1), torch.tensor(1.0), torch.tensor(2.0))
    assert painter.curve[1] == {"step": 2.0, "one": 1.0, "two": 2.0}
    assert len(asked) == 1
    assert not asked[0].requires_grad


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e6, -1e9])
def test_divergence_is_told_with_generator_and_step(value: float) -> None:
    painter = Painter(name="third", log_every=2)
    fine = torch.tensor(0.5)
    painter.record(batch(0), fine, torch.tensor(value * 2))
    with pytest.raises(FingerprintsError, match="Generator 'third' diverged before step 2") as error:
        painter.record(batch(1), fine, fine)
    assert error.value.where == "generators/third"
    assert "generator.lr" in str(error.value.fix)
    assert painter.curve == []


@every_design
def test_weights_that_are_no_numbers_are_told(design: str) -> None:
    alone = Alone(design)
    with torch.no_grad():
        for parameter in alone.module.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(FingerprintsError, match="diverged before step 1"):
        alone.steps(0)


@every_design
def test_average_follows_the_network_that_makes_the_images_and_is_trained_by_no_optimiser(
    design: str,
) -> None:
    alone = Alone(design, ema=0.5)
    owner = {"gan": "generator", "stylegan": "generator", "vae": "decoder", "diffusion": "network"}
    network = getattr(alone.module, owner[design])
    optimisers = alone.optimisers if isinstance(alone.optimisers, list) else [alone.optimisers]
    trained = {id(p) for one in optimisers for group in one.param_groups for p in group["params"]}
    assert {id(p) for p in network.parameters()} <= trained
    assert not trained & {id(p) for p in alone.module.sampler.parameters()}
    expected: dict[str, Tensor] = {}
    for step in range(4):
        alone.steps(step)
        decay = min(0.5, (1 + step) / (10 + step)) if step else 0.0
        for name, parameter in network.named_parameters():
            start = expected.get(name, torch.zeros_like(parameter))
            expected[name] = decay * start + (1 - decay) * parameter.detach()
    found = dict(alone.module.sampler.named_parameters())
    for name, tensor in expected.items():
        assert torch.allclose(found[name], tensor, rtol=1e-4, atol=1e-6), name
    assert any(not torch.equal(found[name], parameter) for name, parameter in network.named_parameters())


@pytest.mark.parametrize("count", [1, 5, 90, 10_000])
def test_memory_of_the_average_grows_with_the_training_up_to_its_decay(count: int) -> None:
    average, counter = torch.zeros(3), torch.tensor(7)
    moving_average(0.9)([average, counter], [torch.ones(3), torch.tensor(count)], count)
    share = min(0.9, (1 + count) / (10 + count))
    assert average.tolist() == pytest.approx([1 - share] * 3)
    assert int(counter) == count  # counters are copied, not averaged


def test_checkpoint_of_another_training_is_refused_with_what_to_do() -> None:
    first, second = Painter(name="third", identity="a"), Painter(name="third", identity="b")
    checkpoint: dict[str, Any] = {}
    first.on_save_checkpoint(checkpoint)
    with pytest.raises(FingerprintsError, match="'third' was made with other images or settings") as error:
        second.on_load_checkpoint(checkpoint)
    assert error.value.where == "generators/third"
    assert "out=DIR" in str(error.value.fix)
    Painter(identity="a").on_load_checkpoint(checkpoint)


@pytest.mark.parametrize("size", [*SIZES, 0, 1, 8, 24, 48, 100, 1024])
def test_sizes_are_powers_of_two_from_16_to_512(size: int) -> None:
    if size in (16, 32, 64, 128, 256, 512):
        check_power_of_two(size)
        Painter(size=size)
    else:
        for make in (check_power_of_two, lambda size: Painter(size=size)):
            with pytest.raises(FingerprintsError, match=f"images of {size} x {size} pixels") as error:
                make(size)
            assert error.value.where == f"size={size}"


@every_design
@pytest.mark.parametrize("training", [True, False])
def test_sample_is_images_of_a_seed_and_leaves_no_trace(design: str, training: bool) -> None:
    alone = Alone(design)
    alone.steps(0, 1)
    alone.module.train(training)
    before, rng = alone.state(), torch.get_rng_state()
    found = alone.module.sample(5, seed=2)
    assert (found.shape, found.dtype) == ((5, SIZE, SIZE), torch.uint8)
    assert len({image.numpy().tobytes() for image in found}) == 5
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(module.training == training for module in alone.module.sampler.modules())
    assert same(before, alone.state())
    torch.rand(3)
    assert torch.equal(alone.module.sample(5, seed=2), found)
    assert not torch.equal(alone.module.sample(5, seed=3), found)
    alone.steps(2)  # training goes on after images were made
    assert not same(before, alone.state())


@every_design
def test_longer_sample_begins_with_the_shorter(design: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = Alone(design).module
    assert module.sampling_batch % 50 == 0
    monkeypatch.setattr(type(module), "sampling_batch", 2)
    long = module.sample(5, seed=1)
    assert torch.equal(module.sample(4, seed=1), long[:4])
    assert torch.equal(module.sample(2, seed=1), long[:2])
    assert len({image.numpy().tobytes() for image in long}) == 5


def test_images_are_made_in_batches_and_the_last_one_is_what_is_left() -> None:
    painter = Painter()
    found = painter.sample(10, seed=3)
    rng = torch.Generator().manual_seed(3)
    drawn = torch.cat([torch.rand(n, SIZE, SIZE, generator=rng) for n in (4, 4, 2)])
    assert float((255 * drawn - found.float()).abs().max()) <= 0.5 + 1e-3


def test_grey_levels_are_rounded_and_clipped_and_do_not_wrap() -> None:
    painter = Painter()
    levels = [-9.0, -1.0, -1 + 0.49 / 127.5, -1 + 0.51 / 127.5, 0.999, 1.0, 1.01, 50.0]
    painter.levels = iter(levels)
    found = painter.sample(8, seed=0)
    assert found[:, 0, 0].tolist() == [0, 0, 0, 1, 255, 255, 255, 255]
    assert torch.equal(found, found[:, :1, :1].expand_as(found))


def test_nothing_sampled_is_empty() -> None:
    found = Painter().sample(0, seed=0)
    assert (len(found), found.dtype) == (0, torch.uint8)
