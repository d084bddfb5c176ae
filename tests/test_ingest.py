from __future__ import annotations

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from fingerprints import ingest, simulate
from tests.compose import complaint

pytest.importorskip("pydicom")


def test_a_folder_becomes_a_data_set(command, tmp_path, write_dicom, write_image):
    write_dicom(tmp_path / "in/a/1.dcm", 1)
    write_dicom(tmp_path / "in/a/2.dcm", 2)
    write_image(tmp_path / "in/b/3.png", 3)
    code, printed = command(ingest, "images=in", "out=out", "size=32", "groups=folders")
    assert code == 0, printed
    assert "3 images of 32 x 32 in 2 groups: out" in printed
    assert "folder (1 images), patient id (2 images)" in printed
    assert "images=out/images groups=out/groups.csv" in printed
    assert "audit real=out/images generated=DIR groups=out/groups.csv out=DIR" in printed
    assert {Image.open(path).size for path in (tmp_path / "out/images").iterdir()} == {(32, 32)}
    code, printed = command(ingest, "images=in", "out=out")
    assert code == 2
    assert "already exists" in printed


@pytest.mark.parametrize("word", ["window=40,400", "window='40,400'", 'window="40,400"'])
def test_a_window_is_no_sweep(command, tmp_path, write_dicom, word):
    stored = np.arange(48 * 48, dtype=np.int16).reshape(48, 48)
    write_dicom(tmp_path / "in/a.dcm", stored)
    code, printed = command(ingest, "images=in", "out=out", "size=48", word)
    assert code == 0, printed
    assert json.loads((tmp_path / "out/ingest.json").read_text())["window"] == {"center": 40, "width": 400}
    (path,) = (tmp_path / "out/images").iterdir()
    pixels = np.asarray(Image.open(path))
    assert pixels[stored <= 1024 - 160].max() == 0
    assert pixels[stored >= 1024 + 240].min() == 255


# A mistake of each kind: no such value, out of range, no such key, files that are not there; and a window
# with a comma, which the command itself puts in quotes.
ON_COMMAND_LINE = ("window=foo", "window=40,0", "size=0", "groupes=folders", "images=nowhere")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("window=foo", "window=foo is not a valid window"),
        ("window=40,0", "width of at least 1"),
        ("window=[40,400]", "window"),
        ("size=0", "size=0 is out of range"),
        ("near_duplicate=1.5", "near_duplicate=1.5 is out of range"),
        ("on_bad_image=maybe", "not one of error, skip"),
        ("groupes=folders", "did you mean 'groups'"),
        ("images=nowhere", "does not exist"),
        ("salt=in/salt", "must not be inside a data folder"),
    ],
)
def test_mistakes_are_said_in_plain_words(command, tmp_path, write_image, word, said, monkeypatch):
    write_image(tmp_path / "in/a.png")
    words = ("images=in", "out=out", word)
    if word in ON_COMMAND_LINE:
        code, printed = command(ingest, *words)
        assert code == 2, printed
        assert printed.startswith("error: ")
        assert said in printed
    else:
        monkeypatch.chdir(tmp_path)
        assert said in complaint(ingest._job, "ingest", *words, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_folders_must_be_given(command):
    code, printed = command(ingest, "out=out")
    assert code == 2
    assert "give images=" in printed


def test_bad_files_are_named_and_can_be_skipped(command, tmp_path, write_dicom):
    write_dicom(tmp_path / "in/good", 1)
    write_dicom(tmp_path / "in/scout", 2, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    code, printed = command(ingest, "images=in", "out=out")
    assert code == 2
    assert "scout: a localizer, not a slice" in printed
    assert "on_bad_image=skip" in printed
    code, printed = command(ingest, "images=in", "out=out", "on_bad_image=skip")
    assert code == 0, printed
    assert "skipped: 1 (a localizer, not a slice)" in printed


def test_it_works_without_torch(tmp_path, write_dicom):
    write_dicom(tmp_path / "in/a.dcm", 1)
    code = (
        "import sys; sys.argv = ['x', 'images=in', 'out=out']\n"
        "from fingerprints.ingest import main\n"
        "main(); print('TORCH', 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "TORCH False" in done.stdout
    assert done.stderr == ""


def test_perfusion_maps_are_refused_by_name(command, tmp_path, write_dicom):
    kind = ["DERIVED", "SECONDARY", "AXIAL", "CT_PERFUSION", "MTT"]
    write_dicom(tmp_path / "in/a", ImageType=kind, RescaleType="US")
    write_dicom(tmp_path / "in/b", 1)
    code, printed = command(ingest, "images=in", "out=out")
    assert code == 2
    assert "a: a perfusion map: its image type says PERFUSION" in printed
    assert not (tmp_path / "out").exists()
    code, printed = command(ingest, "images=in", "out=out", "on_bad_image=skip", "size=48")
    assert code == 0, printed
    assert "skipped: 1 (a perfusion map)" in printed


def test_the_next_command_runs_as_printed(command, tmp_path, write_image):
    """From a folder with every character that a shell or Hydra would read its own way."""
    place = tmp_path / "it's (1), a=b [x] Müller"
    for patient in range(8):
        for slice_ in range(4):
            write_image(place / f"in/p{patient}/{slice_}.png", 10 * patient + slice_)
    code, printed = command(
        ingest, f"images={place / 'in'}", f"out={place / 'out'}", "size=32", "groups=folders"
    )
    assert code == 0, printed
    following = [line.partition(": ")[2] for line in printed.splitlines() if line.startswith("next, ")]
    python, flag, module, *words = shlex.split(following[1])
    assert (python, flag, module) == ("python", "-m", "fingerprints.simulate")
    assert words.pop() == "out=DIR"
    sizes = ("members", "nonmembers", "generated", "test_members", "test_nonmembers", "test_generated")
    small = [f"scale.usage.{kind}=3" for kind in sizes]
    words += [f"out={place / 'made'}", "size=32", "accelerator=cpu", *small, "scale.max_steps=1"]
    code, printed = command(simulate, *words, "generator=vae", "generator.batch_size=2")
    assert code == 0, printed
    assert (place / "made/test_truth.csv").is_file()
