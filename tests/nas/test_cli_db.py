"""Databases on the command line: run in PostgreSQL, check, copy, upgrade; and passwords stay secret."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from alembic import command
from sqlalchemy import create_engine, make_url

from results_db.schema import migrations
from results_db.store import Store

Nas = Callable[..., Any]
Written = Callable[..., Path]

VERSION_2 = Path(__file__).parents[1] / "results_db" / "version_0002.sql"


FINISHED = "number = (SELECT min(number) FROM trials WHERE status = 'finished')"
STOPPED = "number = (SELECT min(number) FROM trials WHERE status = 'stopped')"


def secrets(url: str) -> tuple[str, ...]:
    password = str(make_url(url).password)
    return password, quote(password), quote(password, safe=""), password.split("@", maxsplit=1)[0]


def silent(url: str, *texts: str) -> bool:
    return not any(secret in text for secret in secrets(url) for text in texts)


def by_hand(url: str, *statements: str) -> None:
    """Tampers with a database, its guards taken away first."""
    engine = create_engine(url)
    with engine.begin() as connection:
        command.downgrade(migrations(connection), "0002")
        for statement in statements:
            connection.exec_driver_sql(statement)
        command.upgrade(migrations(connection), "head")
    engine.dispose()


@pytest.fixture
def campaign(engine: Any, home: Path, nas: Nas, written: Written, template: Callable[..., str]) -> str:
    """The address of the database of a campaign `small` that has run, in its folder or in PostgreSQL."""

    def fill(url: str) -> None:
        evaluator = {"kind": "synthetic", "failures": 0.2, "steps": 2}
        stopping = {"kind": "halving", "rungs": [1], "keep": 0.5, "least": 3}
        ran = nas("run", written({"database": url, "evaluator": evaluator, "stopping": stopping}))
        assert ran.code == 0, ran
        (home / "small" / "database.url").unlink()

    url = engine.copy(template(engine.name, "small", fill))
    folder = home / "small"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "database.url").write_text(url + "\n")
    return str(url)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_campaign_lives_in_postgresql(
    engine: Any, nas: Nas, home: Path, written: Written, tmp_path: Path
) -> None:
    url = engine.new()
    file = written({"database": url})
    ran = nas("run", file)
    assert (ran.code, ran.err) == (0, "")
    assert (home / "small" / "database.url").stat().st_mode & 0o077 == 0
    outputs = [ran]
    for words in (
        ["run", file], ["run", file, "--continue"], ["resume", "small"], ["status", "small"], ["top", "small"],
        ["status", "small", "--json"], ["top", "small", "--json"], ["show", "small", "1", "--json"],
        ["rescore", "small", "--reward", "flops", "--as", "cheap"], ["front", "small", "--json"],
        ["db", "upgrade", "small"], ["db", "upgrade", url, "--json"], ["db", "check", "small", "--replay"],
        ["db", "check", url, "--json"], ["db", "copy", "small", f"sqlite:///{tmp_path}/copy.sqlite", "--json"],
        ["db", "copy", url, url], ["db", "copy", f"sqlite:///{tmp_path}/copy.sqlite", url],
        ["db", "copy", "small", engine.new(), "--switch"],
    ):  # fmt: skip
        outputs.append(nas(*words))
        assert outputs[-1].code in (0, 2), words
        if outputs[-1].code == 2:
            assert "already" in outputs[-1].err
    assert all(silent(url, ended.out, ended.err) for ended in outputs)
    assert json.loads(nas("status", "small", "--json").out)["counts"]["finished"] == 8
    rest = [path for path in home.rglob("*") if path.is_file() and path.name != "database.url"]
    assert silent(url, *(path.read_text(errors="replace") for path in rest))
    with Store.read(f"sqlite:///{tmp_path}/copy.sqlite") as store:
        assert silent(url, json.dumps(dict(store.campaign("small").config)))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda url: make_url(url).set(password="secret:@/"),  # noqa: S106
        lambda url: make_url(url).set(database="nowhere"),
        lambda url: make_url(url).set(query={"host": "/nowhere"}),
        lambda url: make_url(url).set(query={"host": "/nowhere", "password": "secret:@/"}),
        lambda url: make_url(url).set(drivername="postgresql+nothing"),
        lambda url: make_url(url).set(query={"host": "/nowhere", "nonsense": "1"}),
    ],
)
@pytest.mark.parametrize("words", [["check"], ["upgrade"], ["copy"]])
@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_errors_do_not_tell_passwords(
    engine: Any, nas: Nas, words: list[str], wrong: Any, tmp_path: Path
) -> None:
    url = engine.new()
    bad = wrong(url).render_as_string(hide_password=False)
    ended = nas("db", *words, bad, *([f"sqlite:///{tmp_path}/x.sqlite"] if words == ["copy"] else []))
    assert ended.code == 2, ended
    assert ended.err.count("\n") == 1
    assert silent(url, ended.err, ended.out)
    assert "secret" not in ended.err


def test_a_second_at_sign_is_refused_without_showing_what_may_be_a_password(nas: Nas) -> None:
    ended = nas("db", "check", "postgresql://me:sec@ret@host/db")
    assert (ended.code, ended.err) == (
        2,
        "nas: database URL: more than one '@'; write %40 for one in a password\n",
    )


def test_nothing_is_wrong_with_a_campaign_that_ran(campaign: str, nas: Nas) -> None:
    ended = nas("db", "check", "small", "--replay", "--json")
    found = json.loads(ended.out)
    assert ended.code == 0, found
    ((small,), problems) = found["campaigns"], found["problems"]
    assert (small["trials"], small["ended"], small["replayed"], small["problems"], problems) == (
        8,
        8,
        8,
        [],
        [],
    )
    with Store.read(campaign) as store:
        assert {trial.status.value for trial in store.trials("small")} == {"finished", "failed", "stopped"}
    assert "8 trials, 8 ended: nothing wrong" in nas("db", "check", campaign).out


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        ([f"UPDATE trials SET reward = reward + 0.001 WHERE {FINISHED}"], "but its measurement gives"),
        ([f"UPDATE metrics SET value = 0.9 WHERE {FINISHED} AND final AND name = 'AP'"], "but its measurement gives"),
        ([f"DELETE FROM metrics WHERE {FINISHED} AND final"], "but reward: no metric 'AP' in the measurement"),
        ([f"UPDATE metrics SET final = NOT final WHERE {STOPPED}"], "is stopped, but has a measurement"),
        (["UPDATE trials SET fingerprint = 'f' WHERE number = 4"], "trial 4: its fingerprint is not that of its genome"),
        (["UPDATE trials SET genome = 'none' WHERE number = 4"], "trial 4: "),
        (["UPDATE trials SET seed = 5 WHERE number = 4"], "trial 4: its seed does not follow"),
        (["UPDATE trials SET finish_order = 99 WHERE number = 8"], "finish orders have gaps"),
        (["UPDATE trials SET told = 99 WHERE number = 8"], "trial 8: proposed after 99 outcomes, but there are 8"),
        (["UPDATE trials SET told = 5 WHERE number = 4"], "trial 4: proposed after the outcome of trial 5"),
        (["UPDATE trials SET told = 0 WHERE number = 8"], "trial 8: proposed after 0 outcomes, the one before after 6"),
        (["UPDATE trials SET attempt = 3 WHERE number = 4"], "trial 4: has attempts [1], expected 1 to 3"),
        ([f"UPDATE attempts SET ended = NULL, seconds = NULL WHERE {FINISHED}"], "but its attempt 1 has no end"),
        (
            [f"UPDATE attempts SET failure_kind = 'data', failure_message = '' WHERE {FINISHED}"],
            "failed otherwise than its last attempt",
        ),
        (
            ["DELETE FROM metrics WHERE number = 8", "DELETE FROM attempts WHERE number = 8",
             "DELETE FROM trials WHERE number = 8", "DELETE FROM metrics WHERE number = 3",
             "DELETE FROM attempts WHERE number = 3", "DELETE FROM trials WHERE number = 3"],
            "expected 1 to 6 without gaps",
        ),
        (
            ["UPDATE campaigns SET data_hash = 'f'", "UPDATE attempts SET provenance = '{\"data\": \"0\"}' WHERE number = 4"],
            "trial 4: was trained on other data than the campaign began with",
        ),
        (["UPDATE campaigns SET config = '{}'"], "its config cannot be read"),
        (["UPDATE trials SET note = '{}' WHERE number = 8"], "trial 8: asked again, the controller proposes"),
    ],
)  # fmt: skip
def test_what_cannot_have_happened_is_found(
    campaign: str, nas: Nas, statements: list[str], problem: str
) -> None:
    by_hand(campaign, *statements)
    ended = nas("db", "check", "small", "--replay", "--json")
    assert ended.code == 2, ended
    assert any(problem in line for line in json.loads(ended.out)["campaigns"][0]["problems"]), ended.out
    assert problem in nas("db", "check", "small", "--replay").out.replace("\n", " ")


def test_a_missing_guard_is_found(campaign: str, nas: Nas) -> None:
    engine = create_engine(campaign)
    postgres = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "DROP FUNCTION guard_trial_ended() CASCADE" if postgres else "DROP TRIGGER guard_trial_ended"
        )
    engine.dispose()
    ended = nas("db", "check", campaign)
    assert ended.code == 2
    assert "the guard trial_ended is missing" in ended.out


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_damaged_file_and_loose_rows_are_found(campaign: str, nas: Nas) -> None:
    path = Path(make_url(campaign).database or "")
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER guard_metrics_kept")
    connection.execute("DROP TRIGGER guard_attempts_kept")
    connection.execute("DELETE FROM attempts WHERE number = 2")
    connection.commit()
    connection.close()
    ended = nas("db", "check", "small")
    assert ended.code == 2
    assert "points to attempts, where nothing is" in ended.out
    assert "trial 2: has attempts [], expected 1 to 1" in ended.out
    whole = path.read_bytes()
    page = whole.rfind(b"small", 0, len(whole) // 2) // 4096 * 4096 + 8192
    path.write_bytes(whole[:page] + b"\xff" * 4096 + whole[page + 4096 :])
    ended = nas("db", "check", "small")
    assert ended.code == 2
    assert "Traceback" not in ended.err


def test_an_older_database_is_upgraded(nas: Nas, tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_2.read_text(encoding="utf-8"))
    connection.close()
    assert json.loads(nas("db", "check", f"sqlite:///{path}", "--json").out)["schema"] == "0002"
    assert "upgraded from schema 0002 to 0004" in nas("db", "upgrade", f"sqlite:///{path}").out
    again = json.loads(nas("db", "upgrade", f"sqlite:///{path}", "--json").out)
    assert again == {"database": str(path), "before": "0004", "now": "0004"}


def test_a_campaign_moves_and_goes_on(
    campaign: str, engine: Any, nas: Nas, home: Path, tmp_path: Path
) -> None:
    target = (
        f"sqlite:///{tmp_path}/moved.sqlite"
        if engine.name == "postgresql"
        else f"sqlite:///{tmp_path}/m.sqlite"
    )
    ended = nas("db", "copy", "small", target, "--switch")
    assert (ended.code, ended.err) == (0, "")
    assert "every row is equal" in ended.out
    assert "go on there with  nas resume small" in ended.out
    assert (home / "small" / "database.url").read_text().strip() == target
    assert nas("resume", "small").code == 0
    assert nas("db", "check", "small", "--replay").code == 0
    taken = nas("db", "copy", "small", target)
    assert (taken.code, taken.out) == (2, "")
    assert "has a campaign 'small' already; nothing was copied" in taken.err
    assert "--switch: FROM is a database" in nas("db", "copy", campaign, target, "--switch").err
    assert (
        "--campaign: FROM is a campaign already" in nas("db", "copy", "small", target, "--campaign", "x").err
    )


def test_a_campaign_that_is_driven_is_not_switched(
    campaign: str, nas: Nas, home: Path, tmp_path: Path
) -> None:
    import os

    from results_db.fence import Holder, process_start

    parent = os.getppid()
    me = Holder.me()
    driver = Holder(host=me.host, boot=me.boot, pid=parent, process_start=process_start(parent) or "")
    with Store.open(campaign) as store, store.take("small", me=driver):
        ended = nas("db", "copy", "small", f"sqlite:///{tmp_path}/x.sqlite", "--switch")
        assert ended.code == 2
        assert f"is being run by pid {parent}" in ended.err
        assert (home / "small" / "database.url").read_text().strip() == campaign
        assert nas("db", "copy", "small", f"sqlite:///{tmp_path}/x.sqlite").code == 0


@pytest.mark.parametrize("words", [["upgrade"], ["check"], ["copy"]])
def test_what_is_not_there_is_one_line(nas: Nas, words: list[str], tmp_path: Path) -> None:
    more = [f"sqlite:///{tmp_path}/x.sqlite"] if words == ["copy"] else []
    for where, message in (
        ("nobody", "no campaign 'nobody'"),
        (f"sqlite:///{tmp_path}/none.sqlite", "cannot be opened, No such file or directory"),
        ("sqlite:///:memory:", "in memory nothing survives"),
        ("what://ever", "no such kind of database here"),
    ):
        ended = nas("db", *words, where, *more)
        assert (ended.code, ended.out) == (2, "")
        assert message in ended.err
        assert ended.err.count("\n") == 1
    assert not (tmp_path / "x.sqlite").exists()


def test_who_was_overtaken_while_copying_switches_nothing(
    campaign: str, nas: Nas, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from results_db import copying
    from results_db.fence import Holder

    copy = copying.copy

    def slowly(*words: Any) -> Any:
        with Store.open(campaign) as store:
            store.take("small", me=Holder.me())
        return copy(*words)

    monkeypatch.setattr(copying, "copy", slowly)
    ended = nas("db", "copy", "small", f"sqlite:///{tmp_path}/x.sqlite", "--switch")
    assert (ended.code, "another process has taken it over" in ended.err) == (2, True)
    assert (home / "small" / "database.url").read_text().strip() == campaign


def test_rewards_that_were_computed_while_it_was_copied_come_along(
    campaign: str, nas: Nas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from results_db import copying

    copy = copying.copy

    def slowly(*words: Any) -> Any:
        done = copy(*words)
        assert nas("rescore", "small", "--reward", "AP50", "--as", "late").code == 0
        return done

    monkeypatch.setattr(copying, "copy", slowly)
    assert nas("db", "copy", "small", f"sqlite:///{tmp_path}/x.sqlite", "--switch").code == 0
    assert nas("top", "small", "--rewards", "late").code == 0, campaign


def test_rewards_that_are_computed_while_it_is_switched_are_asked_for_again(
    campaign: str, nas: Nas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rescore = Store.rescore

    def slowly(store: Store, *words: Any) -> None:
        rescore(store, *words)
        monkeypatch.setattr(Store, "rescore", rescore)
        assert nas("db", "copy", "small", f"sqlite:///{tmp_path}/x.sqlite", "--switch").code == 0

    monkeypatch.setattr(Store, "rescore", slowly)
    ended = nas("rescore", "small", "--reward", "AP50", "--as", "late")
    assert (ended.code, "rescore it once more" in ended.err) == (2, True), (ended, campaign)


def test_a_campaign_goes_on_while_its_proposals_are_asked_for_again(
    campaign: str, nas: Nas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial is proposed between the reading of the trials and that of the attempts."""
    from results_db import queries
    from results_db.records import NewTrial

    attempts = queries.attempts

    def meanwhile(*words: Any) -> Any:
        monkeypatch.setattr(queries, "attempts", attempts)
        with Store.open(campaign) as store, store.take("small") as writer:
            told = len(store.trials("small"))
            trial = NewTrial(number=told + 1, genome="g", fingerprint="f", note={}, seed=1, told=told)
            writer.reserve(trial, "")
        return attempts(*words)

    monkeypatch.setattr(queries, "attempts", meanwhile)
    ended = nas("db", "check", "small", "--replay")
    assert "unexpected" not in ended.err
    assert queries.attempts is attempts, "nothing was proposed meanwhile"
