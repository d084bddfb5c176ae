from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.simulation.sources import phantom_images, read_images


@pytest.fixture
def folder(tmp_path, write_image):
    for number in range(6):
        write_image(tmp_path / f"real/p{number // 2}/{number}.png", number)
    return tmp_path / "real"


def read(folder, tmp_path, **options):
    return read_images(folder, **{"groups": None, "size": 32, "cache": tmp_path / "store", **options})


def test_images_come_with_their_groups(folder, tmp_path, write_rows):
    write_rows(folder / "groups.csv", [("file", "group"), *((f"{n}.png", f"g{n // 2}") for n in range(6))])
    real = read(folder, tmp_path)
    assert real.images.shape == (6, 32, 32)
    assert real.names[2] == "p1/2.png"
    assert real.groups == ["g0", "g0", "g1", "g1", "g2", "g2"]
    assert (real.origin, real.pseudo_groups, real.notes) == ("images", False, ())


def test_a_table_above_the_folder_is_found_and_a_given_one_wins(folder, tmp_path, write_rows):
    rows = [(f"{n}.png", "all") for n in range(6)]
    write_rows(tmp_path / "groups.csv", [("file", "group"), *rows])
    assert set(read(folder, tmp_path).groups) == {"all"}
    write_rows(tmp_path / "mine.csv", [("image", "patient"), *((f"{n}.png", f"x{n}") for n in range(6))])
    assert read(folder, tmp_path, groups=tmp_path / "mine.csv").groups[5] == "x5"


def test_without_a_table_near_duplicates_stand_in_and_that_is_said(folder, tmp_path):
    real = read(folder, tmp_path)
    assert real.pseudo_groups
    assert len(set(real.groups)) == 6
    assert "clusters of near-duplicates" in real.notes[-1]


def test_a_copy_of_an_image_counts_once(folder, tmp_path, write_image, write_rows):
    write_image(folder / "p9/copy.png", 3)
    real = read(folder, tmp_path)
    assert len(real.images) == 6
    assert "1 copies" in real.notes[0]
    names = ["copy", *map(str, range(6))]
    write_rows(tmp_path / "groups.csv", [("file", "group"), *((name, f"g{name}") for name in names)])
    real = read(folder, tmp_path)
    assert real.groups == [f"g{number}" for number in range(6)]
    assert len(real.notes) == 1


def test_an_empty_group_is_noted_and_a_missing_one_is_refused(folder, tmp_path, write_rows):
    write_rows(tmp_path / "groups.csv", [(f"{n}.png", "" if n < 2 else "p") for n in range(6)])
    real = read(folder, tmp_path)
    assert len(set(real.groups)) == 3
    assert real.notes == ("2 image(s) have an empty group in groups.csv: each is a group of its own",)
    write_rows(tmp_path / "groups.csv", [(f"{n}.png", "p") for n in range(5)])
    with pytest.raises(FingerprintsError, match=r"lacks 1 of 6 images:\n +p2/5.png"):
        read(folder, tmp_path)


def test_pixels_names_and_groups_are_in_the_fingerprint(folder, tmp_path, write_rows, write_image):
    first = read(folder, tmp_path).fingerprint()
    assert read(folder, tmp_path).fingerprint() == first
    write_rows(folder / "groups.csv", [("file", "group"), *((f"{n}.png", "g") for n in range(6))])
    second = read(folder, tmp_path).fingerprint()
    write_image(folder / "p0/0.png", 99)
    assert len({first, second, read(folder, tmp_path).fingerprint()}) == 3


def test_bad_folders_are_named(folder, tmp_path, write_image, write_rows):
    with pytest.raises(FingerprintsError, match="does not exist"):
        read(tmp_path / "nowhere", tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").write_text("no image")
    with pytest.raises(FingerprintsError, match=r"no image[\s\S]*ingest"):
        read(tmp_path / "empty", tmp_path)
    write_rows(tmp_path / "short.csv", [("file", "group"), ("1.png", "a")])
    with pytest.raises(FingerprintsError, match="lacks 5 of 6"):
        read(folder, tmp_path, groups=tmp_path / "short.csv")
    (folder / "p0/text.png").write_text("no image")
    with pytest.raises(FingerprintsError, match=r"1 image\(s\) cannot be read[\s\S]*text\.png"):
        read(folder, tmp_path)
    (folder / "p0/text.png").unlink()
    write_image(folder / "p0/wide.png", 1, size=(60, 48))
    with pytest.raises(FingerprintsError, match="2 sizes"):
        read(folder, tmp_path)


def test_phantoms_are_some_more_than_needed():
    real = phantom_images(40, size=16, seed=0, slices_per_patient=4)
    assert len(real.images) == 64
    assert len(set(real.groups)) == 16
    assert real.names[5] == "patient_0001/001"
    assert real.origin == "phantoms"
    assert np.array_equal(phantom_images(8, size=16, seed=0, slices_per_patient=4).images, real.images[:16])


def test_what_is_left_out_is_said_or_refused(folder, tmp_path, write_image, write_rows):
    write_rows(folder / "groups.csv", [("file", "group"), *((f"{n}.png", f"g{n}") for n in range(6))])
    write_image(folder / "p0/7.webp", 7, format="PNG")
    write_image(folder / "p0/0.png", np.full((48, 48), 4000, np.uint16), mode="I;16")
    notes = read(folder, tmp_path).notes
    assert len(notes) == 2
    assert notes[0].startswith("1 file(s) are not images and were left out: .webp (1)")
    assert notes[1].startswith("1 of 6 images have 16 bits but no value above 4,095")
    (folder / "p0/8.png").symlink_to("/not/fetched.png")
    with pytest.raises(FingerprintsError, match="link to a file that does not exist"):
        read(folder, tmp_path)
    (tmp_path / "only").mkdir()
    write_image(tmp_path / "only/1.webp", 7, format="PNG")
    with pytest.raises(FingerprintsError, match=r"holds no image[\s\S]*\.webp \(1\)"):
        read(tmp_path / "only", tmp_path)


def test_a_link_to_itself_is_not_an_empty_folder(tmp_path, write_image):
    write_image(tmp_path / "ct/a.png")
    (tmp_path / "ct/b").symlink_to("b")
    with pytest.raises(FingerprintsError, match="leads to itself"):
        read_images(tmp_path / "ct", groups=None, size=16, cache=tmp_path / "store")
