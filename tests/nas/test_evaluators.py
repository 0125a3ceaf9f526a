"""What a runner's words do to a worker's TensorFlow: in a process of its own, since it is set up once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
from nas.evaluators import MakeEvaluator
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import RenderedData, Splits
from search_space.catalog import space_by_name
from search_space.trial import Assignment

data = RenderedData(train_images=12, val_images=1, size=64)
config = ProxyConfig(data=data, splits=Splits(reward=4, confirm=2)).with_recipe(steps=6, warmup_steps=1)
evaluator = MakeEvaluator(config, Path(sys.argv[1]), None, threads=int(sys.argv[2]))()
threading = tf.config.threading
print(threading.get_inter_op_parallelism_threads(), threading.get_intra_op_parallelism_threads())
print(evaluator._provenance["device"])
genome = space_by_name("spinenet-49").sample(np.random.default_rng(5)).to_text()
*_, last = evaluator.evaluate(Assignment(campaign="c", number=1, attempt=1, seed=3, genome=genome))
print({name: value for name, value in last.metrics.items() if name[:7] not in ("seconds", "memory_")})
"""


def test_threads_reach_tensorflow_and_change_no_bit(tmp_path: Path) -> None:
    measured = set()
    for threads in (1, 2):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found, device, metrics = done.stdout.splitlines()
        assert found == f"{threads} 1"
        assert device.startswith(f"cpu ({threads} of ")
        measured.add(metrics)
    assert len(measured) == 1
    assert "loss" in measured.pop()
