"""`python -m benchmarks.usage_controls S OUT`: controls made from a simulated benchmark of `usage`.

Writes two folders in the same layout, for the same commands:

- `OUT/untrained`: the test part's candidates with the images of the training part's generator, which was
  trained on other images. Every image that is called used is a false call.
- `OUT/same_patients`, with `--images CT --groups CT.csv` (what S was made from): the test part's members
  among as many other images of their own patients. What tells them apart recognises images, not patients.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from fingerprints.core.tasks import USED, get_task
from fingerprints.data.decode import Preprocessing
from fingerprints.data.groups import read_groups
from fingerprints.data.layout import scan
from fingerprints.data.runfiles import read_labels
from fingerprints.data.settings import Source
from fingerprints.data.store import open_store

ASKED = "test/real_unknown"
TRUTH = "test_truth.csv"


def copy(source: Path, target: Path, *folders: str) -> None:
    for name in folders:
        shutil.copytree(source / name, target / name)


def truth(root: Path) -> dict[str, bool]:
    """Whether each candidate of the test part is a member, by id."""
    ids = [path.stem for path in sorted((root / ASKED).iterdir())]
    labels = read_labels(root / TRUTH, get_task("usage"), kind="truth file", images=ids).labels_of(ids)
    return {name: label == USED for name, label in zip(ids, labels, strict=True)}


def untrained(root: Path, out: Path) -> None:
    copy(root, out, "real_used", "real_not_used", "generated", ASKED)
    shutil.copytree(root / "generated", out / "test/generated")
    shutil.copy(root / "groups.csv", out)
    (out / TRUTH).write_text("".join(f"{name},0\n" for name in truth(root)))


def same_patients(root: Path, out: Path, *, images: Path, groups: Path, cache: Path) -> None:
    files = scan(images, [Source("**", domain="real", part="train")])
    store = open_store(files, Preprocessing(side_of(root)), cache=cache)
    names = [Path(file.name).name for file in files]
    group = dict(zip(names, read_groups(groups, names).groups, strict=True))
    row = {name: place for place, name in enumerate(names)}
    with (root / "sources.csv").open() as file:
        origin = {line["file"]: line["source"] for line in csv.DictReader(file)}
    members = [name for name, member in truth(root).items() if member]
    used = {origin[f"{ASKED}/{name}.png"] for name in members}
    patients = {group[name] for name in used}
    trained_on = {name for place, name in origin.items() if not place.startswith("test/")}
    others = [name for name in names if group[name] in patients and name not in used | trained_on]
    chosen = np.random.default_rng(0).permutation(others)[: len(members)]

    copy(root, out, "real_used", "real_not_used", "generated", "test/generated")
    (out / ASKED).mkdir()
    lines = [line for line in (root / "groups.csv").read_text().splitlines() if not line.startswith("test/")]
    labels = []
    for name in members:
        shutil.copy(root / ASKED / f"{name}.png", out / ASKED)
        lines.append(f"{ASKED}/{name}.png,{group[origin[f'{ASKED}/{name}.png']]}")
        labels.append(f"{name},1")
    for place, name in enumerate(chosen):
        Image.fromarray(store.images[row[name]]).save(out / ASKED / f"other_{place:05d}.png")
        lines.append(f"{ASKED}/other_{place:05d}.png,{group[name]}")
        labels.append(f"other_{place:05d},0")
    (out / "groups.csv").write_text("\n".join(lines) + "\n")
    (out / TRUTH).write_text("\n".join(labels) + "\n")
    print(f"{len(members)} members, {len(chosen)} other images of {len(patients)} patients: {out}")


def side_of(root: Path) -> int:
    """Side of the benchmark's images."""
    with Image.open(next((root / ASKED).iterdir())) as image:
        return image.width


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--groups", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("outputs/store"))
    given = parser.parse_args()
    untrained(given.root, given.out / "untrained")
    if given.images is not None:
        target = given.out / "same_patients"
        same_patients(given.root, target, images=given.images, groups=given.groups, cache=given.cache)


if __name__ == "__main__":
    main()
