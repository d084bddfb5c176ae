"""Stands in for `experiment.worker` where only its start is tested: says what it was told."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

TOLD = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "TORCHELASTIC_RUN_ID", "OMP_NUM_THREADS")

if __name__ == "__main__":
    said = {"words": sys.argv[1:], **{name: os.environ[name] for name in TOLD}}
    (Path(sys.argv[2]) / f"said_{os.environ['RANK']}.json").write_text(json.dumps(said))
