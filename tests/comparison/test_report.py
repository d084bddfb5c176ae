"""What the pages and the terminal show of systems that were compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from fingerprints.comparison.paired import Comparisons, compare
from fingerprints.comparison.report import comparison_page, console_lines
from fingerprints.comparison.systems import finished
from fingerprints.runs.folder import find_runs
from tests.comparison.conftest import figure

NOT_COMPARED = Comparisons(None, (), 0, ("Nothing to compare.",))
DRAWS = {"seed": 0, "permutations": 49}


def page_of(workshop, compared=None, left_out=()):
    sets = workshop.sets()
    compared = [NOT_COMPARED] * len(sets) if compared is None else compared
    return comparison_page(sets, compared, left_out, patterns=["runs/*"])


def cells(table):
    """Rows of a table by their names, each with its cells as text."""
    return {row[0].text: [" ".join([cell.text, *cell.small]) for cell in row[1:]] for row in table.rows}


@pytest.fixture
def two(workshop, wrong):
    """A system with two seeds, and one with one run and a printed figure."""
    truth = workshop.truth()
    for seed in (0, 1):
        workshop.run(f"runs/a{seed}", wrong(truth, 0.1 + 0.1 * seed), experiment="ours", seed=seed)
    published = {"source": "Paper", "test": {"accuracy": 0.99}}
    baselines = {"majority": {"accuracy": figure(0.33)}, "file": {"accuracy": figure(0.4, 0.3, 0.5)}}
    workshop.run("runs/b", wrong(truth, 0.4), experiment="theirs", published=published, baselines=baselines)
    return workshop


def test_a_system_shows_its_spread_or_its_interval_and_what_is_printed(two):
    page = page_of(two)
    assert page.lead == "3 finished runs of 2 systems from runs/*."
    (section,) = page.sections
    systems, baselines = section.tables
    shown = cells(systems)
    assert list(shown) == ["ours", "theirs"]
    assert shown["ours"] == ["2", "0.850 ± 0.071 [0.700, 1.000]"]
    assert shown["theirs"] == ["1", "0.600 [0.500, 0.700] printed 0.990"]
    assert any(note.startswith("Printed for theirs: Paper;") for note in systems.notes)
    assert list(cells(baselines)) == ["file (best blind baseline)", "majority"]
    assert section.facts["Best blind baseline"] == "file 0.400 [0.300, 0.500]"
    assert section.alt == "Accuracy of 2 systems, from theirs 0.600 to ours 0.850."
    assert "Nothing to compare." in section.notes


def test_a_shortened_training_is_marked_in_its_row_with_the_reason_below(workshop):
    truth = workshop.truth()
    length = {"training": {"name": "pairs"}, "pairing": {"name": "random", "pairs_per_epoch": None}}
    workshop.run("runs/a", truth, trainer={"max_epochs": 30}, **length)
    workshop.run("runs/b", truth, trainer={"max_epochs": 8}, **length)
    (section,) = page_of(workshop).sections
    marked = [row[0].text for row in section.tables[0].rows if row[0].marks == ("shortened training",)]
    assert marked == ["siamese_subtask2 max_epochs=8"]
    (note,) = [note for note in section.tables[0].notes if note.startswith("Shortened training: ")]
    assert "trainer.max_epochs is 8 and not 30" in note
    lines = console_lines(workshop.sets(), [NOT_COMPARED], [], out=Path("OUT"))
    assert [line.split()[1] for line in lines if "(shortened training)" in line] == ["max_epochs=8"]


def test_pairs_have_a_table_with_the_reference_in_its_title(two):
    (data,) = two.sets()
    compared = compare(data, **DRAWS)
    (section,) = page_of(two, [compared]).sections
    paired = section.tables[-1]
    assert paired.caption == "Accuracy against ours, same images"
    assert list(cells(paired)) == ["theirs"]
    assert paired.notes == compared.notes
    lines = console_lines([data], [compared], [], out=Path("OUT"))
    assert lines[0].endswith("accuracy; chance 0.333, best blind baseline file 0.400")
    ours, theirs = (line.split() for line in lines[2:4])
    assert (ours[0], ours[-1], theirs[0]) == ("ours", "reference", "theirs")
    assert lines[-1] == "comparison: OUT/comparison.html"


def test_generators_that_are_a_sample_widen_the_figures_of_their_own_table(planned):
    data = planned.only_set()
    for generators, shown in (("random", ["good", "bad"]), ("fixed", ["bad"])):
        compared = compare(data, generators=generators, **DRAWS)
        (section,) = page_of(planned, [compared]).sections
        paired = section.tables[-1]
        assert list(cells(paired)) == shown
        assert (paired.columns[-1] == "Accuracy") == (generators == "random")


def test_a_simulated_generator_below_the_floor_is_named(planned):
    (section,) = page_of(planned).sections
    assert not any("below the floor" in note for note in section.notes)
    planned.plan("b2", seed=2, below=("diversity",))
    (section,) = page_of(planned).sections
    (note,) = [note for note in section.notes if "below the floor" in note]
    assert "'gan' of this simulation is below the floor: diversity" in note


def test_generators_have_a_table_and_clusters_a_note(workshop):
    labels = workshop.truth(task="usage")
    levels = {name: {"kappa": figure(value)} for name, value in (("m1", 0.1), ("m2", 0.5), ("mean", 0.3))}
    workshop.run("runs/a", labels, task="usage", test=levels)
    (section,) = page_of(workshop).sections
    table = section.tables[1]
    assert table.columns[1:4] == ("m1, test", "m2, test", "mean, test")
    assert cells(table)["siamese_subtask2"][:3] == ["0.100", "0.500", "0.300"]


def test_answers_that_are_clusters_are_said_to_be_matched(workshop):
    labels = workshop.truth(task="model")
    workshop.run("runs/a", labels, task="model", test={"ari": figure(0.5), "accuracy": figure(0.6)})
    (section,) = page_of(workshop).sections
    notes = section.tables[0].notes
    assert any("Hungarian method has matched clusters" in note for note in notes)
    assert any("varies the patients or images, not the clustering" in note for note in notes)


def test_runs_that_are_left_out_are_named(two):
    two.run("runs/c", [], experiment="broken", state="failed")
    _, left_out = finished(find_runs(["runs/*"], within=two.folder))
    page = page_of(two, left_out=left_out)
    assert "1 run left out" in page.lead
    assert [cell.text for cell in page.left_out.rows[0]][:3] == ["broken", "failed", "out of memory"]
    lines = console_lines(two.sets(), [NOT_COMPARED], left_out, out=Path("OUT"))
    assert lines[-2] == f"left out: {two.folder / 'runs' / 'c'} (failed): out of memory"
