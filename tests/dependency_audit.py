"""Not a test: asks the advisory services about every package in requirements.lock, for `make audit`.

Exit code 0: nothing known; 1: known vulnerabilities; 75: no service could be asked, so nobody knows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

LOCK: Final = Path(__file__).parents[1] / "requirements.lock"
SERVICES: Final = ("pypi", "osv")
VULNERABLE: Final = 1
NOT_DONE: Final = 75

CANARY: Final = "django==2.2"
"""Known to be vulnerable for years: a service (or a mirror) that knows nothing of it knows nothing at all."""


def asked(service: str, requirements: Path) -> dict[str, Any] | str:
    """The report of pip-audit on what one service knows, or why there is none."""
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", service, "--requirement"]
    options = (
        "--no-deps",
        "--disable-pip",
        "--format",
        "json",
        "--progress-spinner",
        "off",
        "--timeout",
        "30",
    )
    ended = subprocess.run(
        [*command, str(requirements), *options], capture_output=True, text=True, timeout=900, check=False
    )
    try:
        report: dict[str, Any] = json.loads(ended.stdout)
    except ValueError:
        return (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1][:200]
    skipped = [package for package in report["dependencies"] if "skip_reason" in package]
    if skipped:
        return f"{len(skipped)} packages not looked up, the first: {skipped[0]['skip_reason']}"
    known = [package["name"] for package in report["dependencies"] if package["vulns"]]
    if CANARY.partition("==")[0] not in known:
        return f"it knows of no vulnerability in {CANARY}"
    return report


def problems(report: dict[str, Any]) -> list[str]:
    """One line for each known vulnerability of a package that we use."""
    return [
        f"{package['name']} {package['version']}: {each['id']}"
        f" (fixed in {', '.join(each['fix_versions']) or 'no version yet'})"
        for package in report["dependencies"]
        if package["name"] != CANARY.partition("==")[0]
        for each in package["vulns"]
    ]


def main() -> int:
    """Ask one service after the other until one answers, and say what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(LOCK.read_text(encoding="utf-8") + f"\n{CANARY}\n", encoding="utf-8")
        for service in SERVICES:
            report = asked(service, requirements)
            if isinstance(report, str):
                print(f"audit: {service} could not be asked: {report}", file=sys.stderr)
                continue
            found = problems(report)
            for line in found:
                print(f"audit: {line}")
            count = len(report["dependencies"]) - 1
            print(f"audit: {len(found)} known vulnerabilities in {count} packages, says {service}")
            return VULNERABLE if found else 0
    print("audit: NOT DONE, no advisory service could be asked; nothing is known either way", file=sys.stderr)
    return NOT_DONE


if __name__ == "__main__":
    sys.exit(main())
