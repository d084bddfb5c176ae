"""Rules of the design that no type checker holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from docs.draw_architecture import (
    COMMANDS,
    PACKAGE,
    PICTURE,
    ROOMS,
    imports,
    modules,
    picture,
    reduced,
    room,
)

TESTS = Path(__file__).parent
LEVEL = {name: level for level, name in enumerate((*ROOMS, COMMANDS))}
MODULES = modules()

LINES_OF_A_MODULE = 500
LINES_OF_A_FUNCTION = 60  # with its docstring
# Modules whose tests stand elsewhere, and why. `*settings.py` only declare options: tests of the options
# (core/test_options.py) and of the commands' configuration (config/) go through all of them.
NO_TEST_OF_ITS_OWN = {
    "config/roots.py": "declares settings only: config/test_schema.py",
    "encoders/build.py": "encoders/test_network.py builds every encoder",
    "reporting/dial_plot.py": "simulation/test_dial.py draws every kind of it",
}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_every_room_has_its_place():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(ROOMS)


def test_imports_go_one_way():
    wrong, seen = [], set()
    for path in MODULES:
        for name in imports(path):
            package, _, rest = name.partition(".")
            other = rest.split(".")[0]
            if package == "fingerprints" and other in ROOMS:
                seen.add(other)
                if LEVEL[other] > LEVEL[room(path)]:
                    wrong.append(f"{name_of(path)} imports {name}")
    assert wrong == []
    assert {"core", "data", "training", "experiment"} <= seen


def test_only_configuration_knows_hydra():
    knowing = {
        name_of(path) for path in MODULES if any(name.split(".")[0] == "hydra" for name in imports(path))
    }
    assert knowing  # or the search for imports finds nothing
    assert sorted(name for name in knowing if not name.startswith("config/")) == []


def test_modules_and_functions_are_short():
    long = {
        name_of(p) for p in MODULES if len(p.read_text(encoding="utf-8").splitlines()) > LINES_OF_A_MODULE
    }
    for path in MODULES:
        for function in functions(path):
            if function.end_lineno - function.lineno + 1 > LINES_OF_A_FUNCTION:
                long.add(f"{name_of(path)}: {function.name}")
    assert sorted(long) == []
    assert sum(1 for path in MODULES for _ in functions(path)) > len(MODULES) > 100


def test_lightning_modules_stay_short():
    classes = [
        (path, node) for path in MODULES for node in ast.walk(parsed(path)) if isinstance(node, ast.ClassDef)
    ]
    family, before = {"LightningModule"}, 0
    while len(family) > before:  # children of children, too
        before = len(family)
        family |= {
            node.name
            for _, node in classes
            if family & {ast.unparse(base).split(".")[-1] for base in node.bases}
        }
    assert {"EncoderModule", "SiameseModule", "GeneratorModule"} <= family
    lengths = {
        f"{name_of(path)}: {node.name}": node.end_lineno - node.lineno
        for path, node in classes
        if node.name in family
    }
    assert {name: length for name, length in lengths.items() if length >= 150} == {}


def test_every_module_has_a_test_file():
    lacking, needless = set(), set()
    for path in MODULES:
        name, own = name_of(path), TESTS / path.relative_to(PACKAGE).with_name(f"test_{path.name}")
        if path.name == "__init__.py" or path.name.endswith("settings.py"):
            continue
        if own.exists():
            needless |= {name} & set(NO_TEST_OF_ITS_OWN)
        elif name not in NO_TEST_OF_ITS_OWN:
            lacking.add(name)
    assert (sorted(lacking), sorted(needless)) == ([], [])


def test_the_picture_is_of_these_imports():
    drawn = PICTURE.read_text(encoding="utf-8")
    assert drawn == picture(), "draw it again: python -m docs.draw_architecture"


def test_arrows_that_follow_from_others_are_left_out():
    graph = {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": {"a", "c"}, "e": {"a"}}
    assert reduced(graph) == {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"c"}, "e": {"a"}}


def test_the_page_has_a_paragraph_on_every_room():
    page = PICTURE.with_suffix(".md").read_text(encoding="utf-8")
    assert [name for name in (*ROOMS, COMMANDS) if f"**{name}**" not in page] == []


def test_files_name_no_package_index():
    names = ("requirements.txt", "requirements.in", "pyproject.toml", "Makefile")
    texts = {name: (PACKAGE.parent / name).read_text() for name in names}
    naming = {
        name: word
        for name, text in texts.items()
        for word in ("index-url", "pypi")
        if word in text.replace("--no-emit-index-url", "").lower()
    }
    assert naming == {}
