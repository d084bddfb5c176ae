from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.classifiers.centroid import Centroid
from fingerprints.decisions.scores.settings import DistanceSettings
from fingerprints.decisions.settings import CentroidSettings
from fingerprints.decisions.usage import UsageDecision
from fingerprints.detector import saved as runs
from fingerprints.detector.detection import Decider
from fingerprints.embeddings.sources import Encoder
from fingerprints.reductions.registry import fit_reduction
from fingerprints.reductions.settings import NoReductionSettings
from fingerprints.runs.folder import CHECKPOINTS, CONFIG
from fingerprints.training.fit import FitResult
from tests.networks import build_network

CENTROID = Centroid(settings=CentroidSettings(), classes=("a", "b"), centroids=np.eye(2, 6, dtype=np.float32))
ENCODER = {"name": "siamese_cnn", "channels": [4, 8], "embedding": 6, "weights": None}


@pytest.fixture
def folder(tmp_path):
    """A run folder as training leaves it, made by hand."""

    def make(decision, generators=("",)):
        config = {"task": "subset", "encoder": ENCODER, "data": {"size": 16}, "training": {"name": "pairs"}}
        OmegaConf.save(OmegaConf.create(config), tmp_path / CONFIG)
        networks = {}
        for generator in generators:
            checkpoint = tmp_path / CHECKPOINTS / generator / "last.ckpt"
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            network = build_network(ENCODER, size=16)
            state = {f"network.{key}": value for key, value in network.state_dict().items()}
            torch.save({"state_dict": state}, checkpoint)
            result = FitResult(pd.DataFrame(), 0, 1, checkpoint)
            decider = Decider(
                fit_reduction(NoReductionSettings(), np.eye(6, dtype=np.float32), seed=0), decision
            )
            encoder = Encoder(network, lambda rows: rows, {"training": result})
            runs.save_decider(tmp_path, generator, decider, classes=("a", "b"), encoder=encoder)
            networks[generator] = network.eval()
        return tmp_path, networks

    return make


def test_centroids_and_network_come_back_as_they_were(folder):
    path, networks = folder(CENTROID)
    run = runs.load_run(path)
    np.testing.assert_array_equal(run.decider().decision.centroids, CENTROID.centroids)
    assert run.decider().decision.classes == run.classes() == ("a", "b")
    assert run.metrics == {}
    images = torch.rand(3, 1, 16, 16)
    torch.testing.assert_close(run.network()(images), networks[""](images))
    assert not run.network().training


def test_usage_decisions_come_back_as_they_were(folder):
    references = np.random.default_rng(0).random((4, 6)).astype(np.float32)
    settings = DistanceSettings(rule="k_nearest", k=3, standardise=False, scaled_by="training", reference_k=2)
    decision = UsageDecision(settings, {"references": references}, threshold=-0.25, source="validation")
    path, _ = folder(decision, generators=("m1", "m2"))
    run = runs.load_run(path)
    assert run.generators == ["m1", "m2"]
    back = run.decider("m2").decision
    np.testing.assert_array_equal(back.learned["references"], references)
    assert (back.settings, back.threshold, back.source) == (settings, -0.25, "validation")


def test_what_is_wrong_with_a_run_folder_is_said(folder, tmp_path):
    with pytest.raises(FingerprintsError, match="no run folder"):
        runs.load_run(tmp_path)
    path, _ = folder(CENTROID)
    with pytest.raises(FingerprintsError, match="generator 'm9'"):
        runs.load_run(path).network("m9")
    (path / CHECKPOINTS / "last.ckpt").write_bytes(b"nothing")
    with pytest.raises(FingerprintsError, match="cannot be read"):
        runs.load_run(path).network()
    (path / CHECKPOINTS / "last.ckpt").unlink()
    with pytest.raises(FingerprintsError, match="do not exist"):
        runs.load_run(path).network()
    (path / CHECKPOINTS / "decision.safetensors").unlink()
    with pytest.raises(FingerprintsError, match="stopped before"):
        runs.load_run(path)
