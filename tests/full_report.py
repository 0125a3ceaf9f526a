"""Runs every test with its full counts and writes the report that docs/ keeps: `make test-full`."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
TIMEOUT: Final = 3600
"""Seconds for one test; a longer one carries its own mark."""


def git(*arguments: str) -> str:
    """What git says, or nothing where there is no repository."""
    try:
        command = ["git", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def commit() -> str:
    """The commit that was tested, and whether the tree differed from it."""
    changed = git("status", "--porcelain", "--untracked-files=no")
    return (git("rev-parse", "HEAD") or "unknown") + (", with uncommitted changes" if changed else "")


def report(results: Path, tested: str) -> str:
    """The junit file of a run as a page of Markdown."""
    suite = next(ET.parse(results).iter("testsuite"))  # noqa: S314 - pytest wrote it a moment ago
    count = {key: int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped")}
    passed = count["tests"] - count["failures"] - count["errors"] - count["skipped"]
    cases = [(f"{case.attrib['classname']}.{case.attrib['name']}", case) for case in suite.iter("testcase")]
    bad = [name for name, case in cases if {child.tag for child in case} & {"failure", "error"}]
    slow = sorted(((float(case.attrib["time"]), name) for name, case in cases), reverse=True)[:10]
    lines = [
        "# The last full test run",
        "",
        "Written by `make test-full`; lint, types and the import contract passed before it.",
        "",
        "| | |",
        "|---|---|",
        f"| date | {datetime.now(UTC):%Y-%m-%d %H:%M} UTC |",
        f"| commit | {tested} |",
        f"| machine | {platform.system()} {platform.machine()}, {os.cpu_count()} cores |",
        f"| Python | {platform.python_version()} |",
        f"| passed | {passed} |",
        f"| failed | {count['failures'] + count['errors']} |",
        f"| skipped | {count['skipped']} |",
        f"| duration | {float(suite.attrib['time']) / 60:.1f} minutes |",
        "",
        *(f"- failed: `{name}`" for name in bad),
        *([""] if bad else []),
        "The slowest:",
        "",
        "| seconds | test |",
        "|---|---|",
        *(f"| {seconds:.1f} | `{name.replace('|', '/')}` |" for seconds, name in slow),
        "",
    ]
    return "\n".join(lines)


def main(path: Path) -> int:
    """Pytest's exit code; the report is written whatever it is."""
    tested = commit()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-m",
            "full or not full",
            "-n",
            "2",
            "--dist",
            "loadfile",
        ]
        command += [f"--timeout={TIMEOUT}", f"--junitxml={results}"]
        code = subprocess.run(command, cwd=ROOT).returncode
        if results.exists():
            path.write_text(report(results, tested), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
