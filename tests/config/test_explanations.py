from __future__ import annotations

import pytest

from fingerprints.config.explanations import explain
from fingerprints.config.schema import register, search_path
from fingerprints.core.errors import FingerprintsError


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

    message = explain(ConfigCompositionException(text), "train")
    assert message is not None
    assert expected in message


@pytest.mark.parametrize(
    ("words", "where", "expected"),
    [
        (["data.size=many"], "data.size", "data.size=many is not a whole number."),
        (["training=pairs", "training.margin=x"], "training.margin", "is not a number"),
        (["decision.open_set=perhaps"], "decision.open_set", "is not true or false"),
        (["data.root=null"], "data.root", "data.root cannot be null."),
        (["logger.tags=mine"], "logger.tags", "'logger.tags=[FIRST,SECOND]'"),
        (
            ["pairing=all", "pairing.batch_size=3"],
            "command line or experiment file",
            "nearest, random have it",
        ),
    ],
)
def test_what_hydra_says_of_a_word_in_plain_words(words, where, expected):
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    register("train")
    with (
        initialize_config_dir(version_base="1.3", config_dir=str(search_path("train"))),
        pytest.raises(HydraException) as caught,
    ):
        compose("train", ["experiment=features_subtask2", *words])
    message = explain(caught.value, "train")
    assert message is not None
    assert expected in message
    assert f"where: {where}\n" in message


def test_a_defect_is_not_explained_away():
    assert explain(RuntimeError("bug"), "train") is None
    assert explain(FingerprintsError("what", where="w", fix="f"), "train") == "what\n  where: w\n  fix:   f"


def test_memory_that_is_short_is_not_a_defect():
    import numpy as np
    import torch

    with pytest.raises(MemoryError) as real:
        np.empty(2**58)
    cpu = "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: "
    gpu = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1 GiB"
    cases = {
        "computer has not enough memory (unable to allocate 2.00 EiB)": real.value,
        "computer has not enough memory.": MemoryError(),
        "computer has not enough memory (tried to allocate 9 bytes)": RuntimeError(
            f"{cpu}you tried to allocate 9 bytes. Error code 12 (Cannot allocate memory)"
        ),
        "GPU has not enough memory (tried to allocate 2.00 GiB)": torch.OutOfMemoryError(gpu),
        "GPU has not enough memory.": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling f"),
    }
    for expected, error in cases.items():
        message = explain(error, "train")
        assert message is not None, error
        assert f"The {expected}".lower() in message.lower()
        assert ("trainer.accumulate" in message) == ("GPU" in expected)
