"""Configurations composed by Hydra in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from fingerprints.config.explanations import explain
from fingerprints.config.launch import Job, Place
from fingerprints.config.overrides import check_overrides
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


def complaint(job: Job, root: str, *words: str, folder: Path) -> str:
    """What a command would print after `error: `; it composes once here, and twice on the command line."""
    try:
        check_overrides(list(words), root)
        job(settings(*words, root=root), Place(folder, words))
    except Exception as error:
        said = explain(error, root)
        if said is None:  # a defect
            raise
        return said
    raise AssertionError("nothing is wrong with it")
