"""Adam against algorithm 1 of the paper, written with plain numbers."""

from __future__ import annotations

import numpy as np

from controller.adam import Adam


def test_it_is_the_published_algorithm() -> None:
    gradients = [0.5, -2.0, 0.0, 1e-3, 7.0]
    adam, theta, m, v = Adam.start(np.array([1.0])), 1.0, 0.0, 0.0
    for t, g in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        theta += 0.01 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)) ** 0.5 + 1e-8)  # uphill
        adam = adam.ascend(np.array([g]), rate=0.01)
        np.testing.assert_allclose(adam.parameters, theta, rtol=1e-13)


def test_the_first_step_is_as_long_as_the_rate() -> None:
    adam = Adam.start(np.zeros(3)).ascend(np.array([1e-3, -50.0, 0.0]), rate=0.01)
    np.testing.assert_allclose(adam.parameters, [0.01, -0.01, 0.0], rtol=1e-4)


def test_a_step_leaves_the_value_before_it_alone() -> None:
    before = Adam.start(np.zeros(2)).ascend(np.ones(2), rate=0.1)
    kept = before.parameters.copy(), before.mean.copy(), before.square.copy(), before.steps
    before.ascend(np.ones(2), rate=0.1)
    for now, then in zip((before.parameters, before.mean, before.square, before.steps), kept, strict=True):
        np.testing.assert_array_equal(now, then)
