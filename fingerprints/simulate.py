"""`python -m fingerprints.simulate task=TASK images=DIR out=DIR`: benchmarks with known truth."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fingerprints.config.launch import Place, describe_options, launch
from fingerprints.core.errors import FingerprintsError

if TYPE_CHECKING:
    from fingerprints.simulation.plan import Counts
    from fingerprints.simulation.settings import SimulationSettings
    from fingerprints.simulation.sources import RealImages

USAGE = """\
Train generators on known real images and write a labelled benchmark in the layout of its task.

usage: python -m fingerprints.simulate task=TASK out=DIR [images=DIR] [groups=CSV] [KEY=VALUE ...]

  task=subset              five real subsets, a generator trained on each (2025 layout)
  task=usage               used and not used real images; the test part has a generator of its own (2025);
                           with generators=[a,b] two or more designs, trained on the same images (2024)
  task=model               generators of several designs: three labelled, four in the test part (2024)
  task=shadow              generators that are each trained on a random half of a pool, and which on what
  images=DIR               folder of real images (PNG, JPEG, BMP, TIFF; DICOM: see ingest);
                           without it phantoms of virtual patients stand in
  groups=CSV               patient of each image (file,group); default groups.csv in DIR or above it,
                           else near-duplicate clusters stand in
  out=DIR                  the benchmark; a stopped simulation goes on with the same command
  size=64                  side of the images, in pixels: a power of two from 16 to 512
  scale=demo               sizes and length: {scales}
  scale.subset.real=N      one size: scale.subset.{{subsets,real,generated,test}},
                           scale.usage.{{members,nonmembers,generated,test_members,...}}
                           (test_*=0: no test part),
                           scale.model.{{real,labelled,generated,test}},
                           scale.shadow.{{candidates,generators,generated}}
  scale.max_steps=N        steps each generator is trained (demo 1,200, paper 30,000)
  seed=N                   seed of everything (default 0)

generators:
{designs}
  generator=NAME           one of them (default gan); its settings: generator.KEY=VALUE
  generators=[a,b]         several (`usage`, `model`), by name or '{{name: gan, lr: 1e-3}}'; for `model`
                           the default is {model}, the last one without labels

controls of `subset` (is it the data that is told apart, or the generator?):
  subsets=same             every generator is trained on the same real images, with a seed of its own
                           (default disjoint: no patient is in two subsets)
  seeds=shared             every generator is trained with the same seed: weights at the start, order of
                           images, noise, augmentation (default own); with subsets=same chance is right

leakage:
  nonmembers=same_groups   usage: not used images are of the same patients as used ones
                           (default other_groups: no patient has both)
  planted.fraction=0.1     replace a share of the generated images by changed copies of training images
  planted.kinds=[shift]    how they are changed: {kinds}
  generator.augment.enabled=false
                           train a GAN without augmentation: it remembers more
  dial=NAME                a benchmark for each setting, in DIR/NAME; dial.csv and dial.png compare them:
{dials}

jobs and hardware:
  -m 'only=range(0,8)'     each generator in a job of its own, side by side with hydra/launcher=joblib or
                           submitit_slurm; the last one to finish writes the benchmark
  reuse=DIR                take generators over from benchmarks in DIR that were trained in the same way
  accelerator=cpu          auto, cpu, gpu
  devices=N                processes that share each batch (-1: all GPUs)
  precision=auto           32-true, bf16-mixed, 16-mixed, auto
  quality.fidelity=true    FID and KID, too (extra `quality`); quality.weights=PATH: Inception weights

out holds the layout's folders, test_truth.csv, groups.csv, sources.csv (which real image is which),
planted.csv, benchmark.json (configuration, curves, quality, memorisation, digests) and, for each generator,
weights and a contact sheet. Then:
  python -m fingerprints.train experiment=siamese_subtask2 data.root=DIR data.size=64
