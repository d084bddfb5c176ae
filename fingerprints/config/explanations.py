"""Errors of Hydra, OmegaConf, the disk and the memory in plain words."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from fingerprints.config.overrides import unknown_key
from fingerprints.config.schema import options, unknown_option
from fingerprints.config.words import misread
from fingerprints.core.errors import FingerprintsError

# Errors of PyTorch about memory that have no type of their own.
_NO_MEMORY = r"DefaultCPUAllocator: |out of memory|(CUBLAS|CUDNN)_STATUS_ALLOC_FAILED"
# OmegaConf's name of a type, and our words for it.
WANTED = {"Integer": "a whole number", "Float": "a number", "bool": "true or false"}


def explain(error: Exception, root: str) -> str | None:
    """The error in plain words, or `None` if it is not an error that the user can fix."""
    if isinstance(error, FingerprintsError):
        return str(error)
    if out_of_memory(error):
        return str(_of_memory(error))
    disk_full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # these errors have no file name
    if isinstance(error, OSError) and (error.filename is not None or error.errno in disk_full):
        return str(
            FingerprintsError(
                f"Cannot write or read: {error.strerror}.",
                where=error.filename or "the run folder or the image store",
                fix="choose a folder that can be written, with free space (run_dir=DIR, paths.outputs=DIR)",
            )
        )
    if isinstance(error, ValueError) and "No trials are completed" in str(error):  # Optuna's message
        return str(
            FingerprintsError(
                "No trial of the search finished.", where="sweep", fix="see the errors of the jobs above"
            )
        )
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if not isinstance(error, HydraException | OmegaConfBaseException):
        return None
    found = _of_grammar(error, root) or _of_composing(_innermost(error) or type(error).__name__, root)
    return str(found)


def _of_grammar(error: BaseException, root: str) -> FingerprintsError | None:
    """The error for a word or a reference that cannot be read; `None` for other errors."""
    from hydra.core.override_parser.overrides_parser import OverrideParseException
    from omegaconf.errors import GrammarParseError, InterpolationResolutionError, UnsupportedInterpolationType

    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, OverrideParseException):
            return misread(cause.override, root)
    for cause in chain:
        if isinstance(cause, GrammarParseError | InterpolationResolutionError | UnsupportedInterpolationType):
            key = next((str(found) for c in chain if (found := getattr(c, "full_key", None))), "command line")
            return FingerprintsError(
                "A value refers to another one, as in ${KEY}, but there is no such value.",
                where=key,
                fix="use a key of --help, or put a backslash before the $ if it is meant literally",
            )
    return None


def out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: in Python, in NumPy, or in PyTorch on the CPU or the GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch is not imported
        return True
    return isinstance(error, RuntimeError) and re.search(_NO_MEMORY, str(error)) is not None


def _of_memory(error: Exception) -> FingerprintsError:
    said = re.search(
        r"Unable to allocate [\d.]+ \w+|Tried to allocate [\d.]+ \w+|tried to allocate \d+ bytes", str(error)
    )
    gpu = isinstance(error, RuntimeError) and "CPUAllocator" not in str(error)
    device = "GPU has" if gpu else "computer has"
    detail = f" ({said.group()[0].lower()}{said.group()[1:]})" if said is not None else ""
    return FingerprintsError(
        f"The {device} not enough memory{detail}.",
        where="GPU" if gpu else "memory",
        fix="use a smaller pairing.batch_size, trainer.accumulate=4, or trainer=cpu"
        if gpu
        else "use fewer images, a smaller data.size, reduction=pca, another decision, or a larger computer",
    )


def _of_composing(text: str, root: str) -> FingerprintsError:
    """An error of Hydra or OmegaConf about the configuration, in our words."""
    key = re.search(r"full_key: (\S+)", text) or re.search(r"Could not override '([^']+)'", text)
    unknown = re.search(r"Key '([^']+)' (?:is not in struct|not in)", text)
    if unknown is not None:
        return unknown_key(key.group(1) if key is not None else unknown.group(1), root)
    no_group = re.search(r"Could not override '([^'@]+)[^']*'\.\s*No match in the defaults list", text)
    if no_group is not None:
        return unknown_key(no_group.group(1), root)
    choice = re.search(r"Could not find '(\w+)/([^']+)'", text)
    if choice is not None:
        return unknown_option(choice.group(1), choice.group(2))
    needed = re.search(r"You must specify '(\w+)'", text)
    if needed is not None:
        group = needed.group(1)
        return FingerprintsError(
            f"No {group} was chosen.",
            where="command line",
            fix=f"give {group}=NAME with one of {', '.join(options(group))}",
        )
    where = key.group(1) if key is not None else "command line"
    found = _of_value(text, where)
    if found is not None:
        return found
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = next((line for line in lines if line.startswith(("Value ", "Cannot "))), lines[0])
    return FingerprintsError(first, where=where, fix="see --help for keys and options")


def _of_value(text: str, key: str) -> FingerprintsError | None:
    """The error for a value of the wrong type, in our words; `None` for other errors of OmegaConf."""
    if "is not Optional" in text:
        return FingerprintsError(
            f"{key} cannot be null.", where=key, fix=f"give {key}=VALUE, or leave it out"
        )
    if "is not a ListConfig" in text:
        return FingerprintsError(
            f"{key} takes a list.", where=key, fix=f"write '{key}=[FIRST,SECOND]', with the quotes"
        )
    value = re.search(r"Value '(.*)' (?:of type '\w+' could not be converted to|is not a valid) (\w+)", text)
    if value is None:
        return None
    given, kind = value.groups()
    wanted = WANTED.get(kind, f"a value of type {kind}")
    return FingerprintsError(f"{key}={given} is not {wanted}.", where=key, fix=f"give {wanted}")


def _innermost(error: BaseException) -> str:
    """Messages of an error and of its causes, outermost first."""
    return "\n".join(map(str, _causes(error)))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and at most four of its causes, outermost first."""
    current: BaseException | None = error
    for _ in range(5):
        if current is not None:
            yield current
            current = current.__cause__
