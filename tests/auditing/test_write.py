from __future__ import annotations

import csv
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fingerprints.auditing.audit import Audit
from fingerprints.auditing.write import IMAGES, PAGE, PATIENTS, safe, write
from fingerprints.core.errors import FingerprintsError

NASTY = (
    '<script>alert("x")</script>',
    'it\'s "b", c',
    "two\nlines",
    "=1+1",
    "Müller 数据 🩻",
    "]]>&amp;{{x}}",
)


def renamed(done: Audit, out: Path, **options) -> Audit:
    """The audit with nasty names of patients, files and generated images."""
    inputs, found = done.inputs, done.findings
    own = found.exposure
    new = dict(zip(own.patients.names.tolist(), NASTY, strict=True))
    ids = tuple(f"{new[group]}/{at}" for at, group in enumerate(inputs.real.groups.tolist()))
    groups = np.array([new[group] for group in inputs.real.groups.tolist()])
    real = replace(inputs.real, ids=ids, groups=groups)
    made = replace(inputs.generated, ids=tuple(f"{NASTY[at % 6]}{at}" for at in range(len(inputs.generated))))
    exposure = replace(
        own,
        patients=replace(own.patients, names=np.array([new[name] for name in own.patients.names.tolist()])),
        images=replace(own.images, names=np.array(ids)),
        standing=replace(own.standing, names=np.array(ids)),
    )
    copies = replace(found.copies, identical=((0, 0),))
    return replace(
        done,
        settings=replace(done.settings, out=out, **options),
        inputs=replace(inputs, real=real, generated=made),
        findings=replace(found, exposure=exposure, copies=copies),
    )


class Page(HTMLParser):
    """Text and tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data) -> None:
        self.text += data


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_names_stay_names_in_every_file(done: Audit, tmp_path: Path) -> None:
    write(renamed(done, tmp_path / "out"))
    found = json.loads((tmp_path / "out/audit.json").read_text(encoding="utf-8"))
    assert {one["group"] for one in found["groups"]} == set(NASTY)
    table = rows(tmp_path / "out" / PATIENTS)
    assert {one["group"] for one in table} == {safe(name) for name in NASTY}
    assert len(rows(tmp_path / "out" / IMAGES)) == 24
    page = Page((tmp_path / "out" / PAGE).read_text(encoding="utf-8"))
    for name in NASTY:
        assert " ".join(name.split()) in " ".join(page.text.split())
    assert page.tags.count("script") == 1  # it sorts tables
    assert not {name for name in page.attributes if name.startswith("on")}
    # For 10 pairs and 6 patients: a real image, before and after its change, a generated one, and the
    # difference; for patients also the nearest one, and the difference to it.
    assert page.tags.count("img") == 10 * 4 + 6 * 6


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    assert [safe(name) for name in ("=1+1", "@x", "-a", "+a", "a=1", "")] == [
        "'=1+1",
        "'@x",
        "'-a",
        "'+a",
        "a=1",
        "",
    ]


def test_the_tables_say_what_the_document_says(done: Audit, tmp_path: Path) -> None:
    found = write(replace(done, settings=replace(done.settings, out=tmp_path / "out")))
    for name, key in ((IMAGES, "images"), (PATIENTS, "groups")):
        table = rows(tmp_path / "out" / name)
        assert [float(one["q"]) for one in table] == [one["q"] for one in found[key]]
    assert [float(one["p_images"]) for one in rows(tmp_path / "out" / IMAGES)] == [
        one["p_images"] for one in found["images"]
    ]
    counts = [int(one["found_images"]) for one in rows(tmp_path / "out" / PATIENTS)]
    assert counts == [one["found_images"] for one in found["groups"]]
    assert rows(tmp_path / "out" / IMAGES)[0]["nearest"] == found["images"][0]["nearest"][0]["generated"]


def test_the_key_says_which_name_is_whose(done: Audit, tmp_path: Path) -> None:
    hashed = renamed(done, tmp_path / "out", names="hash", key=tmp_path / "key.csv")
    write(hashed)
    assert (tmp_path / "key.csv").stat().st_mode & 0o077 == 0
    table = rows(tmp_path / "key.csv")
    assert len(table) == 24 + 240
    assert table[0] == {
        "id": hashed.inputs.real.ids[0],
        "group": hashed.inputs.real.groups[0],
        "role": "real",
        "patient": "p00",
        "file": str(done.inputs.real.path / "p00/0.png"),
        "frame": "1",
    }
    with pytest.raises(FingerprintsError, match="already exists"):
        write(replace(hashed, settings=replace(hashed.settings, out=tmp_path / "other")))
    assert not (tmp_path / "other").exists()
