"""Configurations composed by Hydra in this process."""

from __future__ import annotations

from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from fingerprints.config.schema import build_root, register, search_path


def composed(*words: str, root: str = "train", hydra: bool = False) -> Any:
    """What Hydra makes of these words."""
    GlobalHydra.instance().clear()
    register(root)
    with initialize_config_dir(str(search_path(root)), version_base="1.3"):
        return compose(root, list(words), return_hydra_config=hydra)


def settings(*words: str, root: str = "train") -> Any:
    """The checked settings of a command with these words."""
    return build_root(composed(*words, root=root), root)
