"""Weights from files, loaded into modules: the part that fits is found; errors name what does not fit."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.weight_files import read_states

log = logging.getLogger(__name__)

# If several state dicts of a file fit equally well, the first of these is taken: plain before averaged.
_PLACES = ("", "state_dict", "model_state_dict", "model", "teacher", "ema", "student")
# Parts of keys that are added by wrappers around a module: torch.compile, DataParallel, FSDP, checkpointing.
_ADDED = frozenset(("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
# Batch normalisation counts its batches. The count is not used here, and weights from before 2018 lack it.
_COUNT = "num_batches_tracked"


def read_weights(path: Path, own: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The tensors that a file holds for a module.

    Args:
        path: A state dict, a checkpoint that holds state dicts, or a safetensors file.
        own: State dict of the module, which may be a part of what was saved: see `fitting_part`. `None`: the
            first state dict of the file, as it is.

    Raises:
        FingerprintsError: As `read_states` and `fitting_part`.
    """
    states = read_states(path)
    return dict(_first(states)) if own is None else fitting_part(states, own, where=path)


def fitting_part(
    states: Mapping[str, Mapping[str, Tensor]], own: Mapping[str, Tensor], *, where: object
) -> dict[str, Tensor]:
    """The tensors of a module that is a part of what was saved.

    The state dict in the file and the common prefix of its keys (`net.`, `model.backbone.`, `module.`) are
    those with which most tensors of the module fit; they are named in the log.

    Args:
        states: State dicts by their place in the file, from `read_states`; at least one.
        own: State dict of the module.
        where: The file.

    Returns:
        Tensors by the module's keys, also those with the prefix that the module does not have; all of the
        first state dict if no key fits.

    Raises:
        FingerprintsError: If a tensor for the module has a value that is not finite.
    """
    found = _best(states, own)
    if found is None:
        return dict(_first(states))
    (place, prefix), others = found
    tensors = dict(_stripped(states[place], prefix, own))
    if place or prefix:
        more = f"; these would fit, too: {', '.join(_named(*other) for other in others)}" if others else ""
        log.info("weights: '%s' of %s%s", _named(place, prefix), where, more)
    _check_finite(tensors, own, where)
    return tensors


def _first(states: Mapping[str, Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    return states[min(states, key=_order)]


def _named(place: str, prefix: str) -> str:
    return ": ".join(part for part in (place, prefix) if part)


def _best(
    states: Mapping[str, Mapping[str, Tensor]], own: Mapping[str, Tensor]
) -> tuple[tuple[str, str], list[tuple[str, str]]] | None:
    """The place of a state dict and the prefix with which most tensors of a module fit.

    Returns:
        Place and prefix, and the others that fit equally well; `None` if no key fits.
    """
    named: defaultdict[tuple[str, str], int] = defaultdict(int)
    fitting: defaultdict[tuple[str, str], int] = defaultdict(int)
    for place, state in states.items():
        for key, tensor in state.items():
            for prefix, name in _splits(key, own):
                named[place, prefix] += 1
                fitting[place, prefix] += tensor.shape == own[name].shape
    if not named:
        return None

    def worth(choice: tuple[str, str]) -> tuple[int, int]:
        return fitting[choice], named[choice]

    # `sorted` is stable: among equals, the order of the file decides.
    ranked = sorted(sorted(named, key=lambda choice: _order(choice[0])), key=worth, reverse=True)
    return ranked[0], [choice for choice in ranked[1:] if worth(choice) == worth(ranked[0])]


def _order(place: str) -> tuple[int, int]:
    """Sort key of a state dict's place in its file: outer ones first, well-known names first."""
    parts = place.split(".")
    return len(parts), min((_PLACES.index(part) for part in parts if part in _PLACES), default=len(_PLACES))


def _splits(key: str, own: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Ways to read a key as a prefix and one of the module's keys, without what wrappers added."""
    parts = key.split(".")
    for start in range(len(parts)):
        name = ".".join(parts[start:])
        if name not in own and parts[start] not in _ADDED:
            name = ".".join(part for part in parts[start:] if part not in _ADDED)
        if name in own:
            yield "".join(f"{part}." for part in parts[:start]), name


def _stripped(
    state: Mapping[str, Tensor], prefix: str, own: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor]]:
    """Keys with the prefix, without it; also those that the module does not have."""
    for key, tensor in state.items():
        if key.startswith(prefix):
            rest = key.removeprefix(prefix)
            yield next((name for before, name in _splits(rest, own) if not before), rest), tensor


def _check_finite(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], where: object) -> None:
    known = {key: tensor for key, tensor in tensors.items() if key in own}
    bad = [key for key, tensor in known.items() if not torch.isfinite(tensor.to(own[key].dtype)).all()]
    if bad:
        raise FingerprintsError(
            f"The weights are not finite (NaN or infinite) in {len(bad)} tensors:\n{listing(bad, 6)}",
            where=where,
            fix="give weights of a training that did not diverge; float16 cannot hold values above 65,504",
        )


def load_into(
    module: nn.Module, state: Mapping[str, Tensor], *, where: object, surplus: Sequence[str] = ()
) -> None:
    """Load a state dict that must fit exactly. Values get the precision of the module.

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
    missing = [key for key in own if key not in fitting and not key.endswith(_COUNT)]
    unknown = [key for key in fitting if key not in own]
    shapes = [
        f"{key} is {tuple(fitting[key].shape)} in the file, {tuple(own[key].shape)} in the model"
        for key in own
        if key in fitting and fitting[key].shape != own[key].shape
    ]
    kinds = {"missing": missing, "unknown": unknown, "shape": shapes}
    if any(kinds.values()):
        lines = [listing([f"{kind}: {key}" for key in keys], 3) for kind, keys in kinds.items() if keys]
        raise FingerprintsError(
            f"The weights belong to another architecture ({len(missing)} of {len(own)} tensors are missing, "
            f"{len(unknown)} are unknown, {len(shapes)} have another shape):\n" + "\n".join(lines),
            where=where,
            fix="use the encoder, data.size and widths that the weights were trained with",
        )
    module.load_state_dict({**own, **fitting})
