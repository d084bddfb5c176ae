from __future__ import annotations

import numpy as np
import torch

from fingerprints.encoders.head import Head


def test_logits_are_those_of_the_linear_layer():
    layer = torch.nn.Linear(5, 3)
    head = Head(layer.weight.detach().numpy(), layer.bias.detach().numpy(), ("a", "b", "c"))
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_allclose(head.logits(x), layer(torch.from_numpy(x)).detach().numpy(), rtol=1e-5)
