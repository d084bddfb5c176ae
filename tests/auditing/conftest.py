from __future__ import annotations

from pathlib import Path

import pytest

from fingerprints.auditing.audit import Audit, audit
from tests.auditing.folders import audit_settings, write_folders


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders that no test changes."""
    return write_folders(tmp_path_factory.mktemp("audit"))


@pytest.fixture(scope="session")
def done(folders: Path) -> Audit:
    """An audit with a reference, whose names are kept and whose page has images."""
    return audit(audit_settings(folders, embed_images=True))