"""


def usage() -> str:
    """The text of `--help`."""
    from fingerprints.config.schema import MODEL_GENERATORS, PLANTED_KINDS

    return USAGE.format(
        scales=" | ".join(line.split()[0] for line in describe_options("scale")),
        designs="\n".join(describe_options("generator")),
        dials="\n".join(f"  {line}" for line in describe_options("dial")),
        model=f"[{','.join(MODEL_GENERATORS)}]",
        kinds=", ".join(PLANTED_KINDS),
    )


def main() -> None:
    """Entry point."""
    complete = True
    try:
        launch(_job, "simulate", usage=usage())
    finally:
        # Loaded by Hydra, if it came so far; help and misspelt keys must not wait for it.
        if (record := sys.modules.get("fingerprints.config.sweep_record")) is not None:
            complete = record.all_succeeded()
    if not complete:
        raise SystemExit(2)


def _job(config: dict[str, Any], place: Place) -> None:
    # Imported late: help and configuration errors must not wait for torch.
    from fingerprints.core.signals import Interrupted, handled
    from fingerprints.generators.fidelity import check_fidelity
    from fingerprints.runs.status import STATUS
    from fingerprints.simulation.benchmark import check_out, make_benchmark, partial_folder
    from fingerprints.simulation.console import Console
    from fingerprints.simulation.generator_job import Fidelity
    from fingerprints.training.hardware import TrainerSettings, resolve

    if place.job is not None:  # what an earlier attempt left: only failures of this one count
        (place.folder / STATUS).unlink(missing_ok=True)
    _check_generator_words(config, place.overrides)
    folder = Path(config["out"]).absolute()
    reuse = None if config["reuse"] is None else Path(config["reuse"]).absolute()
    if reuse is not None and reuse != folder and not reuse.is_dir():
        raise FingerprintsError(
            "The folder of benchmarks to take generators from does not exist.",
            where=f"reuse={config['reuse']}",
            fix="reuse=DIR with an existing folder, or leave reuse out",
        )
    name = config["name"] or _name(place)
    out = folder / name if name else folder
    check_out(out)
    settings = simulation_settings(config)
    settings.check()
    hardware = resolve(
        TrainerSettings(
            accelerator=config["accelerator"],
            devices=config["devices"],
            strategy="auto" if config["devices"] == 1 else "ddp",
            precision=config["precision"],
        )
    )
    weights = None if config["quality"]["weights"] is None else Path(config["quality"]["weights"])
    if config["quality"]["fidelity"]:
        check_fidelity(weights)
    real = _real_images(config, settings)
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
                hardware=hardware,
                only=config["only"],
                reuse=reuse,
                fidelity=Fidelity(weights) if config["quality"]["fidelity"] else None,
            )
    except Interrupted:
        print(f"saved in {partial_folder(out)}; the same command goes on", file=sys.stderr)
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


def simulation_settings(config: dict[str, Any]) -> SimulationSettings:
    """What a validated configuration asks for.

    Raises:
        FingerprintsError: If there is no such task, or its sizes contradict each other.
    """
    from fingerprints.generators.designs import make_settings
    from fingerprints.simulation.settings import Design, SimulationSettings

    designs = []
    for entry in config["generators"]:
        values = {key: value for key, value in entry.items() if key not in ("name", "max_steps")}
        steps = config["scale"]["max_steps"] if entry["max_steps"] is None else entry["max_steps"]
        designs.append(Design(make_settings(entry["name"], values), steps))
    return SimulationSettings(
        counts=_counts(config["task"], config["scale"]),
        size=config["size"],
        seed=config["seed"],
        nonmembers=config["nonmembers"],
        designs=tuple(designs),
        planted_fraction=config["planted"]["fraction"],
        planted_kinds=tuple(config["planted"]["kinds"]),
        subsets=config["subsets"],
        seeds=config["seeds"],
    )


def _counts(task: str, scale: dict[str, Any]) -> Counts:
    from fingerprints.simulation.plan import ModelCounts, ShadowCounts, SubsetCounts, UsageCounts

    kinds: dict[str, Any] = {
        "subset": SubsetCounts,
        "usage": UsageCounts,
        "model": ModelCounts,
        "shadow": ShadowCounts,
    }
    if task not in kinds:
        raise FingerprintsError(
            f"There is no simulation of task '{task}'.",
            where="task",
            fix=", ".join(f"task={name}" for name in kinds),
        )
    counts = kinds[task](**scale[task])
    if task == "usage":
        test = [counts.test_members, counts.test_nonmembers, counts.test_generated]
        if any(test) and not all(test):
            raise FingerprintsError(
                f"The test part would have {test[0]} used, {test[1]} not used, {test[2]} generated images.",
                where="scale.usage.test_*",
                fix="all three greater than 0, or all three 0 for no test part",
            )
    return counts


def _check_generator_words(config: dict[str, Any], overrides: Sequence[str]) -> None:
    """Settings of the one generator say nothing where others are listed."""
    words = [word for word in overrides if word.split("=")[0].split(".")[0] == "generator"]
    listed = any(word.startswith("generators=") for word in overrides)
    if words and (listed or len(config["generators"]) > 1):
        count = len(config["generators"])
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


def _real_images(config: dict[str, Any], settings: SimulationSettings) -> RealImages:
    from fingerprints.core.progress import console_progress
    from fingerprints.simulation.sources import phantom_images, read_images

    if config["images"] is None:
        return phantom_images(
            settings.needed,
            size=config["size"],
            seed=config["seed"],
            slices_per_patient=config["phantoms"]["slices_per_patient"],
            progress=console_progress(),
        )
    return read_images(
        Path(config["images"]),
        groups=None if config["groups"] is None else Path(config["groups"]),
        size=config["size"],
        cache=Path(config["store"]),
        progress=console_progress(),
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


if __name__ == "__main__":
    main()
