"""The audit of dependencies: what it finds, and that not having been able to look is not a clean bill."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

SCRIPT: Final = Path(__file__).with_name("dependency_audit.py")


def _audit() -> Any:
    spec = importlib.util.spec_from_file_location("dependency_audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_a_network_it_says_that_nothing_is_known() -> None:
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    ended = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert ended.returncode == 75, ended
    assert "NOT DONE" in ended.stderr
    assert ended.stdout == ""


def test_what_is_known_is_said_but_not_of_the_canary() -> None:
    vulnerability = {"id": "PYSEC-1", "fix_versions": ["1.1"]}
    report = {
        "dependencies": [
            {"name": "django", "version": "2.2", "vulns": [vulnerability]},
            {"name": "fine", "version": "3", "vulns": []},
            {"name": "bad", "version": "1.0", "vulns": [vulnerability, {"id": "X", "fix_versions": []}]},
        ]
    }

    assert _audit().problems(report) == [
        "bad 1.0: PYSEC-1 (fixed in 1.1)",
        "bad 1.0: X (fixed in no version yet)",
    ]
