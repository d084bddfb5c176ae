"""A progress line, where there is a terminal."""

from __future__ import annotations

import io

import pytest

from fingerprints.core.progress import console_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_no_terminal_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert console_progress() is None


def test_the_line_is_written_over_and_ends_when_all_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    show = console_progress()
    assert show is not None
    show("decoding", 500, 2000)
    show("decoding", 2000, 2000)
    _, first, second = terminal.getvalue().split("\r")
    assert first.startswith(f"decoding [{'#' * 7}{' ' * 23}] 500/2,000")
    assert "\n" not in first
    assert second.startswith(f"decoding [{'#' * 30}] 2,000/2,000")
    assert second.endswith("images/s\n")


def test_nothing_to_do_is_no_division_by_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    show = console_progress()
    assert show is not None
    show("decoding", 0, 0)
    assert terminal.getvalue().endswith("\n")
