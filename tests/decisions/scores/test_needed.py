from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Fitting
from fingerprints.decisions.scores.needed import needed, needed_reference, require_pairs
from tests.decisions.parts import about_real, images


def test_enough_images_pass_and_too_few_are_named_with_the_way_out() -> None:
    two = np.zeros((2, 3), np.float32)
    assert needed(two, least=2, kind="generated") is two
    with pytest.raises(FingerprintsError, match=r"at least 3 generated image.*there are 2") as error:
        needed(two, least=3, kind="generated")
    assert "this generator" in str(error.value.fix)
    fitting = Fitting(about_real(images(two), images(two)), (NOT_USED, USED), reference=images(two))
    assert needed_reference(fitting) is two
    with pytest.raises(FingerprintsError, match="at least 3 reference") as error:
        needed_reference(fitting, least=3)
    assert "data.reference=DIR" in str(error.value.fix)


def test_pairs_that_no_memory_holds_are_refused() -> None:
    require_pairs("window_em", 100, 100)
    with pytest.raises(FingerprintsError, match="decision=window_em on 10,000,000 x 10,000,000 images needs"):
        require_pairs("window_em", 10**7, 10**7)
