"""Reward rules: pure, as their sources define them, and nothing but a finite number comes out."""

from __future__ import annotations

import math
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from nas.reward import NoReward, NotFinite, reward
from nas.reward_config import (
    AbsoluteReward,
    BySizeReward,
    Constrained,
    HardReward,
    PlainReward,
    RewardConfig,
    SoftReward,
)

ADAPTER: TypeAdapter[RewardConfig] = TypeAdapter(Annotated[RewardConfig, Field(discriminator="kind")])
SOFT = SoftReward(cost="flops", target=2e8)
HARD = HardReward(cost="flops", target=2e8)
ABSOLUTE = AbsoluteReward(cost="flops", target=2e8)


def test_the_reward_is_the_metric_as_it_is() -> None:
    metrics = {"AP": 0.1 + 0.2, "AP50": 0.5}
    assert reward(PlainReward(), metrics) == 0.1 + 0.2
    assert reward(PlainReward(metric="AP50"), metrics) == 0.5
    assert reward(PlainReward(), {"AP": -1.0}) == -1.0


@pytest.mark.parametrize(
    ("rule", "flops", "expected"),
    [
        # MnasNet, equation 3 with alpha = beta = -0.07: twice the cost is worth 5 % of accuracy.
        (SOFT, 2e8, 0.4),
        (SOFT, 4e8, 0.4 * 0.9526379),
        (SOFT, 1e8, 0.4 * 1.0497168),
        (SoftReward(cost="flops", target=2e8, alpha=0.0, beta=-1.0), 1e8, 0.4),
        (SoftReward(cost="flops", target=2e8, alpha=0.0, beta=-1.0), 8e8, 0.1),
        (SoftReward(cost="flops", target=2e8, alpha=-1.0, beta=-0.5), 8e8, 0.2),
        (SoftReward(cost="flops", target=2e8, alpha=-1.0, beta=-0.5), 1e8, 0.8),
        # Vertex AI NAS: accuracy * min(1, target / measured).
        (HARD, 1e8, 0.4),
        (HARD, 2e8, 0.4),
        (HARD, 8e8, 0.1),
        (HardReward(cost="flops", target=2e8, beta=-0.5), 8e8, 0.2),
        # TuNAS: accuracy + beta * |cost / target - 1|.
        (ABSOLUTE, 2e8, 0.4),
        (ABSOLUTE, 1e8, 0.35),
        (ABSOLUTE, 8e8, 0.1),
        (AbsoluteReward(cost="flops", target=2e8, beta=-0.2), 3e8, 0.3),
    ],
)
def test_a_constraint_by_hand(rule: Constrained, flops: float, expected: float) -> None:
    assert reward(rule, {"AP": 0.4, "flops": flops}) == pytest.approx(expected, rel=1e-6)


@given(ap=st.floats(0, 1), cost=st.floats(1e3, 1e12), target=st.floats(1e3, 1e12))
def test_hard_is_mnasnets_with_alpha_0_and_beta_minus_1(ap: float, cost: float, target: float) -> None:
    soft = SoftReward(cost="flops", target=target, alpha=0.0, beta=-1.0)
    found = reward(HardReward(cost="flops", target=target), {"AP": ap, "flops": cost})
    assert found == pytest.approx(reward(soft, {"AP": ap, "flops": cost}))
    assert found == pytest.approx(ap * min(1, target / cost))


@pytest.mark.parametrize("rule", [SOFT, HARD, ABSOLUTE], ids=lambda rule: rule.kind)
def test_any_metric_can_be_weighed_against_any_other(rule: Constrained) -> None:
    words = {"kind": rule.kind, "metric": "AR_10", "cost": "latency_ms", "target": 20}
    found = ADAPTER.validate_python(words)
    assert found.needs == ("AR_10", "latency_ms")
    assert reward(found, {"AR_10": 0.5, "latency_ms": 20.0, "AP": 0.1}) == pytest.approx(0.5)


def test_average_precision_weighted_by_size() -> None:
    metrics = {"AP": 0.9, "AP_small": 0.1, "AP_medium": 0.2, "AP_large": 0.6}
    assert reward(BySizeReward(), metrics) == pytest.approx(0.3)
    assert reward(BySizeReward(small=2, medium=1, large=0), metrics) == pytest.approx(0.4 / 3)


