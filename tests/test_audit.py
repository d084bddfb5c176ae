from __future__ import annotations

import json
from typing import get_args, get_type_hints

from fingerprints import audit
from fingerprints.auditing.document import EXPOSED, STANDING
from fingerprints.config.auditing import AuditSettings
from tests.auditing.folders import write_folders


def test_from_the_command_line_to_the_page_and_on_to_the_next_audit(command, tmp_path) -> None:
    write_folders(tmp_path)
    words = ["real=real", "generated=generated", "reference=reference", "groups=folders", "size=16"]
    words += ["battery.detectors=[{name: distance, cut: half}]", "planted=0", "salt=salt"]
    code, printed = command(audit, *words, "out=first", "key=key.csv", "fail_on=exposed")
    assert code == 3, printed
    assert "3 of 6 patients stand out" in printed
    assert "page: first/audit.html" in printed
    assert {path.name for path in (tmp_path / "first").iterdir()} == {
        "audit.json",
        "audit.html",
        "images.csv",
        "patients.csv",
    }
    assert "p00" not in (tmp_path / "first/audit.html").read_text()
    assert "p00" in (tmp_path / "key.csv").read_text()
    code, printed = command(audit, *words, "out=second", "against=first")
    assert code == 0, printed
    found = json.loads((tmp_path / "second/audit.json").read_text())
    assert len(found["against"]["groups"]) == 6
    code, printed = command(audit, *words, "out=second")
    assert code == 2
    assert "already exists" in printed


def test_who_fails_on_standing_out_fails_on_exposed_too() -> None:
    assert set(audit.FAILING) == set(get_args(get_type_hints(AuditSettings)["fail_on"]))
    assert set(audit.FAILING["exposed"]) < set(audit.FAILING["standing_out"]) == {EXPOSED, STANDING}
