"""One job of `simulate`: checked, made, and said on the console."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fingerprints.config.launch import Place
from fingerprints.config.simulation import SimulateSettings
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.progress import console_progress
from fingerprints.core.signals import Interrupted, handled
from fingerprints.generators.fidelity import check_fidelity
from fingerprints.runs.status import STATUS
from fingerprints.simulation.benchmark import check_out, make_benchmark, partial_folder
from fingerprints.simulation.console import Console
from fingerprints.simulation.generator_job import Fidelity
from fingerprints.simulation.settings import SimulationSettings, simulation_settings
from fingerprints.simulation.sources import RealImages, phantom_images, read_images
from fingerprints.training.hardware import resolve
from fingerprints.training.settings import TrainerSettings


def simulate(config: SimulateSettings, place: Place) -> None:
    """Make a benchmark, or the one generator of it that `only` names.

    Args:
        config: The settings.
        place: Where the job runs; in a sweep its folder tells whether an earlier attempt failed.

    Raises:
        FingerprintsError: Before any training, if something is wrong.
        Interrupted: If a signal asked to stop; the same command goes on.
    """
    if place.job is not None:  # what an earlier attempt left: only failures of this one count
        (place.folder / STATUS).unlink(missing_ok=True)
    _check_generator_words(config, place.overrides)
    folder = config.out.absolute()
    name = config.name or _name(place)
    out = folder / name if name else folder
    reuse = _reuse(config, folder)
    check_out(out)
    settings = simulation_settings(config)
    settings.check()
    hardware = resolve(
        TrainerSettings(
            accelerator=config.accelerator,
            devices=config.devices,
            strategy="auto" if config.devices == 1 else "ddp",
            precision=config.precision,
        )
    )
    fidelity = Fidelity(config.quality.weights) if config.quality.fidelity else None
    if fidelity is not None:
        check_fidelity(config.quality.weights)
    real = _real_images(config, settings)
    for note in real.notes:
        print(f"note: {note}", file=sys.stderr)
    document = _made(config, real, settings, out, hardware=hardware, reuse=reuse, fidelity=fidelity)
    if document is None:
        print(f"done in {partial_folder(out)}; the job that finishes last writes the benchmark")
        return
    print("\n".join(summary(document, out)))
    if name and place.job is not None:
        from fingerprints.simulation.dial import PLOT, TABLE, write_dial  # plots: only a sweep needs them

        write_dial(folder)
        print(f"dial: {folder / TABLE}, {folder / PLOT}")


def _made(
    config: SimulateSettings,
    real: RealImages,
    settings: SimulationSettings,
    out: Path,
    *,
    hardware: TrainerSettings,
    reuse: Path | None,
    fidelity: Fidelity | None,
) -> dict[str, Any] | None:
    """What `benchmark.json` holds; `None` if other jobs are not done yet."""
    console = Console()
    try:
        with handled():
            return make_benchmark(
                real,
                settings,
                out,
                progress=console,
                hardware=hardware,
                only=config.only,
                reuse=reuse,
                fidelity=fidelity,
            )
    except Interrupted:
        print(f"saved in {partial_folder(out)}; the same command goes on", file=sys.stderr)
        raise
    finally:
        console.close()


def _reuse(config: SimulateSettings, folder: Path) -> Path | None:
    """The folder of benchmarks to take generators from."""
    reuse = None if config.reuse is None else config.reuse.absolute()
    if reuse is not None and reuse != folder and not reuse.is_dir():
        raise FingerprintsError(
            "The folder of benchmarks to take generators from does not exist.",
            where=f"reuse={config.reuse}",
            fix="reuse=DIR with an existing folder, or leave reuse out",
        )
    return reuse


def _check_generator_words(config: SimulateSettings, overrides: Sequence[str]) -> None:
    """Settings of the one generator say nothing where others are listed."""
    words = [word for word in overrides if word.split("=")[0].split(".")[0] == "generator"]
    listed = any(word.startswith("generators=") for word in overrides)
    if words and (listed or len(config.generators) > 1):
        count = len(config.generators)
        raise FingerprintsError(
            f"{words[0]} is for one generator; this benchmark has {'a list of them' if listed else count}.",
            where="command line",
            fix="generators=[{name: gan, lr: 1e-3},vae], in quotes",
        )


def _name(place: Place) -> str:
    """The folder of a job of a sweep: the values of what the sweep's configuration varies."""
    values = dict(word.split("=", 1) for word in place.overrides if "=" in word)
    varying = [key for key in place.varying if key in values and key != "only"]
    return "_".join(f"{key.rsplit('.', 1)[-1]}-{values[key]}".replace("/", "-") for key in varying)


def _real_images(config: SimulateSettings, settings: SimulationSettings) -> RealImages:
    if config.images is None:
        return phantom_images(
            settings.needed,
            size=config.size,
            seed=config.seed,
            slices_per_patient=config.phantoms.slices_per_patient,
            progress=console_progress(),
        )
    return read_images(
        config.images, groups=config.groups, size=config.size, cache=config.store, progress=console_progress()
    )


NEXT = {"subset": "experiment=siamese_subtask2 ", "usage": "experiment=siamese_subtask1 "}
TRAIN = "next: python -m fingerprints.train {experiment}{layout}data.root={out} data.size={size}"


def summary(document: dict[str, Any], out: Path) -> list[str]:
    """What was made, and what to do with it."""
    task, images, settings = document["settings"]["task"], document["images"], document["settings"]
    generators = document["generators"]
    size = settings["size"]
    files = sum(folder["files"] for name, folder in document["files"].items() if name != ".")
    lines = [
        f"benchmark: {task}, {files:,} images of {size} x {size} in {out}",
        f"real: {images['count']:,} {'phantoms' if images['origin'] == 'phantoms' else 'images'} of "
        f"{document['groups']['count']:,} groups; {len(generators)} generators, {document['seconds']:,.0f} s",
    ]
    if (control := document.get("control")) is not None:  # benchmarks made before there were any lack it
        lines.append(f"control {control['name']}: {control['means']}")
    if document["planted"]["copies"]:
        lines.append(f"planted: {document['planted']['copies']:,} copies of training images (planted.csv)")
    collapsed = [name for name, facts in generators.items() if facts["quality"]["collapsed"]]
    below = [name for name, facts in generators.items() if facts["quality"]["below_floor"]]
    low = [name for name in below if name not in collapsed]
    for words, bad in (("COLLAPSED", collapsed), ("BELOW THE FLOOR", low)):
        if bad:
            lines.append(
                f"{words}: {', '.join(bad)}; look at generators/*/contact_sheet.png, train longer "
                "(scale.max_steps=N) or try another seed"
            )
    if task in NEXT:
        layout = "data=imageclef2024_usage " if task == "usage" and len(settings["designs"]) > 1 else ""
        lines.append(TRAIN.format(experiment=NEXT[task], layout=layout, out=out, size=size))
    return lines
