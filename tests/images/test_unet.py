from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fingerprints.core.errors import FingerprintsError
from fingerprints.images.unet import UNet, check_side, load_unet, predict_masks, save_unet


@pytest.fixture
def network() -> UNet:
    torch.manual_seed(0)
    return UNet((4, 8)).eval()


def test_logits_have_the_images_shape_and_no_window(network):
    images = torch.rand(2, 1, 32, 32)
    out = network(images)
    assert out.shape == images.shape
    assert torch.allclose(network(0.5 * images + 0.2), out, atol=0.05)
    assert not torch.allclose(network(images.flip(3)), out, atol=0.05)


def test_weights_come_back_as_they_were(network, tmp_path):
    save_unet(tmp_path / "w.safetensors", network, size=32)
    loaded, size = load_unet(tmp_path / "w.safetensors")
    assert (size, loaded.widths) == (32, (4, 8))
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 40)).astype(np.uint8)
    masks = predict_masks(network, images, size=32)
    assert masks.shape == images.shape
    assert 0 < masks.mean() < 1
    assert np.array_equal(predict_masks(loaded, images, size=size, batch=2), masks)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_masks_at_the_trained_size_are_positive_logits(network):
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32)).astype(np.uint8)
    with torch.inference_mode():
        logits = network(torch.from_numpy(images)[:, None].float() / 255)
    assert np.array_equal(predict_masks(network, images, size=32), logits[:, 0].numpy() > 0)


def test_other_files_are_refused(network, tmp_path):
    with pytest.raises(FingerprintsError, match="do not exist"):
        load_unet(tmp_path / "none.safetensors")
    save_file(network.state_dict(), tmp_path / "plain.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    for name in ("plain", "text"):
        with pytest.raises(FingerprintsError, match="no segmenter"):
            load_unet(tmp_path / f"{name}.safetensors")
    facts = {"format": "fingerprints segmenter 1", "size": "32", "widths": "[4, 16]"}
    save_file(network.state_dict(), tmp_path / "wide.safetensors", facts)
    with pytest.raises(FingerprintsError, match="another architecture"):
        load_unet(tmp_path / "wide.safetensors")


def test_sides_must_fit():
    check_side(32, (4, 8, 16))
    with pytest.raises(FingerprintsError, match="size=32"):
        check_side(30, (4, 8, 16))
    with pytest.raises(FingerprintsError, match="every level"):
        check_side(30, ())
    with pytest.raises(FingerprintsError, match="from 8") as caught:
        check_side(4, (4, 8, 16))
    assert caught.value.fix == "for example size=8"
    check_side(8, (4, 8, 16))
    UNet((2, 2, 2)).train()(torch.rand(1, 1, 8, 8)).sum().backward()  # one image of the smallest side
    with pytest.raises(FingerprintsError) as caught:
        check_side(64, (2,) * 14)
    assert caught.value.fix == "fewer widths, such as [16,32,64,128]"  # no side would be allowed
