"""Every file of the user is met once; litter of systems is not met."""

from __future__ import annotations

import os
from pathlib import Path

from fingerprints.data.walk import cannot_be_read, is_dead, is_litter, printable, walk


def names(root: Path) -> list[tuple[str, str]]:
    return sorted((found.name, found.kind) for found in walk(root))


def test_files_links_and_pipes_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/1.PNG").touch()
    (tmp_path / "a/gone.png").symlink_to("nowhere")
    (tmp_path / "a/here.png").symlink_to("b/1.PNG")
    os.mkfifo(tmp_path / "pipe.png")
    expected = [("a/b/1.PNG", "file"), ("a/gone.png", "dead"), ("a/here.png", "file"), ("pipe.png", "other")]
    assert names(tmp_path) == expected
    assert {found.suffix for found in walk(tmp_path)} == {".png"}
    assert [e.name for e in os.scandir(tmp_path / "a") if is_dead(e)] == ["gone.png"]


def test_a_folder_is_entered_once_and_linked_folders_are_entered(tmp_path: Path) -> None:
    (tmp_path / "in/x").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/2.png").touch()
    (tmp_path / "in/x/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "in") == [("linked/2.png", "file")]


def test_litter_of_systems_is_not_met(tmp_path: Path) -> None:
    litter = ("._1.png", ".DS_Store", "Thumbs.db", "desktop.ini", "@eaDir/1.png/T.jpg", "__MACOSX/1.png")
    for name in (*litter, ".cache/1.png", "DICOMDIR", "1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert names(tmp_path) == [("1.png", "file")]
    assert not is_litter("thumbs.png")


def test_the_error_names_the_folder() -> None:
    error = cannot_be_read(PermissionError(13, "Permission denied", "/x/y"), Path("/x"))
    assert (error.what, error.where) == ("The images cannot be read: Permission denied.", "/x/y")


def test_names_of_any_bytes_can_be_printed() -> None:
    assert printable(os.fsdecode(b"\xe4.png")) == "\N{REPLACEMENT CHARACTER}.png"
    assert printable("\u00e4.png") == "\u00e4.png"
