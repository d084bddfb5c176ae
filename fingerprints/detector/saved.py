"""Saves the detectors of a run, and reads a finished run without Hydra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fingerprints.core.errors import FingerprintsError, command
from fingerprints.core.fitted_state import FittedState, load_fitted, save_fitted
from fingerprints.core.options import build_option, settings_class
from fingerprints.core.tasks import Task
from fingerprints.core.weights import load_into, read_weights
from fingerprints.decisions.registry import restore_decision
from fingerprints.detector.detection import Decider
from fingerprints.embeddings.sources import Encoder
from fingerprints.encoders.build import build_network
from fingerprints.encoders.identity import weights_digest
from fingerprints.encoders.network import EmbeddingNetwork
from fingerprints.encoders.settings import EncoderSettings
from fingerprints.reductions.registry import restore_reduction
from fingerprints.runs.figures import Document
from fingerprints.runs.folder import CHECKPOINTS, RunRecord, read_run

NETWORK_PREFIX = "network."
DECIDER = "decision"  # stem of the files of a fitted reduction and decision


def save_decider(
    folder: Path, generator: str, decider: Decider, *, classes: Sequence[str], encoder: Encoder
) -> None:
    """Save a fitted reduction and decision with a reference to their encoder.

    A trained encoder is identified by its checkpoint, a frozen one by the digest of its weights; these
    weights are not copied.
    """
    fits = list(encoder.fits.values())
    facts: dict[str, Any] = {
        "classes": list(classes),
        "checkpoint": fits[-1].checkpoint.relative_to(folder).as_posix() if fits else None,
        "weights": None if encoder.features is None else encoder.features.facts["weights"],
    }
    state = FittedState("decider", facts).holding(
        reduction=decider.reduction.state(), decision=decider.decision.state()
    )
    save_fitted(state, folder / CHECKPOINTS / generator, stem=DECIDER)


@dataclass(frozen=True)
class Run:
    """A finished run with its networks and decisions.

    Attributes:
        record: The record of its folder.
        generators: Generators with a detector in this run (`['']` if there is only one).
    """

    record: RunRecord
    generators: list[str]

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.record.folder

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration, as plain data."""
        return self.record.config

    @property
    def task(self) -> Task:
        """The task."""
        return self.record.task

    @property
    def metrics(self) -> Document:
        """Content of `metrics.json`; empty if the run was stopped before it was written."""
        return self.record.metrics

    @property
    def encoder(self) -> EncoderSettings:
        """Settings of its encoder."""
        return build_option("encoder", self.config["encoder"])

    def decider(self, generator: str = "") -> Decider:
        """The fitted reduction and decision of a generator."""
        state = self._read(generator)
        return Decider(
            restore_reduction(state.inside("reduction")), restore_decision(state.inside("decision"))
        )

    def classes(self, generator: str = "") -> tuple[str, ...]:
        """Labels, in the order of score columns."""
        return tuple(self._read(generator).facts["classes"])

    def network(self, generator: str = "") -> EmbeddingNetwork:
        """The network of a generator, in evaluation mode; a frozen one is built again.

        Raises:
            FingerprintsError: If the checkpoint is missing or has another architecture, or the weights of a
                frozen encoder have changed.
        """
        facts, config = self._read(generator).facts, self.config
        size, encoder = config["data"]["size"], self.encoder
        on_pairs = settings_class("training", config["training"]["name"]).on_pairs  # type: ignore[attr-defined]
        if facts["checkpoint"] is None:
            torch.manual_seed(config["seed"])  # gives the run's weights if they are random
            frozen = build_network(encoder, size=size, on_pairs=False)
            if weights_digest(frozen) != facts["weights"]:
                raise FingerprintsError(
                    "The encoder's weights differ from those that the run was made with.",
                    where="encoder.weights",
                    fix="restore the weights, or train again",
                )
            return frozen.eval()
        path = self.folder / facts["checkpoint"]
        # The checkpoint holds all weights: no pretrained weights are loaded.
        network = build_network(encoder.without_weights(), size=size, on_pairs=on_pairs)
        state = {
            key.removeprefix(NETWORK_PREFIX): value
            for key, value in read_weights(path).items()
            if key.startswith(NETWORK_PREFIX)
        }
        load_into(network, state, where=path)
        return network.eval()

    def _read(self, generator: str) -> FittedState:
        if generator not in self.generators:
            raise FingerprintsError(
                f"The run has no detector for generator '{generator}'.",
                where=self.folder,
                fix=f"generator= one of {', '.join(self.generators)}",
            )
        return load_fitted(self.folder / CHECKPOINTS / generator, stem=DECIDER)


def load_run(folder: str | Path) -> Run:
    """Read a run folder: configuration, networks, decisions and metrics, without Hydra.

    Raises:
        FingerprintsError: If the folder is not a run, or the run was stopped before its decision.
    """
    record = read_run(folder)
    checkpoints = record.folder / CHECKPOINTS
    found = sorted(checkpoints.glob(f"**/{DECIDER}.safetensors"))
    if not found:
        raise FingerprintsError(
            "The run was stopped before it made its decision.",
            where=folder,
            fix=command("train", f"resume={folder}"),
        )
    generators = [path.parent.relative_to(checkpoints).as_posix() for path in found]
    return Run(record, ["" if name == "." else name for name in generators])
