"""The style-based GAN: modulation, noise, mapping, losses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fingerprints.generators.settings import StyleGANSettings
from fingerprints.generators.style import Modulation, StyleGANModule, StyleGenerator

SIZE = 16


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def generator(*, size: int = SIZE, **options: Any) -> StyleGenerator:
    torch.manual_seed(0)
    return StyleGenerator(size=size, **{"latent": 5, "mapping": 2, "width": 3, "widest": 16, **options})


def levels(network: StyleGenerator, n: int, *, seed: int = 1) -> list[Tensor]:
    return [noise(n, 1, side, side, seed=seed + side) for side in network.sides]


def module(**options: Any) -> Any:
    torch.manual_seed(0)
    settings = {"latent": 5, "mapping": 1, "width": 2, "discriminator_width": 2, "batch_size": 4, **options}
    return StyleGANModule(size=SIZE, settings=StyleGANSettings(**settings), log_every=1)


def test_modulation_normalises_over_the_batch_then_scales_and_shifts_each_image_by_its_style() -> None:
    torch.manual_seed(0)
    layer = Modulation(3, style=5)
    x, style = 7 + 4 * noise(6, 3, 5, 5), noise(6, 5, seed=1)
    with torch.no_grad():
        found = layer(x, style)
        for image in range(6):
            factors = layer.affine.weight @ style[image] + layer.affine.bias
            for channel in range(3):
                values = x[:, channel]
                plain = (x[image, channel] - values.mean()) / (values.var(unbiased=False) + 1e-5).sqrt()
                expected = plain * (1 + factors[channel]) + factors[3 + channel]
                assert torch.allclose(found[image, channel], expected, atol=1e-4)


def test_style_of_one_image_does_not_change_another_once_statistics_are_fixed() -> None:
    network = generator()
    latents, draws = noise(4, 5), levels(network, 4)
    network(latents, *draws)
    network.eval()
    changed = latents.clone()
    changed[1] = -changed[1]
    with torch.no_grad():
        moved = (network(latents, *draws) - network(changed, *draws)).abs().amax(dim=(1, 2, 3))
    assert moved[1] > 1e-3
    assert float(moved[[0, 2, 3]].max()) < 1e-6


@pytest.mark.parametrize("size", [16, 32, 64])
def test_latent_vectors_become_images_in_range(size: int) -> None:
    network = generator(size=size)
    assert network.sides == [4 * 2**k for k in range(len(network.sides))]
    assert network.sides[-1] == size
    images = network(noise(3, 5), *levels(network, 3))
    assert images.shape == (3, 1, size, size)
    assert float(images.detach().abs().max()) < 1


def test_every_level_takes_noise_of_its_own() -> None:
    network = generator()
    with pytest.raises(ValueError, match="zip"):
        network(noise(2, 5), *levels(network, 2)[:-1])


def test_noise_matters_at_every_level_once_its_strength_is_learnt() -> None:
    network = generator()
    latents, draws, changed = noise(2, 5), levels(network, 2), levels(network, 2, seed=50)
    with torch.no_grad():
        assert torch.equal(network(latents, *draws), network(latents, *changed))  # strengths begin at zero
        for number, level in enumerate(network.levels):
            level.strength.fill_(0.3)
            other = [*draws[:number], changed[number], *draws[number + 1 :]]
            assert not torch.allclose(network(latents, *draws), network(latents, *other), atol=1e-4)
            level.strength.fill_(0.0)
    network(latents, *draws).square().sum().backward()
    assert all(
        level.strength.grad is not None and bool(level.strength.grad.any()) for level in network.levels
    )


def test_length_of_a_latent_vector_does_not_matter() -> None:
    network = generator()
    latents, draws = noise(4, 5), levels(network, 4)
    with torch.no_grad():
        assert torch.allclose(network(latents, *draws), network(9 * latents, *draws), atol=1e-4)
        assert not torch.allclose(network(latents, *draws), network(-latents, *draws), atol=1e-3)


def test_mapping_keeps_the_variance() -> None:
    network = generator(latent=256, mapping=3)
    style = noise(200, 256)
    with torch.no_grad():
        for layer in network.mapping:
            style = F.leaky_relu(layer(style), 0.2)
    assert float(style.square().mean()) == pytest.approx(1, abs=0.25)


def test_losses_are_hinges() -> None:
    made, real, generated = module(), torch.tensor([-2.0, 0.5, 3.0]), torch.tensor([-3.0, -0.5, 2.0])
    expected = (3 + 0.5 + 0) / 3 + (0 + 0.5 + 3) / 3
    assert float(made.discriminator_loss(real, generated)) == pytest.approx(expected)
    assert float(made.generator_loss(generated)) == pytest.approx(0.5)


def test_images_are_made_of_latent_vectors_and_noise_of_the_seed() -> None:
    made = module()
    with torch.no_grad():
        for level in made.sampler.levels:
            level.strength.fill_(0.5)
        made.sampler.eval()
        inputs = made.noise(3, torch.Generator().manual_seed(5))
        expected = made.sampler(*inputs)[:, 0]
    assert [tuple(one.shape) for one in inputs] == [(3, 5), (3, 1, 4, 4), (3, 1, 8, 8), (3, 1, 16, 16)]
    found = made.sample(3, seed=5).double()
    assert float((found - (expected.double() + 1) * 127.5).abs().max()) <= 0.5 + 1e-3
