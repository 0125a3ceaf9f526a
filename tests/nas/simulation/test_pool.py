"""A campaign's own trials as a task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nas.budget import Budget
from nas.config import load
from nas.errors import Refusal
from nas.folder import FolderError
from nas.launch import create, driving, run
from nas.simulation.config import CampaignTaskConfig
from nas.simulation.pool import NEAREST, pool
from nas.simulation.run import task_of
from search_space.features import features

Written = Callable[..., Path]
CONFIG = """
name: small
space: spinenet-49
controller: {kind: random_search}
evaluator: {kind: synthetic}
runner: {kind: serial}
budget: {trials: 30}
"""


def ran(tmp_path: Path, trials: int) -> dict[str, float]:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    config = dataclasses.replace(load(path), budget=Budget(trials=trials))
    with driving(create(config, tmp_path), config) as drive:
        run(drive, lambda: None)
        return {trial.genome: trial.reward or 0.0 for trial in drive.store.trials("small")}


def test_it_answers_what_was_measured_and_moves_to_near_ones(tmp_path: Path) -> None:
    rewards = ran(tmp_path, 30)
    found = pool(tmp_path, "small")
    rng = np.random.default_rng(0)
    rows = {text: features(found.space.from_text(text)) for text in rewards}
    scale = np.stack(list(rows.values())).std(axis=0)
    scale[scale == 0] = 1

    seen = set()
    for _ in range(300):
        genome = found.space.sample(rng)
        text = genome.to_text()
        seen.add(text)
        assert found.measure(genome, rng).value == found.truth(genome) == rewards[text]
        assert found.measure(genome, rng).seconds > 0
        far = {other: float((((row - rows[text]) / scale) ** 2).sum()) for other, row in rows.items()}
        nearest = sorted(far, key=far.__getitem__)[1 : NEAREST + 1]
        assert found.space.mutate(genome, rng).to_text() in nearest
    assert seen == set(rewards)


def test_too_few_genomes_are_refused(tmp_path: Path) -> None:
    ran(tmp_path, 5)
    with pytest.raises(Refusal, match="5 genomes with a reward, expected at least 10"):
        pool(tmp_path, "small")


def test_a_task_looks_where_campaigns_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewards = ran(tmp_path, 12)
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    task_of.cache_clear()
    space = task_of(CampaignTaskConfig(campaign="small")).space
    assert space.to_text(space.sample(np.random.default_rng(0))) in rewards
    elsewhere = CampaignTaskConfig(campaign="small", root=tmp_path / "elsewhere")
    with pytest.raises(FolderError, match="elsewhere"):
        task_of(elsewhere)
