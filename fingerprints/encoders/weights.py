"""Loading weights from files: only tensors are read, and a misfit is named key by key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from fingerprints.errors import FingerprintsError, listing


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict, a Lightning checkpoint or a safetensors file.

    Raises:
        FingerprintsError: If the file is missing, damaged, or holds anything but tensors.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise FingerprintsError(
            "The weights do not exist.", where=path, fix="give an existing file"
        ) from error
    except Exception as error:  # damaged files raise whatever their reader stumbles over
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FingerprintsError(
            f"The weights cannot be read: {first}",
            where=path,
            fix="a file of tensors only: a state dict (torch.save), a checkpoint, or safetensors",
        ) from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise FingerprintsError("The file holds no state dict.", where=path, fix="save module.state_dict()")
    return dict(state)


def load_into(module: nn.Module, state: Mapping[str, Tensor], *, where: object) -> None:
    """Load a state dict that must fit exactly.

    Raises:
        FingerprintsError: If keys are missing, unknown or of another shape; names them.
    """
    own = module.state_dict()
    problems = [f"missing: {key}" for key in own if key not in state]
    problems += [f"unknown: {key}" for key in state if key not in own]
    problems += [
        f"shape: {key} is {tuple(state[key].shape)} in the file, {tuple(own[key].shape)} in the model"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    if problems:
        raise FingerprintsError(
            f"The weights are of another architecture ({len(problems)} of {len(own)} tensors differ):\n"
            f"{listing(problems, 6)}",
            where=where,
            fix="use the encoder, data.size and widths that the weights were trained with",
        )
    module.load_state_dict(dict(state))
