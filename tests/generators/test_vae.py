"""The variational autoencoder: divergence, the calibrated loss, shapes, and images from the prior."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal
from torch.distributions import kl_divergence as reference_divergence

from fingerprints.generators.batches import RealBatch
from fingerprints.generators.diff_augment import augment, draw_changes
from fingerprints.generators.settings import DiffAugment, VAESettings
from fingerprints.generators.vae import Decoder, Encoder, VAEModule, kl_divergence

SIZE = 16
SHAPE = {"latent": 5, "width": 3, "widest": 12}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def module(*, rate: float = 1e-2, **options: Any) -> Any:
    torch.manual_seed(0)
    settings = VAESettings(**{**SHAPE, "batch_size": 4, "lr": rate, **options})
    made: Any = VAEModule(size=SIZE, settings=settings, log_every=1)
    optimiser = made.configure_optimizers()
    made.optimizers = lambda: optimiser
    made.manual_backward = lambda loss: loss.backward()
    return made


def images(n: int = 4, *, seed: int = 1) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 1, SIZE, SIZE), generator=rng, dtype=torch.uint8)


def pieces(made: Any, given: RealBatch) -> tuple[Tensor, Tensor]:
    """Mean squared error and mean divergence of a step, by its description."""
    rng = torch.Generator().manual_seed(given.seed)
    eps = torch.randn(given.count, made.settings.latent, generator=rng)
    draws = draw_changes(given.count, rng)
    real = augment(given.images.float() / 127.5 - 1, draws, settings=made.settings.augment)
    mean, log_variance = made.encoder(real)
    latents = mean + eps * log_variance.exp().sqrt()
    error = ((made.decoder(latents) - real) ** 2).mean()
    posterior = Normal(mean, log_variance.exp().sqrt())
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return error, reference_divergence(posterior, prior).sum(dim=1).mean()


def test_divergence_is_that_of_torch() -> None:
    mean, log_variance = 2 * noise(7, 5), noise(7, 5, seed=1)
    expected = reference_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(dim=1)
    assert torch.allclose(kl_divergence(mean, log_variance), expected, rtol=1e-4, atol=1e-5)
    assert kl_divergence(torch.zeros(1, 3), torch.zeros(1, 3)).tolist() == [0]


@pytest.mark.parametrize("size", [16, 32, 64])
def test_images_become_latent_distributions_and_latent_vectors_images(size: int) -> None:
    torch.manual_seed(0)
    mean, log_variance = Encoder(size=size, **SHAPE)(noise(3, 1, size, size))
    assert mean.shape == log_variance.shape == (3, 5)
    made = Decoder(size=size, **SHAPE)(mean)
    assert made.shape == (3, 1, size, size)
    assert float(made.detach().abs().max()) <= 1


@pytest.mark.parametrize("width", [1, 6, 10, 12])
def test_networks_can_be_of_any_width(width: int) -> None:
    shape = {"latent": 2, "width": width, "widest": 3 * width}
    mean, _ = Encoder(size=SIZE, **shape)(noise(2, 1, SIZE, SIZE))
    assert Decoder(size=SIZE, **shape)(mean).shape == (2, 1, SIZE, SIZE)


def test_variance_of_a_latent_vector_stays_where_numbers_can_hold_it() -> None:
    torch.manual_seed(0)
    encoder = Encoder(size=SIZE, **SHAPE)
    with torch.no_grad():
        encoder.last.weight.mul_(1e6)
        mean, log_variance = encoder(noise(8, 1, SIZE, SIZE))
    assert (float(log_variance.min()), float(log_variance.max())) == (-12, 6)
    assert float(mean.abs().max()) > 1e3


@pytest.mark.parametrize("beta", [1.0, 40.0])
@pytest.mark.parametrize("changes", [DiffAugment(enabled=False), DiffAugment()], ids=["plain", "augmented"])
def test_gradient_is_that_of_the_bound_with_the_best_variance(beta: float, changes: DiffAugment) -> None:
    made, given = module(rate=0.0, beta=beta, augment=changes), RealBatch(images=images(), step=0, seed=9)
    error, divergence = pieces(made, given)
    bound = 0.5 * error.log() + beta * divergence / SIZE**2
    parameters = {**dict(made.encoder.named_parameters()), **dict(made.decoder.named_parameters("decoder"))}
    expected = torch.autograd.grad(bound, list(parameters.values()))
    made.training_step(given, 0)
    for (name, parameter), gradient in zip(parameters.items(), expected, strict=True):
        assert bool(gradient.any()), name
        assert torch.allclose(parameter.grad, gradient, rtol=2e-3, atol=1e-6), name
    assert made.curve[0] == pytest.approx(
        {
            "step": 1.0,
            "loss": float(bound.detach()),
            "squared_error": float(error.detach()),
            "divergence": float(divergence.detach()),
        },
        rel=1e-4,
        abs=1e-5,
    )


def test_shares_of_a_batch_add_up_to_the_gradient_of_the_whole() -> None:
    """As processes do it: each has the mean error of all, and the mean of their gradients is taken."""
    whole = module(rate=0.0)
    shares = [module(rate=0.0) for _ in range(2)]
    given = images(8)
    whole.training_step(RealBatch(images=given, step=0, seed=9), 0)
    errors = []
    for rank in range(2):
        rows = RealBatch(images=given, step=0, seed=9)
        rng = torch.Generator().manual_seed(9)
        eps = torch.randn(8, 5, generator=rng)[rank::2]
        real = rows.pixels()[rank::2]
        mean, log_variance = whole.encoder(real)
        error = (whole.decoder(mean + eps * (log_variance / 2).exp()) - real).square().mean()
        errors.append(error.detach())
    for rank, one in enumerate(shares):
        asked: list[Tensor] = []

        def gather(figures: Tensor, asked: list[Tensor] = asked) -> Tensor:
            asked.append(figures)
            return torch.stack(errors) if figures.ndim == 0 else torch.stack([figures, figures])

        one.all_gather = gather
        one.training_step(RealBatch(images=given[rank::2], step=0, seed=9, rank=rank, world=2), 0)
        assert float(asked[0]) == pytest.approx(float(errors[rank]), rel=1e-5)
    names = [name for name, _ in whole.named_parameters() if not name.startswith("average")]
    grads = [dict(one.named_parameters()) for one in (whole, *shares)]
    for name in names:
        mean = (grads[1][name].grad + grads[2][name].grad) / 2
        assert torch.allclose(mean, grads[0][name].grad, rtol=1e-3, atol=1e-6), name
        assert bool(mean.any()), name
    assert float(abs(errors[0] - errors[1])) > 1e-4  # else the shares could do without one another


def test_images_that_are_met_exactly_do_not_divide_by_nothing() -> None:
    made = module(rate=0.0, beta=0.0)
    with torch.no_grad():
        made.decoder.last.weight.zero_()
        made.decoder.last.bias.fill_(30.0)  # tanh is one
    made.training_step(
        RealBatch(images=torch.full((4, 1, SIZE, SIZE), 255, dtype=torch.uint8), step=0, seed=0), 0
    )
    assert made.curve[0]["squared_error"] == 0
    assert all(bool(p.grad.isfinite().all()) for p in made.decoder.parameters())


def test_one_optimiser_trains_encoder_and_decoder() -> None:
    made = module(rate=0.25)
    group = made.configure_optimizers().param_groups[0]
    networks = (made.encoder, made.decoder)
    assert {id(p) for p in group["params"]} == {id(p) for one in networks for p in one.parameters()}
    assert group["lr"] == 0.25


def test_reconstruction_is_learnt() -> None:
    made = module(rate=5e-3, beta=0.1)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    given = torch.stack([255 * (x < 8), 255 * (y < 8), 255 * (x >= 8), 255 * (y >= 8)]).to(torch.uint8)
    for step in range(60):
        made.training_step(RealBatch(images=given.unsqueeze(1), step=step, seed=step), step)
    assert made.curve[-1]["squared_error"] < 0.5 * made.curve[0]["squared_error"]


def test_images_are_those_of_latent_vectors_from_the_prior() -> None:
    made = module()
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        expected = made.sampler(torch.randn(6, 5, generator=rng))[:, 0].double()
    found = made.sample(6, seed=5).double()
    assert float((found - (expected + 1) * 127.5).abs().max()) <= 0.5 + 1e-3
    with torch.no_grad():
        made.decoder.last.bias.fill_(9.0)  # the average makes the images
    assert torch.equal(made.sample(6, seed=5).double(), found)
