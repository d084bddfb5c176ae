"""Notes on candidates and generated images."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

from fingerprints.data.usage_notes import usage_notes


def made(domains: str, *, split: str, seed: int = 0):
    """A table with a row for each letter (r: real, g: generated), and a store of random images."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (len(domains), 32, 32), dtype=np.uint8)
    table = pd.DataFrame(
        {
            "generator": "",
            "split": split,
            "domain": ["real" if letter == "r" else "generated" for letter in domains],
            "path": [f"{letter}{at}.png" for at, letter in enumerate(domains)],
        }
    )
    return table, pixels


def notes(table, pixels) -> list[str]:
    digests = np.array([image.tobytes().hex()[:64] for image in pixels])
    return usage_notes(table, SimpleNamespace(images=pixels, digests=digests))


def test_nothing_is_said_about_enough_images_that_differ() -> None:
    assert notes(*made("rrr" + 50 * "g", split="test")) == []


def test_few_generated_images_are_counted() -> None:
    (said,) = notes(*made("rrr" + 49 * "g", split="train"))
    assert said.startswith("training part: only 49 generated images")


def test_a_copy_among_the_generated_images_is_a_finding() -> None:
    table, pixels = made("rrr" + 50 * "g", split="test")
    pixels[20] = pixels[1]
    (said,) = notes(table, pixels)
    assert "1 real image(s) are also among the generated ones" in said
    assert said.endswith("r1.png")


def test_near_duplicates_are_named_together_in_the_test_part_only() -> None:
    for split, count in (("test", 1), ("train", 0)):
        table, pixels = made("rrrr" + 50 * "g", split=split)
        pixels[3] = pixels[0]
        pixels[3, 0, 0] ^= 1
        found = notes(table, pixels)
        assert len(found) == count
        assert all(
            "2 real images have a near duplicate" in said and "r0.png, r3.png" in said for said in found
        )
