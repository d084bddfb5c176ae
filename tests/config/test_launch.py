from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fingerprints import predict
from fingerprints.config.schema import options, register, search_path, valid_keys

ENTRY_POINTS = ("train", "predict", "redraw", "evaluate", "compare", "ingest", "segment", "dashboard")


def run(*words: str, debug: bool = False, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "FINGERPRINTS_DEBUG": "1" if debug else "0"}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, **options
    )


@pytest.mark.parametrize("entry", ENTRY_POINTS)
def test_help_names_every_key_it_takes_and_imports_nothing_heavy(entry):
    code = (
        f"import sys; sys.argv = ['x', '--help']; import runpy; runpy.run_module('fingerprints.{entry}', "
        "run_name='__main__'); print('HEAVY', {'torch', 'hydra', 'numpy', 'pandas'} & set(sys.modules))"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert "HEAVY set()" in done.stdout
    if entry == "train":
        for name in (*options("experiment"), *options("data")):
            assert name in done.stdout
    else:
        for key in valid_keys(entry):
            assert f"{key}=" in done.stdout


def test_misspelt_key_is_answered_before_anything_heavy_is_imported(tmp_path):
    code = (
        "import sys; sys.argv = ['x', 'experiment=siamese_subtask2', 'data.siez=3']\n"
        "from fingerprints.train import main\n"
        "try: main()\n"
        "finally: print('HEAVY', {'torch', 'hydra', 'numpy', 'pandas'} & set(sys.modules))"
    )
    done = run("-c", code, cwd=tmp_path)
    assert done.returncode == 2
    assert "HEAVY set()" in done.stdout
    assert done.stderr.startswith("error: There is no configuration key 'data.siez'.")
    assert "data.size" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_predict_takes_a_generator_though_simulate_has_a_group_of_that_name(command, tmp_path):
    register("simulate")  # in this process a simulation came first
    code, printed = command(predict, "run=nowhere", "images=nowhere", "generator=gan")
    assert code == 2
    assert "no run folder" in printed


@pytest.mark.parametrize(
    "entry", ["predict", "redraw", "evaluate", "compare", "ingest", "segment", "dashboard"]
)
def test_a_command_without_groups_sees_none(entry):
    folder = search_path(entry)
    assert (folder / f"{entry}.yaml").is_file()
    assert not [path for path in folder.iterdir() if path.is_dir()]


def test_debug_shows_the_traceback(tmp_path):
    done = run("-m", "fingerprints.train", "data.siez=3", debug=True, cwd=tmp_path)
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_an_error_does_not_remove_the_folder_one_stands_in(command, tmp_path):
    code, printed = command(predict, "run=nowhere", "images=nowhere")
    assert code == 2
    assert "no run folder" in printed
    assert tmp_path.is_dir()
    assert not list(tmp_path.iterdir())


def test_help_on_an_option_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['x', '--help', 'decision=svm', 'encoder=vgg16']\n"
        "from fingerprints.train import main\n"
        "main(); print('HEAVY', {'torch', 'hydra', 'numpy', 'pandas'} & set(sys.modules))"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert "decision.kernel=linear" in done.stdout
    assert "HEAVY set()" in done.stdout
