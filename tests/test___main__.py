"""The console command, and what is said of the distribution."""

from __future__ import annotations

import importlib
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from fingerprints import __main__, __version__, train
from fingerprints.core.errors import DISTRIBUTION, install

TOP = Path(__file__).parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["fingerprints", *words])
    __main__.main()


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)], ids=str)
def test_it_lists_every_command(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, *words)
    printed = capsys.readouterr().out
    at_the_root = {path.stem for path in (TOP / "fingerprints").glob("*.py")} - {"__init__", "__main__"}
    assert at_the_root == set(__main__.COMMANDS)
    assert [line.split()[0] for line in printed.splitlines() if line.startswith("  ")][:-2] == list(
        __main__.COMMANDS
    )


@pytest.mark.parametrize("name", __main__.COMMANDS)
def test_a_command_is_its_module(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, name, "--help")
    through = capsys.readouterr().out
    monkeypatch.setattr("sys.argv", [name, "--help"])
    importlib.import_module(f"fingerprints.{name}").main()
    assert through == capsys.readouterr().out
    assert "usage:" in through


def test_version_is_that_of_the_distribution(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "--version")
    assert capsys.readouterr().out == f"gan-fingerprints {__version__}\n"
    assert version("gan-fingerprints") == __version__
    assert f"version: {__version__}\n" in (TOP / "CITATION.cff").read_text()
    assert f"## {__version__}" in (TOP / "CHANGELOG.md").read_text()


def test_a_stranger_is_told_the_nearest_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "trian", "seed=1")
    assert stop.value.code == 2
    assert "There is no command 'trian'.\n  fix: fingerprints train" in capsys.readouterr().err


def test_the_console_command_is_installed() -> None:
    (found,) = entry_points(group="console_scripts", name="fingerprints")
    assert found.load() is __main__.main


def test_what_is_advised_to_install_is_this_distribution() -> None:
    """On the package index `fingerprints` is another project."""
    assert PROJECT["name"] == DISTRIBUTION != "fingerprints"
    assert install("dicom") == "pip install 'gan-fingerprints[dicom]'"
    pages = [TOP / "README.md", *(TOP / "docs").glob("*.md"), *(TOP / "fingerprints").rglob("*.py")]
    advised = [page.name for page in pages if "install 'fingerprints" in page.read_text()]
    assert advised == []
    assert "install 'gan-fingerprints[" in (TOP / "README.md").read_text()


@pytest.mark.parametrize("word", ["seed=0(1", "data.root=", "decision=svm("])
def test_a_command_refuses_words_as_its_module_does(
    word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for start, name in ((__main__.main, "fingerprints train"), (train.main, "train")):
        GlobalHydra.instance().clear()
        monkeypatch.setattr("sys.argv", [*name.split(), "experiment=features_subtask2", word])
        with pytest.raises(SystemExit) as stop:
            start()
        assert stop.value.code == 2
        said.append(capsys.readouterr().err)
    assert said[0] == said[1]
    assert said[0].startswith("error: ")
