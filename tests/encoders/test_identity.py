"""What a network is: in words and as a digest."""

from __future__ import annotations

import copy
import json

import torch

from fingerprints.encoders.identity import describe_network, weights_digest
from tests.networks import build_network

SMALL = {"name": "siamese_cnn", "channels": [2], "embedding": 3}


def test_digest_is_of_every_value_name_and_shape() -> None:
    network = build_network({**SMALL, "batch_norm": True}, size=16)
    before = weights_digest(network)
    assert weights_digest(copy.deepcopy(network)) == before
    for key, tensor in network.state_dict().items():
        kept = tensor.clone()
        tensor.view(-1)[-1] += 1
        assert weights_digest(network) != before, key
        tensor.copy_(kept)
    assert weights_digest(network) == before
    layer = torch.nn.Linear(2, 3, bias=False)
    other = torch.nn.Linear(3, 2, bias=False)
    other.weight.data = layer.weight.data.reshape(2, 3)
    assert weights_digest(layer) != weights_digest(other)
    assert weights_digest(torch.nn.ModuleDict({"a": layer})) != weights_digest(
        torch.nn.ModuleDict({"b": layer})
    )
    assert weights_digest(layer.bfloat16()) != weights_digest(layer.float())


def test_description_is_json_and_tells_options_apart_that_leave_no_trace_in_weights() -> None:
    described = []
    for settings, trained in (
        (SMALL, True),
        (SMALL, False),
        ({**SMALL, "standardise": True}, True),
        ({**SMALL, "final_relu": False}, True),
        ({**SMALL, "projection": 3}, True),
        ({"name": "lbp"}, False),
        ({"name": "lbp", "radius": 2.0}, False),
        ({"name": "pixels"}, False),
        ({"name": "spectrum", "grid": None}, False),
    ):
        network = build_network(settings, size=16, on_pairs=trained)
        text = json.dumps(describe_network(network), sort_keys=True)
        assert json.loads(text)["embedding"] == network(torch.rand(1, 1, 16, 16)).shape[1]
        described.append(text)
    assert len(set(described)) == len(described)


def test_description_of_a_projection() -> None:
    facts = describe_network(build_network({**SMALL, "projection": 3}, size=16))
    # 2 filters of 9 weights, 2 biases; 2 x 7 x 7 to 3; 3 to 3.
    assert facts["parameters"] == 20 + 3 * 98 + 3 + 12
    assert (facts["projection"], facts["normalised"]) == (3, True)
