"""The archives of the challenge as they unpack, with tiny images: the authors' folders and file names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 48
SUBSETS = ("t1", "t2", "t3")
Name = Callable[[int], str]


def save(path: Path, pixels: np.ndarray, *, palette: bool) -> None:
    """Save grey pixels; with a palette, whose entries stand in reverse order."""
    image = Image.fromarray(255 - pixels if palette else pixels)
    if palette:
        image.putpalette([255 - entry // 3 for entry in range(3 * 256)])
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _folders_2023() -> Iterator[tuple[str, Name]]:
    for folder in ("used", "not_used", "generated"):
        yield f"train/dev/{folder}", lambda n, folder=folder: f"{folder}_{n:04d}.png"
    yield "test/test/real_unknown_1", lambda n: f"real_unknown_{n:04d}.png"
    yield "test/test/generated_1", lambda n: f"generated_{n:05d}.png"


def _folders_2024(real: str, generated: str) -> Iterator[tuple[str, Name]]:
    for model in (1, 2):
        for folder in ("used", "not_used", "generated"):
            yield f"train/Task 1/Folder {model}/{folder}", lambda n, folder=folder: f"{folder}_{n:05d}.png"
        at = f"test/Task 1/{real.format(model)}"
        yield at, lambda n, model=model: f"real_unknown_{model}_{n:06d}.png"
        yield f"test/Task 1/{generated.format(model)}", lambda n: f"generated_{n:05d}.png"


def _folders_2025_usage() -> Iterator[tuple[str, Name]]:
    for folder in ("generated", "real_used", "real_not_used"):
        at = f"train/ImageCLEF25_GAN_Detect_Training_Data_Usage_training-dataset/{folder}"
        yield at, lambda n, folder=folder: f"{folder}_{n}.png"
    for folder in ("real_unknown", "generated"):
        yield f"test/{folder}", lambda n, folder=folder: f"{folder}_{n}.png"


def _folders_2025_subset(generated: str) -> Iterator[tuple[str, Name]]:
    for subset in SUBSETS:
        for folder, name in (("real", subset), ("generated", generated.format(subset))):
            at = f"train/GAN25_Identify_Training_Data_Subset/{folder}/{name}"
            yield at, lambda n, stem=f"{folder}_{subset}": f"{stem}_{n}.png"
    yield "test/Subtask2/Subtask2/Subtask2_test/generated_unknown", lambda n: f"generated_unknown_{n}.png"


EDITIONS: dict[str, tuple[str, Callable[[], Iterator[tuple[str, Name]]]]] = {
    "2023": ("usage_2023", _folders_2023),
    "2024 in folders": ("usage_2024", lambda: _folders_2024("Folder {}", "Folder {}/generated")),
    "2024 in one folder": ("usage_2024", lambda: _folders_2024("real_unknown", "generated_{}")),
    "2025 usage": ("usage", _folders_2025_usage),
    "2025 subset, t1": ("subset", lambda: _folders_2025_subset("{}")),
    "2025 subset, gen_t1": ("subset", lambda: _folders_2025_subset("gen_{}")),
}
"""Name -> the layout as `prepared` names it, and the folders with the names of their files."""


def unpack(at: Path, edition: str, *, count: int = 12) -> tuple[Path, Path]:
    """Write the two archives of an edition; returns the data root and the root of the test part.

    Every second folder holds palette images. Litter of the archiver and a text lie beside the images.
    """
    rng = np.random.default_rng(0)
    for place, (folder, name) in enumerate(EDITIONS[edition][1]()):
        for number in range(1, count + 1):
            pixels = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
            save(at / folder / name(number), pixels, palette=place % 2 == 1)
        litter = at / folder.split("/")[0] / "__MACOSX" / folder / "._1.png"
        litter.parent.mkdir(parents=True, exist_ok=True)
        litter.write_bytes(b"")
    (at / "train/readme.txt").write_text("Read me.")
    return at / "train", at / "test"
