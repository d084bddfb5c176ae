from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.wandb_offline import offline_runs
from fingerprints import dashboard, train
from fingerprints.config import schema as config
from fingerprints.config.overrides import check_overrides

SWEEP = Path(__file__).parents[1] / "docs" / "wandb_sweep.yaml"


def panels(spec):
    return [
        panel for section in spec["section"]["panelBankConfig"]["sections"] for panel in section["panels"]
    ]


def named(panel):
    """What a panel shows: keys of history or summary, tables, keys of the configuration, patterns."""
    about, kind = panel["config"], panel["viewType"]
    keys, tables, settings, patterns = set(about.get("metrics") or []), set(), set(), set()
    if kind == "Run History Line Plot":
        keys.add(about["xAxis"])
        if about.get("metricRegex"):
            patterns.add(about["metricRegex"])
    elif kind == "Scatter Plot":
        keys |= {about[axis].removeprefix("summary:") for axis in ("xAxis", "yAxis")}
    elif kind == "Parallel Coordinates Plot":
        accessors = [column["accessor"].split(":", 1) for column in about["columns"]]
        keys |= {key for place, key in accessors if place == "summary"}
        settings |= {key.replace(".value", "", 1) for place, key in accessors if place == "config"}
    elif kind == "Vega2":
        (tables_asked,) = re.findall(r'"tableKey", "value": "([^"]+)"', json.dumps(about))
        tables.add(tables_asked)
    elif kind == "Weave":
        text = json.dumps(about)
        (table,) = re.findall(r'"key": \{"nodeType": "const", "type": "string", "val": "([^"]+)"', text)
        tables.add(table)
    return keys, tables, settings, patterns


@pytest.mark.usefixtures("private_wandb")
def test_panels_show_only_what_runs_log(command, subset_root, usage_root, tmp_path):
    pytest.importorskip("wandb_workspaces")
    short = ["data.size=48", "trainer=cpu", "trainer.max_epochs=1", "logger=wandb"]
    short += ["evidence.permutations=19", "data.folds=2"]
    for experiment, root in (("siamese_subtask1", usage_root()), ("siamese_subtask2", subset_root())):
        words = [f"experiment={experiment}", f"data.root={root}", *short, f"run_dir={tmp_path / experiment}"]
        code, printed = command(train, *words)
        assert code == 0, printed
    runs = offline_runs(tmp_path)
    logged = {key for run in runs for row in [run.summary, *run.history] for key in row}
    tables = {key for run in runs for key, value in run.summary.items() if isinstance(value, dict)}

    code, printed = command(dashboard, "project=p", "entity=e", "out=spec.json")
    assert code == 0, printed
    spec = json.loads((tmp_path / "spec.json").read_text())
    shown = [named(panel) for panel in panels(spec) if panel["viewType"] != "Run Comparer"]
    assert all(any(found) for found in shown)
    assert {key for keys, *_ in shown for key in keys} <= logged
    assert {table for _, names, *_ in shown for table in names} <= tables
    assert tables == {"confusion_matrix_table", "roc_table", "scores", "figures", "verdict"}
    valid = set(config.valid_keys("train"))
    assert {key for _, _, settings, _ in shown for key in settings} <= valid
    for pattern in (pattern for *_, patterns in shown for pattern in patterns):
        matched = {key for run in runs for key in run.axes if re.search(pattern, key)}
        assert matched, pattern
        assert {run.axes[key] for run in runs for key in matched & run.axes.keys()} == {"epoch"}
    for column in spec["section"]["runSets"][0]["runFeed"]["columnPinned"]:
        place, key = column.split(":", 1)
        assert place == "run" or key in logged or key.removesuffix(".value") in valid


def test_generators_have_a_matrix_each(command, tmp_path):
    pytest.importorskip("wandb_workspaces")
    assert command(dashboard, "generators=[m1,m2]", "out=spec.json")[0] == 0
    text = (tmp_path / "spec.json").read_text()
    assert '"m1/confusion_matrix_table"' in text
    assert '"m2/confusion_matrix_table"' in text


@pytest.mark.usefixtures("private_wandb")
def test_without_a_key_the_error_says_what_to_do(command):
    pytest.importorskip("wandb_workspaces")
    code, printed = command(dashboard, "project=p")
    assert code == 2
    assert "no API key" in printed
    assert "out=FILE.json" in printed


def test_without_the_package_the_error_says_what_to_install(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    code, printed = command(dashboard, "out=spec.json")
    assert code == 2
    assert "gan-fingerprints[dashboard]" in printed


def test_the_sweep_asks_for_settings_that_there_are():
    sweep = yaml.safe_load(SWEEP.read_text())
    assert set(sweep["parameters"]) <= set(config.valid_keys("train"))
    given = [word for word in sweep["command"] if "=" in word]
    check_overrides(given, "train")
    assert {"logger=wandb", "logger.offline=false"} <= set(given)
    assert sweep["program"] == train.__name__
    assert sweep["command"][-1] == "${args_no_hyphens}"
    assert sweep["metric"]["name"].startswith("validation/")
    assert {"random", "grid", "bayes"} >= {sweep["method"]}
