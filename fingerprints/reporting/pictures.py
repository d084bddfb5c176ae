"""Images of a run's page: the surest answers, and what lies nearest to an image in the other domain.

Pixels of patients leave the machine with the page, so they are on it only if that was asked for. Images are
shown as the detector saw them, after filter and region and before the encoder.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray
from PIL import Image
from sklearn.utils import gen_batches

from fingerprints.core.tasks import USED
from fingerprints.data.embedded import is_embedded
from fingerprints.data.groups import block_means
from fingerprints.data.index import Index
from fingerprints.data.store import ImageStore
from fingerprints.decisions.clusters.labels import align
from fingerprints.decisions.distances import euclidean
from fingerprints.detector.detection import Detection, Predictions
from fingerprints.reporting.drawing import BLUE, VERMILLION
from fingerprints.reporting.figures import judged_part
from fingerprints.reporting.html import PicturePanel, PictureRow, PictureTile
from fingerprints.reporting.tables import score_names

Rows = NDArray[np.int64]

IN_A_ROW = 7
"""Images of each kind of answer."""

SUSPECTS, NEAREST = 5, 3
"""Images called used that are shown, and generated images beside each."""

SIDE = 64
"""Side of the images that are compared, in pixels; larger ones are averaged in blocks."""

SHOWN = 128
"""Largest side of an image on the page, in pixels; larger ones are averaged in blocks."""

FULL = 128
"""Difference in grey levels (of 255) that has the full colour."""

COLOURS = (
    "Differences: {first} minus {second} image; white is equal, orange brighter, blue darker, full colour "
    f"from {FULL} levels."
)
DIFFERENCES = (
    f"Nearest: smallest Euclidean distance of the pixels at {SIDE} x {SIDE} at most, which need not be what "
    f"the detector compares; “rms” is that distance for one pixel, in grey levels of 255. {COLOURS} "
    "Some image is always the nearest: that alone is no sign of a copy."
)

_SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, "#FFFFFF", VERMILLION], N=257)


def may_show(store: ImageStore, *, asked: bool) -> bool:
    """Whether a page may have pixels: if asked for, or if every image is of the embedded benchmark."""
    folders = {Path(path).parent for path in store.paths}
    return asked or (bool(folders) and all(map(is_embedded, folders)))


def picture_notes(seen: ImageStore, panels: Mapping[str, Sequence[PicturePanel]]) -> list[str]:
    """What is said above a page that has pixels of the data; nothing if all are of the embedded benchmark."""
    if not any(panels.values()) or may_show(seen, asked=False):
        return []
    return ["This page holds images of the data: whoever may not see the data may not get it."]


def picture_panels(index: Index, detection: Detection, store: ImageStore) -> list[PicturePanel]:
    """The images of one generator's section.

    Args:
        index: The data set.
        detection: The detector's answers; without truth in the test part, hits are shown of validation.
        store: Images as the encoder got them.

    Raises:
        OSError: If the store cannot be read.
    """
    judged = judged_part(index, detection) or detection.test
    if judged is None:
        return []
    panels = [_answers(index, judged, store, part=_part(judged, detection))]
    if index.task.unit == "real":
        suspected = detection.test or judged
        panels += _suspects(index, suspected, store, detection)
    else:
        panels += _leading(index, judged, store)
    return panels


def nearest(store: ImageStore, queries: Rows, candidates: Rows, *, count: int) -> tuple[Rows, NDArray]:
    """The candidates with the smallest Euclidean distance of pixels to each query, at `SIDE` x `SIDE`.

    Args:
        store: The pixels; the three colours of a coloured image are averaged.
        queries: `(q,)` rows of the store.
        candidates: `(c,)` rows of the store.
        count: Candidates for each query; fewer if there are fewer.

    Returns:
        `(q, count)` rows of the store, nearest first, and the root mean square difference of their pixels
        in grey levels, in [0, 255].
    """
    own = _small(store, queries)
    distances = np.concatenate(
        [euclidean(own, _small(store, candidates[part])) for part in gen_batches(len(candidates), 512)],
        axis=1,
    )
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    found = np.take_along_axis(distances, order, axis=1) / np.sqrt(own.shape[1])
    return candidates[order], found


def kinds(index: Index, judged: Predictions) -> dict[str, Rows]:
    """Kinds of answers in words, each with positions in `judged`, the surest first; none is empty.

    `usage` has a kind for each label and answer, other tasks have right and wrong answers. Where the truth
    is not known, answers are not told apart by it. Sure is, for `usage`, a score far on the side of the
    answer; for classes, a large difference between the two highest scores. Without scores the order is that
    of the part, with images evenly spaced.
    """
    truth, answers = judged.rows["label"].to_numpy(dtype=str), judged.labels
    known = bool((truth != "").any())
    if judged.clusters and known:
        answers = align(answers, truth)
    if index.task.positive is not None:
        names = np.char.add("called ", answers)
        names = np.char.add(np.char.add(truth, ", "), names) if known else names
        order = sorted(set(names.tolist()), key=lambda name: (name.startswith("not_used"), name))
        found = {name: np.flatnonzero(names == name) for name in order}
    elif known:
        right = truth == answers
        found = {"right answers": np.flatnonzero(right), "wrong answers": np.flatnonzero(~right)}
    else:
        found = {"answers": np.arange(len(answers))}
    sure = _certainty(judged)
    return {
        name.replace("_", " "): _spaced(places)
        if sure is None
        else places[np.argsort(-sure[places], kind="stable")]
        for name, places in found.items()
        if len(places)
    }


def _certainty(judged: Predictions) -> NDArray | None:
    """`(n,)`, higher is surer among images with the same answer; `None` without scores."""
    if judged.scores is None:
        return None
    if judged.scores.ndim == 1:
        return np.where(judged.labels == USED, judged.scores, -judged.scores)
    ordered = np.sort(judged.scores, axis=1)
    return ordered[:, -1] - ordered[:, -2] if ordered.shape[1] > 1 else ordered[:, -1]


def _spaced(places: Rows) -> Rows:
    return places[np.unique(np.linspace(0, len(places) - 1, min(IN_A_ROW, len(places))).round().astype(int))]


def _part(judged: Predictions, detection: Detection) -> str:
    return "test part" if judged is detection.test else "validation"


def _answers(index: Index, judged: Predictions, store: ImageStore, *, part: str) -> PicturePanel:
    rows = judged.rows.index.to_numpy(dtype=np.int64)
    found = kinds(index, judged)
    shown = [
        PictureRow(
            f"{name[:1].upper()}{name[1:]} ({len(places):,})"
            if judged.scores is not None
            else name.capitalize(),
            [
                PictureTile(png(_pixels(store, rows[place])), *_words(index, judged, place))
                for place in places[:IN_A_ROW]
            ],
        )
        for name, places in found.items()
    ]
    order = (
        "the surest first" if judged.scores is not None else "evenly spaced, as the answers have no scores"
    )
    meaning = (
        "the highest and lowest scores" if index.task.positive is not None else "the largest lead of a score"
    )
    sure = f" Surest: {meaning}." if judged.scores is not None else ""
    return PicturePanel(
        title="Surest answers" if judged.scores is not None else "Answers",
        caption=f"Images of the {part} as the detector saw them, before the encoder; {order}.{sure}",
        rows=shown,
    )


def _words(index: Index, judged: Predictions, place: int) -> tuple[str, str]:
    """Caption and alternative text of one image."""
    row, answer = judged.rows.iloc[place], str(judged.labels[place])
    label, name = row["label"], str(row["id"])
    said = f"{label} → {answer}" if label and index.task.positive is None else answer
    if judged.scores is not None and judged.scores.ndim == 1:
        said = f"score {judged.scores[place]:.2f}".replace("-", "−")
    truth = f"{label}, " if label else ""
    return f"{name}\n{said}", f"Image {name}: {truth}answered {answer}.".replace("_used", " used")


def _suspects(
    index: Index, judged: Predictions, store: ImageStore, detection: Detection
) -> list[PicturePanel]:
    """Images called used beside their nearest generated ones."""
    sure = _certainty(judged)
    called = np.flatnonzero(judged.labels == USED)
    called = _spaced(called) if sure is None else called[np.argsort(-sure[called], kind="stable")]
    generated = index.select(domain="generated", generator=detection.generator)
    own = (generated["split"] == "test") == (judged is detection.test)
    candidates = generated.index[own].to_numpy(dtype=np.int64)
    places = called[:SUSPECTS]
    if not len(places) or not len(candidates):
        return []
    rows = judged.rows.index.to_numpy(dtype=np.int64)[places]
    found, distances = nearest(store, rows, candidates, count=NEAREST)
    shown = []
    for place, row, others, far in zip(places, rows, found, distances, strict=True):
        tiles = [PictureTile(png(_pixels(store, row)), *_words(index, judged, place))]
        for rank, (other, rms) in enumerate(zip(others, far, strict=True), start=1):
            tiles += _beside(index, store, row, other, f"generated {rank}", rms)
        title = ", ".join(filter(None, [judged.rows.iloc[place]["label"], "called used"]))
        shown.append(PictureRow(_sentence(title), tiles))
    return [
        PicturePanel(
            title="Suspected images and the generated images nearest to them",
            caption=f"The surest of {len(called):,} images of the {_part(judged, detection)} called used. "
            + DIFFERENCES.format(first="real", second="generated"),
            rows=shown,
        )
    ]


def _leading(index: Index, judged: Predictions, store: ImageStore) -> list[PicturePanel]:
    """Generated images beside the nearest real training images of the two classes with the highest scores."""
    if judged.scores is None or judged.scores.ndim == 1:
        return []
    names = np.array(score_names(index.classes, judged.scores))
    real = index.select(domain="real", split="train")
    of_class = {name: real.index[real["label"] == name].to_numpy(dtype=np.int64) for name in names}
    rows = judged.rows.index.to_numpy(dtype=np.int64)
    found = kinds(index, judged)
    shown = []
    for kind, places in found.items():
        for place in places[: 4 // len(found)]:
            order = names[np.argsort(-judged.scores[place], kind="stable")]
            leading = [name for name in order if len(of_class[name])][:2]
            tiles = [PictureTile(png(_pixels(store, rows[place])), *_words(index, judged, place))]
            for name in leading:
                (others,), (far,) = nearest(store, rows[[place]], of_class[name], count=1)
                tiles += _beside(index, store, rows[place], others[0], f"real {name}", far[0])
            if leading:
                shown.append(PictureRow(_sentence(kind.removesuffix("s")), tiles))
    if not shown:
        return []
    return [
        PicturePanel(
            title="Generated images and the real images nearest to them",
            caption="Beside each generated image: the nearest real training images of the two subsets with "
            "the highest scores. " + DIFFERENCES.format(first="generated", second="real"),
            rows=shown,
        )
    ]


def _beside(
    index: Index, store: ImageStore, row: int, other: int, what: str, rms: float
) -> list[PictureTile]:
    """A neighbour, and the difference to it."""
    name = str(index.table.loc[other, "id"])
    left, right = (_grey(_pixels(store, at)) for at in (row, other))
    return [
        PictureTile(png(_pixels(store, other)), f"{what}\n{name}, rms {rms:.1f}", f"Image {name}, {what}."),
        PictureTile(png(difference(left, right)), "difference", f"Difference to image {name}."),
    ]


def difference(left: NDArray, right: NDArray) -> NDArray[np.uint8]:
    """The first minus the second grey image `(h, w)`, in colours of `DIFFERENCES`, `(h, w, 3)`."""
    signed = (left.astype(np.float32) - right.astype(np.float32)) / (2 * FULL)
    return _SIGNED(signed + 0.5, bytes=True)[..., :3]


def _sentence(words: str) -> str:
    return words.replace("_", " ").capitalize()


def _small(store: ImageStore, rows: Rows) -> NDArray[np.float32]:
    means = block_means(_grey(store.images[rows]), side=SIDE)
    return means.reshape(len(means), -1)


def _grey(images: NDArray) -> NDArray:
    """`(n, S, S)` of `(n, S, S)` or `(n, 3, S, S)` images; `(S, S)` of one `(S, S)` or `(S, S, 3)` image."""
    if images.ndim == 4:
        return images.mean(axis=1)
    return images.mean(axis=-1) if images.shape[-1] == 3 else images


def _pixels(store: ImageStore, row: int) -> NDArray[np.uint8]:
    """`(S, S)`, or `(S, S, 3)` in colour; S is at most `SHOWN`."""
    image = np.asarray(store.images[row])
    planes = image if image.ndim == 3 else image[None]
    if planes.shape[-1] > SHOWN:
        planes = block_means(planes, side=SHOWN).round().astype(np.uint8)
    return planes[0] if len(planes) == 1 else np.moveaxis(planes, 0, -1)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file without metadata, of `(h, w)` grey or `(h, w, 3)` coloured pixels."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "png", optimize=True)
    return buffer.getvalue()
