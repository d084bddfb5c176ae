"""Rules of the design that no type checker holds."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "fingerprints"
# A module imports from its own room or from rooms above it; commands come last.
ROOMS = (
    *("core", "data", "ingestion", "images", "encoders", "reductions", "evidence", "runs", "training"),
    *("generators", "embeddings", "decisions", "detector", "config", "reporting", "simulation"),
    *("experiment", "comparison"),
)
LEVEL = {name: level for level, name in enumerate(ROOMS)}
COMMANDS = len(ROOMS)
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


def test_imports_go_one_way():
    wrong = []
    for path in MODULES:
        for name in imports(path):
            package, _, rest = name.partition(".")
            room = rest.split(".")[0]
            if package == "fingerprints" and room in LEVEL and LEVEL[room] > LEVEL.get(top(path), COMMANDS):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert not wrong


def test_only_configuration_knows_hydra():
    for path in MODULES:
        if top(path) != "config":
            assert not any(name.split(".")[0] == "hydra" for name in imports(path)), path


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
