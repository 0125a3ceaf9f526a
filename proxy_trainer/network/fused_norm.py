"""Batch norm and ReLU as one operation, while training: half the time of the two, the same bits.

oneDNN has it, and TensorFlow reaches it by an operation that only Grappler makes, which we do without
(docs/decisions/0012). Where it is missing (another build, a GPU) the two are computed one after the other.
"""

from __future__ import annotations

import functools
from typing import Final

import tensorflow as tf

from proxy_trainer.network.constants import constant
from proxy_trainer.network.ops import NORM_EPSILON

_OPERATION: Final = "_FusedBatchNormEx"

CHANNELS: Final = 4
"""It takes multiples of so many channels."""


def active_norm(x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """ReLU of the batch norm of `x`, and the batch's mean and variance; in a graph.

    The operation behind them has the outputs of FusedBatchNormV3, in that order.
    """
    nothing = constant((), tf.float32)
    attribute = tf.compat.v1.AttrValue
    operation = tf.compat.v1.get_default_graph().create_op(
        _OPERATION,
        [x, scale, offset, nothing, nothing],
        [x.dtype] + [tf.float32] * 5,
        attrs={
            "T": attribute(type=x.dtype.as_datatype_enum),
            "U": attribute(type=tf.float32.as_datatype_enum),
            "epsilon": attribute(f=NORM_EPSILON),
            "num_side_inputs": attribute(i=0),
            "activation_mode": attribute(s=b"Relu"),
        },
        name="ActiveNorm",
    )
    y, mean, variance, *_ = operation.outputs
    return y, mean, variance


@functools.cache
def has_active_norm() -> bool:
    """Whether this process can compute it: seen by computing it once."""
    if tf.config.list_physical_devices("GPU"):
        return False  # of training there it is known to refuse most shapes

    def probe(x: tf.Tensor) -> tf.Tensor:
        return active_norm(x, tf.ones(16), tf.zeros(16))[0]

    with tf.init_scope():  # now, not in whatever graph is being made
        try:
            tf.function(probe, autograph=False)(tf.zeros((1, 2, 2, 16)))
        except tf.errors.OpError:
            return False
    return True
