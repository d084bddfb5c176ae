"""One simulation from its settings: checks, real images, benchmark, summary; in a sweep also its dial."""

from __future__ import annotations

import sys

from fingerprints.config.launch import Place
from fingerprints.config.simulation import SimulateSettings
from fingerprints.core.progress import console_progress
from fingerprints.core.signals import Interrupted, handled
from fingerprints.generators.fidelity import check_fidelity
from fingerprints.runs.status import STATUS
from fingerprints.simulation.benchmark import check_out, make_benchmark, partial_folder
from fingerprints.simulation.checks import check_reuse, check_settings, check_words
from fingerprints.simulation.console import Console
from fingerprints.simulation.plan import images_needed
from fingerprints.simulation.sources import RealImages, phantom_images, read_images
from fingerprints.simulation.summary import summary
from fingerprints.training.hardware import TrainerSettings, resolve


def simulate(settings: SimulateSettings, place: Place) -> None:
    """Make the benchmark that the settings describe, and print a summary.

    Args:
        settings: The benchmark.
        place: Where the job runs; each job of a sweep has its own benchmark below `settings.out`.

    Raises:
        FingerprintsError: If settings, images or folders do not fit together, or a training diverges.
        Interrupted: If a signal asked to stop; the same command continues.
    """
    if place.job is not None:  # from an earlier attempt: only failures of this one count
        (place.folder / STATUS).unlink(missing_ok=True)
    folder = settings.out.absolute()
    name = settings.name or _name_of(place)
    out = folder / name if name else folder
    check_words(settings, place.overrides)
    check_reuse(settings)
    check_out(out)
    check_settings(settings)
    hardware = _hardware(settings)
    if settings.quality.fidelity:
        check_fidelity(settings.quality.weights)
    real = _real_images(settings)
    for note in real.notes:
        print(f"note: {note}", file=sys.stderr)
    console = Console()
    try:
        with handled():
            document = make_benchmark(real, settings, out, progress=console, hardware=hardware)
    except Interrupted:
        print(f"saved in {partial_folder(out)}; the same command continues", file=sys.stderr)
        raise
    finally:
        console.close()
    if document is None:
        print(f"done in {partial_folder(out)}; the job that finishes last writes the benchmark")
        return
    print("\n".join(summary(document, out)))
    if name and place.job is not None:
        from fingerprints.simulation.dial import PLOT, TABLE, write_dial  # plots: only a sweep needs them

        write_dial(folder)
        print(f"dial: {folder / TABLE}, {folder / PLOT}")


def _name_of(place: Place) -> str:
    """The folder name of a job of a sweep: the values of the settings that the sweep varies."""
    values = dict(word.split("=", 1) for word in place.overrides if "=" in word)
    varying = [key for key in place.varying if key in values and key != "only"]
    return "_".join(f"{key.rsplit('.', 1)[-1]}-{values[key]}".replace("/", "-") for key in varying)


def _hardware(settings: SimulateSettings) -> TrainerSettings:
    return resolve(
        TrainerSettings(
            accelerator=settings.accelerator,
            devices=settings.devices,
            strategy="auto" if settings.devices == 1 else "ddp",
            precision=settings.precision,
        )
    )


def _real_images(settings: SimulateSettings) -> RealImages:
    if settings.images is None:
        return phantom_images(
            images_needed(settings),
            size=settings.size,
            seed=settings.seed,
            slices_per_patient=settings.phantoms.slices_per_patient,
            progress=console_progress(),
        )
    return read_images(
        settings.images,
        groups=settings.groups,
        size=settings.size,
        cache=settings.store,
        progress=console_progress(),
    )
