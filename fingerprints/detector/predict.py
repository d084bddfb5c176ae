"""A finished run applied to new images: the same pixels, network and decision as in training."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.options import build_option
from fingerprints.core.progress import console_progress
from fingerprints.core.tasks import Task
from fingerprints.data.checks import check_readable, check_sizes, native_sizes, require_unique
from fingerprints.data.datamodule import PixelSource
from fingerprints.data.decode import Preprocessing
from fingerprints.data.groups import read_groups
from fingerprints.data.layout import ImageFile, scan
from fingerprints.data.leftovers import left_out
from fingerprints.data.settings import Remedy, Source
from fingerprints.data.store import ImageStore, open_store
from fingerprints.decisions.contract import Images, Part
from fingerprints.detector.detection import Predictions
from fingerprints.detector.saved import Run
from fingerprints.embeddings.embed import embed
from fingerprints.images.derived import derived_store
from fingerprints.training.hardware import make_trainer
from fingerprints.training.settings import Accelerator, TrainerSettings


def predict_folder(
    run: Run,
    *,
    images: Path,
    generated: Path | None,
    generator: str | None,
    cache: Path,
    groups: Path | None = None,
    on_bad_image: Remedy = "error",
    accelerator: Accelerator = "auto",
) -> Predictions:
    """Labels and scores of every image in a folder.

    Args:
        run: The finished run.
        images: Folder of images to label.
        generated: Folder of generated images, with which `usage` compares the images.
        generator: Generator whose detector is used, if the run has several.
        cache: Folder of image stores.
        groups: `usage`: table of file and group (patient), which become the column `group` of the rows.
        on_bad_image: `error` or `skip`.
        accelerator: `auto`, `cpu` or `gpu`.

    Raises:
        FingerprintsError: If a folder is missing or empty, an image is bad or of a size that the run was not
            trained on, an image has no group, `usage` has no generated images, or the run has several
            generators and none is named.
    """
    name = chosen_generator(run, generator)
    task = run.task
    _check_given(task, generated, groups)
    unit, other = task.unit, "generated" if task.unit == "real" else "real"
    files = scan(images, [Source("*", domain=unit, part="train")])
    require_unique(pd.Series([f.id for f in files]), pd.Series([f.name for f in files]), images)
    count, missing = len(files), left_out(images, [file.name for file in files])
    notes = missing.notes(documents=True)
    patients = _patients(groups, [file.name for file in files], notes=notes)
    if generated is not None:
        references_found = scan(generated, [Source("*", domain=other, part="train")])  # type: ignore[arg-type]
        files += references_found
        if generated.resolve() != images.resolve():
            notes += left_out(generated, [file.name for file in references_found]).notes()
    store, readable = _seen(run, files, images, cache=cache, on_bad_image=on_bad_image, notes=notes)
    units, references = readable[readable < count], readable[readable >= count]
    if without := missing.total + count - len(units):
        print(
            f"note: {without:,} file(s) in {images} get no line in the run file, see above", file=sys.stderr
        )
    trainer = make_trainer(
        TrainerSettings(accelerator=accelerator, precision=run.config["trainer"]["precision"])
    )
    network, decider = run.network(name), run.decider(name)
    embeddings = embed(network, PixelSource(store), np.concatenate([units, references]), trainer=trainer)
    ids = [files[row].id for row in units]
    asked, others = Images(embeddings[: len(units)], ids=np.array(ids)), Images(embeddings[len(units) :])
    found = decider.answer(Part(queries=asked, references=others, unit=unit))
    columns = {"id": ids, "path": [files[row].name for row in units]}
    columns |= {} if patients is None else {"group": [patients[row] for row in units]}
    rows = pd.DataFrame(columns, pd.Index(units, name="row"))
    return Predictions(rows, found.labels, found.scores, decider.transductive, reference=found.reference)


def _patients(groups: Path | None, names: list[str], *, notes: list[str]) -> list[str] | None:
    """The group of each image, by a table; `None` without one."""
    if groups is None:
        return None
    read = read_groups(groups, names)
    notes += read.notes()
    if lacking := read.lacking(names):
        raise FingerprintsError(
            f"{len(lacking)} image(s) have no group:\n{listing(lacking)}",
            where=groups,
            fix="add a row for every image (file name, or path relative to images); leave the group empty if "
            "it is not known",
        )
    return [str(group) for group in read.groups]


def _check_given(task: Task, generated: Path | None, groups: Path | None) -> None:
    """Check `generated` and `groups`: only `usage` compares images with generated ones, and has patients."""
    if task.unit == "real" and generated is None:
        raise FingerprintsError(
            f"Task {task.name} compares real images with generated ones, and none were given.",
            where="generated",
            fix="give generated=DIR, a folder of images that the generator made",
        )
    if task.unit == "generated" and generated is not None:
        raise FingerprintsError(
            f"Task {task.name} labels generated images and needs no second folder.",
            where="generated",
            fix="give the images to label as images=DIR and leave generated out",
        )
    if task.positive is None and groups is not None:
        raise FingerprintsError(
            f"Task {task.name} labels generated images, which are of no patient.",
            where="groups",
            fix="leave groups out",
        )


def _seen(
    run: Run,
    files: list[ImageFile],
    images: Path,
    *,
    cache: Path,
    on_bad_image: Remedy,
    notes: list[str],
) -> tuple[ImageStore, NDArray[np.int64]]:
    """The images as input of the encoder, and the rows that could be read; notes go to the console."""
    store = open_store(
        files, Preprocessing(run.config["data"]["size"]), cache=cache, progress=console_progress()
    )
    try:
        readable = check_readable(
            files,
            store,
            on_bad_image=on_bad_image,
            on_mixed_size=run.config["data"]["on_mixed_size"],
            notes=notes,
        )
    except FingerprintsError as error:
        # Keys with `data.` belong to training; here `on_bad_image` has no prefix, and the run sets the size.
        sizes = {size for found in (run.record.native_sizes or {}).values() for size in found}
        own = f" ({', '.join(sorted(sizes))})" if sizes else ""
        fix = f"scale them to one size, as the run's own images were{own}"
        if store.errors:
            fix = "repair or remove them, or leave them out: on_bad_image=skip"
        raise FingerprintsError(error.what, where=error.where or images, fix=fix) from None
    _check_sizes(run, files, store, readable, notes=notes)
    store, more = derived_store(
        store,
        filter=build_option("filter", run.config["filter"]),
        region=build_option("region", run.config["region"]),
        names=[file.name for file in files],
        domains=[file.domain for file in files],
        progress=console_progress(),
    )
    for note in (*notes, *more):
        print(f"note: {note}", file=sys.stderr)
    return store, readable


def _check_sizes(
    run: Run, files: list[ImageFile], store: ImageStore, readable: NDArray[np.int64], *, notes: list[str]
) -> None:
    """Compare the sizes of the files with those that the run was trained on, for each domain."""
    trained_on = run.record.native_sizes
    if trained_on is None:
        notes.append(
            f"the run {run.folder} did not record which sizes its images had before scaling, so it is not "
            "known whether these images have the same"
        )
        return
    for domain, sizes in trained_on.items():
        rows = np.array([row for row in readable if files[row].domain == domain], dtype=np.int64)
        if len(rows):
            check_sizes(
                native_sizes(store, rows),
                sizes,
                where=Path(files[rows[0]].path).parent,
                on_mixed_size=run.config["data"]["on_mixed_size"],
                notes=notes,
            )


def chosen_generator(run: Run, generator: str | None) -> str:
    """The generator whose detector is used: the one that is named, or the only one.

    Raises:
        FingerprintsError: If there are several and none is named.
    """
    if generator is not None:
        return generator
    if len(run.generators) > 1:
        raise FingerprintsError(
            f"The run has detectors for {len(run.generators)} generators.",
            where=run.folder,
            fix=f"generator= one of {', '.join(run.generators)}",
        )
    return run.generators[0]
