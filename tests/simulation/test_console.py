"""Progress on a terminal and elsewhere."""

from __future__ import annotations

import sys

from fingerprints.simulation.console import LINES, Console


def test_without_a_terminal_there_are_a_few_lines_for_each_generator(capsys):
    console = Console()
    console.begin({"t1": 100, "t2": 100})
    for name in ("t1", "t2"):
        for step in range(1, 101):
            console.step(name, step, {"generator_loss": 0.5, "real_score": 1.0} if step >= 50 else {})
        console.trained(name, f"generator {name}: done", "second line")
    console.close()
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"generator {n}: done" if i == 0 else "second line" for n in ("t1", "t2") for i in (0, 1)
    ]
    lines = err.splitlines()
    assert len(lines) == 2 * LINES
    assert lines[0] == "generator t1 (1 of 2): step 20 of 100"
    assert lines[-1] == "generator t2 (2 of 2): step 100 of 100; generator loss 0.50"


def test_on_a_terminal_there_is_one_bar_over_all_generators(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    console = Console()
    console.begin({"t1": 10, "t2": 30})
    console.step("t1", 4, {})
    assert (console._bar.n, console._bar.total) == (4, 40)
    console.trained("t1", "generator t1: done")
    assert console._bar.n == 10
    # A training that continues begins where it stopped.
    console.step("t2", 21, {})
    assert console._bar.n == 31
    console.close()
    printed = capsys.readouterr()
    assert "generator t1: done" in printed.out + printed.err
    assert "generator t2 (2 of 2)" in printed.err
