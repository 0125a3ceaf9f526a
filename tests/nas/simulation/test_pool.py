"""A campaign's own trials as a task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from controller.config import build
from controller.random_search import RandomSearchConfig
from controller.reinforce import ReinforceConfig
from nas.budget import Budget
from nas.config import load
from nas.errors import Refusal
from nas.folder import FolderError
from nas.launch import create, driving, run
from nas.simulation.config import CampaignTaskConfig, SimulationConfig
from nas.simulation.pool import NEAREST, pool
from nas.simulation.run import course, courses, task_of
from search_space.catalog import space_by_name
from search_space.features import features
from search_space.fingerprint import fingerprint
from search_space.genome import Genome

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
    with pytest.raises(ValueError, match="was not measured by the campaign"):
        found.space.from_text(space_by_name("spinenet-49").sample(rng).to_text())


def test_policies_search_it_by_one_decision(tmp_path: Path) -> None:
    rewards = ran(tmp_path, 12)
    task = pool(tmp_path, "small")
    decisions = task.space.decisions()
    texts = {decisions.decode((place,)).to_text() for place in range(decisions.sites[0].options)}
    assert texts == set(rewards)
    assert all(
        decisions.decode(decisions.encode(genome)) == genome for genome in map(task.space.from_text, texts)
    )

    found = course(task, build(ReinforceConfig(batch=2), task.space), ("small", "reinforce"), trials=30)

    assert len(found.best) == 30
    assert found.best[-1] in rewards.values()


def test_more_trials_than_it_can_give_new_genomes_are_refused_at_once(tmp_path: Path) -> None:
    networks = len({fingerprint(Genome.from_text(text)) for text in ran(tmp_path, 12)})
    config = SimulationConfig(
        name="s",
        tasks={"small": CampaignTaskConfig(campaign="small", root=tmp_path)},
        controllers={"random": RandomSearchConfig()},
        trials=networks // 2 + 1,
    )
    with pytest.raises(Refusal, match=f"expected at most {networks // 2}, half of the networks"):
        next(courses(config, 1))
    assert len(list(courses(dataclasses.replace(config, trials=networks // 2), 1))) == config.seeds


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
