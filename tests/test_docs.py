"""README and docs: links lead somewhere, commands and experiments exist, pages stay short."""

from __future__ import annotations

import re
from pathlib import Path

from fingerprints.__main__ import COMMANDS

TOP = Path(__file__).parents[1]
PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").glob("*.md"))]
LONGEST = {"README.md": 250, "measurements.md": 420}
EXPERIMENTS = {path.stem for path in (TOP / "conf" / "experiment").glob("*.yaml")}


def found(pattern: str) -> dict[str, list[str]]:
    """What a pattern finds, by page; it must find something at all."""
    by_page = {page.name: re.findall(pattern, page.read_text(encoding="utf-8")) for page in PAGES}
    assert any(by_page.values())
    return by_page


def test_links_lead_to_files() -> None:
    dead = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                dead.append(f"{page.name}: {target}")
    assert dead == []


def test_links_within_a_page_lead_to_headings() -> None:
    dead = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        headings = {
            re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
            for line in text.splitlines()
            if line.startswith("#")
        }
        dead += [
            f"{page.name}: {name}" for name in re.findall(r"\]\(#([^)]+)\)", text) if name not in headings
        ]
    assert dead == []


def test_commands_exist() -> None:
    by_module = found(r"python -m fingerprints\.(\w+)")
    by_console = found(r"(?m)^fingerprints (\w+)")
    named = {word for words in (*by_module.values(), *by_console.values()) for word in words}
    assert named - {"COMMAND"} - set(COMMANDS) == set()


def test_experiments_exist() -> None:
    named = {name for names in found(r"experiment=([a-z][a-z0-9_]+)").values() for name in names}
    # docs/new_score.md writes one itself; the others are the start of a pattern.
    others = {"ratio_usage", "glob", "siamese_subtask"}
    assert named - others - EXPERIMENTS == set()


def test_every_experiment_is_in_the_table_of_systems() -> None:
    page = (TOP / "docs" / "systems.md").read_text(encoding="utf-8")
    assert sorted(name for name in EXPERIMENTS if f"`{name}`" not in page) == []


def test_pages_stay_short() -> None:
    lines = {page.name: len(page.read_text(encoding="utf-8").splitlines()) for page in PAGES}
    assert {name: lines[name] for name, most in LONGEST.items() if lines[name] >= most} == {}
