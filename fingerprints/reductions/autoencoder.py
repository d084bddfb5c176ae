"""A small autoencoder of embeddings (Csmorgan in [O24]; the paper gives no layers, so we chose them)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.reductions.pca import check_components

# Number of embeddings in one forward pass.
BLOCK = 4096


def make_autoencoder(width: int, *, latent: int, hidden: int, seed: int) -> tuple[nn.Module, nn.Module]:
    """Encoder from `(n, width)` to `(n, latent)`, and decoder back; each has one hidden layer.

    The weights depend only on the seed; the state of the global random generator does not change.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, latent))
        decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, width))
    return encoder, decoder


def train_autoencoder(
    encoder: nn.Module,
    decoder: nn.Module,
    inputs: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> None:
    """Train with Adam on the mean squared error; the learning rate decreases to zero along a cosine.

    Args:
        encoder: Trained in place.
        decoder: Trained in place.
        inputs: `(n, width)` float32.
        epochs: Passes over the inputs.
        batch_size: Inputs per step; the last batch may be smaller.
        learning_rate: Learning rate at the start.
        seed: Seed of the order of inputs.
    """
    order = torch.Generator().manual_seed(seed)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=learning_rate)
    steps = epochs * math.ceil(len(inputs) / batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs), generator=order).split(batch_size):
            batch = inputs[rows]
            loss = nn.functional.mse_loss(decoder(encoder(batch)), batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()


@dataclass(frozen=True)
class AutoencoderReduction:
    """Reduction to the middle layer of an autoencoder.

    Attributes:
        mean: `(d,)`, subtracted from the features first.
        scale: Features are then divided by this number; it is the same for all features, so that they keep
            their proportions, as in PCA.
        encoder: Network from `(n, d)` to `(n, latent)`.
        variance: Share of the training embeddings' variance that the decoder reconstructs.
    """

    mean: NDArray[np.float32]
    scale: float
    encoder: nn.Module
    variance: float

    name: ClassVar[str] = "autoencoder"

    @classmethod
    def fit(
        cls,
        embeddings: NDArray[np.floating],
        *,
        latent: int = 64,
        hidden: int = 256,
        epochs: int = 30,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ) -> AutoencoderReduction:
        """Train on `(n, d)` embeddings; on one machine, the same seed and thread count give the same weights.

        Args:
            embeddings: `(n, d)`, not all the same.
            latent: Width of the middle layer, from 1 to min(n, d).
            hidden: Width of the layers before and after it.
            epochs: Passes over the embeddings.
            batch_size: Embeddings per step.
            learning_rate: Learning rate of Adam at the start.
            seed: Seed of the weights and of the order of embeddings.

        Raises:
            FingerprintsError: If `latent` is out of range, or training diverges.
        """
        n, d = embeddings.shape
        check_components(latent, images=n, width=d, where="reduction.latent")
        mean = embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
        scale = float(np.sqrt(embeddings.var(axis=0, dtype=np.float64).mean()))
        inputs = torch.from_numpy(((embeddings - mean) / scale).astype(np.float32))
        encoder, decoder = make_autoencoder(d, latent=latent, hidden=hidden, seed=seed)
        train_autoencoder(
            encoder,
            decoder,
            inputs,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
        )
        with torch.inference_mode():
            lost = sum(float(((decoder(encoder(x)) - x) ** 2).sum()) for x in inputs.split(BLOCK))
        if not math.isfinite(lost):
            raise FingerprintsError(
                "The autoencoder's training diverged.",
                where="reduction.learning_rate",
                fix=f"give a learning rate below {learning_rate:g}",
            )
        return cls(mean, scale, encoder, 1 - lost / float((inputs**2).sum()))

    def apply(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """`(n, latent)` middle layer of `(n, d)` embeddings."""
        inputs = torch.from_numpy(((embeddings - self.mean) / self.scale).astype(np.float32))
        with torch.inference_mode():
            return torch.cat([self.encoder(x) for x in inputs.split(BLOCK)]).numpy()

    def describe(self) -> dict[str, Any]:
        """Width of the middle layer, and the share of variance that the decoder reconstructs."""
        latent = self.encoder.state_dict()["2.weight"].shape[0]
        return {"name": self.name, "components": latent, "variance": self.variance}

    def state(self) -> FittedState:
        """The state that `from_state` reads."""
        weights = {f"encoder.{key}": value.numpy() for key, value in self.encoder.state_dict().items()}
        facts = {"scale": self.scale, "variance": self.variance}
        return FittedState(self.name, facts, {"mean": self.mean, **weights})

    @classmethod
    def from_state(cls, state: FittedState) -> AutoencoderReduction:
        """Restore the reduction from its stored state."""
        start = "encoder."
        weights = {
            key.removeprefix(start): torch.from_numpy(np.array(value))
            for key, value in state.arrays.items()
            if key.startswith(start)
        }
        hidden, width = weights["0.weight"].shape
        encoder, _ = make_autoencoder(width, latent=len(weights["2.weight"]), hidden=hidden, seed=0)
        encoder.load_state_dict(weights)
        return cls(state.arrays["mean"], state.facts["scale"], encoder, state.facts["variance"])
