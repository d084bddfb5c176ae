"""Tiny data sets made on the fly: 48 x 48 grey PNG files in the layouts of the challenge."""

from __future__ import annotations

import csv
import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import settings
from PIL import Image

SIZE = 48
CONF = Path(__file__).parents[1] / "conf"
LAYOUTS = {
    "subset": "imageclef2025_subset",
    "usage": "imageclef2025_usage",
    "usage_2023": "imageclef2023_usage",
    "usage_2024": "imageclef2024_usage",
    "model": "imageclef2024_model",
}

# Of tests of properties; HYPOTHESIS_PROFILE=thorough or pytest's --hypothesis-profile chooses another.
settings.register_profile("default", max_examples=20, deadline=None)
settings.register_profile("thorough", max_examples=200, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def _pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from tests.pair import Pair

    made = Pair(tmp_path_factory.mktemp("pair"))
    yield made
    made.stop()


@pytest.fixture
def pair(_pair: Any) -> Any:
    """Two processes in one group (tests/pair.py); they start while the test does what one process does."""
    _pair.prepare()
    return _pair


def _write(
    path: Path, content: Any = 0, *, mode: str = "L", size: int | tuple[int, int] = SIZE, **options: Any
) -> Path:
    if isinstance(content, int):
        width, height = (size, size) if isinstance(size, int) else size
        deep = mode.startswith("I")
        content = np.random.default_rng(content).integers(0, 65_536 if deep else 256, (height, width))
        content = content.astype(np.uint16 if deep else np.uint8)
    image = Image.fromarray(np.asarray(content))
    if image.mode != mode:
        image = image.convert(mode)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def _rows(path: Path, rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows(rows)


def _body(rng: np.random.Generator) -> np.ndarray:
    """A smooth field of mean 0 and deviation near 1: what one patient looks like."""
    coarse = Image.fromarray(rng.standard_normal((6, 6)).astype(np.float32))
    return np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def _stripes(rng: np.random.Generator, kind: int, kinds: int) -> np.ndarray:
    """Stripes at an angle of their own for each kind, at a random phase: what one class looks like."""
    angle = np.pi * kind / kinds
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / 6 + rng.uniform(0, 2 * np.pi))


def _pixels(rng: np.random.Generator, signal: np.ndarray, *, noise: float = 8.0) -> np.ndarray:
    return np.clip(128 + signal + noise * rng.standard_normal((SIZE, SIZE)), 0, 255).round().astype(np.uint8)


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """`write_image(path, array or seed, mode="L", size=48 or (width, height), **save options)`."""
    return _write


@pytest.fixture
def write_rows() -> Callable[[Path, Iterable[Sequence[str]]], None]:
    """`write_rows(path, rows)` writes a CSV."""
    return _rows


@pytest.fixture
def write_dicom() -> Callable[..., Path]:
    """`write_dicom(path, stored values (H, W) or (n, H, W), **header)`: a CT slice that names a patient.

    Values are int16 or uint16, and Hounsfield units plus 1024; a header value of `None` is left out.
    """
    pydicom = pytest.importorskip("pydicom")
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    def make(path: Path, stored: Any = 0, *, rle: bool = False, **header: Any) -> Path:
        if isinstance(stored, int):
            stored = np.random.default_rng(stored).integers(0, 2000, (SIZE, SIZE)).astype(np.int16)
        data = pydicom.Dataset()
        values = {
            "SOPClassUID": CTImageStorage,
            "SOPInstanceUID": generate_uid(),
            "StudyInstanceUID": generate_uid(),
            "PatientName": "Secret^Nobody",
            "PatientID": "ID-SECRET-17",
            "PatientBirthDate": "19510203",
            "StudyDate": "20190807",
            "InstitutionName": "Hidden Hospital",
            "Modality": "CT",
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": stored.shape[1 if stored.ndim == 3 else 0],
            "Columns": stored.shape[2 if stored.ndim == 3 else 1],
            "NumberOfFrames": len(stored) if stored.ndim == 3 else None,
            "BitsAllocated": 16,
            "BitsStored": 16,
            "PixelRepresentation": int(stored.dtype.kind == "i"),
            "PixelData": stored.tobytes(),
        }
        values |= header
        if values["BitsStored"] is not None:
            values.setdefault("HighBit", values["BitsStored"] - 1)
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        for name, value in values.items():
            if value is not None:
                setattr(data, name, value)
        if rle:
            data.compress(pydicom.uid.RLELossless)
        path.parent.mkdir(parents=True, exist_ok=True)
        data.save_as(path, enforce_file_format=True)
        return path

    return make


@pytest.fixture
def subset_root(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder in the layout `imageclef2025_subset`.

    Stripes tell the classes apart; two neighbouring real images are one patient.
    """

    def make(
        *,
        per_class: int = 14,
        classes: int = 3,
        test: int = 9,
        truth: bool = True,
        groups: bool = True,
        seed: int = 0,
        name: str = "subset",
    ) -> Path:
        rng, root = np.random.default_rng(seed), tmp_path / name
        names = [f"t{number}" for number in range(1, classes + 1)]

        def image(kind: int, body: np.ndarray | None = None) -> np.ndarray:
            body = _body(rng) if body is None else body
            return _pixels(rng, 25 * body + 50 * _stripes(rng, kind, classes))

        table = [("file", "group")]
        for kind, label in enumerate(names):
            for number in range(per_class):
                if number % 2 == 0:
                    body = _body(rng)
                file = f"real/{label}/{label}_{number:03d}.png"
                _write(root / file, image(kind, body))
                table.append((file, f"{label}_patient_{number // 2:03d}"))
                _write(root / f"generated/gen_{label}/gen_{label}_{number:03d}.png", image(kind))
        answers = []
        for number in range(test):
            kind = number % classes
            _write(root / f"test/generated_unknown/unknown_{number:03d}.png", image(kind))
            answers.append((f"unknown_{number:03d}", names[kind]))
        if test and truth:
            _rows(root / "test_truth.csv", answers)
        if groups:
            _rows(root / "groups.csv", table)
        return root

    return make


@pytest.fixture
def usage_root(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder in the layout `imageclef2025_usage`, or `imageclef2024_usage` with `generators`.

    Generated images are noisy copies of the used ones; used and not-used images are of one kind.
    """

    def make(
        *,
        per_class: int = 16,
        test: int = 12,
        truth: bool = True,
        groups: bool = True,
        generators: Sequence[str] = ("",),
        noise: float = 6.0,
        seed: int = 0,
        name: str = "usage",
    ) -> Path:
        rng, root = np.random.default_rng(seed), tmp_path / name
        table, answers = [("file", "group")], []

        def part(folders: tuple[str, str], generated: str, count: int, prefix: str) -> None:
            for folder, used in zip(folders, (True, False), strict=True):
                for number in range(count):
                    signal = 40 * _body(rng)
                    stem = f"{prefix}{'u' if used else 'n'}_{number:03d}"
                    if folder.startswith("test/"):
                        stem = f"{prefix}{2 * number + used:03d}"
                        answers.append((stem, str(int(used))))
                    _write(root / f"{folder}/{stem}.png", _pixels(rng, signal))
                    patient = f"{prefix}{'u' if used else 'n'}_patient_{number // 2:03d}"
                    table.append((f"{folder}/{stem}.png", patient))
                    if used:
                        file = f"{generated}/{prefix}gen_{number:03d}.png"
                        _write(root / file, _pixels(rng, signal, noise=noise))

        for generator in generators:
            at, start = (f"{generator}/", f"{generator}_") if generator else ("", "")
            part((f"{at}real_used", f"{at}real_not_used"), f"{at}generated", per_class, start)
            if test:
                unknown = f"test/{at}real_unknown"
                part((unknown, unknown), f"test/{at}generated", test // 2, f"{start}unknown_")
        if test and truth:
            _rows(root / "test_truth.csv", answers)
        if groups:
            _rows(root / "groups.csv", table)
        return root

    return make


@pytest.fixture
def embedded(
    subset_root: Callable[..., Path],
    usage_root: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder that stands in for the embedded benchmark: `subset` and `usage`, tiny."""
    from fingerprints.data import embedded as module

    folder = tmp_path / "embedded"
    for make, name in ((subset_root, "subset"), (usage_root, "usage")):
        root = make(name=f"embedded/{name}")
        (root / module.FACTS).write_text(json.dumps({"settings": {"size": SIZE}}))
    monkeypatch.setattr(module, "FOLDER", folder)
    return folder


@pytest.fixture
def model_root(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder in the layout `imageclef2024_model`: labelled generators, one more in the test part."""

    def make(
        *, per_class: int = 12, classes: int = 3, test: int = 8, truth: bool = True, seed: int = 0
    ) -> Path:
        rng, root = np.random.default_rng(seed), tmp_path / "model"
        kinds = classes + 1

        def image(kind: int) -> np.ndarray:
            return _pixels(rng, 25 * _body(rng) + 50 * _stripes(rng, kind, kinds))

        for kind in range(classes):
            for number in range(per_class):
                _write(root / f"generated/m{kind}/m{kind}_{number:03d}.png", image(kind))
        for number in range(test):
            _write(root / f"test/generated_unknown/unknown_{number:03d}.png", image(number % kinds))
        if test and truth:
            _rows(root / "test_truth.csv", [(f"unknown_{n:03d}", f"m{n % kinds}") for n in range(test)])
        return root

    return make


@pytest.fixture
def sources() -> Callable[[str], list[Any]]:
    """`sources(layout)`: the sources of `subset`, `usage`, `usage_2023`, ... as shipped in conf/."""
    from fingerprints.data.settings import Source

    def read(layout: str) -> list[Source]:
        text = (CONF / "data" / f"{LAYOUTS[layout]}.yaml").read_text()
        return [Source(**source) for source in yaml.safe_load(text)["sources"]]

    return read


@pytest.fixture
def prepared(tmp_path: Path, sources: Callable[[str], list[Any]]) -> Callable[..., Any]:
    """`prepared(root, layout, seed=0, **data settings)`: an index and its store, 48 pixels a side."""
    from fingerprints.core.tasks import get_task
    from fingerprints.data.index import prepare
    from fingerprints.data.settings import DataSettings

    def make(root: Path, layout: str, *, seed: int = 0, **options: Any) -> Any:
        text = (CONF / "data" / f"{LAYOUTS[layout]}.yaml").read_text()
        options = {"size": SIZE, "sources": sources(layout), **options}
        task = get_task(layout.split("_")[0], official=yaml.safe_load(text).get("official"))
        return prepare(DataSettings(root=root, **options), task, cache=tmp_path / "store", seed=seed)

    return make


@pytest.fixture
def private_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """W&B as on a machine where nobody ever logged in, with its service restarted before and after."""
    import wandb

    wandb.teardown()
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("WANDB_HTTP_TIMEOUT", "1")
    yield
    wandb.teardown()


@pytest.fixture
def detected(prepared: Callable[..., Any]) -> Callable[..., Any]:
    """`detected(root, layout)`: index, store, detections and `metrics.json` of a detector that guesses."""
    from dataclasses import replace

    from fingerprints.detector.detection import Detection, Predictions
    from fingerprints.embeddings.sources import Encoder
    from fingerprints.evidence.settings import EvidenceSettings
    from fingerprints.evidence.verdict import Verdict
    from fingerprints.reporting.figures import metrics_document, score

    def predictions(index: Any, rows: Any) -> Any:
        units = rows[rows["domain"] == index.task.unit]
        rng = np.random.default_rng(len(units))
        if index.task.positive is None:
            scores = rng.random((len(units), len(index.classes)))
            labels = np.array(index.classes)[scores.argmax(1)]
        else:
            scores = rng.random(len(units))
            labels = np.where(scores > 0.5, "used", "not_used")
        return Predictions(rows=units, labels=labels, scores=scores)

    def make(root: Path, layout: str) -> Any:
        index, store = prepared(root, layout, validation=0.3, folds=2)
        detections = []
        for generator in index.generators:
            rows = index.select(generator=generator)
            held = rows[(rows["split"] == "validation") | (rows["fold"] >= 0)]
            test = rows[rows["split"] == "test"]
            detections.append(
                Detection(
                    generator=generator,
                    encoder=Encoder(None, None),
                    decider=None,
                    validation=replace(predictions(index, held), chosen_on=("threshold",)),
                    test=predictions(index, test) if len(test) else None,
                    held_out_real=None,
                    fits={},
                    train_part=None,
                    test_part=None,
                    pair_distances=(np.empty(0), np.empty(0)),
                )
            )
        evidence = EvidenceSettings(permutations=19)
        scores = score(index, store, detections, settings=evidence, seed=0)
        verdict = Verdict(level="nothing", headline="Nothing found.", notes=["a note"])
        run = {
            "seconds": 2.5,
            "training_seconds": 1.5,
            "peak_memory_mb": {"host": 100.0},
            "data_fingerprint": "abc",
            "fingerprints": "0",
            "revision": None,
        }
        extra = {
            "verdict": {"level": verdict.level, "headline": verdict.headline, "notes": verdict.notes},
            "encoder_budget": {d.generator or "images_encoded": 7 for d in detections},
            "run": run,
        }
        return (
            index,
            store,
            detections,
            metrics_document(scores, index, detections, experiment="x", extra=extra),
        )

    return make


@pytest.fixture(scope="session")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what all workers of a session share."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "finished"


@pytest.fixture
def finished_run(_shared: Path, subset_root: Callable[..., Path], tmp_path: Path) -> Callable[..., Any]:
    """`finished_run(*words, name="run")`: a copy of a run of `siamese_subtask2` that is made once a session.

    One epoch on `subset_root()`, but for the words. What is returned says folder, root and words.
    """
    from tests.finished import finished

    def copy(*words: str, name: str = "run") -> Any:
        given = words if any("max_epochs" in word for word in words) else ("trainer.max_epochs=1", *words)
        root = functools.partial(subset_root, name="made_for_all")
        return finished(_shared, tmp_path / name, root, "siamese_subtask2", *given)

    return copy


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made but not drawn, which is half of a tiny run, in tests about something else."""
    from fingerprints.reporting import drawing

    blank = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    monkeypatch.setattr(drawing, "_saved", lambda figure, **options: blank)


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> Callable[..., tuple[int, str]]:
    """Runs an entry point as the command line would; returns exit code and what it printed."""
    from hydra.core.global_hydra import GlobalHydra

    monkeypatch.chdir(tmp_path)

    def run(module: Any, *words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, words)])
        GlobalHydra.instance().clear()
        try:
            module.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run
