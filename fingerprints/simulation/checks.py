"""Checks of a simulation before any image is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from fingerprints.config.simulation import SimulateSettings, UsageScale
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import part_of
from fingerprints.generators.fit import Training
from fingerprints.simulation.controls import control_of


def check_settings(settings: SimulateSettings) -> None:
    """Refuse settings that contradict each other.

    Raises:
        FingerprintsError: If the task needs one generator and several are given, a design cannot make
            images of this size, no kind of planted copy is given, a control of `subset` is requested for
            another task, or only some sizes of the test part are 0.
    """
    if len(settings.designs) > 1 and settings.task not in ("usage", "model"):
        raise FingerprintsError(
            f"task={settings.task} needs exactly one generator; {len(settings.designs)} are given.",
            where="generators",
            fix="generator=NAME, or task=model or task=usage for several",
        )
    for design in settings.designs:
        part_of(design).check_size(settings.size, design)
    if not settings.planted.kinds:
        raise FingerprintsError(
            "No kind of planted copy is given.", where="planted.kinds", fix="planted.kinds=[noise,shift]"
        )
    if control_of(settings) is not None and settings.task != "subset":
        raise FingerprintsError(
            f"task={settings.task} has no subsets; this control is only for task=subset.",
            where=f"subsets={settings.subsets}, seeds={settings.seeds}",
            fix="task=subset, or leave subsets and seeds out",
        )
    sizes = settings.sizes
    if isinstance(sizes, UsageScale):
        test = [sizes.test_members, sizes.test_nonmembers, sizes.test_generated]
        if any(test) and not all(test):
            raise FingerprintsError(
                f"The test part would have {test[0]} used, {test[1]} not used, {test[2]} generated images.",
                where="scale.usage.test_*",
                fix="all three greater than 0, or all three 0 for no test part",
            )


def check_words(settings: SimulateSettings, words: Sequence[str]) -> None:
    """Refuse `generator.*` settings on the command line if the generators are given as a list.

    Raises:
        FingerprintsError: If they would have no effect.
    """
    for_one = [word for word in words if word.split("=")[0].split(".")[0] == "generator"]
    listed = any(word.startswith("generators=") for word in words)
    if for_one and (listed or len(settings.designs) > 1):
        count = len(settings.designs)
        raise FingerprintsError(
            f"{for_one[0]} is for one generator; this benchmark has {'a list of them' if listed else count}.",
            where="command line",
            fix="generators=[{name: gan, lr: 1e-3},vae], in quotes",
        )


def check_trainings(trainings: Iterable[Training], *, processes: int, listed: bool) -> None:
    """Refuse trainings that are not possible, before the first one begins.

    Args:
        trainings: All trainings of the benchmark that this process starts.
        processes: Number of processes that share a batch.
        listed: Whether the generators are given as a list, so that `generator.*` has no effect.

    Raises:
        FingerprintsError: If a batch is larger than a set of images or cannot be shared among the processes;
            the advised batch size suits all trainings.
    """
    found: list[tuple[int, FingerprintsError]] = []
    for training in trainings:
        try:
            training.check(processes=processes)
        except FingerprintsError as error:
            found.append((len(training.images), error))
    if not found:
        return
    _, worst = min(found, key=lambda entry: entry[0])
    if not listed:
        raise worst
    fix = (worst.fix or "").replace("generator.batch_size", "batch_size")
    raise FingerprintsError(
        worst.what,
        where=worst.where,
        fix=f"{fix}, in the list of generators: 'generators=[{{name: NAME, batch_size: N}},...]'",
    )


def check_reuse(settings: SimulateSettings) -> None:
    """Refuse to take over generators from a folder that does not exist; `out` itself need not exist yet.

    Raises:
        FingerprintsError: If the folder does not exist.
    """
    reuse: Path | None = settings.reuse
    if reuse is not None and reuse.absolute() != settings.out.absolute() and not reuse.is_dir():
        raise FingerprintsError(
            "The folder of benchmarks to take generators from does not exist.",
            where=f"reuse={reuse}",
            fix="reuse=DIR with an existing folder, or leave reuse out",
        )
