"""The serial runner: one trial after the other in this process, for debugging and tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nas.campaign import Campaign
from proxy_trainer.protocol import Evaluator


def run(campaign: Campaign[Any], evaluator: Evaluator, tick: Callable[[], None]) -> None:
    """Run the campaign to its end; `tick` is called after everything that happens.

    KeyboardInterrupt passes through and leaves the trial in flight, as a crash would.
    """
    raise NotImplementedError
