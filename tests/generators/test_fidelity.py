"""FID and KID against their formulas on an Inception network of random weights; weights that are refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from torch import nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.fidelity import check_fidelity, fidelity

inception = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
Features = NDArray[np.float64]


@pytest.fixture(scope="module")
def extractor() -> Any:
    """The network of the figures, giving its first 64 features: all 2048 would take minutes."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(inception.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        made = inception.FeatureExtractorInceptionV3("inception-v3-compat", ["64"])
    for layer in made.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return made


@pytest.fixture(scope="module")
def weights(extractor: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(extractor.state_dict(), path)
    return path


@pytest.fixture
def _first_features(monkeypatch: pytest.MonkeyPatch) -> None:
    network = inception.FeatureExtractorInceptionV3
    assert {network.get_default_feature_layer_for_metric(metric) for metric in ("fid", "kid")} == {"2048"}
    monkeypatch.setattr(network, "get_default_feature_layer_for_metric", staticmethod(lambda _: "64"))


def images(n: int, *, seed: int) -> NDArray[np.uint8]:
    """Dark above, with a grain whose coarseness differs between seeds."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (n, 16 >> seed, 16 >> seed)).repeat(1 << seed, 1).repeat(1 << seed, 2)
    return (coarse + np.arange(16)[:, None]).astype(np.uint8)


def features(extractor: Any, pictures: NDArray[np.uint8]) -> Features:
    with torch.no_grad():
        return extractor(torch.from_numpy(pictures)[:, None].expand(-1, 3, -1, -1))[0].double().numpy()


def frechet(first: Features, second: Features) -> float:
    """With the root of one covariance at either side of the other, which is symmetric."""
    one, two = (np.cov(x, rowvar=False) for x in (first, second))
    root = sqrtm(one).real
    overlap = np.trace(sqrtm(root @ two @ root).real)
    apart = np.square(first.mean(0) - second.mean(0)).sum()
    return float(apart + np.trace(one) + np.trace(two) - 2 * overlap)


def kernel_distance(first: Features, second: Features) -> float:
    """Unbiased, with the cubic kernel, over pairs one by one."""

    def kernel(a: Features, b: Features) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    def within(x: Features) -> float:
        return float(np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]))

    between = np.mean([kernel(a, b) for a in first for b in second])
    return within(first) + within(second) - 2 * float(between)


@pytest.mark.usefixtures("_first_features")
def test_figures_are_those_of_the_formulas_on_the_networks_features(extractor: Any, weights: Path) -> None:
    generated, real = images(12, seed=0), images(16, seed=1)
    found = fidelity(generated, real, weights=weights)
    first, second = features(extractor, generated), features(extractor, real)
    expected = frechet(first, second)
    assert expected > 0.01
    assert found["fid"] == pytest.approx(expected, rel=1e-3)
    # Of the larger set, each of the subsets has twelve images at random.
    assert found["kid_std"] > 0
    assert found["kid"] == pytest.approx(kernel_distance(first, second), abs=4 * found["kid_std"] / 10)
    assert abs(found["kid"]) > 8 * found["kid_std"] / 10
    assert (found["generated"], found["real"]) == (12, 16)
    assert "biased upwards below 2,048 images" in found["note"]


@pytest.mark.usefixtures("_first_features")
def test_weights_that_fit_pass_the_check(weights: Path) -> None:
    check_fidelity(weights)


def refused(path: Path) -> FingerprintsError:
    with pytest.raises(FingerprintsError, match="weights for FID and KID are not available") as error:
        check_fidelity(path)
    assert error.value.where == str(path)
    assert "quality.weights=PATH" in str(error.value.fix)
    assert "quality.fidelity=false" in str(error.value.fix)
    assert "\n" not in error.value.what
    assert not error.value.what.endswith(":")
    return error.value


def test_missing_file_is_told(tmp_path: Path) -> None:
    assert "do not exist" in refused(tmp_path / "none.pth").what


class Harmful:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_of_weights_is_refused_and_does_not_run(tmp_path: Path, zipped: bool) -> None:
    path, trace = tmp_path / "weights.pth", tmp_path / "it_ran"
    content = {"fc.weight": torch.zeros(2), "more": Harmful(trace)}
    if zipped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    refused(path)
    assert not trace.exists()
    with path.open("rb") as file:  # it would have, if anyone had let it
        torch.load(file, weights_only=False) if zipped else pickle.load(file)
    assert trace.exists()


@pytest.mark.parametrize(
    "content",
    [{"fc.weight": torch.zeros(2)}, [torch.zeros(3)]],
    ids=["another network", "a list"],
)
def test_weights_of_something_else_are_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    refused(path)


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"PK\x03\x04 cut off"])
def test_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    refused(path)


def test_download_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(inception, "load_state_dict_from_url", offline)
    with pytest.raises(FingerprintsError, match="are not available: no route to host") as error:
        check_fidelity(None)
    assert error.value.where == "quality.fidelity=true"


def test_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(FingerprintsError, match="need a package that is not installed") as error:
        check_fidelity(None)
    assert "gan-fingerprints[quality]" in str(error.value.fix)
