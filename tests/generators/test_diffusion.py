"""The diffusion model: blocks of pixels, what the network learns and when, and DDIM."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.batches import RealBatch
from fingerprints.generators.diff_augment import augment, draw_changes
from fingerprints.generators.diffusion import TIMES, Denoiser, DiffusionModule
from fingerprints.generators.settings import DiffAugment, DiffusionSettings

SIZE = 16
SMALL: dict[str, Any] = {
    "channels": (8, 8),
    "layers": 1,
    "attention": False,
    "batch_size": 4,
    "sampling_steps": 2,
    "warmup": 0,
}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def module(**options: Any) -> Any:
    torch.manual_seed(0)
    made: Any = DiffusionModule(size=SIZE, settings=DiffusionSettings(**{**SMALL, **options}), log_every=1)
    optimiser = made.configure_optimizers()
    made.optimizers = lambda: optimiser
    made.manual_backward = lambda loss: loss.backward()
    return made


def batch(step: int = 0, *, n: int = 4, rank: int = 0, world: int = 1) -> RealBatch:
    rng = torch.Generator().manual_seed(1000 + step)
    images = torch.randint(0, 256, (n, 1, SIZE, SIZE), generator=rng, dtype=torch.uint8)
    return RealBatch(images=images[rank::world], step=step, seed=step, rank=rank, world=world)


def cosine_schedule() -> Tensor:
    """`TIMES` products of 1 - beta: a squared cosine (Nichol and Dhariwal 2021), the last one nothing."""
    at = torch.linspace(0, 1, TIMES + 1, dtype=torch.float64)
    level = torch.cos((at + 0.008) / 1.008 * torch.pi / 2) ** 2
    root = torch.cumprod(1 - (1 - level[1:] / level[:-1]).clamp(max=0.999), dim=0).sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])  # Lin et al. 2024, algorithm 1
    return root.square()


class Answering(nn.Module):
    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *given: Any, **options: Any) -> Any:
        return self.answer(*given, **options)


class Seen(nn.Module):
    """Keeps what it is shown; says `answer`, times a weight."""

    def __init__(self, answer: Any = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.answer = answer
        self.shown: list[tuple[Tensor, Tensor]] = []

    def forward(self, images: Tensor, times: Tensor) -> Tensor:
        self.shown.append((images.detach(), times))
        return self.weight * (images if self.answer is None else self.answer(images, times))


def watched(**options: Any) -> tuple[Any, Seen]:
    made, seen = module(**options), Seen()
    made.network, made.average = seen, made.averaged(seen, 0.5)
    optimiser = torch.optim.AdamW(seen.parameters(), lr=0.0)
    made.optimizers = lambda: optimiser
    return made, seen


@pytest.mark.parametrize(("patch", "size"), [(1, 8), (2, 16), (4, 16), (2, 24)])
def test_blocks_of_pixels_are_channels_of_the_network_and_come_back_where_they_were(
    patch: int, size: int
) -> None:
    torch.manual_seed(0)
    network = Denoiser(size=size, settings=DiffusionSettings(**{**SMALL, "patch": patch}))
    images = noise(3, 1, size, size)
    shown = []

    def identity(blocks: Tensor, times: Tensor, *, return_dict: bool) -> tuple[Tensor]:
        shown.append(blocks)
        return (blocks,)

    unet = network.unet
    network.unet = Answering(identity)
    assert torch.equal(network(images, torch.zeros(3).long()), images)
    assert shown[0].shape == (3, patch**2, size // patch, size // patch)
    for row, column in ((0, 0), (patch - 1, 0), (0, patch - 1)):
        assert torch.equal(shown[0][:, row * patch + column], images[:, 0, row::patch, column::patch])
    network.unet = unet
    assert network(images, torch.tensor([0, 500, 999])).shape == images.shape


@pytest.mark.parametrize("channels", [(4, 4), (6, 6), (8, 8), (12, 20), (32, 64)])
def test_time_matters_however_narrow_the_network_is(channels: tuple[int, ...]) -> None:
    """A norm of single channels would take away what the time adds to each of them."""
    made = module(channels=channels)
    images = noise(1, 1, SIZE, SIZE).repeat(2, 1, 1, 1)
    with torch.no_grad():
        found = made.network(images, torch.tensor([10, 900]))
    assert float((found[0] - found[1]).abs().max()) > 1e-3


@pytest.mark.parametrize("channels", [(12, 20), (6, 6), (16, 16)])
@pytest.mark.parametrize("attention", [True, False])
def test_networks_can_be_of_any_width(channels: tuple[int, ...], attention: bool) -> None:
    settings = DiffusionSettings(**{**SMALL, "channels": channels, "attention": attention})
    found = Denoiser(size=SIZE, settings=settings)(noise(2, 1, SIZE, SIZE), torch.tensor([0, 9]))
    assert found.shape == (2, 1, SIZE, SIZE)


@pytest.mark.parametrize(
    ("size", "patch", "levels", "divisor"),
    [(18, 2, 2, 4), (4, 2, 2, 4), (20, 2, 3, 8), (24, 4, 3, 16), (16, 3, 1, 3)],
)
def test_size_that_blocks_and_levels_do_not_divide_is_refused(
    size: int, patch: int, levels: int, divisor: int
) -> None:
    settings = DiffusionSettings(patch=patch, channels=(8,) * levels)
    with pytest.raises(FingerprintsError, match=f"images of {size} x {size} pixels") as error:
        DiffusionModule(size=size, settings=settings)
    assert f"blocks of {patch} pixels and {levels} levels" in error.value.what
    assert error.value.where == f"size={size}"
    assert f"a multiple of {divisor} from {2 * divisor}" in str(error.value.fix)


@pytest.mark.parametrize(("size", "patch", "levels"), [(8, 2, 2), (20, 2, 2), (48, 2, 3), (512, 4, 4)])
def test_sizes_need_be_no_powers_of_two(size: int, patch: int, levels: int) -> None:
    DiffusionModule.check_size(size, DiffusionSettings(patch=patch, channels=(8,) * levels))


def test_network_sees_noisy_images_of_its_share_at_their_times_and_learns_v() -> None:
    changes = DiffAugment()
    made, seen = watched(augment=changes)
    given = batch(3, n=8)
    made.training_step(given, 0)
    ((noisy, times),) = seen.shown
    rng = torch.Generator().manual_seed(given.seed)
    eps = torch.randn(8, 1, SIZE, SIZE, generator=rng).double()
    torch.randperm(8, generator=rng), torch.rand(8, generator=rng)  # the times
    real = augment(given.images.float() / 127.5 - 1, draw_changes(8, rng), settings=changes).double()
    kept = cosine_schedule()[times][:, None, None, None]
    assert torch.allclose(noisy.double(), kept.sqrt() * real + (1 - kept).sqrt() * eps, atol=2e-4)
    v = kept.sqrt() * eps - (1 - kept).sqrt() * real
    loss = (noisy.double() - v).square().mean()  # the network says what it sees
    assert made.curve[0]["loss"] == pytest.approx(float(loss), rel=1e-3)
    gradient = 2 * ((noisy.double() - v) * noisy.double()).mean()
    assert seen.weight.grad is not None
    assert float(seen.weight.grad) == pytest.approx(float(gradient), rel=1e-3)


def test_last_time_is_pure_noise() -> None:
    made = module()
    images, eps = noise(1, 1, SIZE, SIZE), noise(1, 1, SIZE, SIZE, seed=1)
    noisy = made.forward_process.add_noise(images, eps, torch.tensor([TIMES - 1]))
    assert torch.allclose(noisy, eps, atol=1e-5)


@pytest.mark.parametrize("n", [4, 7, 16])
def test_times_are_one_in_each_of_as_many_equal_parts_as_images(n: int) -> None:
    (made, seen), orders, within = watched(), set(), []
    for step in range(40):
        made.training_step(batch(step, n=n), 0)
        times = seen.shown[-1][1]
        for part, time in enumerate(sorted(times.tolist())):
            assert int(part * TIMES / n) <= time <= (part + 1) * TIMES / n
            assert time < TIMES
            within.append(time * n / TIMES - part)
        orders.add(tuple(times.argsort().tolist()))
    assert len(orders) > 10
    assert min(within) < 0.1
    assert max(within) > 0.9


def test_processes_share_noise_times_and_changes_of_the_whole_batch() -> None:
    changes = DiffAugment()
    whole, seen = watched(augment=changes)
    whole.training_step(batch(5, n=8), 0)
    (noisy, times), parts = seen.shown[0], []
    for rank in range(2):
        made, mine = watched(augment=changes)
        made.all_gather = lambda figures: torch.stack([figures, figures])
        made.training_step(batch(5, n=8, rank=rank, world=2), 0)
        assert torch.equal(mine.shown[0][1], times[rank::2])
        assert torch.allclose(mine.shown[0][0], noisy[rank::2], atol=1e-6)
        parts.append(made.curve[0]["loss"])
    assert whole.curve[0]["loss"] == pytest.approx(sum(parts) / 2, rel=1e-5)


def test_learning_rate_rises_over_the_warmup_and_stays() -> None:
    made = module(lr=0.02, warmup=4)
    rates = []
    for step in range(6):
        made.training_step(batch(step), step)
        rates.append(made.optimizers().param_groups[0]["lr"])
    assert rates == pytest.approx([0.005, 0.01, 0.015, 0.02, 0.02, 0.02])
    without = module(lr=0.02, warmup=0)
    without.training_step(batch(0), 0)
    assert without.optimizers().param_groups[0]["lr"] == 0.02


@pytest.mark.parametrize("steps", [1, 7, 10])
def test_ddim_with_a_network_that_knows_v_recovers_the_image(steps: int) -> None:
    made = module(sampling_steps=steps)
    image = torch.linspace(-0.9, 0.9, SIZE**2).reshape(1, 1, SIZE, SIZE)
    kept = cosine_schedule().float()

    def v(noisy: Tensor, times: Tensor) -> Tensor:
        share = kept[times][:, None, None, None]
        eps = (noisy - share.sqrt() * image) / (1 - share).sqrt()
        return share.sqrt() * eps - (1 - share).sqrt() * image

    seen = Seen(v)
    made.average = made.averaged(seen, 0.5)
    found = made.draw(3, torch.Generator().manual_seed(0))
    assert torch.allclose(found, image.expand_as(found), atol=1e-4)
    told = [times.tolist() for _, times in made.sampler.shown]
    assert [one[0] for one in told] == sorted((one[0] for one in told), reverse=True)
    assert all(len(set(one)) == 1 for one in told)
    assert told[0][0] == TIMES - 1  # from pure noise, as trained
    assert len(told) == steps
    start = torch.randn(3, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    assert torch.equal(made.sampler.shown[0][0], start)


def test_ddim_is_a_function_of_the_seed() -> None:
    made = module(sampling_steps=3)
    first = made.draw(2, torch.Generator().manual_seed(4))
    torch.rand(5)
    assert torch.equal(made.draw(2, torch.Generator().manual_seed(4)), first)
    assert not torch.equal(made.draw(2, torch.Generator().manual_seed(5)), first)
    assert float(first.detach().abs().max()) <= 1 + 1e-5


def test_mean_grey_level_is_learnt() -> None:
    """A schedule that keeps some of the image to its end leaves all samples mid-grey."""
    made = module(sampling_steps=4, lr=5e-3, ema=0.9)
    dark = torch.full((8, 1, SIZE, SIZE), 20, dtype=torch.uint8)
    for step in range(60):
        made.training_step(RealBatch(images=dark, step=step, seed=step), step)
    assert float(made.sample(4, seed=0).float().mean()) < 70
