"""The root of `simulate`: Hydra's schema and the frozen object say the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from fingerprints.config.schema import conf_dir
from fingerprints.config.simulation import MODEL_GENERATORS, ScaleSettings, SimulateSettings, SubsetScale
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build, registered, schema
from fingerprints.generators.settings import GANSettings, VAESettings

GIVEN = {"task": "subset", "out": "O", "generator": {"name": "gan"}}


def test_no_torch_is_needed() -> None:
    script = "import sys, fingerprints.config.simulation; assert not {'torch', 'hydra'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_defaults_of_the_schema_build_the_defaults_of_the_class() -> None:
    composed: Any = OmegaConf.to_container(
        OmegaConf.merge(OmegaConf.structured(schema(SimulateSettings)), GIVEN)
    )
    built = build(SimulateSettings, composed)
    assert built == SimulateSettings(task="subset", out=Path("O"), generator=GANSettings())
    assert built.store == Path("outputs/store")


def test_defaults_of_the_scale_are_the_demo() -> None:
    written: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / "scale/demo.yaml"))
    assert written == {"name": "demo"}
    assert ScaleSettings().name == "demo"


def test_every_size_of_the_paper_is_given() -> None:
    written: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / "scale/paper.yaml"))
    assert {key: len(value) for key, value in written.items() if isinstance(value, dict)} == {
        "subset": 4,
        "usage": 6,
        "model": 4,
        "shadow": 3,
    }
    assert build(ScaleSettings, written).max_steps == 30_000


def test_designs_are_those_listed_or_the_one() -> None:
    one = SimulateSettings(task="usage", out=Path("O"), generator=GANSettings())
    assert one.designs == (GANSettings(),)
    both = build(SimulateSettings, GIVEN | {"generators": [{"name": "vae", "lr": 0.1}, {"name": "gan"}]})
    assert both.designs == (VAESettings(lr=0.1), GANSettings())
    assert set(MODEL_GENERATORS) == set(registered("generator"))


def test_sizes_are_those_of_the_task_and_steps_those_of_the_design_or_the_scale() -> None:
    settings = build(SimulateSettings, GIVEN | {"scale": {"max_steps": 7, "subset": {"real": 9}}})
    assert settings.sizes == SubsetScale(real=9)
    assert [settings.steps_of(GANSettings(max_steps=steps)) for steps in (None, 3)] == [7, 3]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"task": "style"}, "task=style is not one of subset, usage, model, shadow"),
        ({"nonmembers": "all"}, "nonmembers=all is not one of other_groups, same_groups"),
        ({"size": 0}, "size=0 is out of range"),
        ({"scale": {"subset": {"subsets": 1}}}, "scale.subset.subsets=1 is out of range"),
        ({"scale": {"usage": {"test_members": -1}}}, "scale.usage.test_members=-1 is out of range"),
        ({"scale": {"subset": {"reel": 3}}}, "no configuration key 'scale.subset.reel'"),
        ({"planted": {"fraction": 1.5}}, "planted.fraction=1.5 is out of range"),
        ({"planted": {"kinds": ["mirror"]}}, "planted.kinds=mirror is not one of exact"),
        ({"generator": {"name": "gan", "lr": -1}}, r"generator.lr=-1.0 is out of range"),
        ({"generators": [{"name": "gan"}, {"name": "gna"}]}, "There is no generator 'gna'"),
        ({"quality": {"fidelity": "perhaps"}}, "quality.fidelity=perhaps is not true or false"),
        ({"precision": "8"}, "precision=8 is not one of auto"),
    ],
)
def test_mistakes_are_named_with_their_key(values: dict[str, Any], said: str) -> None:
    with pytest.raises(FingerprintsError, match=said):
        build(SimulateSettings, GIVEN | values)
