"""A progress bar, where there is a terminal."""

from __future__ import annotations

import io

import pytest

from fingerprints.core.progress import console_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    found = Terminal()
    monkeypatch.setattr("sys.stderr", found)
    return found


def test_no_terminal_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert console_progress() is None


def test_a_bar_for_each_work_ends_when_all_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    show = console_progress()
    assert show is not None
    show("decoding", 500, 2000)
    assert "\n" not in terminal.getvalue()
    show("decoding", 2000, 2000)
    show("encoding", 3, 3)
    first, second, rest = terminal.getvalue().split("\n")
    assert "decoding:   0%" in first
    assert "decoding: 100%" in first
    assert "2000/2000" in first
    assert "encoding: 100%" in second
    assert rest == ""


def test_nothing_to_do_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    show = console_progress()
    assert show is not None
    show("decoding", 0, 0)
    assert terminal.getvalue().endswith("\n")
