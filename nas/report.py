"""Facts of a campaign drawn for people: what status, top and show print without --json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nas.redaction import one_line
from nas.snapshot import Snapshot, ended
from nas.status_facts import age
from nas.terminal import duration, reward, shortened, sparkline

COLUMNS: Final = ("AP50", "AP75", "loss")
"""Metrics that the table of the best shows beside the reward, where a campaign has them."""

_STATE: Final = {"finished": "green", "running": "yellow", "stopped": "dim", "budget spent": "magenta"}


def print_status(console: Console, facts: dict[str, Any]) -> None:
    """Where a campaign stands, and what to type next."""
    counts, budget = facts["counts"], facts["budget"]
    done = counts["finished"] + counts["stopped"] + counts["failed"]
    table = _facts_table()
    state = Text(facts["state"], style=_STATE[facts["state"]])
    if facts["driver"]:
        state.append(
            f" by process {facts['driver']['pid']} on {one_line(facts['driver']['host'])}", style="dim"
        )
    table.add_row(Text(facts["name"], style="bold"), state)
    table.add_row("trials", _counted(facts, done))
    for line in _troubles(facts["attempts"]):
        table.add_row("", Text(line, style="yellow"))
    if facts["best"]:
        best = facts["best"]
        table.add_row(
            "best", Text.assemble((reward(best["reward"]), "bold green"), f"  trial {best['number']}")
        )
        table.add_row("", Text(shortened(best["genome"], console.width - 14), style="cyan"))
    if len(facts["rewards"]) > 1:
        low, high = min(facts["rewards"]), max(facts["rewards"])
        line = sparkline(facts["rewards"], min(60, console.width - 34))
        table.add_row("rewards", Text.assemble((line, "green"), (f"  {low:.3f} to {high:.3f}", "dim")))
    for number, limit in enumerate(facts["limits"]):
        table.add_row("" if number else "budget", _limit(limit))
    if facts["forecast"]:
        end = facts["forecast"]
        text = f"{_word(end['limit'])} end it in {duration(end['seconds_left'])}"
        table.add_row("forecast", f"{text}, after {end['trials']} of {budget} trials")
    if facts["trials_per_hour"]:
        left = f", {duration(facts['seconds_left'])} left" if facts["seconds_left"] else ""
        table.add_row("pace", f"{facts['trials_per_hour']:.0f} trials an hour{left}")
    if facts["last_outcome"]:
        table.add_row("last outcome", f"{duration(max(0.0, age(facts['last_outcome'])))} ago")
    search = f"{facts['controller'].replace('_', ' ')} on {facts['space']}, {facts['evaluator']} evaluator"
    table.add_row("search", f"{search}, seed {facts['seed']}")
    table.add_row("folder", facts["folder"])
    console.print(table)
    if facts["state"] == "stopped" and done < budget:
        console.print(Text.assemble(("\ngo on with", "dim"), f" nas resume {facts['name']}"))


def print_top(console: Console, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """The best trials as a table."""
    if not rows:
        console.print(f"campaign {name}: no finished trial yet", highlight=False)
        return
    shown = [metric for metric in COLUMNS if any(metric in row["metrics"] for row in rows)]
    again = ("mean", "trials") if any(len(row.get("rewards", ())) > 1 for row in rows) else ()
    table = _ranking("", "trial", "reward", *again, *shown)
    width = console.width - 26 - 9 * (len(shown) + len(again))
    for row in rows:
        means = [reward(row["mean"]), str(len(row["rewards"]))] if again else []
        metrics = [_number(row["metrics"].get(metric)) for metric in shown]
        rest = shortened(row["genome"], max(20, width))
        table.add_row(str(row["rank"]), str(row["number"]), reward(row["reward"]), *means, *metrics, rest)
    if again:
        table.caption = "by the mean less its standard error; the metrics are those of the trial named"
        table.caption_justify = "left"
    console.print(table)


def print_front(console: Console, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """The trials that no other beats in all objectives, as a table."""
    if not rows:
        console.print(f"campaign {name}: no finished trial yet", highlight=False)
        return
    shown = list(rows[0]["objectives"])
    table = _ranking("trial", "reward", *shown)
    for row in rows:
        numbers = [_number(row["objectives"][metric]) for metric in shown]
        rest = shortened(row["genome"], max(20, console.width - 20 - 12 * len(shown)))
        table.add_row(str(row["number"]), reward(row["reward"]), *numbers, rest)
    console.print(table)


def print_end(console: Console, name: str, snapshot: Snapshot, rows: Sequence[dict[str, Any]]) -> None:
    """The end of a campaign: what ended it, its best, and what to type next."""
    console.print()
    done = ended(snapshot)
    if snapshot.spent and done < snapshot.budget:
        gone = ", ".join(map(str, snapshot.uses))
        text = f"budget spent after {done} of {snapshot.budget} trials: {gone} (docs/guide.md: Budgets)"
        console.print(text, soft_wrap=True)
    print_top(console, name, rows)
    if rows:
        console.print(Text.assemble(("\nsee more with", "dim"), f"   nas top {name}"))
        console.print(Text.assemble(("the winner with", "dim"), f"  nas export {name} --out DIR"))


def print_trial(console: Console, name: str, facts: dict[str, Any]) -> None:
    """One trial: what became of it, its metrics, its genome node by node."""
    table = _facts_table()
    table.add_row(Text(f"{name}:{facts['number']}", style="bold"), facts["status"])
    if facts["failure"]:
        said = one_line(f"{facts['failure']['kind']}: {facts['failure']['message']}")
        table.add_row("failure", Text(said, style="red"))
    if facts["reward"] is not None:
        table.add_row("reward", Text(reward(facts["reward"]), style="bold green"))
    if facts["metrics"]:
        metrics = (f"{one_line(key)} {_number(value)}" for key, value in facts["metrics"].items())
        table.add_row("metrics", "  ".join(metrics))
    for attempt in facts["attempts"]:
        table.add_row("attempt" if attempt["attempt"] == 1 else "", _attempt(attempt))
    parents = facts["note"].get("parents")
    if isinstance(parents, list) and parents:
        table.add_row("came from", one_line(", ".join(f"trial {parent}" for parent in parents)))
    again = facts["note"].get("again")
    if again is not None:
        table.add_row("repeats", one_line(f"trial {again}"))
    table.add_row("seed", str(facts["seed"]))
    table.add_row("fingerprint", one_line(facts["fingerprint"]))
    table.add_row("genome", Text(one_line(facts["genome"]), style="cyan"))
    console.print(table)
    console.print(_nodes(facts["nodes"]))


def _ranking(*headings: str) -> Table:
    """A table of numbers, with a column for genomes at its end."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="right")
    table.add_column("genome", no_wrap=True, style="cyan")
    return table


