"""Work for the next step, done by a thread while this step runs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(make: Callable[[int], T], count: int) -> Generator[T, None, None]:
    """make(0), make(1), ... make(count - 1), each begun when the one before it is handed out.

    What `make` raises is raised here, in its turn. Closing the iterator waits for the one under way.
    """
    with ThreadPoolExecutor(1, "ahead") as thread:
        following = thread.submit(make, 0)
        for step in range(1, count):
            made = following.result()
            following = thread.submit(make, step)
            yield made
        yield following.result()
