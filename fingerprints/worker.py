"""One of several processes of a run: `python -m fingerprints.worker FOLDER`, started by `processes`."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from fingerprints.errors import FingerprintsError
from fingerprints.interruption import Interrupted, handled
from fingerprints.lifecycle import work
from fingerprints.processes import end_with_parent, report_failure


def main() -> None:
    """Entry point; what goes wrong is handed to the process that started this one."""
    end_with_parent()
    try:
        with handled():
            work(Path(sys.argv[1]))
    except Interrupted as stop:
        raise SystemExit(stop.exit_code) from None
    except Exception as error:
        text = str(error) if isinstance(error, FingerprintsError) else traceback.format_exc()
        report_failure(text)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
