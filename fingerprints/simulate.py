"""`python -m fingerprints.simulate task=subset|usage images=DIR out=DIR`: a benchmark with known truth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from fingerprints.cli import Place, describe_options, launch
from fingerprints.errors import FingerprintsError

USAGE = """\
Train generators on known real images and write a labelled benchmark in the 2025 layouts.

usage: python -m fingerprints.simulate task=subset|usage out=DIR [images=DIR] [groups=CSV] [KEY=VALUE ...]

  task=subset              five real subsets, a generator trained on each
  task=usage               used and not used real images; the test part has a generator of its own
  images=DIR               folder of real images (PNG, JPEG, BMP, TIFF; DICOM: see ingest);
                           without it phantoms of virtual patients stand in
  groups=CSV               patient of each image (file,group); default groups.csv in DIR or above it,
                           else near-duplicate clusters stand in
  out=DIR                  the benchmark; a stopped simulation goes on with the same command
  size=64                  side of the images, in pixels: a power of two from 16 to 512
  scale=demo               sizes and length: {scales}
  scale.subset.real=N      one size: scale.subset.{{subsets,real,generated,test}},
                           scale.usage.{{members,nonmembers,generated,test_members,...}}
  generator.max_steps=N    steps each generator is trained (demo 1,200, paper 30,000)
  nonmembers=same_groups   usage: not used images are of the same patients as used ones
                           (default other_groups: no patient has both)
  planted.fraction=0.1     replace a share of the generated images by changed copies of training images
  planted.kinds=[shift]    how they are changed: exact, noise, shift, contrast
  accelerator=cpu          auto, cpu, gpu
  precision=auto           32-true, bf16-mixed, 16-mixed, auto
  seed=N                   seed of everything (default 0)

out holds the layout's folders, test_truth.csv, groups.csv, sources.csv (which real image is which),
planted.csv, benchmark.json (configuration, curves, quality, digests) and, for each generator, weights
and a contact sheet. Then: python -m fingerprints.train experiment=siamese_subtask2 data.root=DIR data.size=64
"""


def usage() -> str:
    """The text of `--help`."""
    return USAGE.format(scales=" | ".join(line.split()[0] for line in describe_options("scale")))


def main() -> None:
    """Entry point."""
    launch(_job, "simulate", usage=usage())


def _job(config: dict[str, Any], place: Place) -> None:
    # Imported late: help and configuration errors must not wait for torch.
    from fingerprints.generators.adversarial import GANSettings
    from fingerprints.generators.diff_augment import DiffAugment
    from fingerprints.generators.gan import check_size
    from fingerprints.generators.planted import check_kinds
    from fingerprints.interruption import Interrupted, handled
    from fingerprints.provenance import console_progress
    from fingerprints.simulation.benchmark import (
        SimulationSettings,
        check_out,
        make_benchmark,
        partial_folder,
    )
    from fingerprints.simulation.console import Console
    from fingerprints.simulation.plan import SubsetCounts, UsageCounts
    from fingerprints.simulation.sources import phantom_images, read_images
    from fingerprints.training.hardware import TrainerSettings, resolve

    task, size = config["task"], config["size"]
    if task not in ("subset", "usage"):
        raise FingerprintsError(
            f"There is no simulation of task '{task}'.", where="task", fix="task=subset or task=usage"
        )
    out = Path(config["out"]).absolute()
    check_out(out)
    check_size(size)
    check_kinds(config["planted"]["kinds"])
    hardware = resolve(TrainerSettings(accelerator=config["accelerator"], precision=config["precision"]))
    counts = (
        SubsetCounts(**config["scale"]["subset"])
        if task == "subset"
        else UsageCounts(**config["scale"]["usage"])
    )
    options = {key: value for key, value in config["generator"].items() if key not in ("name", "max_steps")}
    steps = config["generator"]["max_steps"]
    settings = SimulationSettings(
        counts=counts,
        size=size,
        seed=config["seed"],
        nonmembers=config["nonmembers"],
        generator=GANSettings(**{**options, "augment": DiffAugment(**options["augment"])}),
        steps=config["scale"]["max_steps"] if steps is None else steps,
        planted_fraction=config["planted"]["fraction"],
        planted_kinds=tuple(config["planted"]["kinds"]),
    )
    if config["images"] is None:
        real = phantom_images(
            settings.needed,
            size=size,
            seed=config["seed"],
            slices_per_patient=config["phantoms"]["slices_per_patient"],
            progress=console_progress(),
        )
    else:
        real = read_images(
            Path(config["images"]),
            groups=None if config["groups"] is None else Path(config["groups"]),
            size=size,
            cache=Path(config["store"]),
            progress=console_progress(),
        )
    for note in real.notes:
        print(f"note: {note}", file=sys.stderr)
    console = Console()
    try:
        with handled():
            document = make_benchmark(
                real,
                settings,
                out,
                progress=console,
                accelerator=hardware.accelerator,
                precision=hardware.precision,
            )
    except Interrupted:
        print(f"saved in {partial_folder(out)}; the same command goes on", file=sys.stderr)
        raise
    finally:
        console.close()
    print("\n".join(summary(document, out)))


def summary(document: dict[str, Any], out: Path) -> list[str]:
    """What was made, and what to do with it."""
    task, images = document["settings"]["task"], document["images"]
    generators = document["generators"]
    collapsed = [name for name, facts in generators.items() if facts["quality"]["collapsed"]]
    experiment = "siamese_subtask2" if task == "subset" else "siamese_subtask1"
    size = document["settings"]["size"]
    files = sum(folder["files"] for name, folder in document["files"].items() if name != ".")
    lines = [
        f"benchmark: {task}, {files:,} images of {size} x {size} in {out}",
        f"real: {images['count']:,} {'phantoms' if images['origin'] == 'phantoms' else 'images'} of "
        f"{document['groups']['count']:,} groups; {len(generators)} generators, {document['seconds']:,.0f} s",
    ]
    if document["planted"]["copies"]:
        lines.append(f"planted: {document['planted']['copies']:,} copies of training images (planted.csv)")
    if collapsed:
        lines.append(
            f"COLLAPSED: {', '.join(collapsed)}; look at generators/*/contact_sheet.png, train longer "
            "(generator.max_steps=N) or try another seed"
        )
    lines.append(
        f"next: python -m fingerprints.train experiment={experiment} data.root={out} data.size={size}"
    )
    return lines


if __name__ == "__main__":
    main()
