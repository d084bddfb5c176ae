"""The two networks: shapes, ranges, spectral norm, and the deviation within the batch."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.gan import Discriminator, Generator, batch_deviation
from fingerprints.generators.module import check_power_of_two

SIZES = (16, 32, 64, 128)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def naive_deviation(features: Tensor, *, group: int) -> list[float]:
    """Image `i` is in the group of all images whose row is `i` modulo the number of groups."""
    n, values = len(features), features.double().flatten(1).tolist()
    groups = n // group
    found = []
    for row in range(n):
        members = [values[other] for other in range(n) if other % groups == row % groups]
        assert len(members) == group
        deviations = []
        for column in zip(*members, strict=True):
            mean = sum(column) / group
            deviations.append((sum((value - mean) ** 2 for value in column) / group) ** 0.5)
        found.append(sum(deviations) / len(deviations))
    return found


@pytest.mark.parametrize("size", SIZES)
def test_latent_vectors_become_images_and_images_scores(size: int) -> None:
    torch.manual_seed(0)
    images = Generator(size=size, latent=5, width=2)(noise(3, 5))
    assert images.shape == (3, 1, size, size)
    assert Discriminator(size=size, width=2)(images).shape == (3,)


def test_images_lie_between_black_and_white() -> None:
    torch.manual_seed(0)
    generator = Generator(size=16, latent=4, width=2)
    for factor in (1.0, 1e4):
        images = generator(noise(8, 4) * factor)
        assert images.min() >= -1
        assert images.max() <= 1
    with torch.no_grad():
        generator.last.weight.mul_(1e4)
    extremes = generator(noise(8, 4))
    assert (float(extremes.detach().min()), float(extremes.detach().max())) == (-1, 1)


@pytest.mark.parametrize("network", [Generator, Discriminator])
@pytest.mark.parametrize("size", [0, 8, 24, 48, 100, 1024])
def test_size_that_doubling_does_not_reach_is_refused(network: type[nn.Module], size: int) -> None:
    with pytest.raises(FingerprintsError, match=f"cannot make images of {size} x {size}") as error:
        network(size=size)
    assert error.value.where == f"size={size}"
    assert "power of two" in str(error.value.fix)


def test_sizes_from_16_to_512_are_made() -> None:
    for size in (16, 32, 64, 128, 256, 512):
        check_power_of_two(size)


def test_channels_double_with_every_level_up_to_the_widest() -> None:
    generator = Generator(size=64, latent=4, width=3, widest=20)
    convolutions = [m for m in generator.modules() if isinstance(m, nn.ConvTranspose2d | nn.Conv2d)]
    assert [m.in_channels for m in convolutions] == [20, 20, 12, 6, 3]
    discriminator = Discriminator(size=64, width=3, widest=10)
    convolutions = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [3, 6, 10, 10]


def test_batch_norm_follows_every_level_of_the_generator_and_the_discriminator_has_none() -> None:
    generator, discriminator = Generator(size=32, latent=4, width=2), Discriminator(size=32, width=2)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in generator.modules()) == 4  # 4, 8, 16, 32 pixels
    assert not any(isinstance(m, nn.BatchNorm2d) for m in discriminator.modules())


def test_every_weight_of_the_discriminator_has_spectral_norm_one() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(size=32, width=4)
    with torch.no_grad():
        for parameter in discriminator.parameters():  # as training moves them away from where they began
            parameter.mul_(5).add_(torch.randn_like(parameter) * 0.1)
        for _ in range(30):
            discriminator(noise(4, 1, 32, 32))
    layers = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 4
    for layer in layers:
        largest = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
        assert float(largest) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("n", "group"), [(4, 4), (8, 4), (12, 4), (6, 6), (1, 1), (7, 7)], ids=lambda value: str(value)
)
def test_deviation_is_that_of_loops_and_the_whole_batch_is_a_group_where_four_do_not_divide_it(
    n: int, group: int
) -> None:
    features = noise(n, 3, 2, 5) * torch.arange(1, n + 1)[:, None, None, None]
    found = batch_deviation(features)
    assert found.shape == (n, 1, 2, 5)
    assert torch.equal(found, found[:, :, :1, :1].expand_as(found))
    expected = torch.tensor(naive_deviation(features, group=group))
    assert torch.allclose(found[:, 0, 0, 0], expected, rtol=1e-4, atol=2e-4)


def test_deviation_of_equal_images_is_nothing_and_has_gradients() -> None:
    features = noise(1, 3, 4, 4).repeat(8, 1, 1, 1).requires_grad_()
    found = batch_deviation(features)
    assert float(found.detach().max()) < 1e-3
    found.sum().backward()
    assert features.grad is not None
    assert bool(features.grad.isfinite().all())


def test_discriminator_tells_images_that_are_all_alike_from_others() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(size=16, width=2).eval()
    with torch.no_grad():
        discriminator.last.parametrizations.weight.original.zero_()[:, -16:] = 1  # deviation alone counts
        one, others = noise(1, 1, 16, 16), noise(3, 1, 16, 16, seed=1)
        alike = discriminator(one.repeat(4, 1, 1, 1))
        varied = discriminator(torch.cat([one, others]))
    assert float(alike[0]) != pytest.approx(float(varied[0]), rel=0.1)
    assert len(set(alike.tolist())) == 1


def test_score_in_a_group_depends_on_its_companions_only() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(size=16, width=2).eval()
    images = noise(8, 1, 16, 16)
    changed = images.clone()
    changed[1] = -changed[1]
    with torch.no_grad():
        before, after = discriminator(images), discriminator(changed)
    moved = ((before - after).abs() > 1e-7).tolist()
    for row, other in itertools.product(range(8), [1]):
        assert moved[row] == (row % 2 == other % 2)


@pytest.mark.parametrize("n", [4, 6, 8])
def test_sets_in_one_batch_are_scored_as_if_each_were_alone(n: int) -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(size=16, width=2).eval()
    real, generated = noise(n, 1, 16, 16), 0.1 * noise(n, 1, 16, 16, seed=1)
    with torch.no_grad():
        together = discriminator(torch.cat([real, generated]), sets=2)
        apart = torch.cat([discriminator(real), discriminator(generated)])
        mixed = discriminator(torch.cat([real, generated]))
    assert torch.allclose(together, apart, atol=1e-5)
    assert not torch.allclose(together, mixed, atol=1e-3)
