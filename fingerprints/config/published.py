"""Published figures of a configuration, for comparison with our figures; needs neither torch nor Hydra."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fingerprints.data.embedded import is_simulated

TABLE = "published.yaml"
# What a system has at these stages if its entry does not name them.
USUAL = {"filter.name": "none", "region.name": "full", "reduction.name": "none"}


@functools.cache
def read_published(path: Path) -> list[dict[str, Any]]:
    """The entries of the table: `experiment`, `when`, and the values of `PublishedSettings`."""
    return yaml.safe_load(path.read_text())


def find_published(config: Mapping[str, Any], entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The values of `PublishedSettings` for a configuration; `None` if no entry matches it.

    An entry matches if its experiment and all values of `when` are those of the configuration, and the stages
    of `USUAL` have their usual values unless `when` names them. Nothing is comparable with published figures
    if a pretrained network has random weights, if labels are shuffled or left out, or if the data are a
    simulated benchmark.
    """
    data = config.get("data", {})
    if (
        has_random_weights(config["encoder"])
        or data.get("shuffle_labels")
        or data.get("leave_out") is not None
        or is_simulated(data.get("root", ""))
    ):
        return None
    for entry in entries:
        wanted = {key: usual for key, usual in USUAL.items() if _value(config, key) is not None}
        if entry["experiment"] == config["name"] and all(
            _value(config, key) == value for key, value in (wanted | entry["when"]).items()
        ):
            return {key: value for key, value in entry.items() if key not in ("experiment", "when")}
    return None


def has_random_weights(encoder: Mapping[str, Any]) -> bool:
    """Whether a pretrained encoder, or one of several concatenated ones, has random weights."""
    return encoder.get("weights") == "none" or any(map(has_random_weights, encoder.get("encoders", ())))


def _value(config: Mapping[str, Any], key: str) -> Any:
    node: Any = config
    for word in key.split("."):
        if not isinstance(node, Mapping) or word not in node:
            return None
        node = node[word]
    return node
