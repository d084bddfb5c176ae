"""BLIP's vision encoders, from tiny folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from fingerprints.core.errors import FingerprintsError
from tests.networks import build_network

transformers = pytest.importorskip("transformers")

from fingerprints.encoders import hub  # noqa: E402

TINY: dict[str, Any] = {
    **{"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16},
    **{"image_size": 32, "patch_size": 16, "initializer_range": 0.5},
}
KINDS = {
    "blip": ("BlipVisionConfig", "BlipVisionModel", "blip"),
    "blip_large": ("BlipVisionConfig", "BlipVisionModel", "blip"),
    "blip2": ("Blip2VisionConfig", "Blip2VisionModel", "blip-2"),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def saved(kind: str, folder: Path) -> Any:
    config, model, _ = KINDS[kind]
    torch.manual_seed(0)
    made = getattr(transformers, model)(getattr(transformers, config)(**TINY)).eval()
    made.save_pretrained(folder)
    return made


def whole(kind: str, folder: Path) -> None:
    """Make a folder of a vision encoder look like that of the whole model, in two shards."""
    vision = load_file(folder / "model.safetensors")
    save_file({f"vision_model.{key}": value for key, value in vision.items()}, folder / "1.safetensors")
    index = {f"vision_model.{key}": "1.safetensors" for key in vision}
    (folder / "model.safetensors").unlink()
    weight_map = {"weight_map": {**index, "language_model.a": "2.safetensors"}}  # and no such file
    (folder / "model.safetensors.index.json").write_text(json.dumps(weight_map))
    inner = json.loads((folder / "config.json").read_text())
    outer = {"model_type": KINDS[kind][2], "vision_config": inner}
    (folder / "config.json").write_text(json.dumps(outer))


@pytest.mark.parametrize("of_whole_model", [False, True])
def test_features_are_the_pooled_output_on_normalised_colour(
    kind: str, tmp_path: Path, of_whole_model: bool
) -> None:
    model = saved(kind, tmp_path)
    if of_whole_model:
        whole(kind, tmp_path)
    network = build_network({"name": kind, "weights": str(tmp_path)}, size=32, on_pairs=False).eval()
    images = torch.rand(3, 1, 32, 32)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = model((images - mean) / std).pooler_output
        torch.testing.assert_close(network(images), expected)
    assert expected.std() > 0.1
    assert network.embedding == 8
    record = network.encoder.preprocessing()
    assert (record["size"], record["channels"], record["backbone"]) == (32, 3, kind)


def test_other_sizes_and_the_folders_own_normalisation(kind: str, tmp_path: Path) -> None:
    saved(kind, tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3}))
    settings = {"name": kind, "weights": str(tmp_path), "input_size": 48}
    network = build_network(settings, size=32, on_pairs=False).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 1, 32, 32)).shape == (1, 8)
    assert network.encoder.preprocessing()["mean"] == [0.5] * 3
    with pytest.raises(FingerprintsError, match="patches of 16"):
        build_network({**settings, "input_size": 40}, size=32)


def test_bad_folders_are_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match="must be a folder"):
        build_network({"name": kind, "weights": str(tmp_path / "none")}, size=32)
    with pytest.raises(FingerprintsError, match=r"has no config\.json"):
        build_network({"name": kind, "weights": str(tmp_path)}, size=32)
    saved(kind, tmp_path)
    other = "blip" if kind == "blip2" else "blip2"
    with pytest.raises(FingerprintsError, match=f"not of {other}"):
        build_network({"name": other, "weights": str(tmp_path)}, size=32)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(FingerprintsError, match=r"has no model\.safetensors") as error:
        build_network({"name": kind, "weights": str(tmp_path)}, size=32)
    assert "pickled weights are not opened" in str(error.value)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(FingerprintsError, match="not valid JSON"):
        build_network({"name": kind, "weights": str(tmp_path)}, size=32)


def test_weights_of_another_architecture_are_an_error(kind: str, tmp_path: Path) -> None:
    saved(kind, tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, "num_hidden_layers": 3}))
    with pytest.raises(FingerprintsError, match=r"missing: encoder\.layers\.2"):
        build_network({"name": kind, "weights": str(tmp_path)}, size=32)


def test_random_features_tell_images_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    small = transformers.BlipVisionConfig

    def tiny(**given: Any) -> Any:
        return small(**{**TINY, **given})

    monkeypatch.setattr(transformers, "BlipVisionConfig", tiny)
    network = build_network({"name": "blip", "weights": "none"}, size=32, on_pairs=False).eval()
    with torch.no_grad():
        features = network(torch.stack([torch.zeros(1, 32, 32), torch.ones(1, 32, 32)]))
    assert (features[0] - features[1]).abs().max() > 0.01


def test_published_widths(kind: str) -> None:
    with torch.device("meta"):
        network = build_network({"name": kind, "weights": "none"}, size=32, on_pairs=False)
    assert network.embedding == {"blip": 768, "blip_large": 1024, "blip2": 1408}[kind]


def test_failed_download_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    with pytest.raises(FingerprintsError, match="blip cannot be downloaded: no route") as error:
        build_network({"name": "blip"}, size=32)
    for remedy in (hub.MODEL_IDS["blip"], "encoder.weights=PATH", "encoder=efficientnet_lite0"):
        assert remedy in str(error.value)


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find_spec", lambda _: None)
    with pytest.raises(FingerprintsError, match="not installed") as error:
        build_network({"name": "blip"}, size=32)
    assert "gan-fingerprints[hub]" in str(error.value)
