"""A failed download names the ways out."""

from __future__ import annotations

import pytest

from fingerprints.encoders.fetching import LITE0, no_download


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (OSError("no route to host\nand a long trace"), "no route to host"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_the_first_line_of_the_cause_and_three_ways_out(cause: Exception, said: str) -> None:
    error = no_download("resnet18", cause, files="the file w.pth")
    assert error.what == f"The weights of resnet18 cannot be downloaded: {said}"
    for way in ("internet", "the file w.pth", "encoder.weights=PATH", f"encoder={LITE0}"):
        assert way in str(error.fix)
