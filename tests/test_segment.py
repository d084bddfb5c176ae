from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from fingerprints import segment


def test_a_folder_of_pairs_becomes_a_segmenter(command, tmp_path, write_image, write_rows):
    square = np.zeros((32, 32), np.uint8)
    square[8:20, 8:24] = 255
    for number in range(4):
        write_image(tmp_path / f"images/{number}.png", 200 - square // 2 + number)
        write_image(tmp_path / f"masks/{number}.png", (square // 255).astype(np.uint16), mode="I;16")
    write_image(tmp_path / "images/more.webp", 1, format="PNG")
    write_rows(tmp_path / "groups.csv", [("file", "patient"), *((f"{n}.png", f"{n // 2}") for n in range(4))])
    words = ("images=images", "masks=masks", "groups=groups.csv", "validation=0.5", "seed=1", "size=16")
    words += ("widths=[2,4]", "batch_size=2", "lr=0.01", "epochs=3", "accelerator=cpu")
    code, printed = command(segment, "out=run", *words)
    assert code == 0, printed
    assert "trained on 2 pairs" in printed
    assert "note: 1 file(s) are not images and were left out: .webp (1)" in printed
    assert "region.weights=run/segmenter.safetensors" in printed
    figures = json.loads((tmp_path / "run/dice.json").read_text())
    assert {tuple(figures["trained_on"])} <= {("0.png", "1.png"), ("2.png", "3.png")}
    assert 0 < figures["mean"]["threshold"] <= 1
    assert figures["undefined"]["threshold"] == 0
    assert [figures[key] for key in ("size", "seed", "epochs")] == [16, 1, 3]
    given = {"widths": [2, 4], "batch_size": 2, "lr": 0.01}
    assert figures["segmenter"].items() >= given.items()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "dice.json",
        "overlays.png",
        "segmenter.safetensors",
    }
    with Image.open(tmp_path / "run/overlays.png") as picture:
        assert picture.size == (512, 256)


@pytest.mark.parametrize(
    ("word", "said"),
    [("validation=0.6", "validation=0.6 is out of range"), ("epoch=3", "did you mean 'epochs'")],
)
def test_mistakes_are_said_in_plain_words(command, tmp_path, word, said):
    code, printed = command(segment, "images=images", "masks=masks", "out=run", word)
    assert code == 2, printed
    assert printed.startswith("error: ")
    assert said in printed
    assert list(tmp_path.iterdir()) == []