def test_weights_are_shared_out_over_the_sizes_that_there_are() -> None:
    metrics = {"AP_medium": 0.2, "AP_large": 0.6}
    assert reward(BySizeReward(small=5, medium=3, large=1), metrics) == pytest.approx(0.3)
    with pytest.raises(NoReward, match=r"reward: none of AP_small, AP_medium in the measurement, it has: AP"):
        reward(BySizeReward(large=0), {"AP": 0.1})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_is_no_reward(value: float) -> None:
    with pytest.raises(NotFinite, match=f"reward: AP={value}, expected a finite number"):
        reward(PlainReward(), {"AP": value})
    with pytest.raises(NotFinite, match=f"reward: flops={value}, expected a finite number"):
        reward(SOFT, {"AP": 0.1, "flops": value})
    with pytest.raises(NotFinite, match=f"reward: AP_small={value}, expected a finite number"):
        reward(BySizeReward(), {"AP_small": value, "AP_large": 0.1})


def test_a_reward_that_no_number_can_hold() -> None:
    with pytest.raises(NotFinite, match="reward: inf, expected a finite number"):
        reward(SoftReward(cost="loss", target=1e9, alpha=-100), {"AP": 0.1, "loss": 1e-9})


def test_a_missing_metric_is_no_reward() -> None:
    with pytest.raises(NoReward, match=r"reward: no metric 'AR' in the measurement, it has: AP, loss"):
        reward(PlainReward(metric="AR"), {"loss": 1.0, "AP": 0.1})
    with pytest.raises(NoReward, match=r"it has: none"):
        reward(PlainReward(), {})
    with pytest.raises(NoReward, match=r"no metric 'flops' in the measurement, it has: AP$"):
        reward(HARD, {"AP": 0.1})


def test_what_a_product_makes_no_sense_of_is_no_reward() -> None:
    with pytest.raises(NoReward, match=r"flops=0\.0, expected a cost above 0"):
        reward(ABSOLUTE, {"AP": 0.1, "flops": 0})
    for rule in (SOFT, HARD):  # else more cost would be less of a loss
        with pytest.raises(NoReward, match=rf"AP=-0\.1, expected 0 or more for a {rule.kind} constraint"):
            reward(rule, {"AP": -0.1, "flops": 4e8})
    assert reward(ABSOLUTE, {"AP": -0.1, "flops": 4e8}) == pytest.approx(-0.2)


@pytest.mark.parametrize("rule", [PlainReward(metric="AP50"), SOFT, HARD, ABSOLUTE, BySizeReward(large=0)])
def test_every_rule_survives_text(rule: RewardConfig) -> None:
    words = ADAPTER.dump_python(rule, mode="json")
    assert ADAPTER.validate_python({"kind": "plain"} | words) == rule
    assert ("kind" in words) == (not isinstance(rule, PlainReward))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"kind": "plain", "metrics": "AP"}, "metrics"),
        ({"kind": "plain", "target": 3}, "target"),
        ({"kind": "hard", "cost": "flops", "target": 1.0, "alpha": -1.0}, "alpha"),
        ({"kind": "soft", "target": 1.0}, "cost"),
        ({"kind": "soft", "cost": "flops", "target": 0.0}, "target=0.0, expected more than 0"),
        ({"kind": "soft", "cost": "flops", "target": math.inf}, "target=inf"),
        ({"kind": "soft", "cost": "flops", "target": 1.0, "alpha": 0.07}, "alpha=0.07"),
        ({"kind": "soft", "cost": "flops", "target": 1.0, "beta": 0.07}, "beta=0.07"),
        ({"kind": "hard", "cost": "flops", "target": 1.0, "beta": math.nan}, "beta=nan"),
        ({"kind": "absolute", "cost": "flops", "target": 1.0, "beta": 1.0}, "beta=1.0"),
        ({"kind": "absolute", "cost": "AP", "target": 1.0}, "expected another metric"),
        ({"kind": "by_size", "small": -1.0}, "small=-1.0"),
        ({"kind": "by_size", "small": 0.0, "medium": 0.0, "large": 0.0}, "one of them above 0"),
    ],
)
def test_the_words_are_strict(words: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ADAPTER.validate_python(words)
