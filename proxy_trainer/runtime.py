"""How TensorFlow runs in a worker: few threads, the same bits every time, memory as needed."""

from __future__ import annotations

import functools
import os

import tensorflow as tf


@functools.cache
def prepare(threads: int = 1) -> str:
    """Set TensorFlow up, once a process, and name the device it will use.

    An operation has one thread, so that it adds in one order; several threads run several operations. So
    equal trials give equal bits, with any number of them. (Two threads for each operation made a step
    slower than one: docs/performance.md.) Must come before TensorFlow's first operation; raises
    RuntimeError otherwise.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    # Our graphs leave Grappler nothing to improve: it takes a second a graph, and steps take as long
    # with it as without (docs/performance.md).
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, enable=True)
    if not gpus:
        return f"cpu ({threads} of {os.cpu_count()} cores)"
    tf.config.experimental.enable_op_determinism()
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "gpu"))


def exact() -> None:
    """Full float32 on GPUs that would round to TF32: for comparisons, not for speed."""
    tf.config.experimental.enable_tensor_float_32_execution(enabled=False)
