"""TensorFlow as workers run it."""

from __future__ import annotations

import pytest
import tensorflow as tf

from proxy_trainer.runtime import prepare


def test_one_thread_each_way() -> None:
    device = prepare()
    assert tf.config.threading.get_intra_op_parallelism_threads() == 1
    assert tf.config.threading.get_inter_op_parallelism_threads() == 1
    assert device.startswith("cpu (1 of ") == (not tf.config.list_physical_devices("GPU"))


def test_once_a_process() -> None:
    assert prepare() is prepare()


def test_too_late_is_told() -> None:
    # The conftest prepared it, and this computes.
    assert int(tf.add(1, 1)) == 2
    with pytest.raises(RuntimeError, match="cannot be modified after initialization"):
        prepare(threads=2)
