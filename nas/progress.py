"""What is seen while a campaign runs: a live panel on a terminal, one plain line a trial elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nas.campaign import Campaign
from nas.interrupts import Interrupts
from nas.snapshot import Snapshot, ended
from nas.terminal import console, duration, reward, shortened, sparkline

REFRESHES_A_SECOND: Final = 2


class View(Protocol):
    """Shows where the campaign stands; called at every tick of the runner."""

    def __call__(self) -> None: ...


@dataclass(slots=True)
class Pace:
    """How fast trials end in this sitting, from the first one that was handed out in it."""

    began: float | None = None
    before: int = 0

    def of(self, snapshot: Snapshot, now: float) -> tuple[float, float | None]:
        """Trials an hour, and the seconds that are left (None while nobody can know)."""
        done = ended(snapshot)
        if self.began is None:
            self.before = done
            if snapshot.running:
                self.began = now
        if self.began is None or done == self.before or now <= self.began:
            return 0.0, None
        rate = (done - self.before) / (now - self.began)
        lasts = [use.seconds_left for use in snapshot.uses if use.seconds_left is not None]
        return rate * 3600, min([(snapshot.budget - done) / rate, *lasts])


@contextmanager
def shown(campaign: Campaign[Any], terminal: TextIO, folder: str, interrupts: Interrupts) -> Iterator[View]:
    """The view that suits `terminal`, for as long as the campaign runs."""
    screen = console(file=terminal)
    if not screen.is_terminal:
        yield _Lines(campaign, screen)
        return
    panel = _Panel(campaign, folder, interrupts)
    # Drawn by a thread, from the latest snapshot: it goes on while Ray starts or a long step is computed.
    with Live(
        get_renderable=panel.drawn,
        console=screen,
        refresh_per_second=REFRESHES_A_SECOND,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        try:
            yield panel
        finally:
            panel()


class _Lines:
    """One line for each trial that ends."""

    def __init__(self, campaign: Campaign[Any], console: Console) -> None:
        self._campaign = campaign
        self._console = console
        self._pace = Pace()
        self._seen: int | None = None

    def __call__(self) -> None:
        snapshot = self._campaign.snapshot()
        done = ended(snapshot)
        rate, left = self._pace.of(snapshot, time.monotonic())
        if self._seen is not None and done > self._seen:
            parts = [f"{done}/{snapshot.budget} trials", *_troubles(snapshot)]
            if snapshot.best is not None:
                parts.append(f"best {reward(snapshot.best.reward)} (trial {snapshot.best.number})")
            if snapshot.rewards:
                parts.append(f"last {reward(snapshot.rewards[-1])}")
            if left is not None:
                parts.append(f"{rate:.0f} an hour, {duration(left)} left")
            parts.extend(map(str, snapshot.uses))
            self._console.print("  ".join(parts), highlight=False, soft_wrap=True)
        self._seen = done


class _Panel:
    def __init__(self, campaign: Campaign[Any], folder: str, interrupts: Interrupts) -> None:
        self._campaign = campaign
        self._folder = folder
        self._interrupts = interrupts
        self._pace = Pace()
        self._began = time.monotonic()
        self()

    def __call__(self) -> None:
        self._snapshot = self._campaign.snapshot()
        self._rate, self._left = self._pace.of(self._snapshot, time.monotonic())

    def drawn(self) -> Group:
        head = Text.assemble((self._snapshot.name, "bold"), (f"  in {self._folder}", "dim"))
        elapsed = time.monotonic() - self._began
        body = Body(self._snapshot, self._rate, self._left, elapsed)
        if not self._interrupts.asked:
            return Group(head, body)
        return Group(head, body, Text("stopping; Ctrl-C again ends at once", "yellow"))


@dataclass(frozen=True, slots=True)
class Body:
    """The lines of the panel, laid out when the width is known."""

    snapshot: Snapshot
    rate: float
    left: float | None
    elapsed: float

    def __rich_console__(self, console: Console, options: Any) -> Iterator[Table]:
        width = max(20, options.max_width - 12)
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True, min_width=7)
        table.add_column(no_wrap=True)
        done = ended(self.snapshot)
        bar = ProgressBar(total=self.snapshot.budget, completed=done, width=min(40, width))
        table.add_row("trials", bar)
        table.add_row("", self._counts(done))
        for trouble in _troubles(self.snapshot):
            table.add_row("", Text(trouble, style="red"))
        best = self.snapshot.best
        if best is not None:
            table.add_row(
                "best", Text.assemble((reward(best.reward), "bold green"), f"  trial {best.number}")
            )
            table.add_row("", Text(shortened(best.genome, width), style="cyan"))
        if len(self.snapshot.rewards) > 1:
            low, high = min(self.snapshot.rewards), max(self.snapshot.rewards)
            line = sparkline(self.snapshot.rewards, min(60, width - 20))
            table.add_row("rewards", Text.assemble((line, "green"), (f"  {low:.3f} to {high:.3f}", "dim")))
        for use in self.snapshot.uses:
            table.add_row("budget", str(use))
        table.add_row("pace", self._time())
        yield table

    def _counts(self, done: int) -> str:
        budget, running = self.snapshot.budget, len(self.snapshot.running)
        if running or done >= budget:
            return f"{done} of {budget} done" + (f", {running} running" if running else "")
        return f"{done} of {budget} done, starting workers" if not self.rate else f"{done} of {budget} done"

    def _time(self) -> Text:
        pace = f"{self.rate:.0f} trials an hour, " if self.rate else ""
        left = f"{duration(self.left)} left, " if self.left else ""
        return Text(f"{pace}{left}{duration(self.elapsed)} elapsed")


def _troubles(snapshot: Snapshot) -> list[str]:
    failed = sum(snapshot.failures.values())
    kinds = ", ".join(
        f"{count} {kind.replace('_', ' ')}" for kind, count in snapshot.failures.items() if count
    )
    retried = sum(snapshot.retried.values())
    return ([f"{failed} failed ({kinds})"] if failed else []) + (
        [f"{retried} tried again"] if retried else []
    )
