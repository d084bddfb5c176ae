"""Where a run comes from: versions, revision, and what its data fingerprint depends on."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from fingerprints import __version__
from fingerprints.runs import provenance


def test_versions_name_what_results_depend_on() -> None:
    found = provenance.versions()
    assert set(found) == {*provenance.PACKAGES, "python"}
    assert found["python"] == platform.python_version()


def test_facts_of_a_checkout_name_its_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Path(provenance.__file__).parents[1]
    answers = {"--show-toplevel": str(package.parent), "--porcelain": "", "HEAD": "abc"}

    def git(folder: Path, *words: str) -> str:
        return next(answer for word, answer in answers.items() if word in words)

    monkeypatch.setattr(provenance, "_git", git)
    found = provenance.provenance()
    assert (found["fingerprints"], found["revision"]) == (__version__, "abc")
    answers["--porcelain"] = " M fingerprints/train.py"
    assert provenance.provenance()["revision"] == "abc-dirty"
    answers["--show-toplevel"] = str(package.parent.parent)
    assert provenance.provenance()["revision"] is None, "installed inside somebody else's repository"


@pytest.mark.parametrize("error", [FileNotFoundError("git"), subprocess.CalledProcessError(128, "git")])
def test_without_git_there_is_no_revision(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def git(folder: Path, *words: str) -> str:
        raise error

    monkeypatch.setattr(provenance, "_git", git)
    assert provenance.provenance()["revision"] is None


def test_data_are_the_same_if_pixels_and_roles_are_whatever_files_are_called(
    subset_root, prepared, write_image
) -> None:
    root = subset_root(groups=False)
    first = provenance.data_fingerprint(*prepared(root, "subset"))
    assert provenance.data_fingerprint(*prepared(root, "subset")) == first
    image = root / "generated" / "gen_t1" / "gen_t1_000.png"
    shutil.move(image, image.with_name("another.png"))
    assert provenance.data_fingerprint(*prepared(root, "subset")) == first
    write_image(image.with_name("another.png"), 1)
    assert provenance.data_fingerprint(*prepared(root, "subset")) != first


def test_another_split_is_other_data(subset_root, prepared) -> None:
    root = subset_root()
    prints = {provenance.data_fingerprint(*prepared(root, "subset", validation=0.3, seed=s)) for s in (0, 1)}
    assert len(prints) == 2


def test_peak_memory_is_in_megabytes() -> None:
    assert 10 < provenance.peak_memory()["host"] < 1e6
