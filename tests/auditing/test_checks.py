from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fingerprints.auditing import checks
from fingerprints.auditing.audit import audit, read_inputs
from fingerprints.auditing.images import Folder
from fingerprints.core.errors import FingerprintsError
from tests.auditing.folders import audit_settings, patient, save


def said(call, *given, **options) -> str:
    with pytest.raises(FingerprintsError) as caught:
        call(*given, **options)
    return str(caught.value)


def inputs(root: Path, **options):
    return read_inputs(audit_settings(root, **options), before=None, progress=None)


@pytest.fixture(scope="module")
def read(folders: Path) -> tuple[Folder, Folder, Folder]:
    found = inputs(folders)
    return found.real, found.generated, found.reference


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"real": "nowhere"}, "real=DIR"),
        ({"generated": "nowhere"}, "generated=DIR"),
        ({"reference": "nowhere"}, "reference=DIR"),
        ({"generated": "real"}, "is that of real images"),
        ({"reference": "real/p00"}, "or inside it"),
        ({"out": "real/out"}, "inside the input folder"),
        ({"out": "generated"}, "already exists"),
        ({"reference": "auto"}, "unused=FILE"),
        ({"unused": "unused.txt"}, "for reference=auto only"),
        ({"salt": "salt"}, "names=keep"),
        ({"names": "hash", "salt": "real/salt"}, "must not be inside a data folder"),
        ({"names": "hash", "key": "out/key"}, "must not be inside a data folder"),
    ],
)
def test_places_are_checked_before_any_file_is_opened(folders: Path, options, word) -> None:
    paths = {"real", "generated", "out", "unused", "salt", "key"}
    given = {name: folders / value if name in paths else value for name, value in options.items()}
    if options.get("reference", "auto") != "auto":
        given["reference"] = str(folders / options["reference"])
    assert word in said(checks.check_folders, audit_settings(folders, **given))


def test_everything_is_right_with_these_folders(folders: Path, read) -> None:
    checks.check_folders(audit_settings(folders))
    checks.check_images(*read)
    found = checks.screen(*read, near_copy=0.99)
    assert (found.problems, found.remarks) == ((), ())
    assert found.facts["real"]["native_sizes"] == {"16 x 16": 24}


def test_few_images_and_a_single_patient_are_refused(read) -> None:
    real, generated, reference = read
    assert "only 19 real images" in said(checks.check_images, real.taken(range(19)), generated, reference)
    assert "only 49 generated images" in said(checks.check_images, real, generated.taken(range(49)), None)
    alone = replace(real, pictures=tuple(replace(one, group="x") for one in real.pictures))
    assert "of one patient" in said(checks.check_images, alone, generated, reference)


def test_a_reference_that_overlaps_is_refused_by_name(read) -> None:
    real, generated, reference = read
    same = replace(reference, pictures=(real.pictures[3], *reference.pictures[1:]))
    assert "r00/0.png = p00/3.png" in said(checks.check_images, real, generated, same)
    pictures = [replace(one, group=one.group.replace("r07", "p02")) for one in reference.pictures]
    message = said(checks.check_images, real, generated, replace(reference, pictures=tuple(pictures)))
    assert "1 patient(s)" in message
    assert "p02" in message


def test_the_same_image_in_another_file_is_remarked_by_name(read) -> None:
    real, generated, reference = read
    pictures = (replace(reference.pictures[0], thumbnail=real.pictures[3].thumbnail), *reference.pictures[1:])
    (remark,) = checks.screen(real, generated, replace(reference, pictures=pictures), near_copy=0.99).remarks
    assert "r00/0.png and p00/3.png" in remark


def test_exchanged_folders_are_noticed(read) -> None:
    real, generated, _ = read
    copied = replace(generated, pictures=(*real.pictures, *generated.pictures[24:]))
    assert "24 of 60 generated images" in said(checks.check_images, real, copied, None)
    assert "probably exchanged" in said(checks.check_images, real, replace(generated, dicom=60), None)


def test_other_sizes_and_formats_are_refused_unless_forced(read) -> None:
    real, generated, reference = read
    large = tuple(replace(one, native_size=(512, 512)) for one in generated.pictures)
    found = checks.screen(
        real, replace(generated, pictures=large), replace(reference, dicom=3), near_copy=0.99
    )
    assert "real 16 x 16, generated 512 x 512" in said(checks.require_comparable, found, force=False)
    assert [word in " ".join(found.problems) for word in ("Resampling", "windows")] == [True, True]
    checks.require_comparable(found, force=True)


def test_brightness_is_compared_by_patient(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for role, add in (("real", 0), ("reference", 35)):
        for number in range(12):
            for at, pixels in enumerate(patient(rng, 2)):
                save(tmp_path / f"{role}/{role}{number}/{at}.png", (pixels * 0.8 + add).astype(np.uint8))
    for number in range(50):
        save(tmp_path / f"generated/{number}.png", patient(rng, 1)[0])
    assert "differ in brightness" in " ".join(inputs(tmp_path).screen.remarks)


def test_a_mistake_costs_no_work(folders: Path, tmp_path: Path, monkeypatch) -> None:
    shutil.copytree(folders / "real/p00", tmp_path / "reference/p00")
    monkeypatch.setattr("fingerprints.auditing.audit.score", None)
    assert "pixels of a real one" in said(
        audit, audit_settings(folders, reference=str(tmp_path / "reference"))
    )
