"""`python -m benchmarks.decisions`: seconds and peak memory of the decisions on many wide features.

Five overlapping classes; each case in a process of its own, so that its memory is its own. `sklearn` and
`sklearnex` are the libraries' own classes, `ours` is what `fingerprints.decisions` does.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

WIDTH, CLASSES, LIMIT = 1280, 5, 600


def features(n: int, *, width: int = WIDTH, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """`(n, width)` float32 and `(n,)` classes: unit Gaussians whose means differ by a few units."""
    rng = np.random.default_rng(seed)
    means = 0.12 * rng.normal(size=(CLASSES, width))
    codes = rng.integers(0, CLASSES, n)
    return (means[codes] + rng.normal(size=(n, width))).astype(np.float32), codes


def solve(case: str, engine: str, x: np.ndarray, codes: np.ndarray) -> Any:
    """Labels of the images themselves."""
    names = np.array([f"t{code + 1}" for code in codes])
    if engine == "sklearnex":
        from sklearnex import patch_sklearn

        patch_sklearn(verbose=False)
    if engine == "ours":
        return ours(case, x, names)
    if case == "svm":
        from sklearn.svm import SVC

        return SVC(kernel="linear", C=1).fit(x, names)
    if case == "svm_predict":
        from sklearn.svm import SVC

        return SVC(kernel="linear", C=1).fit(x[:2000], names[:2000]).predict(x)
    if case == "kmeans":
        from sklearn.cluster import KMeans

        return KMeans(CLASSES, n_init=10, random_state=0).fit_predict(x)
    from sklearn.cluster import AgglomerativeClustering

    return AgglomerativeClustering(CLASSES).fit_predict(x)


def ours(case: str, x: np.ndarray, names: np.ndarray) -> Any:
    from fingerprints.core.options import settings_class
    from fingerprints.decisions.contract import Fitting, Images, Part
    from fingerprints.decisions.registry import fit_decision

    part = Part(queries=Images(x, names), references=Images(x[:0]), unit="generated")
    rows = slice(2000) if case == "svm_predict" else slice(None)
    training = Part(queries=Images(x[rows], names[rows]), references=Images(x[:0]), unit="generated")
    name = {"kmeans": "kmeans", "ward": "hierarchical"}.get(case, "svm")
    fitting = Fitting(part=training, classes=tuple(sorted(set(names))))
    decision = fit_decision(settings_class("decision", name)(), fitting)
    return decision if case == "svm" else decision.predict(part)


def measure(case: str, engine: str, n: int) -> dict[str, float]:
    x, codes = features(n)
    solve(case, engine, x[:200], codes[:200])  # imports are no part of it
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, start_cpu = time.perf_counter(), time.process_time()
    solve(case, engine, x, codes)
    # CPU seconds are what counts on a machine that is shared.
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": round(seconds, 1),
        "cpu": round(cpu, 1),
        "peak_mb": round(peak),
        "before_mb": round(before),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 25_000])
    parser.add_argument("--cases", nargs="+", default=["svm", "svm_predict", "kmeans", "ward"])
    parser.add_argument("--engines", nargs="+", default=["ours", "sklearn", "sklearnex"])
    parser.add_argument("--limit", type=int, default=LIMIT, help="most seconds of a case")
    parser.add_argument("--measure", nargs=3, metavar=("CASE", "ENGINE", "IMAGES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        case, engine, images = options.measure
        print(json.dumps(measure(case, engine, int(images))))
        return
    for images in options.images:
        for case in options.cases:
            for engine in options.engines:
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.decisions",
                    "--measure",
                    case,
                    engine,
                    str(images),
                ]
                try:
                    done = subprocess.run(command, capture_output=True, text=True, timeout=options.limit)
                    said = done.stdout.strip() or done.stderr.strip().rsplit("\n", 1)[-1]
                except subprocess.TimeoutExpired:
                    said = f"not done after {options.limit} s"
                print(f"{case}, {engine}, {images:,} x {WIDTH:,}: {said}", flush=True)


if __name__ == "__main__":
    main()
