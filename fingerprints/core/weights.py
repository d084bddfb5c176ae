"""Loading weights from files: only tensors are read, and errors name each key that does not fit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from fingerprints.core.errors import FingerprintsError, listing

# Keys under which training programs store a state dict: Lightning, and MAE and much other research code.
_WRAPPERS = ("state_dict", "model")
# Prefixes of an encoder's keys inside a larger module: our training module, our encoders, a distributed
# wrapper.
_PREFIXES = ("network.", "encoder.", "backbone.", "module.")
# Batch normalisation counts its batches. The count is not used here, and weights from before 2018 lack it.
_COUNT = "num_batches_tracked"


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict, of a checkpoint that holds one, or of a safetensors file.

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
    except Exception as error:  # for damaged files, readers raise exceptions of many types
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "weights_only" in first:  # PyTorch's own message advises to execute the file's content
            first = "it is damaged, or holds more than tensors"
        raise FingerprintsError(
            f"The weights cannot be read: {first}",
            where=path,
            fix="give a file of tensors only: a state dict (torch.save), a checkpoint, or safetensors",
        ) from error
    state = loaded
    for wrapper in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise FingerprintsError("The file holds no state dict.", where=path, fix="save module.state_dict()")
    return dict(state)


def unwrapped(state: Mapping[str, Tensor], own: Collection[str]) -> dict[str, Tensor]:
    """Extract a module's tensors from the state dict of a larger module.

    Args:
        state: A state dict. Its keys may have the prefixes of a training module, of one of our encoders or of
            a distributed wrapper; it may also have keys of other modules.
        own: The keys of the module.
    """
    inner = dict(state)
    while not any(key in own for key in inner):
        for prefix in _PREFIXES:
            part = {key.removeprefix(prefix): inner[key] for key in inner if key.startswith(prefix)}
            if part:
                inner = part
                break
        else:
            return dict(state)
    return inner


def load_into(
    module: nn.Module, state: Mapping[str, Tensor], *, where: object, surplus: Sequence[str] = ()
) -> None:
    """Load a state dict that must fit exactly.

    Args:
        module: The module that gets the tensors.
        state: The tensors. Only the batch counts of batch normalisation may be missing.
        where: The place that an error names.
        surplus: Prefixes of keys that are ignored if the module does not have them, such as the keys of a
            classifier that was removed.

    Raises:
        FingerprintsError: If keys are missing or unknown, or a shape differs; the error names the keys.
    """
    own = module.state_dict()
    fitting = {key: state[key] for key in state if key in own or not key.startswith(tuple(surplus))}
    problems = [f"missing: {key}" for key in own if key not in fitting and not key.endswith(_COUNT)]
    problems += [f"unknown: {key}" for key in fitting if key not in own]
    problems += [
        f"shape: {key} is {tuple(fitting[key].shape)} in the file, {tuple(own[key].shape)} in the model"
        for key in own
        if key in fitting and fitting[key].shape != own[key].shape
    ]
    if problems:
        raise FingerprintsError(
            f"The weights belong to another architecture ({len(problems)} of {len(own)} tensors differ):\n"
            f"{listing(problems, 6)}",
            where=where,
            fix="use the encoder, data.size and widths that the weights were trained with",
        )
    module.load_state_dict({**own, **fitting})
