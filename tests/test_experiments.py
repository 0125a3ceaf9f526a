"""The statistics that experiments report, on cases worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy.stats import ttest_rel

from experiments import search_gain, survival
from nas import finalists
from nas.finalists import Finalist


def test_kaplan_meier_counts_what_was_not_reached_as_beyond_the_budget() -> None:
    found = survival.kaplan_meier([100, 200, 300, 400, None, None], 2000)
    assert (found["median"], found["share"]) == (300.0, 4 / 6)
    found = survival.kaplan_meier([100, 200, None, None, None], 2000)
    assert (found["median"], found["share"]) == (None, 2 / 5)
    assert survival.kaplan_meier([None, None], 2000)["median"] is None


def test_the_interval_over_landscapes_is_wide_where_they_differ() -> None:
    alike = {(landscape, seed): 100 + seed for landscape in range(5) for seed in range(20)}
    apart = {(landscape, seed): 100 * (landscape + 1) + seed for landscape in range(5) for seed in range(20)}
    low, high = survival.others(dict(alike))
    assert low is not None
    assert high is not None
    assert 105 <= low <= high <= 114
    low, high = survival.others(dict(apart))
    assert low is not None
    assert high is not None
    assert low < 220
    assert high > 400
    assert survival.others({(1, seed): None for seed in range(5)}) == [None, None]


def test_the_paired_difference_is_students() -> None:
    pairs = [
        {"guided": 0.5, "random": 0.4},
        {"guided": 0.45, "random": 0.42},
        {"guided": 0.4, "random": 0.41},
    ]
    found = search_gain.difference(pairs)
    expected = ttest_rel([0.5, 0.45, 0.4], [0.4, 0.42, 0.41]).confidence_interval(0.95)
    assert found["difference"] == pytest.approx(0.04)
    assert found["interval"] == pytest.approx([expected.low, expected.high])


def test_the_first_trainings_choose_and_the_others_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first has the better mean of all, and failed where it was chosen by."""
    rows = [
        Finalist(1, "x", 0.6, (0.5, 0.5, 0.5, 0.5), 1, (None, 0.5, 0.5, 0.5, 0.5)),
        Finalist(2, "y", 0.6, (0.4, 0.4, 0.3, 0.2, 0.1), 0, (0.4, 0.4, 0.3, 0.2, 0.1)),
    ]
    monkeypatch.setattr(finalists, "standing", lambda *_: rows)
    worth, mean = search_gain.worth(Path(), "guided", 0) or (0, 0)
    assert worth == pytest.approx(0.2)
    assert mean == pytest.approx((2.0 + 1.4) / 10)
    rows[1] = Finalist(2, "y", 0.6, (0.4,), 0, (0.4,))
    assert search_gain.worth(Path(), "guided", 0) is None
