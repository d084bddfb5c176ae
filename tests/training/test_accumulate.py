"""A batch in parts: the same embeddings, loss, gradients and statistics, and less at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fingerprints.data.datamodule import PairDataModule
from fingerprints.data.index import Index
from fingerprints.data.pairs import AllPairs, PairStrategy, RandomPairs
from fingerprints.data.store import ImageStore
from fingerprints.encoders.network import EmbeddingNetwork
from fingerprints.training.accumulate import in_parts
from fingerprints.training.augment import Augmentation
from fingerprints.training.fit import FitResult, fit
from fingerprints.training.losses import all_distances
from fingerprints.training.settings import (
    OptimiserSettings,
    PairTrainingSettings,
    StoppingSettings,
    TrainerSettings,
)
from fingerprints.training.siamese import SiameseModule
from tests.networks import build_network

Data = tuple[Index, ImageStore]
COUNT = 7


class Watched(EmbeddingNetwork):
    """Notes the size of every batch that it encodes."""

    def raw(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        return super().raw(images)


def make_network(*, batch_norm: bool = False, dropout: float = 0.0) -> Watched:
    torch.manual_seed(0)
    settings = {"name": "siamese_cnn", "channels": [4, 8], "embedding": 8, "final_relu": False}
    network = build_network({**settings, "batch_norm": batch_norm}, size=24)
    if dropout:
        network.projection = nn.Sequential(nn.Dropout(dropout), nn.Linear(8, 8))
    network.__class__, network.sizes = Watched, []
    return network  # type: ignore[return-value]


@pytest.fixture
def images() -> Tensor:
    return torch.rand(COUNT, 1, 24, 24, generator=torch.Generator().manual_seed(1))


def loss_of(embedded: Tensor) -> Tensor:
    """Across the whole batch, as the pairs are."""
    return all_distances(embedded, embedded.flip(0)).square().mean() + embedded.sigmoid().sum()


def gradients(network: nn.Module, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters())))


def statistics(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.named_buffers()}


@pytest.mark.parametrize("parts", [1, 2, 3, COUNT, 100])
def test_parts_give_the_embeddings_loss_and_gradients_of_the_whole(images: Tensor, parts: int) -> None:
    network = make_network()
    whole = network.raw(images)
    loss = loss_of(whole)
    expected = gradients(network, loss)
    found = in_parts(network.raw, images, parts=parts)
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(loss_of(found), loss, rtol=1e-5, atol=1e-6)
    for one, other in zip(gradients(network, loss_of(found)), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))
    assert min(float(gradient.abs().max()) for gradient in expected) > 0


@pytest.mark.parametrize(
    ("parts", "sizes"),
    [(1, [7]), (2, [4, 3]), (3, [3, 3, 1]), (7, [1] * 7), (100, [1] * 7)],
)
def test_no_more_than_a_part_is_encoded_at_a_time(images: Tensor, parts: int, sizes: list[int]) -> None:
    network = make_network()
    loss = loss_of(in_parts(network.raw, images, parts=parts))
    assert network.sizes == sizes
    loss.backward()
    # Each part once more in the backward pass.
    assert sorted(network.sizes) == sorted(sizes if parts == 1 else 2 * sizes)


def test_activations_of_a_part_are_not_kept(images: Tensor) -> None:
    def kept(parts: int) -> int:
        """Bytes that autograd holds beside parameters and images."""
        network, held = make_network(), {}
        own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), images)}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                held[storage.data_ptr()] = (storage.nbytes(), tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            embedded = in_parts(network.raw, images, parts=parts)
        assert embedded.grad_fn is not None
        return sum(size for size, _ in held.values())

    assert kept(2) < 0.05 * kept(1)


@pytest.mark.parametrize("enabled", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_batch_stays_whole(
    images: Tensor, monkeypatch: pytest.MonkeyPatch, enabled: Callable[[], Any]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("checkpointed")

    monkeypatch.setattr("fingerprints.training.accumulate.checkpoint", refuse)
    network = make_network()
    with enabled():
        found = in_parts(network.raw, images, parts=3)
    assert network.sizes == [COUNT]
    assert not found.requires_grad
    with pytest.raises(AssertionError, match="checkpointed"):
        in_parts(network.raw, images, parts=3)


@pytest.mark.parametrize("momentum", [0.1, 0.7])
@pytest.mark.parametrize("parts", [2, 3])
def test_running_statistics_are_updated_once_a_part(images: Tensor, parts: int, momentum: float) -> None:
    network, plain = make_network(batch_norm=True), make_network(batch_norm=True)
    for module in (*network.modules(), *plain.modules()):
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum
    start = statistics(plain)
    expected = torch.cat([plain.raw(part) for part in images.chunk(parts)])
    wanted = gradients(plain, loss_of(expected))
    found = in_parts(network.raw, images, parts=parts)
    given = gradients(network, loss_of(found))
    torch.testing.assert_close(found, expected)
    for one, other in zip(given, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))
    after, once = statistics(network), statistics(plain)
    for name in [name for name in once if name.endswith(("running_mean", "running_var"))]:
        assert not torch.equal(once[name], start[name])
        torch.testing.assert_close(after[name], once[name])
    assert {m.momentum for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {momentum}


@pytest.mark.parametrize("momentum", [0.1, None])
def test_batches_are_counted_once_a_part(images: Tensor, momentum: float | None) -> None:
    network, plain = make_network(batch_norm=True), make_network(batch_norm=True)
    for module in (*network.modules(), *plain.modules()):
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum
    for _ in range(2):
        for part in images.chunk(3):
            plain.raw(part)
        loss_of(in_parts(network.raw, images, parts=3)).backward()
    once = statistics(plain)
    for name, tensor in statistics(network).items():
        torch.testing.assert_close(tensor, once[name])


def test_momentum_comes_back_when_the_backward_pass_fails(
    images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network(batch_norm=True)
    loss = loss_of(in_parts(network.raw, images, parts=2))

    def fail(_: Tensor) -> None:
        raise KeyError

    monkeypatch.setattr(network.encoder.dense, "forward", fail)
    with pytest.raises(KeyError):
        loss.backward()
    assert {m.momentum for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}


def test_dropout_is_the_same_in_both_passes(images: Tensor) -> None:
    network = make_network(dropout=0.5)
    masks: list[Tensor] = []
    network.projection[0].register_forward_hook(lambda _, __, out: masks.append(out.detach() == 0))
    loss = loss_of(in_parts(network.raw, images, parts=2))
    first = list(masks)
    loss.backward()
    assert len(masks) == 2 * len(first) == 4
    again = {len(mask): mask for mask in masks[2:]}
    assert all(torch.equal(again[len(mask)], mask) for mask in first)
    assert 0 < torch.cat(first).float().mean() < 1


@pytest.fixture
def data(subset_root: Callable[..., Path], prepared: Callable[..., Any]) -> Data:
    return prepared(subset_root(per_class=8), "subset", validation=0.25)


def trained(data: Data, kind: str, folder: Path, *, accumulate: int) -> tuple[SiameseModule, FitResult]:
    def strategy(pools: Any, store: ImageStore) -> PairStrategy:
        if kind == "random":
            return RandomPairs(pools, batch_size=7, seed=0)
        return AllPairs(pools, images_per_class=2, seed=0)

    torch.manual_seed(0)
    settings = {"name": "siamese_cnn", "channels": [4, 8], "embedding": 8, "final_relu": False}
    module = SiameseModule(
        build_network(settings, size=48),
        settings=PairTrainingSettings(),
        accumulate=accumulate,
        optimiser=OptimiserSettings(lr=1e-3),
        augmentation=Augmentation(flip=True, noise=0.02),
    )
    module.network.__class__, module.network.sizes = Watched, []
    index, store = data
    made = PairDataModule(
        index,
        store,
        strategy=strategy,
        train=index.select(split="train"),
        validation=None,
        seed=0,
    )
    hardware = TrainerSettings(accelerator="cpu", max_epochs=1)
    result = fit(module, made, trainer=hardware, stopping=StoppingSettings(), folder=folder, title=kind)
    return module, result


@pytest.mark.parametrize(("kind", "batch"), [("random", 14), ("all", 12)])
def test_training_in_parts_learns_the_same(data: Data, tmp_path: Path, kind: str, batch: int) -> None:
    whole, expected = trained(data, kind, tmp_path / "whole", accumulate=1)
    parts, found = trained(data, kind, tmp_path / "parts", accumulate=3)
    assert max(whole.network.sizes) == batch
    assert max(parts.network.sizes) == -(-batch // 3)
    assert len(expected.history) == 1
    torch.manual_seed(0)
    start = build_network(
        {"name": "siamese_cnn", "channels": [4, 8], "embedding": 8, "final_relu": False}, size=48
    ).state_dict()
    state = whole.network.state_dict()
    for name, tensor in parts.network.state_dict().items():
        torch.testing.assert_close(tensor, state[name], rtol=0, atol=1e-5)
        assert (state[name] - start[name]).abs().max() > 1e-3, name
    assert found.images_encoded == expected.images_encoded
    assert found.history["train_loss"][0] == pytest.approx(expected.history["train_loss"][0], rel=1e-5)
