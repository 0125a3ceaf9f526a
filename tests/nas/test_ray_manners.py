"""Ray that was started here leaves the machine to whoever else wants it. In a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from nas.runners.options import RayOptions


def main() -> None:
    """Start Ray as a campaign does; print how nice its raylet is, and workers early and late."""
    import ray
    from ray.cloudpickle import register_pickle_by_value

    from nas.runners.ray.cluster import engine

    register_pickle_by_value(sys.modules["__main__"])  # type: ignore[no-untyped-call] # Ray's own omission

    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, 0)

    with engine(RayOptions(kind="ray", workers=1), 1):
        raylets = [each for each in psutil.Process().children(recursive=True) if each.name() == "raylet"]
        ask = ray.remote(max_calls=1, num_cpus=1)(niceness)  # a new process for each
        print([each.nice() for each in raylets], [ray.get(ask.remote()) for _ in range(3)])


@pytest.mark.skipif(os.getpriority(os.PRIO_PROCESS, 0) > 0, reason="what is niced already can't be told")
def test_raylets_give_way_and_workers_more() -> None:
    asked = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)

    assert asked.stdout == "[10] [19, 19, 19]\n"


if __name__ == "__main__":
    main()
