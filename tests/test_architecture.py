"""Rules of the design that no type checker holds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fingerprints"
# In the order of the data flow: a module imports from its own line or from lines above.
ORDER = [
    ("errors", "tasks", "interruption", "status", "fitted"),
    ("data", "runfiles"),
    ("encoders",),
    ("images",),
    ("training",),
    ("generators",),
    ("embeddings",),
    ("reductions",),
    ("decisions",),
    ("encoding",),
    ("detection",),
    ("evidence",),
    ("provenance", "runs", "processes"),
    ("scoring",),
    ("simulation",),
    ("reporting",),
    ("prediction", "segmentation", "sweeps", "dial"),
    ("comparison",),
    ("published",),
    ("config",),
    ("cli", "sweep_record"),
    ("stages",),
    ("experiment",),
    ("lifecycle",),
    ("train", "predict", "evaluate", "compare", "dashboard"),
    ("simulate", "ingest", "segment", "worker", "demo"),
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def top(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    for name in imports(path):
        package, _, rest = name.partition(".")
        if package == "fingerprints" and rest.split(".")[0] in LEVEL:
            assert LEVEL[rest.split(".")[0]] <= LEVEL[top(path)], f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_configuration_and_command_line_know_hydra(path):
    if top(path) not in ("config", "cli", "sweep_record"):
        assert not any(name.split(".")[0] == "hydra" for name in imports(path))


def test_lightning_modules_stay_short():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(
                "LightningModule" in ast.unparse(b) for b in node.bases
            ):
                assert node.end_lineno - node.lineno < 150, f"{node.name} in {path.name}"


def test_files_name_no_package_index():
    root = PACKAGE.parent
    for name in ("requirements.txt", "requirements.in", "pyproject.toml", "Makefile"):
        text = (root / name).read_text()
        assert "index-url" not in text.replace("--no-emit-index-url", "")
        assert "pypi" not in text.lower()
