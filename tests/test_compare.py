from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser

import pandas as pd
import pytest

from fingerprints import compare
from fingerprints.config.launch import Place
from fingerprints.config.roots import CompareSettings
from fingerprints.config.schema import valid_keys
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build
from tests.comparison.conftest import Workshop, figure


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two systems, one of random weights, a control, a failed run and a run of another task."""
    workshop = Workshop(tmp_path)
    truth = workshop.truth(n=60)
    workshop.truth(n=60, task="usage", name="usage")
    poor = ["t1"] * 30 + truth[30:]
    published = {"source": "A paper <b>", "test": {"accuracy": 0.99}}
    baselines = {"file": {"accuracy": figure(0.5)}, "random": {"accuracy": figure(0.33)}}
    workshop.run("runs/a", truth, published=published, baselines=baselines)
    workshop.run("runs/b", poor, experiment="poor | one")
    workshop.run("runs/c", poor, experiment="bare", encoder={"name": "resnet18", "weights": "none"})
    workshop.run("runs/d", poor, shuffle=True)
    workshop.run("runs/e", truth, state="failed")
    workshop.run("runs/f", ["used"] * 60, task="usage", data="usage")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def main(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["compare", *words])
    compare.main()


class Page(HTMLParser):
    """Tables by caption and pictures of a page."""

    def __init__(self, text):
        super().__init__()
        self.captions, self.images, self.inside = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.inside = tag
        if tag == "img":
            self.images.append(dict(attributes))

    def handle_data(self, data):
        if self.inside == "caption" and data.strip():
            self.captions.append(data)


def test_pages_and_tables_of_a_comparison(runs, monkeypatch, capsys):
    main(monkeypatch, "runs=runs/*", "out=side", "permutations=49")
    said = capsys.readouterr().out
    assert "siamese_subtask2" in said
    assert "left out: " in said
    assert "out of memory" in said
    text = (runs / "side" / "comparison.html").read_text()
    page = Page(text)
    assert page.captions == [
        *("Systems", "Random weights", "Controls: training labels shuffled"),
        *("Blind baselines and trivial answers, test part", "Accuracy against siamese_subtask2, same images"),
        *("Systems", "Runs left out"),
    ]
    assert [image["src"][:22] for image in page.images] == ["data:image/png;base64,"] * 2
    assert "from bare 0.667 to siamese_subtask2 1.000" in page.images[0]["alt"]
    assert "A paper &lt;b&gt;" in text
    assert "<script" not in text
    markdown = (runs / "side" / "comparison.md").read_text()
    assert "1.000 [0.900, 1.100], printed 0.990" in markdown
    assert "poor \\| one" in markdown
    table = pd.read_csv(runs / "side" / "comparison.csv")
    assert table.loc[table["data"] == 1, "table"].tolist() == [
        *("system", "system", "random_weights", "control", "blind", "trivial")
    ]
    assert table["test.accuracy_printed"].dropna().tolist() == [0.99]


def test_a_vote_is_written_and_said(runs, monkeypatch, capsys):
    words = ["runs=[runs/a,runs/b,runs/c]", "vote=majority", "out=fused", "permutations=19"]
    main(monkeypatch, *words)
    said = capsys.readouterr().out
    assert "vote over a, b, c" in said
    assert "vote_majority 0.667" in said
    main(monkeypatch, "runs=[runs/a,fused]", "permutations=19")
    assert "vote_majority" in capsys.readouterr().out
    assert (runs / "outputs" / "comparison" / "comparison.html").is_file()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"runs": "nothing/*"}, "Nothing matches 'nothing/"),
        ({"runs": "runs/e"}, "None of the runs is finished: e failed"),
        ({"vote": "majority"}, "A vote needs its own output folder"),
        ({"vote": "majority", "out": "x"}, "a vote needs runs of a single one"),
        ({"runs": ["runs/[ab]"], "vote": "unanimous", "out": "x"}, "only `usage` has one"),
        ({"baseline": "nobody"}, "There is no system 'nobody'"),
    ],
)
def test_what_the_user_can_mend(runs, given, message):
    config = build(CompareSettings, {"runs": "runs/*", **given})
    with pytest.raises(FingerprintsError) as error:
        compare._job(config, Place(runs))
    assert message in str(error.value)
    assert not (runs / "x").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["runs=runs/*", "vote=most"], "vote=most is not one of none, majority, unanimous, rerank"),
        ([], "A value is missing: runs"),
    ],
)
def test_settings_that_are_wrong(runs, monkeypatch, capsys, words, message):
    with pytest.raises(SystemExit) as stop:
        main(monkeypatch, *words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_help_and_a_misspelt_key_need_nothing_heavy(tmp_path):
    code = (
        "import sys; sys.argv = ['x', *{words!r}]\n"
        "from fingerprints.compare import main\n"
        "try: main()\n"
        "finally: print('HEAVY', {{'torch', 'hydra', 'numpy', 'pandas'}} & set(sys.modules))"
    )
    done = [
        subprocess.run(
            [sys.executable, "-c", code.format(words=words)], capture_output=True, text=True, cwd=tmp_path
        )
        for words in (["--help"], ["rnus=x"])
    ]
    assert all("HEAVY set()" in one.stdout for one in done)
    assert all(f"{key}=" in done[0].stdout for key in valid_keys("compare"))
    assert "did you mean 'runs'?" in done[1].stderr
    assert CompareSettings(runs="x").vote == "none"
