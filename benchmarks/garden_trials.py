"""Trials by a loop over TF Model Garden's RetinaNet: run by trials_per_hour.py in its environment.

    garden/bin/python benchmarks/garden_trials.py DATA STEPS THREADS < genomes

What its user would write: the parser's own augmentation and labels in a tf.data pipeline, one
tf.function for the step and one for inference with combined suppression, pycocotools at the end.
Genomes come one a line, the first to warm up; prints JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import tensorflow as tf
import tf_keras
from official.vision.dataloaders.retinanet_input import Parser
from official.vision.losses import focal_loss, loss_utils
from official.vision.modeling.backbones import spinenet
from official.vision.modeling.heads import dense_prediction_heads
from official.vision.modeling.layers import detection_generator
from official.vision.modeling.retinanet_model import RetinaNetModel
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from search_space.genome import Genome

SIZE, BATCH, JUDGE_BATCH, CLASSES = 128, 8, 16, 4
ANCHORS = {"num_scales": 3, "aspect_ratios": [1.0, 2.0, 0.5], "anchor_size": 3.0}
REPORT = 25


def model_of(genome: Genome) -> Any:
    """At the sizes of the shipped recipe."""
    specs = [(b.level, str(b.kind), b.parents, b.output) for b in genome.blocks]
    backbone = spinenet.SpineNet(
        input_specs=tf_keras.layers.InputSpec(shape=[None, SIZE, SIZE, 3]),
        block_specs=spinenet.build_block_specs(specs),
        endpoints_num_filters=32,
        resample_alpha=0.5,
        filter_size_scale=0.25,
    )
    # Its classes count the background, which is never predicted.
    head = dense_prediction_heads.RetinaNetHead(
        min_level=3,
        max_level=7,
        num_classes=CLASSES + 1,
        num_anchors_per_location=9,
        num_convs=2,
        num_filters=32,
    )
    suppression = detection_generator.MultilevelDetectionGenerator(
        nms_version="batched", pre_nms_score_threshold=0.01, max_num_detections=100
    )
    head(backbone.output)
    return RetinaNetModel(backbone, None, head, suppression, min_level=3, max_level=7, **ANCHORS)


def pipeline(data: Any, threads: int) -> Any:
    """Batches without end."""
    words = {"aug_rand_hflip": True, "aug_scale_min": 0.8, "aug_scale_max": 1.2, "dtype": "float32"}
    parser = Parser([SIZE, SIZE], 3, 7, **ANCHORS, **words)

    def parsed(image: Any, boxes: Any, classes: Any, count: Any) -> Any:
        facts = {
            "image": image,
            "groundtruth_boxes": boxes[:count],
            "groundtruth_classes": classes[:count],
            "groundtruth_is_crowd": tf.zeros([count], tf.bool),
        }
        images, labels = parser._parse_train_data(facts)
        return images, {
            key: labels[key] for key in ("cls_targets", "box_targets", "cls_weights", "box_weights")
        }

    rows = tuple(data[key] for key in ("images", "boxes", "classes", "counts"))
    made = tf.data.Dataset.from_tensor_slices(rows).shuffle(len(rows[0])).repeat()
    # Without the autotuner, which has nothing to tune here: whoever lets an iterator go waits for its thread,
    # often for most of a minute (TensorFlow 2.20; gdb shows ~Iterator, and data::model::OptimizeLoop).
    quiet = tf.data.Options()
    quiet.autotune.enabled = False
    made = made.map(parsed, num_parallel_calls=threads).batch(BATCH, drop_remainder=True).prefetch(2)
    return made.with_options(quiet)


def step_of(model: Any, optimizer: Any) -> Any:
    """Losses as in official/vision/tasks/retinanet.py.

    All variables exist before the first call: else the step would be traced three times.
    """
    optimizer.build(model.trainable_variables)
    focal = focal_loss.FocalLoss(alpha=0.25, gamma=1.5, reduction=tf_keras.losses.Reduction.SUM)
    huber = tf_keras.losses.Huber(0.1, reduction=tf_keras.losses.Reduction.SUM)

    @tf.function
    def step(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            found = model(images, training=True)
            positives = tf.reduce_sum(labels["box_weights"]) + 1.0
            wanted = tf.one_hot(
                loss_utils.multi_level_flatten(labels["cls_targets"], last_dim=None), CLASSES + 1
            )
            logits = loss_utils.multi_level_flatten(found["cls_outputs"], last_dim=CLASSES + 1)
            offsets = [
                loss_utils.multi_level_flatten(x, last_dim=4)
                for x in (labels["box_targets"], found["box_outputs"])
            ]
            loss = focal(wanted, logits, sample_weight=labels["cls_weights"] / positives)
            loss += 50.0 * huber(*offsets, sample_weight=labels["box_weights"] / positives)
        weights = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return step


def judge(model: Any, data: Any, truth: dict[str, Any]) -> float:
    """AP by pycocotools, from lists of dictionaries as its users make them."""
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

    @tf.function
    def predict(images: Any) -> Any:
        shapes = tf.tile([[SIZE, SIZE]], [JUDGE_BATCH, 1])
        return model(images, image_shape=shapes, training=False)

    rows = []
    for first in range(0, len(data["judged"]), JUDGE_BATCH):
        images = ((data["judged"][first : first + JUDGE_BATCH] / 255.0 - mean) / deviation).astype(np.float32)
        found = {key: value.numpy() for key, value in predict(images).items() if key.startswith(("det", "n"))}
        for number, count in enumerate(found["num_detections"]):
            scale = np.tile(data["scales"][first + number], 2)
            for box, kind, probability in zip(
                found["detection_boxes"][number][:count] / scale,
                found["detection_classes"][number][:count],
                found["detection_scores"][number][:count],
                strict=True,
            ):
                top, left, bottom, right = (float(side) for side in box)
                rows.append(
                    {
                        "image_id": int(data["ids"][first + number]),
                        "category_id": int(kind),
                        "bbox": [left, top, right - left, bottom - top],
                        "score": float(probability),
                    }
                )
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = truth
        known.createIndex()
        judging = COCOeval(known, known.loadRes(rows), "bbox")
        judging.evaluate()
        judging.accumulate()
        judging.summarize()
    return float(judging.stats[0])


def trial(genome: Genome, data: Any, truth: dict[str, Any], steps: int, threads: int) -> dict[str, float]:
    """Seconds of one trial by phase."""
    began = time.perf_counter()
    model = model_of(genome)
    step = step_of(model, tf_keras.optimizers.SGD(0.005, momentum=0.9))
    started, before = began, resource.getrusage(resource.RUSAGE_SELF)
    for number, (images, labels) in enumerate(pipeline(data, threads).take(steps)):
        loss = step(images, labels)
        if number == 0:
            float(loss)
            started = time.perf_counter()
            before = resource.getrusage(resource.RUSAGE_SELF)
        if number % REPORT == 0:
            float(loss)
    float(loss)
    trained = time.perf_counter()
    used = resource.getrusage(resource.RUSAGE_SELF)
    ap = judge(model, data, truth)
    ended = time.perf_counter()
    return {
        "start": started - began,
        "steps": trained - started,
        "judge": ended - trained,
        "whole": ended - began,
        "steps_user": used.ru_utime - before.ru_utime,
        "steps_system": used.ru_stime - before.ru_stime,
        "steps_faults": float(used.ru_minflt - before.ru_minflt),
        "AP": ap,
    }


def main(path: str, steps: int, threads: int) -> None:
    """All genomes, one after the other."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    data = dict(np.load(path))
    truth = json.loads(Path(path).with_suffix(".json").read_text())
    rows = []
    for number, line in enumerate(sys.stdin.read().split("\n")):
        # The first warms up: it needs no more than a few steps.
        rows.append(trial(Genome.from_text(line), data, truth, steps if number else 10, threads))
        tf_keras.backend.clear_session()
    print(json.dumps(rows[1:]))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
