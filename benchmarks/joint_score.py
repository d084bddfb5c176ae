"""`python -m benchmarks.joint_score`: what `decision=window_em` costs, and how many images it needs.

Without `--root`: seconds and peak memory on random images. With `--root DIR`, a benchmark in the layout of
`usage` 2025: AUC on its test part against the number of generated images and of members.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from fingerprints.core.options import settings_class
from fingerprints.core.tasks import NOT_USED, USED, get_task
from fingerprints.data.decode import Preprocessing
from fingerprints.data.layout import scan
from fingerprints.data.runfiles import read_labels
from fingerprints.data.settings import Source
from fingerprints.data.store import open_store
from fingerprints.decisions.contract import Fitting, Images, Part
from fingerprints.decisions.registry import fit_decision

REPEATS = 5


def images(root: Path, folder: str, side: int, cache: Path) -> tuple[np.ndarray, list[str]]:
    """`(n, side^2)` pixels in [0, 1], and the ids."""
    files = scan(root, [Source(f"{folder}/*" if folder != "**" else folder, domain="real", part="train")])
    store = open_store(files, Preprocessing(side), cache=cache)
    return store.images.reshape(len(files), -1).astype(np.float32) / 255, [file.id for file in files]


def part(real: np.ndarray, generated: np.ndarray, labels: list[str] | None = None) -> Part:
    names = np.array(labels if labels is not None else [""] * len(real), dtype=str)
    return Part(Images(real, names), Images(generated), "real")


def spread(values: list[float]) -> str:
    """Mean, lowest and highest value."""
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def cost(candidates: int, generated: int, side: int) -> None:
    rng = np.random.default_rng(0)
    real, made = (rng.random((n, side * side), dtype=np.float32) for n in (candidates, generated))
    decision = fit_decision(
        settings_class("decision", "window_em")(cut="half", reference="none"),
        Fitting(part=part(real, made), classes=(NOT_USED, USED)),
    )
    started = time.perf_counter()
    decision.predict(part(real, made))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = time.perf_counter() - started
    print(f"{candidates:,} x {generated:,}, {side} x {side}: {seconds:.1f} s, {peak:,.0f} MB")


def needs(root: Path, side: int, cache: Path) -> None:
    made, _ = images(root, "test/generated", side, cache)
    asked, ids = images(root, "test/real_unknown", side, cache)
    truth = read_labels(root / "test_truth.csv", get_task("usage"), kind="truth file", images=ids).labels_of(
        ids
    )
    member = np.array(truth) == USED
    known = {
        name: images(root, folder, side, cache)[0]
        for name, folder in ((USED, "real_used"), (NOT_USED, "real_not_used"))
    }
    train = np.concatenate([known[USED], known[NOT_USED]])
    labels = [USED] * len(known[USED]) + [NOT_USED] * len(known[NOT_USED])
    other, _ = images(root, "generated", side, cache)

    own = fit_decision(
        settings_class("decision", "window_em")(reference="not_used"),
        Fitting(part=part(train, other, labels), classes=(NOT_USED, USED)),
    )
    for count in (50, 100, 200, 500, len(made)):
        found = []
        for seed in range(REPEATS):
            chosen = np.random.default_rng(seed).permutation(len(made))[:count]
            found.append(roc_auc_score(member, own.predict(part(asked, made[chosen])).scores))
        print(f"{count} generated images: AUC {spread(found)}")
    for count in (5, 10, 25, 50):
        found = []
        for seed in range(REPEATS):
            kept = np.random.default_rng(seed).permutation(np.flatnonzero(member))[:count]
            rows = np.concatenate([kept, np.flatnonzero(~member)])
            found.append(roc_auc_score(member[rows], own.predict(part(asked[rows], made)).scores))
        print(f"{count} members among the candidates: AUC {spread(found)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=4000)
    parser.add_argument("--generated", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("outputs/store"))
    given = parser.parse_args()
    if given.root is None:
        cost(given.candidates, given.generated, given.side)
    else:
        needs(given.root, given.side, given.cache)


if __name__ == "__main__":
    main()
