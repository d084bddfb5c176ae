"""`python -m benchmarks.audit_controls IMAGES GROUPS ROOT ... [--out OUT]`: false alarms of audits.

Each ROOT is a benchmark of `usage` with truth, whose test generator was trained on known slices of IMAGES.
Of the patients in GROUPS that trained none of it, some are drawn as candidates, the others are the reference;
nothing leaks, so that everything called is false. Then the generator's own training images join the
candidates.

Scores depend on all real images together, not on who is candidate: the battery runs once for each drawing of
slices, and patients are divided many times. Intervals are exact for independent audits; divisions of the
same patients are not quite independent.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

from fingerprints.auditing.battery import names_of, score
from fingerprints.auditing.exposure import expose, pooling_for
from fingerprints.core.options import build_option
from fingerprints.evidence.bounds import clopper_pearson

BATTERY = (
    {"name": "copies", "cut": "half", "reference": "none"},
    {"name": "window_em", "cut": "half", "reference": "none"},
    {"name": "similarity_matrix", "metric": "mse", "rule": "retrieval"},
    {"name": "calibrated_neighbour", "cut": "half", "reference": "none"},
    {"name": "calibrated_neighbour", "by": "ratio", "cut": "half", "reference": "none"},
    {"name": "similarity", "metric": "ssim", "ssim_nearest": 50, "cut": "half"},
)


def pixels(paths: list[Path], side: int) -> np.ndarray:
    """`(n, side, side)`."""
    found = []
    for path in paths:
        with Image.open(path) as image:
            found.append(np.asarray(image.convert("L").resize((side, side), Image.Resampling.BOX)))
    return np.stack(found)


def table(path: Path) -> dict[str, str]:
    """Group by name of the file, without folder and ending."""
    with path.open() as handle:
        return {Path(row["file"]).stem: row["group"] for row in csv.DictReader(handle)}


def members(root: Path) -> list[str]:
    """Candidates of the test part that trained its generator."""
    with (root / "test_truth.csv").open() as handle:
        return [name for name, used in csv.reader(handle) if used == "1"]


def drawn(rng: np.random.Generator, groups: dict[str, str], without: set[str], each: int) -> list[str]:
    """Some slices of every patient that trained nothing."""
    found = []
    for group in sorted(set(groups.values()) - without):
        own = sorted(name for name, of in groups.items() if of == group)
        found += rng.choice(own, min(each, len(own)), replace=False).tolist()
    return found


def scored(given: argparse.Namespace, root: Path, *, leaking: bool, seed: int) -> dict[str, np.ndarray]:
    """Scores `(d, n)`, patients and who is a member, of unused slices and, if `leaking`, of the members."""
    rng, side = np.random.default_rng(seed), given.side
    groups, own = table(given.groups), table(root / "groups.csv")
    used = members(root)
    names = drawn(rng, groups, {own[name] for name in used}, given.slices)
    real = pixels([given.images / f"{name}.png" for name in names], side)
    patients = [groups[name] for name in names]
    if leaking:
        folder = next((root / "test").glob("real*"))
        real = np.concatenate([real, pixels([folder / f"{name}.png" for name in used], side)])
        patients += [own[name] for name in used]
    made = sorted((root / "test/generated").iterdir())
    made = [made[at] for at in rng.choice(len(made), min(given.generated, len(made)), replace=False)]
    detectors = [build_option("decision", one) for one in BATTERY]
    of = np.array(patients)
    found = score(detectors, real, pixels(made, side), groups=of, seed=0, progress=None)
    return {"scores": found, "groups": of, "member": np.arange(len(of)) >= len(names)}


def called(
    one: dict[str, np.ndarray], rows: list[int], candidates: np.ndarray, *, error: float
) -> dict[str, float]:
    """Rates of one audit of these patients; members among them are left out of the false ones."""
    asked = np.isin(one["groups"], candidates)
    order = np.concatenate([np.flatnonzero(asked), np.flatnonzero(~asked)])
    count, member = int(asked.sum()), one["member"][asked]
    groups, unused = one["groups"][asked], one["groups"][~asked]
    sizes = [np.unique(of, return_counts=True)[1] for of in (groups, unused)]
    found = expose(
        one["scores"][rows][:, order],
        np.zeros(len(order)),
        ids=np.arange(count).astype(str),
        groups=groups,
        unused=unused,
        rule=pooling_for(*sizes),
    )
    out: dict[str, float] = {}
    others = ~member
    for name, judged in (("images", found.images), ("standing", found.standing)):
        hit = judged.found(error)
        if others.any():
            out[f"{name}: p <= {error:g}"] = float((judged.p[others] <= error).mean())
            out[f"{name}: q <= {error:g}"] = float(hit[others].mean())
        out[f"{name}: any q <= {error:g}"] = float(hit[others].any())
        if member.any():
            out[f"{name}: members found"] = float(hit[member].mean())
            out[f"{name}: false share"] = float(hit[others].sum() / max(1, hit.sum()))
    leaky = np.isin(found.patients.names, groups[member])
    least = 1 / (found.patients.compared_with + 1)
    for level in (least, 2 * least, 3 * least):
        out[f"patients: p <= {level:.3f}"] = float((found.patients.p[~leaky] <= level + 1e-9).mean())
        out[f"images: p <= {level:.3f}"] = float((found.images.p[~member] <= level + 1e-9).mean())
        if leaky.any():
            out[f"patients with members: p <= {level:.3f}"] = float(
                (found.patients.p[leaky] <= level + 1e-9).mean()
            )
    certain = bool(found.images.found(error).any() or found.patients.found(error).any())
    out["audits: exposed"] = float(certain)
    out["audits: standing out"] = float(not certain and found.standing.found(error).any())
    return out


def controls(given: argparse.Namespace, root: Path, rows: list[int], *, leaking: bool) -> dict[str, list]:
    """Mean and interval of each rate; an audit is one trial, also for shares of its images."""
    found: dict[str, list[float]] = {}
    for number in range(given.drawings):
        kind = "leak" if leaking else "null"
        kept = given.out / f"{root.parent.name}_{root.name}_{kind}_{number}.npz"
        if kept.exists():
            one = dict(np.load(kept))
        else:
            one = scored(given, root, leaking=leaking, seed=number)
            np.savez(kept, **one)
        unused = np.unique(one["groups"][~one["member"]])
        rng = np.random.default_rng([number, 1])
        for _ in range(given.divisions):
            chosen = rng.choice(unused, given.candidates, replace=False)
            asked = np.concatenate([chosen, np.unique(one["groups"][one["member"]])])
            for name, value in called(one, rows, asked, error=given.error).items():
                found.setdefault(name, []).append(value)
    count = given.drawings * given.divisions
    return {
        name: [
            round(float(np.mean(values)), 4),
            *(round(one, 4) for one in clopper_pearson(successes=float(np.sum(values)), trials=count)),
        ]
        for name, values in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("groups", type=Path)
    parser.add_argument("roots", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("outputs/audit_controls"))
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--slices", type=int, default=10, help="of a patient")
    parser.add_argument("--generated", type=int, default=300)
    parser.add_argument("--candidates", type=int, default=5, help="patients; the others are the reference")
    parser.add_argument("--error", type=float, default=0.05, help="accepted share of false findings")
    parser.add_argument("--drawings", type=int, default=10, help="of slices and generated images")
    parser.add_argument("--divisions", type=int, default=40, help="of patients, for each drawing")
    parser.add_argument("--detectors", type=int, nargs="+", default=list(range(4)), help="numbers in BATTERY")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    print(
        "battery",
        [names_of([build_option("decision", one) for one in BATTERY])[at] for at in given.detectors],
    )
    for root in given.roots:
        for leaking in (False, True):
            found = controls(given, root, given.detectors, leaking=leaking)
            print(json.dumps({"root": str(root), "leaking": leaking} | found), flush=True)


if __name__ == "__main__":
    main()
