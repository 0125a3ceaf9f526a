"""What a runner's words do to a worker's TensorFlow: in a process of its own, since it is set up once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
import tensorflow as tf
from nas.evaluators import MakeEvaluator
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import RenderedData, Splits

data = RenderedData(train_images=12, val_images=1, size=64)
config = ProxyConfig(data=data, splits=Splits(reward=4, confirm=2))
evaluator = MakeEvaluator(config, Path(sys.argv[1]), None, threads=int(sys.argv[2]))()
print(tf.config.threading.get_intra_op_parallelism_threads(), evaluator._provenance["device"])
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_reach_tensorflow(tmp_path: Path, threads: int) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{threads} cpu ({threads} of ")
