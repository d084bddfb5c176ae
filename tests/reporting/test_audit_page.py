from __future__ import annotations

import base64
import copy
import hashlib
import re

import pytest

from fingerprints.reporting.audit_page import SHOWN, chance, render_audit
from fingerprints.reporting.html import PicturePanel

CURVE = {"planted": [1, 2], "found": [0.0, 0.5], "alone_at_error": 0.25, "smallest": None}
ROLE = {
    "images": 60,
    "patients": None,
    "native_sizes": {"16 x 16": 60},
    "from_dicom": 0,
    "digest": "abc",
    "notes": ["a <note>"],
}
LIMIT = {
    "asked_about": 6,
    "reference": 60,
    "least_p": 1 / 61,
    "fewest_found": 2,
    "needed_for_one": 119,
    "needed_for_all": 19,
}
DOCUMENT = {
    "verdict": {"level": "nothing_shown", "sentences": ["One.", "Two.", "Three."]},
    "images": [],
    "groups": [
        {
            "group": f"p{n}",
            "images": 4,
            "score": 0.5,
            "p": 0.5,
            "q": 1.0,
            "found_images": 2,
            "standing_images": 3,
            "most_exposed": "a",
        }
        for n in range(3)
    ],
    "copies": {
        "identical": [],
        "matches": {
            "level": 0.9,
            "level_from": "reference",
            "real_images": 1,
            "by_chance": 0.6,
            "listed": [],
        },
    },
    "set": {
        "z": None,
        "cells": 0,
        "authenticity": 0.4,
        "authenticity_held_out": 0.5,
        "ratio": 0.91,
        "ratio_held_out": 0.87,
    },
    "screen": {"problems": [], "remarks": ["a remark"]},
    "null": {
        "error": 0.05,
        "assumption": "Valid if.",
        "of_images": "Rely on patients.",
        "pooling": "highest",
        "images": LIMIT,
        "standing": LIMIT,
        "patients": LIMIT,
    },
    "power": {
        "reason": "",
        "held_out_patients": 4,
        "reference_left": {"images": 9, "patients": 8},
        "copies": {"images": CURVE, "standing": CURVE, "patients": CURVE},
        "blends": {"images": CURVE | {"smallest": 2}, "standing": CURVE, "patients": CURVE},
    },
    "against": None,
    "detectors": ["distance"],
    "inputs": {"real": ROLE | {"patients": 6}, "generated": ROLE},
    "settings": {"size": 64, "seed": 0},
    "provenance": {"command": "audit <x>", "fingerprints": "0", "revision": None, "versions": {"numpy": "2"}},
    "seconds": 1.0,
    "peak_memory_mb": {"host": 100.0},
}


def page(*changes: tuple[str, object]) -> str:
    document = copy.deepcopy(DOCUMENT)
    for path, value in changes:
        node: dict = document
        *above, last = path.split(".")
        for name in above:
            node = node[name]
        node[last] = value
    return render_audit(document, None, how="ask for images")


def test_it_is_one_file_with_one_script_and_loads_nothing() -> None:
    text = page()
    assert "default-src 'none'" in text
    (script,) = re.findall("<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert not any(word in text for word in ("<script ", "http:", "https:", "src=", "<note>", "<x>"))
    assert text.index("One.") < text.index("Two.") < text.index('id="copies"') < text.index('id="patients"')
    assert "ask for images" in text


def test_what_could_not_be_seen_is_said_with_figures_or_a_reason() -> None:
    text = page()
    assert "none up to 2" in text
    assert "1: 0 %, 2: 50 %" in text
    assert text.count("Fewer than 2 exposed ones cannot be found") == 3
    assert "Not even all of them" in page(("null.patients", LIMIT | {"fewest_found": None}))
    assert "no reference to plant" in page(("power", {"reason": "no reference to plant"}))
    assert "no <i>p</i> and no <i>q</i>" in page(("null.patients", LIMIT | {"reference": 0, "least_p": None}))


def test_long_tables_scroll_and_found_patients_are_marked() -> None:
    row = DOCUMENT["groups"][0]
    many = [row | {"group": f"patient {n}"} for n in range(SHOWN + 5)]
    text = page(("groups", [row | {"q": 0.01}, *many[1:]]))
    assert text.count('<th scope="row">patient ') == SHOWN + 4
    assert [one.count('class="scroll long"') for one in (text, page())] == [1, 0]
    assert text.count('class="found"') == 1
    assert text.count('class="standing"') == SHOWN + 4
    assert 'class="found"' not in page(("groups", [row | {"p": None, "q": None}]))


def test_copies_are_compared_with_chance_if_there_is_a_reference() -> None:
    matches = DOCUMENT["copies"]["matches"]
    pair = {
        "real": "a",
        "group": "p1",
        "generated": "g",
        "similarity": 0.95,
        "change": "turned",
        "above": True,
    }
    text = page(("copies.matches", matches | {"listed": [pair, pair | {"above": False}]}))
    assert "about 0.6 of your images would. There are not many more" in text
    assert text.count('class="found"') == 1
    assert "none of your images" in page(("copies.matches", matches | {"real_images": 0}))
    assert "There are more: look" in page(("copies.matches", matches | {"real_images": 4}))
    assert "without a reference this proves nothing" in page(
        ("copies.matches", matches | {"by_chance": None})
    )


def test_figures_of_the_set_stand_beside_those_of_the_reference() -> None:
    text = page().split("They are no verdict")[1]
    assert text.index("40%") < text.index("50%") < text.index("0.91") < text.index("0.87")
    assert "That needs a reference" in page(("set", None))


def test_forced_differences_stand_above_everything() -> None:
    text = page(("screen.problems", ["native sizes differ"]))
    assert text.index("native sizes differ") < text.index('id="copies"')


def test_changes_since_an_earlier_audit_have_their_section() -> None:
    row = {
        "group": "p1",
        "change": "newly shown",
        "before": {"score": 0.1, "q": 0.9, "standing_images": 7},
        "now": {"score": 0.9, "q": 0.01, "standing_images": 9},
    }
    text = page(("against", {"groups": [row], "new": [], "gone": ["x"]}))
    assert "newly shown" in text
    assert "0 patients are new, 1 are gone" in text
    assert "Compared with the earlier audit" not in page()


def test_pictures_are_shown_where_there_are_some() -> None:
    text = render_audit(DOCUMENT, PicturePanel("Images", "a caption", []), how="ask for images")
    assert "a caption" in text
    assert "ask for images" not in text


@pytest.mark.parametrize(("value", "said"), [(None, "–"), (0.00004, "&lt; 0.0001"), (0.0714, "0.0714")])
def test_chances(value, said) -> None:
    assert said.replace("&lt;", "<") == chance(value)
