from __future__ import annotations

import numpy as np

from fingerprints.reductions.none import NoReduction

POINTS = np.random.default_rng(0).normal(size=(5, 3))


def test_embeddings_stay_as_they_are_and_the_width_is_known() -> None:
    reduction = NoReduction.fit(POINTS)
    np.testing.assert_array_equal(reduction.apply(POINTS), POINTS.astype(np.float32))
    assert reduction.describe() == {"name": "none", "components": 3, "variance": 1.0}
    assert NoReduction.from_state(reduction.state()) == reduction
