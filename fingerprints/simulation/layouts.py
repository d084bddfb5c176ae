"""The folders of a benchmark: images, truth, groups and sources, in the layout of its task."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerprints.config.simulation import SimulateSettings
from fingerprints.generators.planted import PlantedCopy
from fingerprints.simulation.generator_job import GeneratorResult
from fingerprints.simulation.pictures import write_image
from fingerprints.simulation.plan import TEST_UNKNOWN, GeneratorPlan
from fingerprints.simulation.sources import RealImages

Row = tuple[str, ...]


class Tree:
    """Writes the folders of a benchmark.

    Args:
        root: The folder to write to.
        real: The real images.
    """

    def __init__(self, root: Path, real: RealImages) -> None:
        self.root, self.real = root, real
        self.files: dict[tuple[str, int], str] = {}  # of a label's real images, by row
        self.truth: list[Row] = []
        self.planted: list[Row] = []

    def add_real(self, label: str, row: int, file: str) -> None:
        """Write a real image."""
        self.files[label, row] = file
        write_image(self.root / file, self.real.images[row])

    def add_generated(
        self, file: str, image: NDArray[np.uint8], label: str, copy: PlantedCopy | None
    ) -> None:
        """Write a generated image, and record the source of a planted copy."""
        write_image(self.root / file, image)
        if copy is None:
            return
        second = "" if copy.second is None else self._name(label, copy.second)
        self.planted.append((file, self._name(label, copy.member), copy.kind, second))

    def _name(self, label: str, row: int) -> str:
        """The name of a real image in the layout; if the layout has no real images, its source."""
        return self.files.get((label, row)) or self.files.get(("", row)) or self.real.names[row]

    def write_tables(self) -> None:
        """Truth, groups, sources and planted copies."""
        by_file = sorted((file, row) for (_, row), file in self.files.items())
        if self.truth:
            write_rows(self.root / "test_truth.csv", self.truth)
        groups = [("file", "group"), *((file, self.real.groups[row]) for file, row in by_file)]
        sources = [("file", "source"), *((file, self.real.names[row]) for file, row in by_file)]
        if by_file:
            write_rows(self.root / "groups.csv", groups)
            write_rows(self.root / "sources.csv", sources)
        if self.planted:
            header = ("generated", "member", "kind", "second_member")
            write_rows(self.root / "planted.csv", [header, *sorted(self.planted)])


def write_tree(
    root: Path,
    real: RealImages,
    settings: SimulateSettings,
    plans: Sequence[GeneratorPlan],
    results: Mapping[str, GeneratorResult],
) -> dict[str, Any]:
    """Write all images with their tables; returns the facts of planted copies.

    Args:
        root: An empty or new folder.
        real: The real images.
        settings: The benchmark.
        plans: Its generators.
        results: The result of each generator, by its name.
    """
    rng = np.random.default_rng([settings.seed, 0x7E57])
    tree = Tree(root, real)
    unknown: list[tuple[NDArray[np.uint8], str, PlantedCopy | None]] = []
    for plan in plans:
        _WRITE_REAL[settings.task](tree, plan, rng)
        for folder, images, copies in results[plan.name].outputs(plan):
            if folder == TEST_UNKNOWN:
                unknown += [(image, plan.label, copies.get(i)) for i, image in enumerate(images)]
                continue
            stem = _stem(folder)
            for i, image in enumerate(images):
                tree.add_generated(f"{folder}/{stem}_{i:06d}.png", image, plan.label, copies.get(i))
    for i, at in enumerate(rng.permutation(len(unknown)).tolist()):
        image, label, copy = unknown[at]
        tree.add_generated(f"{TEST_UNKNOWN}/generated_unknown_{i:06d}.png", image, label, copy)
        tree.truth.append((f"generated_unknown_{i:06d}", label))
    if settings.task == "shadow":
        _write_membership(tree, plans)
    if settings.task == "model":
        members = plans[0].members
        rows = [("source", "group"), *((real.names[row], real.groups[row]) for row in members)]
        write_rows(root / "training_images.csv", rows)
    tree.write_tables()
    return {
        "fraction": settings.planted.fraction,
        "kinds": list(settings.planted.kinds) if tree.planted else [],
        "copies": len(tree.planted),
    }


def _stem(folder: str) -> str:
    """First part of file names: the last part of the folder's path, or more of it if others end equally."""
    *above, last = folder.split("/")
    return "_".join([*above, last]) if last == "generated" else last


def _subset_real(tree: Tree, plan: GeneratorPlan, rng: np.random.Generator) -> None:
    # In random order, here and below, so that names give no information.
    for i, row in enumerate(rng.permutation(plan.members).tolist()):
        tree.add_real(plan.label, row, f"real/{plan.label}/real_{plan.label}_{i:05d}.png")


def _usage_real(tree: Tree, plan: GeneratorPlan, rng: np.random.Generator) -> None:
    above = f"{plan.label}/" if plan.label else ""
    stem = f"{plan.label}_" if plan.label else ""
    if plan.part == "train":
        for folder, rows in (("real_used", plan.members), ("real_not_used", plan.nonmembers)):
            for i, row in enumerate(rng.permutation(rows).tolist()):
                tree.add_real(plan.label, row, f"{above}{folder}/{stem}{folder}_{i:05d}.png")
        return
    members = set(plan.members.tolist())
    for i, row in enumerate(rng.permutation(np.concatenate([plan.members, plan.nonmembers])).tolist()):
        name = f"{stem}real_unknown_{i:05d}"
        tree.add_real(plan.label, row, f"test/{above}real_unknown/{name}.png")
        tree.truth.append((name, str(int(row in members))))


def _no_real(tree: Tree, plan: GeneratorPlan, rng: np.random.Generator) -> None:
    """The layout of `model` has generated images only."""


def _shadow_real(tree: Tree, plan: GeneratorPlan, rng: np.random.Generator) -> None:
    if tree.files:
        return  # the candidates are the same for all
    for i, row in enumerate(rng.permutation(np.concatenate([plan.members, plan.nonmembers])).tolist()):
        tree.add_real("", row, f"real/candidate_{i:05d}.png")


_WRITE_REAL = {"subset": _subset_real, "usage": _usage_real, "model": _no_real, "shadow": _shadow_real}


def _write_membership(tree: Tree, plans: Sequence[GeneratorPlan]) -> None:
    """`membership.csv`: a row for each candidate, a column for each generator, 1 where it trained on it."""
    trained_on = [set(plan.members.tolist()) for plan in plans]
    rows = sorted((file, row) for (_, row), file in tree.files.items())
    header = ("file", *(plan.name for plan in plans))
    table = [(file, *(str(int(row in members)) for members in trained_on)) for file, row in rows]
    write_rows(tree.root / "membership.csv", [header, *table])


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows(rows)
