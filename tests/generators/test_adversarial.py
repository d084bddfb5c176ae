"""One step of a GAN: losses, who learns from what, and the moving average of what makes the images."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.batches import RealBatch
from fingerprints.generators.diff_augment import augment, draw_changes
from fingerprints.generators.gan import GANModule
from fingerprints.generators.settings import DiffAugment, GANSettings

SIZE = 16


class Alone(GANModule):
    """The module without a trainer; `rates` are those of discriminator and generator."""

    def __init__(
        self, *, rates: tuple[float, float] = (1e-2, 1e-2), log_every: int = 1, **options: Any
    ) -> None:
        torch.manual_seed(0)
        options = {"latent": 4, "width": 2, "discriminator_width": 3, "batch_size": 4, **options}
        super().__init__(size=SIZE, settings=GANSettings(**options), name="third", log_every=log_every)
        self.pair = self.configure_optimizers()
        for optimiser, rate in zip(self.pair, rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate

    def optimizers(self, use_pl_optimizer: bool = True) -> Any:
        return self.pair

    def manual_backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        loss.backward()

    def steps(self, *numbers: int) -> None:
        for number in numbers:
            self.training_step(batch(number), number)


def batch(step: int = 0, *, n: int = 4, seed: int | None = None) -> RealBatch:
    rng = torch.Generator().manual_seed(1000 + step)
    images = torch.randint(0, 256, (n, 1, SIZE, SIZE), generator=rng, dtype=torch.uint8)
    return RealBatch(images=images, step=step, seed=step if seed is None else seed)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def frozen(**options: Any) -> Alone:
    """Learns nothing, and the power iterations of spectral norm stand still."""
    module = Alone(rates=(0.0, 0.0), **options)
    module.discriminator.eval()
    return module


@pytest.mark.parametrize("n", [4, 5, 8])
def test_losses_are_hinges_of_the_scores_of_real_and_of_generated_images_each_scored_among_its_own(
    n: int,
) -> None:
    module, given = frozen(), batch(3, n=n)
    with torch.no_grad():  # scores on either side of both hinges
        module.discriminator.last.bias.add_(0.9)
    rng = torch.Generator().manual_seed(given.seed)
    latents = torch.randn(n, 4, generator=rng)
    with torch.no_grad():
        generated = copy.deepcopy(module.generator)(latents)
        real = given.images.float() / 127.5 - 1
        changes = module.settings.augment
        seen = augment(torch.cat([real, generated]), draw_changes(2 * n, rng), settings=changes)
        real_scores = module.discriminator(seen[:n]).tolist()
        generated_scores = module.discriminator(seen[n:]).tolist()
        second_look = module.discriminator(
            augment(generated, draw_changes(n, rng), settings=changes)
        ).tolist()
    module.training_step(given, 0)
    assert module.curve[0] == pytest.approx(
        {
            "step": 4.0,
            "discriminator_loss": sum(max(0, 1 - score) for score in real_scores) / n
            + sum(max(0, 1 + score) for score in generated_scores) / n,
            "generator_loss": -sum(second_look) / n,
            "real_score": sum(real_scores) / n,
            "generated_score": sum(generated_scores) / n,
        },
        rel=1e-4,
        abs=1e-5,
    )


def test_discriminator_learns_from_how_much_images_are_alike() -> None:
    module = frozen(augment=DiffAugment(brightness=0, contrast=0, translation=0, cutout=0))
    with torch.no_grad():
        module.generator.last.weight.zero_()  # collapsed: all its images are one
        module.discriminator.last.parametrizations.weight.original.zero_()[:, -16:] = 1
    module.training_step(batch(), 0)
    point = module.curve[0]
    assert abs(point["real_score"] - point["generated_score"]) > 0.1
    gradient = module.discriminator.last.parametrizations.weight.original.grad
    assert gradient is not None
    assert float(gradient.abs().max()) > 1e-4


def test_either_network_learns_from_its_own_loss_alone() -> None:
    module, given = frozen(), batch(1)
    generator, discriminator = copy.deepcopy(module.generator), copy.deepcopy(module.discriminator)
    rng = torch.Generator().manual_seed(given.seed)
    generated = generator(torch.randn(4, 4, generator=rng))
    real = given.images.float() / 127.5 - 1
    changes = module.settings.augment
    seen = augment(torch.cat([real, generated.detach()]), draw_changes(8, rng), settings=changes)
    losses = (1 - discriminator(seen[:4])).clamp_min(0) + (1 + discriminator(seen[4:])).clamp_min(0)
    expected = torch.autograd.grad(losses.mean(), list(discriminator.parameters()))
    loss = -discriminator(augment(generated, draw_changes(4, rng), settings=changes)).mean()
    expected += torch.autograd.grad(loss, list(generator.parameters()))
    module.training_step(given, 0)
    found = [*module.discriminator.named_parameters(), *module.generator.named_parameters("generator")]
    for (name, parameter), gradient in zip(found, expected, strict=True):
        assert parameter.grad is not None
        # What either half of the batch says of the last bias cancels.
        assert bool(gradient.any()) or name == "last.bias"
        assert torch.allclose(parameter.grad, gradient, rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize("which", [0, 1], ids=["discriminator", "generator"])
def test_step_of_one_network_does_not_touch_the_other(which: int) -> None:
    module = Alone(rates=(0.01, 0.0) if which == 0 else (0.0, 0.01))
    networks = (module.discriminator, module.generator)
    before = [weights(network) for network in networks]
    module.steps(0, 1)
    after = [weights(network) for network in networks]
    assert same(before[1 - which], after[1 - which])
    for name, tensor in before[which].items():
        if name != "last.bias" or which:  # no score is beyond its hinge: nothing moves that of all scores
            assert not torch.equal(tensor, after[which][name]), name
    assert all(parameter.requires_grad for network in networks for parameter in network.parameters())


def test_generator_is_scored_by_the_discriminator_that_has_just_learnt() -> None:
    losses = []
    for rate in (0.0, 0.05):
        module = Alone(rates=(rate, 0.0))
        module.steps(0)
        losses.append(module.curve[0])
    assert losses[0]["generated_score"] == losses[1]["generated_score"]
    assert losses[0]["generator_loss"] != losses[1]["generator_loss"]


def test_optimisers_are_adam_as_set_with_the_discriminators_first() -> None:
    module = Alone(lr=0.5, beta1=0.25, beta2=0.75)
    pair = module.configure_optimizers()
    for optimiser, network in zip(pair, (module.discriminator, module.generator), strict=True):
        assert isinstance(optimiser, torch.optim.Adam)
        group = optimiser.param_groups[0]
        assert (group["lr"], group["betas"]) == (0.5, (0.25, 0.75))
        assert {id(p) for p in group["params"]} == {id(p) for p in network.parameters()}


def test_step_is_a_function_of_weights_and_batch_alone() -> None:
    results = []
    for other in (0, 1):
        module = Alone()
        torch.manual_seed(other)
        before = torch.get_rng_state()
        module.steps(0, 1, 2)
        assert torch.equal(torch.get_rng_state(), before)
        results.append((state(module), module.curve))
    assert same(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]
    module = Alone()
    module.training_step(batch(0, seed=77), 0)
    other_seed = state(module)
    module = Alone()
    module.training_step(batch(0), 0)
    assert not same(other_seed, state(module))


@pytest.mark.parametrize("ema", [0.2, 0.999])
def test_average_is_that_of_loops_over_weights_and_batch_norm_alike(ema: float) -> None:
    module, expected = Alone(ema=ema), {}
    for step in range(6):
        module.steps(step)
        decay = min(ema, (1 + step) / (10 + step)) if step else 0.0
        for name, tensor in module.generator.state_dict().items():
            if tensor.is_floating_point():
                start = expected.get(name, torch.zeros_like(tensor, dtype=torch.float64))
                expected[name] = decay * start + (1 - decay) * tensor.detach().double()
            else:
                expected[name] = tensor.clone()
    found = module.sampler.state_dict()
    assert found.keys() == expected.keys()
    assert {name.rpartition(".")[2] for name in found} >= {"running_mean", "running_var", "weight", "bias"}
    for name, tensor in found.items():
        assert torch.allclose(tensor.double(), expected[name].double(), rtol=1e-4, atol=1e-6), name
    counters = [int(tensor) for name, tensor in found.items() if name.endswith("num_batches_tracked")]
    assert counters == [6] * 3
    assert not same(state(module.sampler), state(module.generator))


def test_average_forgets_the_weights_that_the_training_began_with() -> None:
    module = Alone(ema=0.9999, rates=(0.0, 0.0))
    with torch.no_grad():
        module.sampler.last.weight.fill_(1e6)
    module.steps(0)
    assert torch.equal(module.sampler.last.weight, module.generator.last.weight)
    with torch.no_grad():
        before = module.sampler.last.weight.clone()
        module.generator.last.weight.add_(1)
    shares = []
    for step in range(1, 12):
        last = module.sampler.last.weight.detach().clone()
        module.steps(step)
        after, target = module.sampler.last.weight.detach(), module.generator.last.weight.detach()
        shares.append(float(((target - after) / (target - last)).mean()))
    assert shares == pytest.approx([(1 + step) / (10 + step) for step in range(1, 12)], abs=1e-3)
    assert torch.allclose(module.sampler.last.weight, before + 1, atol=1e-2)


def test_average_is_trained_by_no_optimiser() -> None:
    module = Alone()
    trained = {id(p) for optimiser in module.pair for p in optimiser.param_groups[0]["params"]}
    averaged = {id(p) for p in module.sampler.parameters()}
    assert trained
    assert averaged
    assert not trained & averaged


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9])
def test_divergence_is_told_with_generator_and_step(value: float) -> None:
    module = Alone(log_every=2)
    with torch.no_grad():
        module.discriminator.last.bias.fill_(value)
    module.steps(0)
    with pytest.raises(FingerprintsError, match="Generator 'third' diverged before step 2") as error:
        module.steps(1)
    assert error.value.where == "generators/third"
    assert "generator.lr" in str(error.value.fix)
    assert module.curve == []


def test_weights_that_are_no_numbers_are_told() -> None:
    module = Alone()
    with torch.no_grad():
        module.generator.last.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(FingerprintsError, match="diverged before step 1"):
        module.steps(0)


def test_images_are_those_of_the_average_not_of_the_last_weights() -> None:
    module = Alone(ema=0.99)
    module.steps(*range(4))
    assert module.sampler is module.average.module
    found = module.sample(4, seed=0)
    with torch.no_grad():
        module.generator.last.bias.fill_(1e3)
    assert torch.equal(module.sample(4, seed=0), found)
    with torch.no_grad():
        module.sampler.last.bias.fill_(1e3)
    assert bool((module.sample(4, seed=0) == 255).all())
