from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fingerprints import predict
from fingerprints.config import launch as cli
from fingerprints.config import schema as config
from fingerprints.core.errors import FingerprintsError

ENTRY_POINTS = ("train", "predict", "evaluate", "compare", "ingest", "segment")


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
        for name in (*config.options("experiment"), *config.options("data")):
            assert name in done.stdout
    else:
        for key in config.valid_keys(entry):
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


def test_debug_shows_the_traceback(tmp_path):
    done = run("-m", "fingerprints.train", "data.siez=3", debug=True, cwd=tmp_path)
    assert done.returncode != 0
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Could not override 'x.y'.\nKey 'y' is not in struct\n    full_key: data.siez", "data.size"),
        ("Could not override 'traner'.\nNo match in the defaults list.", "trainer"),
        ("Could not find 'encoder/resnet5'", "resnet50"),
        ("You must specify 'experiment', e.g, experiment=<OPTION>", "siamese_subtask2"),
    ],
)
def test_configuration_errors_in_plain_words(text, expected):
    from hydra.errors import ConfigCompositionException

    message = cli.explain(ConfigCompositionException(text), "train")
    assert message is not None
    assert expected in message


def test_a_key_of_another_option_is_said_to_be_one():
    message = str(config.unknown_key("pairing.batch_size", "train"))
    assert "chosen option of 'pairing'" in message


def test_a_defect_is_not_explained_away():
    assert cli.explain(RuntimeError("bug"), "train") is None
    assert (
        cli.explain(FingerprintsError("what", where="w", fix="f"), "train") == "what\n  where: w\n  fix:   f"
    )


def test_an_error_does_not_remove_the_folder_one_stands_in(command, tmp_path):
    code, printed = command(predict, "run=nowhere", "images=nowhere")
    assert code == 2
    assert "no run folder" in printed
    assert tmp_path.is_dir()
    assert not list(tmp_path.iterdir())
