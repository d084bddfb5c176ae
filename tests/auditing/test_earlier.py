from __future__ import annotations

import json
from pathlib import Path

import pytest

from fingerprints.auditing.document import document
from fingerprints.auditing.earlier import changes, check_names, naming, read
from fingerprints.core.errors import FingerprintsError


def one(name: str, score: float, q: float | None) -> dict:
    return {"group": name, "score": score, "p": q, "q": q, "standing_images": 3}


def test_who_became_more_or_less_exposed() -> None:
    before = {
        "inputs": {"generated": {"digest": "abc"}},
        "groups": [one("a", 0.2, 0.6), one("b", 0.9, 0.01), one("c", 0.8, 0.02), one("gone", 0.5, 0.5)],
    }
    now = [one("a", 0.9, 0.05), one("b", 0.3, 0.4), one("c", 0.8, 0.01), one("new", 0.1, 1.0)]
    found = changes(before, now, error=0.05)
    assert [(row["group"], row["change"]) for row in found["groups"]] == [
        ("a", "newly shown"),
        ("c", "shown in both"),
        ("b", "no longer shown"),
    ]
    assert found["groups"][0]["before"] == {"score": 0.2, "p": 0.6, "q": 0.6, "standing_images": 3}
    assert (found["new"], found["gone"]) == (["new"], ["gone"])
    ranks = changes(before, [one("a", 0.1, None)], error=0.05)
    assert [row["change"] for row in ranks["groups"]] == ["ranks only"]


def test_an_audit_compared_with_itself_has_no_change(done) -> None:
    found = document(done)
    same = changes(json.loads(json.dumps(found)), found["groups"], error=0.05)
    assert {row["change"] for row in same["groups"]} == {"shown in both", "not shown in either"}
    assert all(row["before"] == row["now"] for row in same["groups"])


def test_patients_are_only_compared_under_the_same_names() -> None:
    salt, other = b"a" * 16, b"b" * 16
    check_names({"naming": naming(salt, saved=True)}, naming=naming(salt, saved=True), folder=None)
    check_names({"naming": naming(None, saved=False)}, naming=naming(None, saved=True), folder=None)
    for before, now in (
        (naming(salt, saved=True), naming(other, saved=True)),
        (naming(None, saved=False), naming(salt, saved=True)),
        (naming(salt, saved=False), naming(salt, saved=False)),
    ):
        with pytest.raises(FingerprintsError, match="other names"):
            check_names({"naming": before}, naming=now, folder=None)


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"format": 0}'])
def test_only_an_audit_can_be_compared_with(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "audit.json").write_text(text)
    with pytest.raises(FingerprintsError, match=r"against=DIR"):
        read(tmp_path)
