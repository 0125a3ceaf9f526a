"""One TensorFlow for the whole run, a tiny data set, and genomes and recipes as small as they can be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import RenderedData, Split, Splits
from proxy_trainer.data.image_set import ImageSet, open_split
from proxy_trainer.recipe import Recipe
from search_space.genome import Genome

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
    """Another small one: bottlenecks, upsampling, and node 3 raw into output 5."""
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
    data = RenderedData(train_images=12, val_images=1, size=160, classes=("disc", "square", "star"))
    return ProxyConfig(data=data, splits=Splits(reward=4, confirm=0), recipe=recipe)


@pytest.fixture(scope="session")
def train_set(config: ProxyConfig, cache: Path) -> ImageSet:
    """The eight."""
    return open_split(config.data, config.splits, Split.TRAIN, config.recipe.resolution, cache)


@pytest.fixture(scope="session")
def reward_set(config: ProxyConfig, cache: Path) -> ImageSet:
    """The four."""
    return open_split(config.data, config.splits, Split.REWARD, config.recipe.resolution, cache)
