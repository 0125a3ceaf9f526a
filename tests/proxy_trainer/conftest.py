"""One TensorFlow for the whole run, a tiny data set, and genomes and recipes as small as they can be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import RenderedData, Split, Splits
from proxy_trainer.data.image_set import ImageSet, open_split
from proxy_trainer.recipe import Recipe
from search_space.genome import Genome
from search_space.scaling import Scaling

if TYPE_CHECKING:
    from proxy_trainer.evaluator import ProxyEvaluator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_collection_finish() -> None:
    """Before any test of any package: whoever computes first would fix TensorFlow's threads."""
    if "tensorflow" in sys.modules:
        from proxy_trainer.runtime import prepare

        prepare()


@pytest.fixture(scope="session")
def small() -> Genome:
    """Every level from 3 to 7 with one block each; residual blocks compile fastest."""
    return Genome.from_text("2r* 2r* | 3r:0,1^ 4r:0,2^ 5r:2,3^ 6r:3,4^ 7r:4,5^")


@pytest.fixture(scope="session")
def other() -> Genome:
    """Another small one: bottlenecks, upsampling, nodes 3 and 4 raw into output 5."""
    return Genome.from_text("2b* 2b* | 5b:0,1 3b:0,1 3b:0,2 3b:1,2^ 4r:2,5^ 5r:2,6^ 6b:2,6^ 7r:7,8^")


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """The smallest that still does everything."""
    return Recipe(
        resolution=128,
        steps=3,
        batch=2,
        warmup_steps=1,
        width=0.25,
        alpha=0.25,
        endpoint_width=8,
        head_convs=1,
        head_width=8,
        statistics_batches=2,
        evaluation_batch=3,
    )


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the data set is rendered and decoded, once a session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def config(recipe: Recipe) -> ProxyConfig:
    """Twelve pictures: eight to train on, four for the reward."""
    data = RenderedData(
        train_images=12, val_images=1, size=160, objects=(3, 6), classes=("disc", "square", "star")
    )
    return ProxyConfig(data=data, splits=Splits(reward=4, confirm=0), recipe=recipe)


@pytest.fixture(scope="session")
def train_set(config: ProxyConfig, cache: Path) -> ImageSet:
    """The eight."""
    return open_split(config.data, config.splits, Split.TRAIN, config.recipe.resolution, cache)


@pytest.fixture(scope="session")
def reward_set(config: ProxyConfig, cache: Path) -> ImageSet:
    """The four."""
    return open_split(config.data, config.splits, Split.REWARD, config.recipe.resolution, cache)


@pytest.fixture(scope="session")
def weights(cache: Path) -> Path:
    """Where the session's evaluator keeps weights."""
    return cache.parent / "weights"


@pytest.fixture(scope="session")
def evaluator(config: ProxyConfig, cache: Path, weights: Path) -> ProxyEvaluator:
    """One for the session, which warms up."""
    from proxy_trainer.evaluator import ProxyEvaluator

    return ProxyEvaluator(config, cache=cache, weights=weights)


@pytest.fixture(scope="session")
def saved_model(other: Genome, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The backbone of a genome as a Keras model, its weights no longer where they start; and its file."""
    from proxy_trainer.network.keras_model import assign_weights, keras_model
    from proxy_trainer.network.plan import backbone_plan

    model = keras_model(backbone_plan(other, Scaling(width=0.25, alpha=0.5, endpoint_width=8)), 128)
    rng = np.random.default_rng(1)
    arrays = {
        f"{layer.name}/{variable.name.replace('.', '/')}": np.asarray(variable)
        * rng.uniform(0.8, 1.25, variable.shape)
        + rng.normal(0, 0.01, variable.shape)
        for layer in model.layers
        for variable in layer.variables
    }
    assign_weights(model, arrays)
    path = tmp_path_factory.mktemp("model") / "backbone.keras"
    with warnings.catch_warnings():
        # Keras 3.15 reads its variables in a way that numpy 2 wants to see changed.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        model.save(path)
    return model, path


@pytest.fixture(scope="session")
def cold(
    config: ProxyConfig,
    cache: Path,
    small: Genome,
    saved_model: tuple[Any, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder that cold.py filled, in a process of its own."""
    folder = tmp_path_factory.mktemp("cold")
    task = {
        "config": TypeAdapter(ProxyConfig).dump_python(config, mode="json"),
        "cache": str(cache),
        "genome": small.to_text(),
        "seed": 5,
        "model": str(saved_model[1]),
    }
    (folder / "task.json").write_text(json.dumps(task))
    command = [sys.executable, str(Path(__file__).with_name("cold.py")), str(folder)]
    with (folder / "log.txt").open("w") as log:
        subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, timeout=600)
    return folder
