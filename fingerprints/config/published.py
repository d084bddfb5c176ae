"""Published figures of a configuration, for comparison with our figures; needs neither torch nor Hydra."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

TABLE = "published.yaml"


@functools.cache
def read_published(path: Path) -> list[dict[str, Any]]:
    """The entries of the table: `experiment`, `when`, `source`, and figures for `validation` and `test`."""
    return yaml.safe_load(path.read_text())


def find_published(config: Mapping[str, Any], entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The entry that a configuration matches, or `None`.

    An entry matches if its experiment and all values of `when` are those of the configuration. A network with
    random weights has no entry, because its figures are not comparable with published ones.
    """
    if config["encoder"].get("weights") == "none":
        return None
    for entry in entries:
        if entry["experiment"] == config["name"] and all(
            _value(config, key) == wanted for key, wanted in entry["when"].items()
        ):
            return {key: entry.get(key, {}) for key in ("source", "validation", "test")}
    return None


def _value(config: Mapping[str, Any], key: str) -> Any:
    node: Any = config
    for word in key.split("."):
        if not isinstance(node, Mapping) or word not in node:
            return None
        node = node[word]
    return node
