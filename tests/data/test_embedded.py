from __future__ import annotations

import json
import subprocess
import sys

from fingerprints.config import schema as config
from fingerprints.data import embedded as module


def test_a_layout_has_its_folder_and_the_size_that_it_was_made_with(embedded):
    found = module.embedded_benchmark("imageclef2025_usage")
    assert found == module.EmbeddedBenchmark(embedded / "usage", size=48)


def test_no_layout_no_facts_no_benchmark(embedded):
    assert module.embedded_benchmark("generic") is None
    assert module.embedded_benchmark(None) is None
    assert module.embedded_benchmark("imageclef2025_subset") is not None
    (embedded / "subset" / module.FACTS).unlink()
    assert module.embedded_benchmark("imageclef2025_subset") is None


def test_layouts_exist():
    assert set(module.OF_LAYOUT) <= set(config.options("data"))


def test_only_the_embedded_benchmark_is_called_so(embedded, tmp_path):
    text = module.describe_data(str(embedded / "subset"), size=48)
    assert "embedded benchmark (phantoms, 48 x 48)" in text
    assert "data.root=DIR data.size=N" in text
    assert module.describe_data("some/where", size=48) == "some/where"
    assert module.describe_data("a", size=48, test_root="b") == "a, test part in b"
    assert "phantoms" in module.embedded_notes(embedded / "usage")[0]
    assert module.embedded_notes(tmp_path) == []


def test_generators_that_simulate_warned_of_are_named(tmp_path):
    def record(folder, **qualities):
        folder.mkdir()
        generators = {name: {"quality": quality} for name, quality in qualities.items()}
        (folder / module.FACTS).write_text(json.dumps({"generators": generators}))

    record(tmp_path / "a", good={"collapsed": False, "below_floor": []}, poor={"below_floor": ["coverage"]})
    record(tmp_path / "b", one={"collapsed": True, "below_floor": ["diversity"]}, older={})
    (poor,) = module.simulation_notes(tmp_path / "a")
    assert "'poor' of this simulation is below the floor: coverage." in poor
    found = module.simulation_notes(str(tmp_path / "a"), tmp_path / "b")
    assert found[0] == poor
    assert "'one' of this simulation has collapsed." in found[1]
    assert len(found) == 2
    assert module.simulation_notes(tmp_path) == []
    for text in ("no json", "[1]", '{"generators": 1}', "{}"):  # a file of somebody else
        (tmp_path / module.FACTS).write_text(text)
        assert module.simulation_notes(tmp_path) == []


def test_looking_for_it_imports_nothing_heavy():
    code = (
        "import sys, fingerprints.data.embedded; print({'torch', 'numpy', 'pandas', 'PIL'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
