"""The files in configs/: each can be read, and says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas import config
from nas.proxy_study import config as study_config
from nas.simulation import config as simulation_config

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted(CONFIGS.glob("**/*.yaml"))
STUDIES = {"proxy_study", "proxy_confirm", "proxy_confirm_bccd", "proxy_confirm_bccd_fine"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_config_can_be_read(path: Path) -> None:
    if path.stem in STUDIES:
        assert study_config.load(path).campaign("shipped").name == f"{study_config.load(path).name}.shipped"
    elif path.parent.name == "simulations":
        assert simulation_config.load(path).name
    else:
        assert config.load(path).name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_config_says_what_it_reproduces_its_command_its_cost_and_what_to_expect(path: Path) -> None:
    comments = [line for line in path.read_text().splitlines() if line.startswith("#")]

    assert any("eproduce" in line for line in comments)
    for word in ("command:", "cost:", "expect:"):
        assert any(word in line for line in comments), f"{path.name} says nothing of its {word}"


def test_the_two_proxy_studies_share_no_genome() -> None:
    chosen, confirmed = (
        study_config.load(path) for path in FILES if path.stem in ("proxy_study", "proxy_confirm")
    )

    assert not set(chosen.texts()) & set(confirmed.texts())
