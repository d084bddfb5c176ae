"""Pictures: written without loss, and put side by side."""

from __future__ import annotations

import numpy as np
from PIL import Image

from fingerprints.simulation.pictures import contact_sheet, write_image


def test_images_are_written_without_loss_in_folders_that_are_made(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (16, 12)).astype(np.uint8)
    write_image(tmp_path / "a/b/image.png", image)
    with Image.open(tmp_path / "a/b/image.png") as found:
        assert found.mode == "L"
        assert np.array_equal(np.asarray(found), image)


def test_a_contact_sheet_has_training_images_left_and_generated_ones_right():
    real = np.full((3, 16, 16), 50, dtype=np.uint8)
    generated = np.full((100, 16, 16), 200, dtype=np.uint8)
    sheet = contact_sheet(real, generated)
    assert sheet.shape == (128, 128 + 2 + 128)
    assert (sheet[:16, :48] == 50).all()
    assert (sheet[16:, :128] == 0).all()
    assert (sheet[:, 130:] == 200).all()
