"""Start and step of TF Model Garden's RetinaNet on SpineNets: run by start_and_step.py in its environment.

    garden/bin/python benchmarks/garden_step.py plain|xla < genomes

Genomes come one a line, the first to warm up; prints JSON. Backbone, heads and losses are Model
Garden's own, at the sizes of the shipped recipe.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import tensorflow as tf
import tf_keras
from official.vision.losses import focal_loss
from official.vision.modeling.backbones import spinenet
from official.vision.modeling.heads import dense_prediction_heads

from search_space.genome import Genome

SIZE, BATCH, CLASSES, STEPS = 128, 8, 4, 20


def steps(genome: Genome, *, xla: bool) -> Any:
    """A function that does one step."""
    specs = [(b.level, str(b.kind), b.parents, b.output) for b in genome.blocks]
    backbone = spinenet.SpineNet(
        input_specs=tf_keras.layers.InputSpec(shape=[None, SIZE, SIZE, 3]),
        block_specs=spinenet.build_block_specs(specs),
        endpoints_num_filters=32,
        resample_alpha=0.5,
        filter_size_scale=0.25,
    )
    head = dense_prediction_heads.RetinaNetHead(
        min_level=3, max_level=7, num_classes=CLASSES, num_anchors_per_location=9, num_convs=2, num_filters=32
    )
    focal = focal_loss.FocalLoss(alpha=0.25, gamma=1.5, reduction=tf_keras.losses.Reduction.SUM)
    huber = tf_keras.losses.Huber(delta=0.1, reduction=tf_keras.losses.Reduction.SUM)
    optimizer = tf_keras.optimizers.SGD(0.01, momentum=0.9)
    # All variables exist before the first call: else the step would be traced three times.
    head(backbone.output)
    optimizer.build(backbone.trainable_variables + head.trainable_variables)
    images = tf.constant(np.random.default_rng(0).normal(size=(BATCH, SIZE, SIZE, 3)), tf.float32)

    @tf.function(jit_compile=xla)
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            scores, boxes, _ = head(backbone(images, training=True), training=True)
            loss = 0.0
            for level in scores:
                logits = tf.reshape(scores[level], [BATCH, -1, CLASSES])
                offsets = tf.reshape(boxes[level], [BATCH, -1, 4])
                loss += focal(tf.zeros_like(logits), logits) + 50.0 * huber(tf.zeros_like(offsets), offsets)
        weights = backbone.trainable_variables + head.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return step


def main(*, xla: bool) -> None:
    """Measure every genome."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = []
    for line in sys.stdin.read().split("\n"):
        began = time.perf_counter()
        step = steps(Genome.from_text(line), xla=xla)
        laps = []
        last = began
        for _ in range(STEPS + 1):
            float(step())
            moment = time.perf_counter()
            laps.append(moment - last)
            last = moment
        rows.append({"start": laps[0], "step": median(laps[1:])})
    print(json.dumps(rows[1:]))


main(xla=sys.argv[1] == "xla")
