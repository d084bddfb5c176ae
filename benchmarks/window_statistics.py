"""Statistics of `usage` candidates by windows, in the units of images that no generator was trained on.

A task is one part of a benchmark in the layout of `usage` 2025: its candidates, with the unused images of the
other part as reference, and the generated images of both parts. `MAPS` are several similarities Z as in
`decision=window_em`; `Statistics` summarises each of them to numbers of each candidate.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from benchmarks.joint_score import images
from benchmarks.usage_controls import ASKED, side_of, truth
from fingerprints.decisions.scores.settings import WindowEMSettings
from fingerprints.decisions.scores.window_em import LEAST_WEIGHT, edges, similarity, weights, windows

Floats = NDArray[np.floating[Any]]
SETTINGS = WindowEMSettings()
MAPS = {  # factor of the images' side, settings
    "base": (1, SETTINGS),
    "fine": (1, replace(SETTINGS, sigma=0.8)),
    "small": (1, replace(SETTINGS, window=16)),
    "large": (2, replace(SETTINGS, stride=4)),
}
SHIFTS = ((3, 0), (-3, 0), (0, 3), (0, -3))  # in pixels, of the map "shift"
ALL_MAPS = (*MAPS, "shift", "flip", "pixels")
FUSED = {"two scales": ("base", "large"), "scales": ("base", "small", "large"), "fused": tuple(MAPS)}
SOFTNESS = (0, 0.5, 1, 2)
CONTROL = "same patients"


@dataclass(frozen=True, eq=False)
class Task:
    """Candidates `(n,)` of one generator; `own` and `other` hold statistics `(n + references,)` by name."""

    family: str
    root: Path
    part: str
    member: NDArray[np.bool_]
    groups: NDArray[np.str_]
    own: Mapping[str, Floats]
    other: Mapping[str, Floats]

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.family}: {self.root.name}, {self.part}"

    def scores(self, variant: str) -> Floats:
        """Scores `(n + references,)` of an unlearnt variant."""
        where, _, what = variant.partition(": ")
        if what.startswith("mean "):
            maps = [f"{name} {what.removeprefix('mean ')}" for name in ALL_MAPS]
            return np.mean([self.scores(f"{where}: {name}") for name in maps], axis=0)
        own = self.in_units(self.own[what])
        return own - self.in_units(self.other[what]) if where == "less other" else own

    def in_units(self, values: Floats) -> Floats:
        """In standard deviations of the reference images."""
        known = values[len(self.member) :]
        return np.clip((values - known.mean()) / max(float(known.std()), 1e-6), -10, 10)

    def features(self, names: Sequence[str], *, kind: str, other: bool) -> Floats:
        """`(n + references, d)`, in units of the reference images or as ranks in (-0.5, 0.5)."""
        columns = [side[name] for side in (self.own, *([self.other] if other else [])) for name in names]
        if kind == "ranks":
            return np.stack([(rankdata(c) - 0.5) / len(c) - 0.5 for c in columns], axis=1)
        return np.stack([self.in_units(c) for c in columns], axis=1)


def standardised(columns: Floats) -> Floats:
    spread = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(spread > 1e-7, spread, np.inf)


def weighed(z: Floats, sharpness: float = SETTINGS.sharpness, rounds: int = SETTINGS.rounds) -> Floats:
    """Score `(n,)` of Z `(n, m)`, as `decision=window_em`."""
    found = weights(replace(SETTINGS, sharpness=sharpness, rounds=rounds), z.copy())
    return np.log(len(z) * found + LEAST_WEIGHT)


def largest(values: Floats, count: int) -> Floats:
    return np.sort(values, axis=1)[:, -count:].mean(axis=1)


def won(z: Floats) -> Floats:
    return np.bincount(z.argmax(axis=0), minlength=len(z)).astype(np.float64)


class Statistics:
    """Of the Z `(n, m)` of one map, added window by window.

    Softness 0 is the sum over windows; softness s the log of the sum of exp(s Z), so that a pair that is
    alike in few windows counts, too.
    """

    def __init__(self) -> None:
        self.sums: dict[float, Floats] = {}
        self.local: dict[str, list[Floats]] = {"em": [], "top": [], "won": []}

    def add(self, z: Floats) -> None:
        z = standardised(z)
        for softness in SOFTNESS:
            own = np.exp(softness * z) if softness else z
            self.sums[softness] = self.sums[softness] + own if softness in self.sums else own
        for name, values in (("em", weighed(z)), ("top", largest(z, 5)), ("won", won(z))):
            self.local[name].append(values)

    def z(self, softness: float) -> Floats:
        """`(n, m)` over all windows."""
        return standardised(np.log(self.sums[softness]) if softness else self.sums[softness])

    def found(self) -> dict[str, Floats]:
        """Name: `(n,)`."""
        z = self.z(0)
        best, second = np.sort(z, axis=0)[-1], np.sort(z, axis=0)[-2]
        local = {name: np.stack(values, axis=1) for name, values in self.local.items()}
        return together([self]) | {
            "em sharp 1": weighed(z, 1.0),
            "em sharp 4": weighed(z, 4.0),
            "em 20 rounds": weighed(z, rounds=20),
            "highest": z.max(axis=1),
            "top 20": largest(z, 20),
            "margin": largest(z - np.where(z >= best, second, best), 3),
            "won": np.log1p(won(z)),
            "windows em": local["em"].mean(axis=1),
            "windows best em": largest(local["em"], max(local["em"].shape[1] // 4, 1)),
            "windows top": local["top"].mean(axis=1),
            "windows won": np.log1p(local["won"]).mean(axis=1),
        }


def together(each: Sequence[Statistics]) -> dict[str, Floats]:
    """Statistics `(n,)` of the summed Z of one or more maps, of each softness."""
    found: dict[str, Floats] = {}
    for softness in SOFTNESS:
        z = standardised(np.sum([one.z(softness) for one in each], axis=0))
        start = f"soft {softness:g} " if softness else ""
        found |= {f"{start}em": weighed(z), f"{start}top 5": largest(z, 5)}
    return found


def maps(real: Floats, made: Floats) -> Iterator[tuple[str, Floats]]:
    """Name of a map and Z `(n, m)` of a window, of images `(n, side, side)` and `(m, side, side)`."""
    count = len(real)
    for name, (factor, settings) in MAPS.items():
        left, right = (
            edges(halved(side, factor).reshape(len(side), -1), settings.sigma) for side in (real, made)
        )
        if name == "base":
            moved = [np.roll(left, shift, axis=(1, 2)) for shift in SHIFTS]
            left = np.concatenate([left, left[:, :, ::-1], *moved])
        for rows, columns in windows(left.shape[1], settings.window, settings.stride):
            alone = replace(settings, window=None)
            z = similarity(alone, left[:, rows, columns], right[:, rows, columns])
            yield name, z[:count]
            if name == "base":
                yield "flip", z[: 2 * count].reshape(2, count, -1).max(axis=0)
                yield "shift", np.delete(z.reshape(-1, count, z.shape[1]), 1, axis=0).max(axis=0)
    yield "pixels", -cdist(real.reshape(count, -1), made.reshape(len(made), -1)).astype(np.float32)


def halved(stack: Floats, factor: int) -> Floats:
    side = stack.shape[1] // factor
    return stack.reshape(len(stack), side, factor, side, factor).mean(axis=(2, 4), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Real:
    """Images `(n, side, side)`, whether each is a member of the generator of its part, and its group."""

    pixels: Floats
    member: NDArray[np.bool_]
    groups: NDArray[np.str_]


def read(root: Path, members: Mapping[str, bool], store: Path) -> Real:
    """Images of some folders; without folders those asked about, with their truth."""
    side, asked = side_of(root), {} if members else truth(root)
    with (root / "groups.csv").open() as file:
        group = {row["file"].rsplit(".", 1)[0]: row["group"] for row in csv.DictReader(file)}
    pixels, member, groups = [], [], []
    for folder in members or {ASKED: False}:
        found, ids = images(root, folder, side, store)
        pixels.append(found.reshape(-1, side, side))
        member += [asked[name] if asked else members[folder] for name in ids]
        groups += [group[f"{folder}/{name}"] for name in ids]
    return Real(np.concatenate(pixels), np.array(member), np.array(groups))


def measured(
    real: Floats, made: Floats, sets: Mapping[str, NDArray[np.int_]], kept: Path
) -> Mapping[str, Mapping[str, Floats]]:
    """Statistics of each set of rows of `real` with the generated images; read from `kept` if it is there."""
    if not kept.exists():
        sums = {(part, name): Statistics() for part in sets for name in ALL_MAPS}
        for name, z in maps(real, made):
            for part, rows in sets.items():
                sums[part, name].add(z[rows])
        found = {
            f"{part}|{name} {what}": value
            for (part, name), each in sums.items()
            for what, value in each.found().items()
        }
        for part, (name, of) in product(sets, FUSED.items()):
            values = together([sums[part, each] for each in of])
            found |= {f"{part}|{name} {what}": value for what, value in values.items()}
        np.savez(kept, allow_pickle=False, **found)
    with np.load(kept) as file:
        return {
            part: {key.split("|")[1]: file[key] for key in file.files if key.split("|")[0] == part}
            for part in sets
        }


def tasks_of(family: str, root: Path, control: Path | None, out: Path) -> list[Task]:
    """The training part, the test part and the control of a benchmark; statistics are kept in `out`."""
    store = out / "store"
    real = {
        "training": read(root, {"real_used": True, "real_not_used": False}, store),
        "test": read(root, {}, store),
    }
    if control is not None:
        real[CONTROL] = read(control, {}, store)
    sets, start = {}, 0
    stack = np.concatenate([each.pixels for each in real.values()])
    rows = {part: np.arange(len(each.pixels)) for part, each in real.items()}
    for part, each in real.items():
        rows[part] = rows[part] + start
        start += len(each.pixels)
    for part in real:
        other = "test" if part == "training" else "training"
        sets[part] = np.concatenate([rows[part], rows[other][~real[other].member]])

    name = root.resolve().as_posix().strip("/").replace("/", "_")
    found = {}
    for part, folder in (("training", "generated"), ("test", "test/generated")):
        made, _ = images(root, folder, stack.shape[1], store)
        found[part] = measured(
            stack, made.reshape(len(made), *stack.shape[1:]), sets, out / f"{name}_{part}.npz"
        )
    return [
        Task(
            family,
            root,
            part,
            each.member,
            each.groups,
            own=found["training" if part == "training" else "test"][part],
            other=found["test" if part == "training" else "training"][part],
        )
        for part, each in real.items()
    ]
