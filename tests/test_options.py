"""Every documented option reaches what it is an option of: it changes what is predicted."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.detector.detector import Detector
from fingerprints.experiment.perform import load_data, recipe
from tests.compose import settings

SVM = ["experiment=features_subtask2", "encoder=pixels"]
MODELS = ["experiment=features_models", "encoder=pixels"]
CLASSIFIER = ["experiment=classifier_models", "encoder.channels=[4,8]", "trainer.max_epochs=1"]
HEAD = [*CLASSIFIER, "decision=head"]
# What stands before the arrow is run without the last word and with it. What a part's own options do is
# tested with the part (tests/images, tests/encoders, tests/reductions, tests/decisions).
CASES = [
    *[(SVM, f"filter={name}") for name in ("laplacian", "colorize")],
    ([*SVM, "filter=noise"], "filter.amount=0.3"),
    (SVM, "region=lung region.mask=folder"),
    (SVM, "region=outer region.mask=folder"),
    ([*SVM, "region=lung", "region.mask=folder"], "region.crop=false"),
    (SVM, "encoder.side=12"),
    (SVM, "encoder=residual"),
    *[(SVM, f"decision.{words}") for words in ("fit_on=generated", "fit_on=both", "C=1e-4")],
    *[(SVM, f"decision={name}") for name in ("centroid", "knn")],
    ([*SVM, "decision=centroid"], "decision.open_set=true"),
    ([*SVM, "decision=centroid", "decision.open_set=true"], "decision.share_known=0.4"),
    ([*SVM, "decision=centroid"], "data.leave_out=t1"),
    ([*SVM, "decision=centroid"], "data.shuffle_labels=true"),
    *[([*SVM, "decision=kmeans"], f"decision.cluster_on={on}") for on in ("generated", "both")],
    *[(MODELS, f"decision={name}") for name in ("hierarchical", "dbscan_rerank")],
    (MODELS, "decision.clusters=6"),
    (MODELS, "data.test_classes=2"),
    (MODELS, "decision.init=random decision.restarts=1"),
    (MODELS, "decision=vote decision.voters=[gmm]"),
    (MODELS, "reduction=pca reduction.components=1 reduction.variance=null"),
    (MODELS, "reduction=autoencoder reduction.latent=2 reduction.epochs=2"),
    (MODELS, "reduction=tsne reduction.perplexity=5 reduction.iterations=250"),
    (HEAD, "training.batch_size=4"),
    (HEAD, "training.optimiser.lr=1e-2"),
    (HEAD, "training.augment.flip=true"),
    (HEAD, "training.rounds=1"),
    ([*HEAD, "training.rounds=1"], "training.pseudo_labels=3"),
    (CLASSIFIER, "encoder.embedding=5"),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What a configuration answers to the test part; each one once."""
    known: dict[tuple, tuple] = {}
    folder = tmp_path_factory.mktemp("options")

    def ask(words, roots, masks):
        key = tuple(words)
        if key not in known:
            task = "model" if "models" in words[0] else "subset"
            more = [f"data.root={roots[task]}", "data.size=48", "trainer=cpu", f"paths.outputs={folder}"]
            if "region.mask=folder" in words:
                more.append(f"region.folder={masks}")
            config = settings(*words, *more)
            index, _, seen = load_data(config)
            checkpoints = folder / f"checkpoints{len(known)}"
            found = Detector(index, seen, recipe(config), folder=checkpoints).run("").test
            known[key] = (found.labels.tolist(), None if found.scores is None else found.scores.tolist())
        return known[key]

    return ask


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One folder of each layout for all cases, made by the fixtures' own code, and lung masks."""
    from PIL import Image

    from tests.conftest import SIZE, _body, _pixels, _rows, _stripes, _write

    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)

    def image(kind: int):
        return _pixels(rng, 60 * _body(rng) + 12 * _stripes(rng, kind, 4))

    for kind, label in enumerate(("t1", "t2", "t3")):
        for number in range(14):
            _write(root / f"subset/real/{label}/{label}_{number}.png", image(kind))
            _write(root / f"subset/generated/gen_{label}/g{label}_{number}.png", image(kind))
            _write(root / f"model/generated/m{label}/m{label}_{number}.png", image(kind))
    for number in range(16):
        _write(root / f"subset/test/generated_unknown/u{number}.png", image(number % 3))
        _write(root / f"model/test/generated_unknown/u{number}.png", image(number % 4))
    _rows(
        root / "subset/groups.csv",
        [("file", "group")]
        + [
            (f"real/{label}/{label}_{n}.png", f"{label}_{n}")
            for label in ("t1", "t2", "t3")
            for n in range(14)
        ],
    )
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[10:40, 6:20] = 255
    for path in [*root.glob("subset/**/*.png")]:
        target = root / "masks" / path.relative_to(root / "subset")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(target)
    return {"subset": root / "subset", "model": root / "model"}, root / "masks"


@pytest.mark.parametrize(
    ("words", "option"), CASES, ids=[f"{'+'.join(w[1:])}+{o}".replace(" ", "+") for w, o in CASES]
)
def test_an_option_changes_what_is_predicted(words, option, answers, data):
    before, after = answers(words, *data), answers([*words, *option.split()], *data)
    assert before != after
