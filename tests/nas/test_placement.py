"""What failures lead to: another node, a node alone, the end of the trial, or of the campaign."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from controller.protocol import Outcome, Pending, Proposal
from controller.random_search import RandomSearch
from nas.campaign import Campaign, FatalFailure, Wait
from nas.rules import CampaignRules
from proxy_trainer.protocol import TrialFailed
from results_db.records import NewCampaign, TrialStatus
from results_db.store import Store
from search_space.catalog import SPACES
from search_space.genome import Genome
from search_space.trial import Assignment, FailureKind, Measurement

A0, A1, B0 = CREW = ("ray-0@a", "ray-1@a", "ray-2@b")
Open = Callable[..., Campaign[Genome]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(f"sqlite:///{tmp_path / 'c.sqlite'}") as made:
        made.add(NewCampaign(name="c", seed=1, config={}, config_hash="", code_version=""))
        yield made


@pytest.fixture
def opened(store: Store) -> Open:
    """Opens the campaign, or opens it again."""
    space = SPACES["r0-sp53"]

    def open_with(**rules: object) -> Campaign[Genome]:
        known = CampaignRules(**({"trials": 9, "failure_share": 1.0} | rules))  # type: ignore[arg-type] # words of a test
        return Campaign(store.take("c"), known, space, RandomSearch(space))

    return open_with


def number(given: object) -> int:
    assert isinstance(given, Assignment), given
    return given.number


def lose(campaign: Campaign[Genome], trial: int, kind: FailureKind, attempt: int = 1) -> None:
    campaign.record(trial, attempt, TrialFailed(kind, f"it was {kind}"))


@pytest.mark.parametrize("resumed", [False, True])
def test_a_lost_trial_goes_to_another_node(opened: Open, resumed: bool) -> None:
    campaign = opened()
    assert number(campaign.propose(A0, CREW)) == 1
    lose(campaign, 1, FailureKind.LOST_WORKER)
    campaign = opened() if resumed else campaign
    assert number(campaign.propose(A0, CREW)) == 2
    assert number(campaign.propose(A1, CREW)) == 3
    assert number(campaign.propose(B0, CREW)) == 1


def test_without_another_node_it_goes_to_another_worker_and_without_one_anywhere(opened: Open) -> None:
    campaign = opened()
    assert number(campaign.propose(A0, (A0, A1))) == 1
    lose(campaign, 1, FailureKind.LOST_WORKER)
    assert number(campaign.propose(A0, (A0, A1))) == 2
    assert number(campaign.propose(A1, (A0, A1))) == 1
    lose(campaign, 1, FailureKind.LOST_WORKER, attempt=2)
    assert number(campaign.propose(A0, (A0, A1))) == 1


def test_nothing_for_this_worker_is_told_from_nothing_at_all(opened: Open) -> None:
    campaign = opened(trials=1)
    assert number(campaign.propose(A0, CREW)) == 1
    assert campaign.propose(B0, CREW) == Wait()
    lose(campaign, 1, FailureKind.LOST_WORKER)
    assert campaign.propose(A1, CREW) == Wait(for_all=False)
    assert number(campaign.propose(B0, CREW)) == 1


@pytest.mark.parametrize("resumed", [False, True])
def test_out_of_memory_beside_others_is_tried_again_alone(opened: Open, store: Store, resumed: bool) -> None:
    campaign = opened()
    first, second, third = (number(campaign.propose(worker, CREW)) for worker in (A0, A1, B0))
    lose(campaign, first, FailureKind.OUT_OF_MEMORY)
    if resumed:  # nothing runs any more: the first node that asks is empty
        campaign = opened()
        assert number(campaign.propose(B0, CREW)) == first
        assert campaign.propose("ray-3@b", (*CREW, "ray-3@b")) == Wait(for_all=False), "alone means alone"
        return
    finished = Measurement(step=1, metrics={"AP": 0.5})
    assert campaign.propose(A0, CREW) == Wait(for_all=False), "one of the emptiest nodes is emptied"
    campaign.record(third, 1, finished)
    assert number(campaign.propose(B0, CREW)) == first
    assert campaign.propose("ray-3@b", (*CREW, "ray-3@b")) == Wait(for_all=False), "alone means alone"
    number(campaign.propose(A0, CREW))
    lose(campaign, first, FailureKind.OUT_OF_MEMORY, attempt=2)
    assert store.trial("c", first).status is TrialStatus.FAILED, "it was alone, so it is the trial's own"
    number(campaign.propose("ray-3@b", CREW))
    campaign.record(second, 1, finished)


def test_out_of_memory_without_neighbours_is_not_tried_again(opened: Open, store: Store) -> None:
    campaign = opened()
    for worker in (A0, B0):
        campaign.propose(worker, CREW)
    lose(campaign, 1, FailureKind.OUT_OF_MEMORY)
    assert store.trial("c", 1).status is TrialStatus.FAILED


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("stops", [False, True])
def test_without_neighbours_it_is_not_tried_alone(opened: Open, resumed: bool, stops: bool) -> None:
    memory = FailureKind.OUT_OF_MEMORY
    rules = {"stop": {memory}, "retries": {}} if stops else {"retries": {memory: 1}}
    campaign = opened(**rules)
    campaign.propose(A0, CREW)
    if stops:
        with pytest.raises(FatalFailure):
            lose(campaign, 1, memory)
    else:
        lose(campaign, 1, memory)
    campaign = opened(**rules) if resumed else campaign
    assert number(campaign.propose(A0, CREW)) == 2, "the trial waits for another node than this"
    assert number(campaign.propose(B0, CREW)) == 1
    assert number(campaign.propose("ray-3@b", (*CREW, "ray-3@b"))) == 3, "and may have neighbours there"


def test_a_neighbour_that_came_later_is_one(opened: Open, store: Store) -> None:
    campaign = opened()
    for worker in (A0, A1):
        campaign.propose(worker, CREW)
    lose(campaign, 1, FailureKind.OUT_OF_MEMORY)
    assert store.trial("c", 1).status is TrialStatus.PROPOSED


def test_a_kind_that_stops_the_campaign(opened: Open, store: Store) -> None:
    rules = {"stop": frozenset({FailureKind.INTERNAL}), "retries": {FailureKind.INTERNAL: 1}}
    campaign = opened(**rules)
    campaign.propose(A0, CREW)
    lose(campaign, 1, FailureKind.INTERNAL)
    assert number(campaign.propose(B0, CREW)) == 1
    with pytest.raises(FatalFailure, match="trial 1: it was internal"):
        lose(campaign, 1, FailureKind.INTERNAL, attempt=2)
    assert store.trial("c", 1).status is TrialStatus.PROPOSED
    assert number(opened(**rules).propose(A1, CREW)) == 1


def test_attempts_are_counted_by_how_they_ended(opened: Open, store: Store) -> None:
    campaign = opened()
    for worker in CREW:
        campaign.propose(worker, CREW)
    lose(campaign, 1, FailureKind.LOST_WORKER)
    lose(campaign, 2, FailureKind.DIVERGED)
    campaign.propose(B0, CREW)  # the lost one again
    found = store.attempts_by_end("c")
    assert (found.total, found.cut_off) == (4, 0)
    assert found.failed == {FailureKind.LOST_WORKER: 1, FailureKind.DIVERGED: 1}
    again = opened()
    again.propose(A0, CREW)
    again.propose(B0, CREW)
    assert store.attempts_by_end("c").cut_off == 2


def test_whatever_fails_everything_ends(opened: Open, store: Store) -> None:
    """Every worker's attempts fail by turns in every way: nothing waits for ever."""
    campaign = opened(retries=dict.fromkeys(FailureKind, 2))
    kinds = itertools.cycle([FailureKind.OUT_OF_MEMORY, FailureKind.LOST_WORKER, FailureKind.TIMEOUT])
    running: list[Assignment] = []
    for _ in range(200):
        given = [campaign.propose(worker, CREW) for worker in CREW[: 3 - len(running)]]
        running += [each for each in given if isinstance(each, Assignment)]
        if not running:
            break
        one = running.pop(0)
        lose(campaign, one.number, next(kinds), one.attempt)
    assert campaign.finished
    assert store.counts("c")[TrialStatus.FAILED] == 9


class Patient:
    """Proposes nothing while anything is in flight."""

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[Genome]]) -> Proposal[Genome] | None:
        return None if pending else Proposal(SPACES["r0-sp53"].sample(rng))

    def tell(self, outcome: Outcome[Genome]) -> None:
        """Learns nothing."""


def test_others_are_asked_too_when_a_controller_waits_for_what_waits_for_them(store: Store) -> None:
    space = SPACES["r0-sp53"]
    rules = CampaignRules(trials=9, failure_share=1.0)
    campaign = Campaign(store.take("c"), rules, space, Patient())
    assert number(campaign.propose(A0, CREW)) == 1
    assert campaign.propose(A1, CREW) == Wait()
    lose(campaign, 1, FailureKind.LOST_WORKER)
    assert campaign.propose(A0, CREW) == Wait(for_all=False)
    assert number(campaign.propose(B0, CREW)) == 1
