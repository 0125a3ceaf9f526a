"""Where a benchmark's figures go: one JSON file each, with the machine that they were measured on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"


def machine() -> str:
    """One line about this machine."""
    return f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def write(name: str, facts: Mapping[str, Any]) -> None:
    """Write benchmarks/results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine(), **facts}, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n")


def read(name: str) -> dict[str, Any]:
    """What benchmarks/results/NAME.json says. Raises SystemExit when it is of another machine."""
    facts: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    if facts["machine"] != machine():
        raise SystemExit(f"{name}.json is of another machine ({facts['machine']}, this one {machine()})")
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next(
        (line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.machine()
    )
