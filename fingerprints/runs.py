"""The run folder: what a run leaves, and how a finished one is read back without Hydra."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from fingerprints.decisions.centroid import CentroidDecision
from fingerprints.decisions.membership import MembershipDecision
from fingerprints.encoders import EmbeddingNetwork, build_network
from fingerprints.encoders.weights import load_into, read_weights
from fingerprints.errors import FingerprintsError
from fingerprints.tasks import Task, get_task

CONFIG, METRICS, PREDICTIONS, RUN_FILE = "config.yaml", "metrics.json", "predictions.csv", "run.csv"
REPORT, CHECKPOINTS, LOG = "report.html", "checkpoints", "train.log"
NETWORK_PREFIX = "network."


def refuse_used_folder(folder: Path) -> None:
    """A run folder holds one run.

    Raises:
        FingerprintsError: If the folder already holds one.
    """
    if (folder / CONFIG).exists():
        raise FingerprintsError(
            "The run folder already holds a run.",
            where=folder,
            fix=f"run_dir=DIR with another folder, or to go on with that run: resume={folder}",
        )


def save_decision(
    folder: Path,
    generator: str,
    decision: CentroidDecision | MembershipDecision,
    *,
    classes: Sequence[str],
    checkpoint: Path,
) -> None:
    """Keep a fitted decision, and which checkpoint it belongs to, as tensors with text beside them."""
    if isinstance(decision, CentroidDecision):
        arrays = {"centroids": decision.centroids}
        facts: dict[str, Any] = {"name": "centroid"}
    else:
        arrays = {
            "threshold": np.array([decision.threshold], dtype=np.float64),
            "references": np.ascontiguousarray(decision.references),
        }
        facts = {
            "name": "membership",
            "rule": decision.rule,
            "k": decision.k,
            "standardise": decision.standardise,
            "reference_k": decision.reference_k,
            "threshold_source": decision.threshold_source,
        }
    facts["classes"] = list(classes)
    facts["checkpoint"] = checkpoint.relative_to(folder).as_posix()
    save_file(arrays, _decision_path(folder, generator), metadata={"decision": json.dumps(facts)})


def _decision_path(folder: Path, generator: str) -> Path:
    return folder / CHECKPOINTS / generator / "decision.safetensors"


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: Where it lies.
        config: The resolved configuration, as plain data.
        task: The task.
        generators: Generators it has a detector for (`['']` where there is one).
        metrics: `metrics.json`, or `None` if the run was stopped before it.
    """

    folder: Path
    config: dict[str, Any]
    task: Task
    generators: list[str]
    metrics: dict[str, Any] | None

    def decision(self, generator: str = "") -> CentroidDecision | MembershipDecision:
        """The fitted decision of a generator."""
        arrays, facts = self._read_decision(generator)
        if facts["name"] == "centroid":
            return CentroidDecision(arrays["centroids"], tuple(facts["classes"]))
        return MembershipDecision(
            rule=facts["rule"],
            k=facts["k"],
            standardise=facts["standardise"],
            references=arrays["references"],
            reference_k=facts["reference_k"],
            threshold=float(arrays["threshold"][0]),
            threshold_source=facts["threshold_source"],
        )

    def classes(self, generator: str = "") -> tuple[str, ...]:
        """Labels, in the order of score columns."""
        _, facts = self._read_decision(generator)
        return tuple(facts["classes"])

    def network(self, generator: str = "") -> EmbeddingNetwork:
        """The trained network of a generator, in evaluation mode.

        Raises:
            FingerprintsError: If the checkpoint is missing or of another architecture.
        """
        _, facts = self._read_decision(generator)
        path = self.folder / facts["checkpoint"]
        settings = {**self.config["encoder"]}
        # The checkpoint holds all weights: none are fetched for the start of the training.
        settings["weights"] = None if settings["name"] == "siamese_cnn" else "none"
        network = build_network(settings, size=self.config["data"]["size"])
        state = {
            key.removeprefix(NETWORK_PREFIX): value
            for key, value in read_weights(path).items()
            if key.startswith(NETWORK_PREFIX)
        }
        load_into(network, state, where=path)
        return network.eval()

    def _read_decision(self, generator: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        path = _decision_path(self.folder, generator)
        if generator not in self.generators:
            raise FingerprintsError(
                f"The run has no detector for generator '{generator}'.",
                where=self.folder,
                fix=f"generator= one of {', '.join(self.generators)}",
            )
        try:
            with safe_open(path, framework="numpy") as file:
                arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                return arrays, json.loads(file.metadata()["decision"])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise FingerprintsError(
                f"The run's decision cannot be read: {error}", where=path, fix="train again"
            ) from error


def load_run(folder: str | Path) -> Run:
    """Read a run folder: configuration, networks, decisions and metrics, without Hydra.

    Raises:
        FingerprintsError: If the folder is no run, or the run was stopped before its decision.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise FingerprintsError(
            f"This is no run folder: it has no {CONFIG}.",
            where=folder,
            fix="give the folder that `python -m fingerprints.train` printed (run_dir)",
        )
    config: Any = OmegaConf.to_container(OmegaConf.load(folder / CONFIG), resolve=True)
    found = sorted((folder / CHECKPOINTS).glob("**/decision.safetensors"))
    if not found:
        raise FingerprintsError(
            "The run was stopped before it made its decision.",
            where=folder,
            fix=f"python -m fingerprints.train resume={folder}",
        )
    generators = [path.parent.relative_to(folder / CHECKPOINTS).as_posix() for path in found]
    metrics = folder / METRICS
    return Run(
        folder=folder,
        config=config,
        task=get_task(config["task"]),
        generators=["" if name == "." else name for name in generators],
        metrics=json.loads(metrics.read_text()) if metrics.is_file() else None,
    )
