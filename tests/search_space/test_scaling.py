from __future__ import annotations

import pytest

from search_space.genome import BlockKind
from search_space.scaling import Scaling


def test_widths_are_truncated_as_in_the_references() -> None:
    """As released (docs/sources.md, 2): 20, 41, 83, 166 for base widths 32, 64, 128, 256 at 0.65."""
    scaling = Scaling(width=0.65)
    assert [scaling.feature_width(level) for level in range(1, 8)] == [20, 41, 83, 166, 166, 166, 166]


def test_channels_between_blocks() -> None:
    scaling = Scaling()
    assert scaling.output_width(5, BlockKind.BOTTLENECK) == 1024
    assert scaling.output_width(5, BlockKind.RESIDUAL) == 256
    assert scaling.reduced_width(3) == 64
    assert Scaling(width=0.65, alpha=0.5).reduced_width(2) == 20  # int(41 / 2)


@pytest.mark.parametrize(
    "values",
    [
        {"width": 0.0},
        {"width": 9.0},
        {"width": float("nan")},
        {"alpha": 0.0},
        {"alpha": -1.0},
        {"endpoint_width": 0},
        {"endpoint_width": 4097},
        {"repeats": 0},
        {"repeats": 17},
    ],
)
def test_impossible_scalings_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        Scaling(**values)  # type: ignore[arg-type]  # the wrong numbers are the point
