"""The values that controllers exchange with campaigns."""

from __future__ import annotations

import pytest

from controller.protocol import Outcome
from search_space.trial import FailureKind


@pytest.mark.parametrize("result", [(0.5,), (0.0, float("-inf")), FailureKind.DATA])
def test_values_and_failures_are_results(result: tuple[float, ...] | FailureKind) -> None:
    assert Outcome(0, "genome", {}, result).result == result


@pytest.mark.parametrize("result", [(), (float("nan"),), (0.5, float("nan"))])
def test_no_value_is_no_result(result: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="outcome of trial 7"):
        Outcome(7, "genome", {}, result)
