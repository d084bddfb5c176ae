"""Do two versions of the code give the same results? One small run of every experiment and part.

    python -m benchmarks.same_results run OUT        # in each checkout: makes OUT/<case>/
    python -m benchmarks.same_results compare A B    # exits with 1 if a label or a figure differs
    python -m benchmarks.same_results load A         # old run folders: do they still predict the same?

Compared are the figures of `metrics.json` and the labels and scores of `predictions.csv`, with one thread
(`OMP_NUM_THREADS=1`): another number of threads changes the last digits of sums. Words are not compared.
Data are a share of the embedded benchmark. Results stay outside git.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1] / "fingerprints"
FAST = [
    *("data.size=48", "trainer=cpu", "trainer.max_epochs=2", "data.folds=2"),
    *("evidence.permutations=29"),
]
SVM = ["experiment=features_subtask2", "encoder=spectrum"]
MODELS = ["experiment=features_models", "encoder=residual"]
USAGE = ["experiment=siamese_subtask1"]
CNN = ["experiment=classifier_models", "encoder.channels=[4,8]"]

# Name of a case -> the words of its command. The first are the experiments themselves.
CASES: dict[str, list[str]] = {
    "siamese_subtask1": USAGE,
    "siamese_subtask2": ["experiment=siamese_subtask2"],
    "metric_subtask1": ["experiment=metric_subtask1"],
    "metric_subtask2": ["experiment=metric_subtask2"],
    "features_subtask2": ["experiment=features_subtask2", "encoder.input_size=32"],
    "features_models": MODELS,
    "tsne_models": [
        *("experiment=tsne_models", "encoder=lbp", "reduction.perplexity=5", "reduction.iterations=250"),
    ],
    "gmm_models": ["experiment=gmm_models", "encoder.weights=none", "encoder.input_size=32"],
    "classifier_models": CNN,
    "pseudolabel_models": [
        *("experiment=pseudolabel_models", "encoder=resnet18", "encoder.weights=none"),
        *("encoder.input_size=32", "trainer.max_epochs=1"),
    ],
    "multiformer_models": [
        *("experiment=multiformer_models", "encoder.encoders=[lbp,spectrum]", "decision=vote"),
    ],
    **{f"subset_{name}": [*SVM, f"decision={name}"] for name in ("centroid", "knn", "logistic", "kmeans")},
    "subset_svm_rbf_chosen": [*SVM, "decision.kernel=rbf", "decision.C=null", "decision.fit_on=both"],
    "subset_logistic_chosen": [*SVM, "decision=logistic", "decision.C=null", "decision.fit_on=generated"],
    "subset_standardised": [*SVM, "decision.standardise=true", "decision.class_weight=balanced"],
    "subset_knn_manhattan": [*SVM, "decision=knn", "decision.distance=manhattan", "decision.k=3"],
    "subset_open_set": [
        *(*SVM, "decision=centroid", "decision.open_set=true", "decision.share_known=0.6"),
        "data.leave_out=t2",
    ],
    "subset_open_svm": [*SVM, "decision.open_set=true"],
    "subset_lungs": [*SVM, "region=lung", "filter=equalize", "encoder=pixels", "encoder.side=8"],
    "subset_pca": [*SVM, "reduction=pca90"],
    "subset_shuffled": [*SVM, "data.shuffle_labels=true"],
    "subset_head": [
        *("experiment=siamese_subtask2", "training=classifier", "decision=head"),
        *("encoder.channels=[4,8]", "training.fit_on=both"),
    ],
    "subset_all_pairs_best": [
        *("experiment=siamese_subtask2", "pairing=all", "callbacks=best", "training.optimiser.name=adamw"),
        *("training.augment.flip=true", "encoder.channels=[4,8]"),
    ],
    **{f"model_{name}": [*MODELS, f"decision={name}"] for name in ("hierarchical", "dbscan_rerank", "vote")},
    "model_cosine": [
        *MODELS,
        "decision=hierarchical",
        "decision.linkage=average",
        "decision.distance=cosine",
    ],
    "model_gmm_full": [*MODELS, "decision=gmm", "decision.covariance=tied", "reduction=pca95"],
    "model_clusters": [*MODELS, "decision.clusters=6", "reduction=autoencoder", "reduction.latent=8"],
    "model_svm": [*MODELS, "decision=svm", "decision.fit_on=generated"],
    "model_test_classes": [*MODELS, "data.test_classes=3", "filter=laplacian"],
    "usage_mean": [*USAGE, "decision.rule=mean", "decision.standardise=false"],
    "usage_k_nearest_half": [*USAGE, "decision.rule=k_nearest", "decision.k=3", "decision.cut=half"],
    "usage_reference": [*USAGE, "decision.scaled_by=training", "pairing=nearest"],
    "usage_frozen": [*USAGE, "training=frozen", "encoder=spectrum", "reduction=pca95"],
    "usage_held_out": [*USAGE, "training=frozen", "encoder=pixels", "data.folds_below=0"],
    "usage_two_generators": [
        *(*USAGE, "data=imageclef2024_usage", "encoder.channels=[4,8]", "trainer.max_epochs=1"),
    ],
}


def make_data(folder: Path) -> dict[str, Path]:
    """A share of the embedded benchmark of each task, with its groups and truth; `usage` also twice."""
    roots = {}
    for task, kept in (("subset", 6), ("usage", 3), ("model", 6)):
        root = folder / task
        roots[task] = root
        for directory in sorted(p for p in (PACKAGE / "embedded" / task).rglob("*") if p.is_dir()):
            for image in sorted(directory.glob("*.png"))[::kept]:
                target = root / image.relative_to(PACKAGE / "embedded" / task)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(image, target)
        there = {path.relative_to(root).as_posix() for path in root.rglob("*.png")}
        there |= {Path(name).stem for name in there}
        for name in ("groups.csv", "test_truth.csv"):
            source = PACKAGE / "embedded" / task / name
            if source.exists():
                rows = list(csv.reader(source.open()))
                kept_rows = [row for row in rows if row[0] in there or row[0] == "file"]
                with (root / name).open("w", newline="") as handle:
                    csv.writer(handle, lineterminator="\n").writerows(kept_rows)
    two = roots["usage_2024"] = folder / "usage_2024"
    for generator in ("model_1", "model_2"):
        for name in ("real_used", "real_not_used", "generated"):
            shutil.copytree(roots["usage"] / name, two / generator / name)
    return roots


def run(out: Path) -> None:
    """Run every case into `out/<case>`; a case that fails is said and leaves no metrics."""
    from hydra.core.global_hydra import GlobalHydra

    from fingerprints import train

    roots = make_data(out / "data")
    for name, words in CASES.items():
        layout = next((w for w in words if w.startswith("data=")), "")
        task = "usage_2024" if layout else _task(words[0])
        started = time.perf_counter()
        sys.argv = ["train", *FAST, *words, f"data.root={roots[task]}", f"run_dir={out / name}"]
        sys.argv.append(f"paths.outputs={out / 'outputs'}")
        GlobalHydra.instance().clear()
        try:
            train.main()
        except SystemExit as stop:
            print(f"{name}: exit {stop.code}", flush=True)
        print(f"{name}: {time.perf_counter() - started:.1f} s", flush=True)


def _task(experiment: str) -> str:
    if experiment.endswith("_models"):
        return "model"
    return "usage" if experiment.endswith("1") else "subset"


def load(out: Path) -> int:
    """Predict the test part again from every run folder; returns the number of cases that differ."""
    from hydra.core.global_hydra import GlobalHydra

    from fingerprints import predict

    different = 0
    for name, words in CASES.items():
        task = _task(words[0])
        test, again = out / "data" / task / "test", out / f"{name}.again.csv"
        sys.argv = [
            "predict",
            f"run={out / name}",
            f"out={again}",
            "accelerator=cpu",
            f"store={out / 'again'}",
        ]
        if task == "usage":
            sys.argv += [f"images={test / 'real_unknown'}", f"generated={test / 'generated'}"]
        else:
            sys.argv.append(f"images={test / 'generated_unknown'}")
        if not (out / name / "run.csv").exists():  # two generators and no test part
            sys.argv.append("generator=model_1")
        GlobalHydra.instance().clear()
        try:
            predict.main()
        except SystemExit as stop:
            print(f"{name}: exit {stop.code}")
        expected = out / name / "run.csv"
        same = again.exists() and (not expected.exists() or again.read_text() == expected.read_text())
        different += not same
        print(f"{name}: {'same' if same else 'DIFFERENT'}", flush=True)
    print(f"{len(CASES) - different} of {len(CASES)} run folders predict the same")
    return different


def compare(left: Path, right: Path) -> int:
    """Print what differs; returns the number of cases with another label or another figure."""
    different = same = 0
    for name in CASES:
        one, other = (_numbers(folder / name) for folder in (left, right))
        if one is None or other is None or one.keys() != other.keys():
            different += 1
            print(f"{name}: missing, or with other images or figures")
            continue
        labels = sum(value != other[key] for key, value in one.items() if isinstance(value, str))
        gaps = {key: abs(value - other[key]) for key, value in one.items() if not isinstance(value, str)}
        figures, scores = (
            max((gap for key, gap in gaps.items() if key.startswith(start)), default=0.0)
            for start in ("metrics", "score")
        )
        different += bool(labels or figures)
        same += not (labels or figures or scores)
        print(f"{name}: {labels} other labels, figures within {figures:.1g}, scores within {scores:.1g}")
    print(f"{same} of {len(CASES)} are the same to the last digit")
    print(f"{len(CASES) - different} of {len(CASES)} have the same labels and figures")
    return different


def _numbers(folder: Path) -> dict[str, Any] | None:
    """Figures, labels and scores of a run by name; `None` where there is no run. Words are left out."""
    if not (folder / "metrics.json").is_file():
        return None
    document = json.loads((folder / "metrics.json").read_text())
    kept = {
        key: document.get(key, {}) for key in ("validation", "test", "baselines", "controls", "silhouette")
    }
    found = {key: value for key, value in _leaves(kept, "metrics") if isinstance(value, int | float)}
    table = folder / "predictions.csv"
    for row in csv.DictReader(table.open()) if table.exists() else ():
        found |= {f"label {row['id']}": row["label"]}
        found |= {f"{key} {row['id']}": float(row[key]) for key in row if key.startswith("score")}
    return found


def _leaves(node: Any, prefix: str) -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        return [leaf for key, value in node.items() for leaf in _leaves(value, f"{prefix}.{key}")]
    return [(prefix, node)]


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(Path(sys.argv[2]).absolute())
    elif sys.argv[1] == "load":
        raise SystemExit(load(Path(sys.argv[2]).absolute()) > 0)
    else:
        raise SystemExit(compare(Path(sys.argv[2]), Path(sys.argv[3])) > 0)
