"""Leakage over several benchmarks: one table and one plot of all benchmarks in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from fingerprints.core.files import write_atomically
from fingerprints.reporting.dial_plot import leakage_dial
from fingerprints.reporting.drawing import png_bytes
from fingerprints.simulation.benchmark import BENCHMARK, FORMAT
from fingerprints.simulation.memorisation import FIGURES

TABLE, PLOT = "dial.csv", "dial.png"
KINDS = ("same_groups", "other_groups")


def read_dial(folder: Path) -> pd.DataFrame:
    """One row for each generator of each finished benchmark below a folder.

    Columns: `benchmark`, `task`, `generator`, `design`, `members`, `generated`, `steps`, `augmented`,
    `planted` (fraction), `kinds`, `seed`, `size`, `diversity`, `two_sample`; for non-members of the
    `same_groups` and of `other_groups` `auc`, `auc_low`, `auc_high` and the same of `tpr_at_fpr_0.01`,
    with the kind before a dot.
    """
    rows = []
    for path in sorted(folder.glob(f"*/{BENCHMARK}")):
        document = json.loads(path.read_text())
        if document["format"] != FORMAT:  # of an earlier version, without some of these fields
            continue
        rows += [_row(path.parent.name, document, name) for name in document["generators"]]
    return pd.DataFrame(rows)


def _row(benchmark: str, document: dict[str, Any], name: str) -> dict[str, Any]:
    facts, settings = document["generators"][name], document["settings"]
    design = settings["designs"][facts["design_number"]]
    row: dict[str, Any] = {
        "benchmark": benchmark,
        "task": settings["task"],
        "generator": name,
        "design": facts["design"],
        "members": facts["members"],
        "generated": sum(facts["outputs"].values()),
        "steps": facts["steps"],
        "augmented": design["augment"]["enabled"],
        "planted": document["planted"]["fraction"],
        "kinds": " ".join(document["planted"]["kinds"]),
        "seed": settings["seed"],
        "size": settings["size"],
        "diversity": facts["quality"]["diversity"],
        "two_sample": facts["quality"]["two_sample"]["accuracy"],
    }
    for kind in KINDS:
        for figure in FIGURES:
            found = facts["memorisation"][kind][figure]
            for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high")):
                row[f"{kind}.{figure}{suffix}"] = found.get(key)
    return row


def write_dial(folder: Path) -> pd.DataFrame:
    """Write `dial.csv` and `dial.png` next to the benchmarks; nothing if there are no benchmarks."""
    table = read_dial(folder)
    if not table.empty:
        write_atomically(folder / TABLE, table.to_csv(index=False).encode())
        write_atomically(folder / PLOT, png_bytes(plot_dial(table)))
    return table


def plot_dial(table: pd.DataFrame) -> Figure:
    """AUC and TPR at 1 % FPR of the nearest-generated-image attack over the varied setting.

    The horizontal axis is the planted fraction if only that varies, else the number of training images.
    All other settings that vary, except the seed, make separate lines.
    """
    dials = ("members", "planted", "design", "steps", "augmented", "kinds", "generated", "size")
    # Without planted copies there are no kinds: this difference alone makes no separate line.
    kinds = table.loc[table["planted"] > 0, "kinds"].nunique()
    varying = [c for c in dials if (kinds if c == "kinds" else table[c].nunique()) > 1]
    x = "planted" if "planted" in varying and "members" not in varying else "members"
    return leakage_dial(table, x=x, series=[column for column in varying if column != x])
