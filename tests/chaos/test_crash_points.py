"""A driver that dies between any two statements of nas/campaign.py leaves a campaign that comes out whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("crash_points.py")
SHARES = 2


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "which", [[], pytest.param(["every"], marks=[pytest.mark.full, pytest.mark.timeout(3600)])]
)
def test_every_crash_point(tmp_path: Path, which: list[str]) -> None:
    """Each statement once; in the full tier also each time that it is executed."""
    runs = []
    for share in range(SHARES):
        folder = tmp_path / str(share)
        folder.mkdir()
        command = [sys.executable, str(PROGRAM), str(folder), str(share), str(SHARES), *which]
        runs.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    said = [run.communicate() for run in runs]
    assert [errors for _, errors in said] == [""] * SHARES
    assert [run.returncode for run in runs] == [0] * SHARES
    reports = [json.loads(output) for output, _ in said]
    assert [report["wrong"] for report in reports] == [{}] * SHARES
    assert reports[0]["never"] == [], "the campaign of crash_points.py does not come by these lines"
    struck = sum(report["struck"] for report in reports)
    assert struck > (1000 if which else 100)
