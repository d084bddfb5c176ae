"""Vision encoders of BLIP and BLIP-2 through `transformers` (extra `hub`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fingerprints.core.errors import FingerprintsError, install
from fingerprints.core.weights import fitting_part, load_into, read_weights
from fingerprints.encoders.fetching import no_download
from fingerprints.encoders.preprocessing import ColourInput, ImageInput, triple

MODEL_IDS = {
    "blip": "Salesforce/blip-image-captioning-base",
    "blip_large": "Salesforce/blip-image-captioning-large",
    "blip2": "Salesforce/blip2-itm-vit-g",
}
# What differs from the defaults of `transformers` in a model whose own settings are not read.
_SHAPES: dict[str, dict[str, int]] = {
    "blip_large": {
        **{"hidden_size": 1024, "intermediate_size": 4096},
        **{"num_hidden_layers": 24, "num_attention_heads": 16},
    }
}

# Both models normalise as CLIP does.
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_CONFIG, _WEIGHTS, _INDEX, _PROCESSOR = (
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "preprocessor_config.json",
)
_VISION = "vision_model."  # prefix of the vision encoder's keys in the whole model


class HubEncoder(nn.Module):
    """The vision encoder of BLIP (ViT-B, 768 features; ViT-L, 1024) or BLIP-2 (ViT-g, 1408 features).

    The features are the class token after the last layer norm. Only the vision encoder is built, and only its
    tensors are read, not those of the language models. Only JSON and safetensors files are opened.

    Sources: Li et al. 2022, arXiv 2201.12086; Li et al. 2023, arXiv 2301.12597.

    Args:
        name: One of `HUB`.
        weights: `default` (download by model id), `none` (random), or a folder with `config.json` and
            safetensors, such as a copy of the model's repository.
        model: Model id that `default` downloads; `None` uses that of `MODEL_IDS`.
        input_size: Image side of the encoder's input in pixels; `None` uses that of the weights.

    Raises:
        FingerprintsError: If `transformers` is not installed, the encoder does not accept the size, or the
            weights are missing or do not fit.
    """

    def __init__(
        self,
        *,
        name: str,
        weights: str = "default",
        model: str | None = None,
        input_size: int | None = None,
    ) -> None:
        super().__init__()
        if find_spec("transformers") is None:
            raise FingerprintsError(
                f"encoder={name} needs the package transformers, which is not installed.",
                where="encoder",
                fix=install("hub"),
            )
        self.name = name
        self.model = MODEL_IDS[name] if model is None else model
        fetch = None if weights == "none" else _fetcher(name, weights, self.model)
        config = _vision_config(name, {} if fetch is None else _json(fetch, _CONFIG))
        processor = {} if fetch is None else _json(fetch, _PROCESSOR, optional=True)
        own = ImageInput(
            size=config.image_size,
            mean=triple(processor.get("image_mean", _MEAN)),
            std=triple(processor.get("image_std", _STD)),
            interpolation="bicubic",
            smallest=config.patch_size,
            multiple=config.patch_size,
        )
        self.input = ColourInput(own.at(input_size, encoder=name))
        self._interpolate = self.input.expected.size != own.size
        self.backbone = _vision_model(name)(config)
        self.embedding = int(config.hidden_size)
        if fetch is not None:
            state = _vision_tensors(fetch, self.backbone.state_dict())
            load_into(self.backbone, state, where=f"encoder.weights={weights}")

    def preprocessing(self) -> dict[str, Any]:
        """The model and its input."""
        return {"backbone": self.name, "model": self.model, **self.input.expected.facts()}

    def forward(self, images: Tensor) -> Tensor:
        """Features of `(n, C, S, S)`, float in [0, 1]."""
        output: Any = self.backbone(self.input(images), interpolate_pos_encoding=self._interpolate)
        features: Tensor = output.pooler_output
        return features


# Returns the local path of a file of the model's folder, or `None` if the folder does not have it.
_Fetch = Callable[[str], Path | None]


def _fetcher(name: str, weights: str, model: str) -> _Fetch:
    if weights == "default":
        return lambda file: _downloaded(name, model, file)
    folder = Path(weights)
    if not folder.is_dir():
        raise FingerprintsError(
            f"The weights of {name} must be a folder; this is not a folder.",
            where=f"encoder.weights={weights}",
            fix=f"give a folder with {_CONFIG} and {_WEIGHTS}, such as a copy of {model}",
        )
    return lambda file: folder / file if (folder / file).is_file() else None


def _downloaded(name: str, model: str, file: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(model, file))
    except LocalEntryNotFoundError as error:  # an EntryNotFoundError too, but caused by a missing connection
        raise no_download(name, error, files=f"the folder of {model}") from error
    except EntryNotFoundError:
        return None
    except Exception as error:  # httpx and huggingface_hub raise exceptions of many types
        raise no_download(name, error, files=f"the folder of {model}") from error


def _required(fetch: _Fetch, file: str) -> Path:
    path = fetch(file)
    if path is None:
        raise FingerprintsError(
            f"The model's folder has no {file}.",
            where="encoder.weights",
            fix=f"give a folder with {_CONFIG} and {_WEIGHTS}; pickled weights are not opened",
        )
    return path


def _json(fetch: _Fetch, file: str, *, optional: bool = False) -> dict[str, Any]:
    path = fetch(file) if optional else _required(fetch, file)
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise FingerprintsError(
            f"The file is not valid JSON: {error}", where=path, fix="copy the model's folder again"
        ) from error
    if not isinstance(content, dict):
        raise FingerprintsError(
            "The file does not hold a JSON object with settings.",
            where=path,
            fix="copy the model's folder again",
        )
    return content


def _vision_config(name: str, config: dict[str, Any]) -> Any:
    """The vision encoder's settings, from the settings of the whole model or of the vision encoder alone."""
    from transformers import Blip2VisionConfig, BlipVisionConfig

    kind: Any = Blip2VisionConfig if name == "blip2" else BlipVisionConfig
    family = name.removesuffix("_large")
    whole = str(config.get("model_type", family)).replace("-", "_").removesuffix("_vision_model")
    if whole.replace("_", "") != family:
        raise FingerprintsError(
            f"The weights belong to a model of type '{config['model_type']}', not of {name}.",
            where="encoder.weights",
            fix=f"give a copy of {MODEL_IDS[name]}, or choose the encoder that these weights belong to",
        )
    if not config:
        # Random weights: with BLIP's default of 1e-10, all features would be the same.
        return kind(initializer_range=0.02, **_SHAPES.get(name, {}))
    return kind.from_dict(config.get("vision_config", config))


def _vision_model(name: str) -> Any:
    from transformers import Blip2VisionModel, BlipVisionModel

    return Blip2VisionModel if name == "blip2" else BlipVisionModel


def _vision_tensors(fetch: _Fetch, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The vision encoder's tensors, from one file or from the shards that contain them."""
    shards = _json(fetch, _INDEX, optional=True).get("weight_map")
    if not isinstance(shards, dict):
        files = [_WEIGHTS]
    else:
        vision = {file for key, file in shards.items() if key.startswith(_VISION)}
        files = sorted(vision if vision else set(shards.values()))
    state: dict[str, Tensor] = {}
    for file in files:
        state.update(read_weights(_required(fetch, file)))
    return fitting_part({"": state}, own, where=", ".join(files))
