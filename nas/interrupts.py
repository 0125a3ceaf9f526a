"""Being asked to stop: by Ctrl-C, or by SIGTERM, which clusters send before they take a machine away."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from nas.errors import INTERRUPTED
from proxy_trainer.protocol import Evaluator
from search_space.trial import Assignment, Measurement, Progress

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR: Final = b"\x1b[?25h"


class TimeUp(BaseException):
    """The time that there was has passed. No Exception: an evaluator's own handlers must not catch it."""


class Interrupts:
    """What signals do while a campaign is driven.

    At first they raise KeyboardInterrupt wherever they find the process, as Python does. Inside of `noted`
    they only set `asked`, so that nothing breaks off in the middle of a write; `check` then raises. A second
    Ctrl-C ends the process at once: nothing needs to be put away for a campaign to be resumed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._heeds: frozenset[signal.Signals] = frozenset()
        self._raising = True
        self._alarmed = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Inside, signals are noted."""
        with self._set(raising=False):
            yield

    @contextmanager
    def raising(self, within: float) -> Iterator[None]:
        """Inside, signals raise KeyboardInterrupt, and the end of `within` seconds (or inf) raises TimeUp."""
        alarm = threading.Timer(max(0.0, within), self._ring) if within < threading.TIMEOUT_MAX else None
        try:
            with self._set(raising=True):
                self.check()
                if alarm is not None:
                    alarm.start()
                yield
        finally:
            if alarm is not None:
                alarm.cancel()

    def check(self) -> None:
        """Raise KeyboardInterrupt if asked to stop; take the signals back from whoever took them since."""
        for number in self._heeds:  # Ray takes SIGTERM when it starts
            signal.signal(number, self._handle)
        if self.asked:
            raise KeyboardInterrupt

    @contextmanager
    def heeding(self) -> Iterator[None]:
        """Inside, signals come here, but for those that whoever started this process has turned off."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        self._heeds = frozenset(number for number in before if before[number] is not signal.SIG_IGN)
        inlet, outlet = os.pipe()
        os.set_blocking(outlet, False)  # as Python asks of it
        threading.Thread(target=self._watch, args=(inlet,), daemon=True).start()
        heard = signal.set_wakeup_fd(outlet, warn_on_full_buffer=False)
        try:
            for number in self._heeds:
                signal.signal(number, self._handle)
            yield
        finally:
            for number in self._heeds:
                signal.signal(number, before[number])
            self._heeds = frozenset()
            signal.set_wakeup_fd(heard)
            os.close(outlet)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """In the main thread, as soon as it is back from whatever C code it is in."""
        del number, frame
        alarmed, self._alarmed = self._alarmed, False
        self.asked = self.asked or not alarmed
        if self._raising:
            self._raising = False  # once: what puts things away is not to be broken off
            raise TimeUp if alarmed else KeyboardInterrupt

    def _watch(self, inlet: int) -> None:
        """In a thread of its own, because the main one may be in C code that waits for a lock, say."""
        interrupted = False
        while number := os.read(inlet, 1):
            if number[0] == signal.SIGINT and signal.SIGINT in self._heeds:
                if interrupted:
                    _end_at_once()
                interrupted = True
        os.close(inlet)

    @contextmanager
    def _set(self, *, raising: bool) -> Iterator[None]:
        before, self._raising = self._raising, raising
        try:
            yield
        finally:
            self._raising = before and not self.asked

    def _ring(self) -> None:
        """A real signal, because that is what ends a sleep or a wait of the main thread."""
        if self._raising and signal.SIGTERM in self._heeds:
            self._alarmed = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _end_at_once() -> None:
    with contextlib.suppress(OSError), Path("/dev/tty").open("wb", buffering=0) as terminal:
        terminal.write(SHOW_CURSOR)
    os._exit(INTERRUPTED)


@contextmanager
def heeded() -> Iterator[Interrupts]:
    """Inside, this process heeds signals as Interrupts says; in another thread than the main one it can't."""
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    with interrupts.heeding():
        yield interrupts


class Interruptible:
    """An evaluator in this process that signals break off, and the end of `seconds_left()` too."""

    def __init__(
        self, evaluator: Evaluator, interrupts: Interrupts, seconds_left: Callable[[], float]
    ) -> None:
        self._evaluator = evaluator
        self._interrupts = interrupts
        self._seconds_left = seconds_left

    def evaluate(self, assignment: Assignment) -> Generator[Progress | Measurement, None, None]:
        """As the protocol says."""
        events = iter(self._evaluator.evaluate(assignment))
        try:
            while True:
                with self._interrupts.raising(within=self._seconds_left()):
                    event = next(events, None)
                if event is None:
                    return
                yield event
        finally:
            close = getattr(events, "close", None)
            if close is not None:
                close()