def _facts_table() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _counted(facts: dict[str, Any], done: int) -> Text:
    counts = facts["counts"]
    text = Text(f"{done} of {facts['budget']} done")
    if facts["state"] == "running":
        text.append(f", {counts['running']} running")
    elif counts["running"] + counts["proposed"]:
        text.append(f", {counts['running'] + counts['proposed']} cut off, to be tried again")
    if counts["stopped"]:
        text.append(f", {counts['stopped']} stopped early")
    if counts["failed"]:
        kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in facts["failures"].items())
        text.append(f", {counts['failed']} failed ({kinds})", style="red")
    return text


def _limit(limit: dict[str, Any]) -> str:
    return f"{limit['used']:.3g} of {limit['most']:g} {_word(limit['limit'])}"


def _word(limit: str) -> str:
    return limit.replace("_", "-")


def _troubles(attempts: dict[str, Any]) -> list[str]:
    """What befell attempts: a line for each kind of failure, and one for those cut off."""
    lines = [
        f"{kind.replace('_', ' ')}: {each['attempts']} of {attempts['total']} attempts,"
        f" {each['tried_again']} tried again, {each['given_up']} given up"
        for kind, each in attempts["failed"].items()
    ]
    cut = attempts["cut_off"]
    return (
        [*lines, f"cut off when their driver stopped: {cut} of {attempts['total']} attempts"]
        if cut
        else lines
    )


def _attempt(attempt: dict[str, Any]) -> str:
    took = f" for {duration(attempt['seconds'])}" if attempt["seconds"] is not None else ""
    end = f": {attempt['failure']['kind']}, {attempt['failure']['message']}" if attempt["failure"] else ""
    return one_line(f"{attempt['attempt']} on {attempt['worker'] or 'an unnamed worker'}{took}{end}")


def _nodes(nodes: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading, justify in (
        ("node", "right"),
        ("level", "right"),
        ("kind", "left"),
        ("parents", "left"),
        ("", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]  # rich wants literals, not str
    for node in nodes:
        parents = ", ".join(map(str, node["parents"])) or "stem"
        output = f"output P{node['level']}" if node["output"] else ""
        table.add_row(str(node["node"]), str(node["level"]), node["kind"], parents, output)
    return table


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4f}"
