"""`fingerprints COMMAND ...`, the same as `python -m fingerprints.COMMAND ...`."""

from __future__ import annotations

import sys
from importlib import import_module

from fingerprints import __version__
from fingerprints.core.errors import DISTRIBUTION, nearest

COMMANDS = {
    "demo": "the main job on the embedded benchmark: a few minutes, no data needed",
    "train": "train a detector, evaluate it, write a report; or go on with a stopped run",
    "predict": "label new images with a finished run",
    "redraw": "draw the page of a finished run again, without training",
    "evaluate": "score any run file against a truth file",
    "compare": "many finished runs side by side; votes",
    "simulate": "make a benchmark with known truth: train generators on known images",
    "audit": "which of your patients generated images expose, and how sure that is",
    "ingest": "bring your pictures or DICOM files into one format, without names",
    "segment": "train a lung segmenter on images and masks",
    "dashboard": "make a W&B dashboard of a project",
}

USAGE = """\
Which real medical images trained a generator?

usage: fingerprints COMMAND [KEY=VALUE ...]      or: python -m fingerprints.COMMAND [KEY=VALUE ...]

{commands}

  fingerprints COMMAND --help    what a command takes
  fingerprints --version

Start with: fingerprints demo
"""


def main() -> None:
    """Entry point."""
    name, words = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("--help", [])
    if name in ("--help", "-h", "help"):
        commands = "\n".join(f"  {command:<10} {what}" for command, what in COMMANDS.items())
        print(USAGE.format(commands=commands), end="")
    elif name in ("--version", "-V"):
        print(f"{DISTRIBUTION} {__version__}")
    elif name in COMMANDS:
        sys.argv = [f"fingerprints.{name}", *words]
        import_module(f"fingerprints.{name}").main()
    else:
        close = nearest(name, COMMANDS)
        fix = f"fingerprints {close[0]}" if close else "fingerprints --help lists the commands"
        print(f"error: There is no command '{name}'.\n  fix: {fix}", file=sys.stderr)
        raise SystemExit(2)


if __name__ == "__main__":
    main()
