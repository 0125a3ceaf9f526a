"""`nas simulate`: from a config to a table, the same whatever the number of processes."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nas import processes
from nas.cli import app
from nas.config_file import ConfigError
from nas.simulation import run
from nas.simulation.config import CampaignTaskConfig, TaskConfig, load
from nas.simulation.landscapes import Landscape, LandscapeConfig

SMALL = """
name: small
tasks:
  cifar10: {kind: table, benchmark: nasbench201, dataset: cifar10}
  made-up: {kind: landscape, family: network}
controllers:
  random: {kind: random_search}
  evolution: {kind: regularized_evolution, population: 10, tournament: 4}
trials: 60
looks: [20]
workers: 3
seeds: 6
weather: {failures: 0.1}
"""


def written(tmp_path: Path, text: str = SMALL) -> Path:
    path = tmp_path / "simulation.yaml"
    path.write_text(text)
    return path


def test_it_reports_every_task_controller_and_look(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", str(written(tmp_path)), "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]

    assert [(row["task"], row["trials"], row["controller"]) for row in rows] == [
        (task, trials, name)
        for task in ("cifar10", "made-up")
        for trials in (20, 60)
        for name in ("random", "evolution")
    ]
    for row in rows:
        assert row["quartiles"][0] <= row["median"] <= row["quartiles"][1]
        assert ("better" in row) == (row["controller"] == "evolution")
    early, late = (
        row["mean"] for row in rows if row["task"] == "cifar10" and row["controller"] == "evolution"
    )
    assert early < late < 91.7  # the best of the table


def test_processes_change_nothing(tmp_path: Path) -> None:
    path = written(tmp_path)
    one, two = (
        CliRunner().invoke(app, ["simulate", str(path), "--json", "--processes", count]).stdout
        for count in ("1", "2")
    )
    assert one == two != ""


def test_people_get_a_table(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", str(written(tmp_path))])
    assert "cifar10: best of 6 simulated campaigns, 3 workers" in result.stdout
    assert "p = " in result.stdout


def test_what_is_missing_is_said_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def task_of(config: TaskConfig) -> Landscape:
        if isinstance(config, LandscapeConfig):
            return Landscape(config)
        raise run.MissingPackage("table")

    ran: list[Any] = []
    monkeypatch.setattr(run, "task_of", task_of)
    monkeypatch.setattr(run, "_run", ran.append)
    table, made_up = SMALL.splitlines()[3:5]
    swapped = SMALL.replace(f"{table}\n{made_up}", f"{made_up}\n{table}")
    with pytest.raises(run.MissingPackage):
        list(run.courses(load(written(tmp_path, swapped)), 1))
    assert ran == []


def test_an_error_starts_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    ending = threading.Event()

    class Executor(ThreadPoolExecutor):
        def __init__(self, *_: object) -> None:
            super().__init__(1)

        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            if cancel_futures:
                super().shutdown(wait=False, cancel_futures=True)
            ending.set()
            super().shutdown(wait)

    def fail(job: object) -> None:
        ran.append(job)
        if len(ran) == 1:
            raise RuntimeError("once")
        assert ending.wait(60)

    monkeypatch.setattr(processes, "ProcessPoolExecutor", Executor)
    monkeypatch.setattr(run, "_run", fail)
    with pytest.raises(RuntimeError, match="once"):
        list(run.courses(load(written(tmp_path)), 2))
    assert len(ran) <= 2  # of 24; the second may have begun


def test_a_campaigns_root_counts_from_the_config(tmp_path: Path) -> None:
    text = SMALL.replace("tasks:\n", "tasks:\n  pool: {kind: campaign, campaign: small, root: here}\n")
    task = load(written(tmp_path, text)).tasks["pool"]
    assert isinstance(task, CampaignTaskConfig)
    assert task.root == tmp_path / "here"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "dataset: cifar10",
            "dataset: mnist",
            "dataset='mnist', expected one of cifar10, cifar100, imagenet",
        ),
        ("looks: [20]", "looks: [61]", "looks=[61], expected 1 to trials=60"),
        ("family: network", "family: hills", "family"),
        ("seeds: 6", "seeds: 0", "seeds=0, expected at least 1"),
        ("failures: 0.1", "failures: 1.5", "expected shares from 0 to below 1"),
        ("kind: random_search", "kind: magic", "kind"),
        ("family: network", f"family: network, bias: 1{'0' * 400}", "nor infinite"),
    ],
)
def test_bad_configs_get_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, SMALL.replace(old, new)))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
