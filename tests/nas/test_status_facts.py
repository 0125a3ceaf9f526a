"""Status reads a stored config by itself, the short way: it must say what the config says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nas.config import from_json
from nas.launch import create
from nas.status_facts import Words as Said
from nas.status_facts import _read, _words
from nas.validation import Refused

Words = dict[str, Any]
PRICE = {"hour": 1.5, "core_hour": 0.1, "device_hour": 2.0}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"runner": {"kind": "serial"}},
        {"runner": {"kind": "serial"}, "budget": {"trials": 5, "core_hours": 2, "hours": 1}},
        {
            "runner": {"kind": "ray", "cpus_per_worker": 3, "gpus_per_worker": 0.5},
            "budget": {"trials": 7, "money": 12, "price": PRICE, "device_hours": 3, "core_hours": 4},
        },
        {"space": {"preset": "spinenet-49", "window": 2}, "controller": {"kind": "ppo"}, "seed": 0},
        {"evaluator": {"kind": "proxy", "data": {"kind": "rendered", "seed": 4}}},
    ],
)
def test_of_a_stored_config_it_says_what_that_says(words: Words, changes: Words) -> None:
    known = from_json(words | changes)

    said = _read(json.loads(json.dumps(known.to_json())))

    assert said == Said(
        known.budget.trials,
        known.rules.limits,
        known.seed,
        known.space.build().name,
        known.controller.kind,
        known.evaluator.kind,
    )


def test_a_config_in_other_words_is_read_the_long_way(words: Words) -> None:
    assert words["space"] == "spinenet-49"  # which is stored spelled out, with a name

    assert _words(words) == _read(from_json(words).to_json())


def test_what_is_no_config_is_refused_as_anywhere(words: Words) -> None:
    with pytest.raises(Refused, match="surely_unknown"):
        _words(words | {"budget": {"trials": 3, "surely_unknown": 1}})


def test_the_command_loads_no_controller(words: Words, tmp_path: Path) -> None:
    create(from_json(words), tmp_path)
    spy = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(sorted({'numpy', 'nas.config'} & {*sys.modules}), file=sys.stderr))\n"
        "from nas.cli import main; main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", spy, "status", "small", "--root", str(tmp_path)],
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert "0 of 8 done" in done.stdout
