"""Published figures of a configuration, and what makes it not comparable with them; imports no torch."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fingerprints.data.embedded import embedded_notes, is_simulated

TABLE = "published.yaml"
# What a system has at these stages if its entry does not name them.
USUAL = {"filter.name": "none", "region.name": "full", "reduction.name": "none"}


@dataclass(frozen=True)
class Caveat:
    """Why the figures of a run prove less than they seem to, and no published figure is comparable.

    Attributes:
        label: Two or three words.
        reason: A sentence.
    """

    label: str
    reason: str


@functools.cache
def read_published(path: Path) -> list[dict[str, Any]]:
    """The entries of the table: `experiment`, `when`, and the values of `PublishedSettings`."""
    return yaml.safe_load(path.read_text())


def find_published(
    config: Mapping[str, Any], entries: list[dict[str, Any]], *, caveats: Sequence[Caveat]
) -> dict[str, Any] | None:
    """The values of `PublishedSettings` for a configuration; `None` if no entry matches it.

    An entry matches if its experiment and all values of `when` are those of the configuration, and the stages
    of `USUAL` have their usual values unless `when` names them. With a caveat, nothing is comparable with
    published figures.
    """
    if caveats:
        return None
    for entry in entries:
        wanted = {key: usual for key, usual in USUAL.items() if _value(config, key) is not None}
        if entry["experiment"] == config["name"] and all(
            _value(config, key) == value for key, value in (wanted | entry["when"]).items()
        ):
            return {key: value for key, value in entry.items() if key not in ("experiment", "when")}
    return None


def find_caveats(
    config: Mapping[str, Any], lengths: Mapping[str, Any], *, root: str | Path | None = None
) -> list[Caveat]:
    """What a reader must know of a run before any of its figures; empty for most runs.

    Args:
        config: The resolved configuration as plain data, also of a run that an earlier version made.
        lengths: Values of dotted keys that the experiment has by itself; a smaller number trains shorter.
            `None` stands for all there is.
        root: Folder of the data, if the configuration's own is relative to another working directory.
    """
    root = _value(config, "data.root") if root is None else root
    found = [Caveat("phantoms: not patients", note) for note in embedded_notes(root or "")]
    if root and not found and is_simulated(root):
        found.append(
            Caveat(
                "simulated benchmark",
                "The data are a benchmark that `simulate` made with generators of its own: figures for the "
                "generators of a challenge can differ.",
            )
        )
    if _value(config, "data.shuffle_labels"):
        found.append(
            Caveat(
                "shuffled labels",
                "A control (data.shuffle_labels=true): the right answer is chance, and a higher figure does "
                "not come from the training labels.",
            )
        )
    if (left_out := _value(config, "data.leave_out")) is not None:
        found.append(
            Caveat("open set", f"Nothing of subset {left_out} was seen in training (data.leave_out).")
        )
    if has_random_weights(config.get("encoder") or {}) or _value(config, "fused.random_weights"):
        found.append(
            Caveat(
                "random weights",
                "The encoder has none of its published weights (encoder.weights=none): the figures show what "
                "its architecture does alone.",
            )
        )
    changed = {key: (_value(config, key), own) for key, own in lengths.items()}
    shorter = [
        f"{key} is {now} and not {'all' if own is None else own}"
        for key, (now, own) in changed.items()
        if now is not None and (own is None or now < own)
    ]
    if shorter:
        found.append(
            Caveat(
                "shortened training",
                f"{', '.join(shorter)}, as the experiment has it: these are not the figures of a full run.",
            )
        )
    return found


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
