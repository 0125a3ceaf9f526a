"""Many calls spread over processes, their results as they end."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

R = TypeVar("R")


def as_they_end(
    call: Callable[..., R],
    calls: Iterable[tuple[Any, ...]],
    processes: int,
    begin: Callable[..., None] | None = None,
    begin_with: tuple[Any, ...] = (),
) -> Iterator[R]:
    """What `call` returns for each tuple of arguments; each process calls `begin` first.

    An error, here or with whoever reads them, lets what runs end, and starts nothing more.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, begin, begin_with) as executor:
        try:
            for future in as_completed([executor.submit(call, *each) for each in calls]):
                yield future.result()
        except BaseException:  # whoever reads them may leave too
            executor.shutdown(wait=False, cancel_futures=True)
            raise
