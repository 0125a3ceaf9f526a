"""Trains what `nas model-garden` wrote for two steps, in an environment of its own (docs/model_garden.md).

    garden/bin/python tests/model_garden/two_steps.py DIR EXPERIMENT CONFIG

Pictures and boxes are made up; the input is made small. Prints the two losses and the backbone's parameters.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

folder, experiment, config = sys.argv[1:]
sys.path.insert(0, folder)

import backbone  # noqa: E402, F401 - what is tested
import numpy as np  # noqa: E402
import tf_keras  # noqa: E402
from official.core import exp_factory, task_factory  # noqa: E402
from official.modeling import hyperparams  # noqa: E402
from official.vision import registry_imports  # noqa: E402, F401
from official.vision.dataloaders import tfexample_utils  # noqa: E402

SIZE = 256

with tempfile.TemporaryDirectory() as data:
    examples = [
        tfexample_utils.create_detection_test_example(
            image_height=SIZE, image_width=SIZE, image_channel=3, num_instances=4
        )
        for _ in range(4)
    ]
    records = Path(data) / "train.tfrecord"
    tfexample_utils.dump_to_tfrecord(str(records), tf_examples=examples)
    params = exp_factory.get_exp_config(experiment)
    params = hyperparams.override_params_dict(params, str(Path(folder) / config), is_strict=True)
    small = {
        "annotation_file": None,
        "init_checkpoint": None,
        "model": {"input_size": [SIZE, SIZE, 3]},
        "train_data": {"input_path": str(records), "global_batch_size": 2, "shuffle_buffer_size": 2},
    }
    params.override({"task": small}, is_strict=False)
    task = task_factory.get_task(params.task)
    model = task.build_model()
    optimizer = tf_keras.optimizers.SGD(1e-3)
    losses = []
    metrics = task.build_metrics(training=True)
    for batch in task.build_inputs(params.task.train_data).take(2):
        logs = task.train_step(batch, model, optimizer, metrics=metrics)
        losses.append(float(logs["loss"]))
    if not np.isfinite(losses).all() or len(losses) != 2:
        sys.exit(f"losses {losses}")
    parameters = sum(int(np.prod(weight.shape)) for weight in model.backbone.trainable_weights)
    print(experiment, "losses", losses, "backbone parameters", parameters)
