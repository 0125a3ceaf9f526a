"""The Ray Tune integration: the example of the docs runs, and the searcher survives saving."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from ray.tune.search import Searcher

from controller.config import build
from controller.protocol import NothingLeft, Outcome, Pending, Proposal
from controller.regularized_evolution import RegularizedEvolutionConfig
from nas.integrations.tune import ControllerSearcher
from search_space.catalog import SPACES
from search_space.genome import Genome

EXAMPLE: Final = Path(__file__).parents[2] / "docs" / "ray_tune.md"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray Tune's own
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_example_of_the_docs_runs(
    ray_session: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del ray_session
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", EXAMPLE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}

    exec(compile(code, str(EXAMPLE), "exec"), names)  # noqa: S102 our own docs

    results = names["results"]
    assert len(results) == 12
    assert not results.errors
    genomes = {result.config["genome"] for result in results}
    assert len(genomes) == 12
    assert all(SPACES["spinenet-49"].contains(Genome.from_text(genome)) for genome in genomes)
    assert names["best"].metrics["AP"] == max(result.metrics["AP"] for result in results)
    assert str(names["best"].metrics["AP"]) in capsys.readouterr().out


def _searcher() -> ControllerSearcher[Genome]:
    space = SPACES["spinenet-49"]
    return ControllerSearcher(
        build(RegularizedEvolutionConfig(population=3, tournament=2), space), space, seed=5
    )


class Told:
    """A controller that draws the first genomes and writes down what it is told, until nothing is left."""

    def __init__(self) -> None:
        self.told: list[Outcome[Genome]] = []

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[Genome]]) -> Proposal[Genome]:
        if len(pending) + len(self.told) == 3:
            raise NothingLeft("three are enough")
        return Proposal(SPACES["spinenet-49"].sample(rng))

    def tell(self, outcome: Outcome[Genome]) -> None:
        self.told.append(outcome)


def test_who_was_stopped_early_is_told_apart(tmp_path: Path) -> None:
    told, again = Told(), Told()
    searcher = ControllerSearcher(told, SPACES["spinenet-49"], seed=5)
    for name in "abc":
        searcher.suggest(name)
    searcher.on_trial_complete("a", {"AP": 0.3, "step": 50, "measured": False, "done": True})
    searcher.on_trial_complete("b", {"AP": 0.4, "step": 250, "measured": True, "done": True})
    searcher.on_trial_complete("c", {"AP": 0.5, "done": True})  # of somebody's own trainable
    searcher.save(str(tmp_path / "state.json"))

    ControllerSearcher(again, SPACES["spinenet-49"], seed=5).restore(str(tmp_path / "state.json"))

    assert [each.result for each in told.told] == [(0.3,), (0.4,), (0.5,)]
    assert [each.fidelity for each in told.told] == [50, None, None]
    assert again.told == told.told


def test_where_nothing_is_left_what_runs_is_waited_for() -> None:
    searcher = ControllerSearcher(Told(), SPACES["spinenet-49"], seed=5)
    assert all(isinstance(searcher.suggest(name), dict) for name in "abc")
    assert searcher.suggest("d") is None
    for name in "abc":
        searcher.on_trial_complete(name, {"AP": 0.5})
    assert str(searcher.suggest("d")) == Searcher.FINISHED


def test_a_restored_searcher_goes_on_like_the_one_that_was_saved(tmp_path: Path) -> None:
    saved = _searcher()
    for number in range(1, 8):
        saved.suggest(f"t{number}")
        if number == 3:
            saved.on_trial_complete("t3", None, error=True)
        elif number < 6:
            saved.on_trial_complete(f"t{number}", {"AP": number / 10})
    saved.save(str(tmp_path / "state.json"))
    restored = _searcher()
    restored.restore(str(tmp_path / "state.json"))

    for searcher in (saved, restored):
        searcher.on_trial_complete("t7", {"AP": 0.9})
        searcher.on_trial_complete("t6", {"AP": float("nan")})

    assert [restored.suggest(name) for name in "abc"] == [saved.suggest(name) for name in "abc"]
