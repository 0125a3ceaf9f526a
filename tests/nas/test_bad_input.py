"""Bad input gets one clear line and exit code 2, and leaves nothing behind.

One file for all nouns, because it is one promise: a table for each noun, and one test over all of them.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image

from nas.config import load
from nas.launch import create, driving, find
from proxy_trainer.data.config import RenderedData
from proxy_trainer.data.render import render_to
from search_space.catalog import GENOMES
from search_space.family import FAMILY
from search_space.spec import Spec, spec_to_text

Nas = Callable[..., Any]
Written = Callable[..., Path]


def _proxy(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"evaluator": {"kind": "proxy", "data": data, **more}}


def _coco(directory: Path) -> dict[str, Any]:
    return _proxy(
        {"kind": "coco", "images": str(directory / "images"), "train": str(directory / "train.json")}
    )


CONFIGS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown key": ({"bugdet": {"trials": 3}}, ["config.yaml:3: bugdet", "'budget'"]),
    "unknown key inside": (
        {"controller": {"kind": "regularized_evolution", "populaton": 3}},
        [".populaton", "'population'"],
    ),
    "unknown key of the recipe": (
        _proxy({"kind": "rendered"}, recipe={"stepz": 3}),
        ["evaluator.recipe.stepz", "'steps'"],
    ),
    "unknown key of the data": (
        _proxy({"kind": "coco", "imagez": "x"}),
        ["evaluator.data.imagez", "'images'"],
    ),
    "no room for the name of the finalists": (
        {"name": "n" * 60, "finalists": {}},
        ["nnn", "at most 54 characters before .finalists"],
    ),
    "no room for the name of the control": (
        {"name": "n" * 60, "control": True},
        ["nnn", "at most 56 characters before .control"],
    ),
    "finalists without pictures to judge them by": (
        {**_proxy({"kind": "rendered"}, splits={"reward": 50, "confirm": 0}), "finalists": {}},
        ["finalists", "confirm"],
    ),
    "missing key": ({"budget": None}, ["budget", "missing"]),
    "no kind": ({"controller": {"population": 3}}, ["controller", "kind"]),
    "unknown kind": (
        {"controller": {"kind": "regularised_evolution"}},
        ["controller", "'regularized_evolution'"],
    ),
    "text for a number": ({"budget": {"trials": "many"}}, ["budget.trials", "whole number", '"many"']),
    "number in quotes": ({"seed": "3"}, ["seed", "whole number"]),
    "number for a mapping": ({"reward": 3}, ["reward", "mapping"]),
    "fraction for a whole number": ({"seed": 1.5}, ["seed", "whole number", "1.5"]),
    "nothing": ({"name": None, "budget": None}, ["missing"]),
    "no trials": ({"budget": {"trials": 0}}, ["budget", "trials=0"]),
    "bad name": ({"name": "../up"}, ["name=", "letters"]),
    "tournament of more than there are": (
        {"controller": {"kind": "regularized_evolution", "population": 2, "tournament": 5}},
        ["controller", "tournament=5"],
    ),
    "unknown space": ({"space": "spinenet-94"}, ["space", "spinenet-94", "'spinenet-49'"]),
    "space with levels that don't exist": (
        {"space": {"preset": "spinenet-49", "offsets": [-1, 4]}},
        ["space", "level"],
    ),
    "space without a stem": ({"space": {"intermediates": {3: 2}}}, ["space", "stem"]),
    "unknown kind of block": (
        {"space": {"preset": "spinenet-49", "kinds": ["botleneck"]}},
        ["kinds", "'bottleneck'"],
    ),
    "unknown kind of failure": ({"failures": {"retries": {"lost_wrker": 1}}}, ["retries", "lost_worker"]),
    "resolution": (_proxy({"kind": "rendered"}, recipe={"resolution": 100}), ["recipe", "multiple of 128"]),
    "splits": (
        _proxy({"kind": "rendered", "train_images": 4, "val_images": 1}, splits={"reward": 9}),
        ["splits", "train"],
    ),
    "missing data": (_coco(Path("/does/not/exist")), ["/does/not/exist"]),
    "no workers": ({"runner": {"kind": "ray", "workers": 0}}, ["runner", "workers=0"]),
    "reward that no measurement has": ({"reward": {"metric": "APP"}}, ["reward", "'APP'", "mean 'AP"]),
    "unknown key of the reward": (
        {"reward": {"metrics": "AP"}},
        ["reward.metrics", "unknown key", "'metric'"],
    ),
    "unknown kind of reward": (
        {"reward": {"kind": "sofd", "cost": "flops", "target": 1}},
        ["reward", "unknown kind 'sofd'", "'soft'"],
    ),
    "key of a kind of reward": (
        {"reward": {"kind": "soft", "cost": "flops", "targt": 1}},
        ["reward.targt", "unknown key", "'target'"],
    ),
    "target of nothing": (
        {"reward": {"kind": "soft", "cost": "flops", "target": 0}},
        ["reward", "target=0.0", "more than 0"],
    ),
    "cost that nobody measures": (
        {"reward": {"kind": "hard", "cost": "flopz", "target": 1}},
        ["reward", "'flopz'", "mean 'flops'"],
    ),
    "reward by what is not measured": (
        {"reward": {"kind": "by_size"}},
        ["reward", "'AP_small'", "not measured by the evaluator 'synthetic'"],
    ),
    "path below nobody's home": (
        _proxy({"kind": "coco", "images": "~nosuchuser/images", "train": "train.json"}),
        ["~nosuchuser"],
    ),
    "money without a price": ({"budget": {"trials": 3, "money": 5}}, ["budget", "price go together"]),
    "hours of nothing": ({"budget": {"trials": 3, "hours": 0}}, ["budget", "hours=0.0", "more than 0"]),
    "devices that no trial holds": (
        {"budget": {"trials": 3, "device_hours": 5}},
        ["device_hours", "gpus_per_worker=0"],
    ),
    "rungs at steps that don't exist": (
        {"stopping": {"kind": "halving", "rungs": [7]}},
        ["stopping", "rungs=[7]"],
    ),
    "database without a folder": ({"database": "sqlite:////does/not/exist/x.sqlite"}, ["/does/not/exist"]),
    "database of no known kind": ({"database": "oracel://x"}, ["oracel"]),
}


TEXTS: dict[str, tuple[str | bytes, list[str]]] = {
    "no YAML": ("name: [small", ["config.yaml:1", "expected"]),
    "a list": ("- small", ["config.yaml", "mapping", "list"]),
    "not UTF-8": (b"name: \xff", ["config.yaml", "not UTF-8", "byte 6"]),
    "a key twice": ("name: a\nname: b", ["config.yaml:2", "'name' is given twice"]),
    "an alias": ("a: &a [x]\nb: [*a, *a]", ["config.yaml:2", "aliases"]),
    "a tag": ("name: !!python/object/apply:os.getpid []", ["config.yaml:1", "tag"]),
    "a control character": ("name: a\x07b", ["config.yaml", "special characters"]),
    "too deep": ("a: " + "[" * 5000, ["config.yaml", "nested too deeply"]),
    "too large": ("#" * 1_000_001, ["config.yaml", "larger than"]),
    "a tag that its text doesn't fit": ("seed: !!int", ["config.yaml:1", "'' can't be read as int"]),
    "a key with such a tag": ("!!bool maybe: 1", ["config.yaml:1", "'maybe' can't be read as bool"]),
    "a moment that is none": ("seed: !!timestamp soon", ["config.yaml:1", "timestamp"]),
    "a level twice": (
        "name: a\nspace: {preset: spinenet-49, intermediates: {3: 1, '03': 4}}",
        ["config.yaml:2", "'03' is no key, write 3"],
    ),
    "infinity": ("seed: .inf", ["config.yaml:1", "finite"]),
    "empty": ("", ["missing"]),
}
"""Config files as they lie on the disk."""

COMMANDS: dict[str, list[str]] = {
    "resume nobody": ["nobody"],
    "status nobody": ["nobody"],
    "top nobody": ["nobody"],
    "show nobody 1": ["nobody"],
    "export nobody --out x": ["nobody"],
    "status ../../etc": ["../../etc"],
    "run /does/not/exist.yaml": ["/does/not/exist.yaml", "no such file"],
    "run /": ["/", "directory"],
    "run": ["config"],
    "rnu": ["rnu", "run"],
    "status x --jsn": ["--jsn", "--json"],
    "show x first": ["number", "integer"],
    "show x -1": ["-1"],
    "top x -n 0": ["-n", "greater than or equal to 1"],
    "data check /does/not/exist": ["/does/not/exist"],
    "cost spinenet-94": ["spinenet-94", "mean 'spinenet-9"],
    "cost '2b* 2b* | 3b:0,9^'": ["9"],
    "space spinenet-94": ["spinenet-94"],
    "simulate /does/not/exist.yaml": ["/does/not/exist.yaml", "no such file"],
    "draw spinenet-49 --out x.nosuch": [".nosuch"],
}

SPEC: Final = spec_to_text(Spec(genome=GENOMES["spinenet-49"], scaling=FAMILY["spinenet-49"].scaling))

SPECS: dict[str, tuple[str | bytes, list[str]]] = {
    "nothing": ("", ["spec.yaml", "found another document"]),
    "another document": ("name: small", ["spec.yaml", "format: spinenas-spec"]),
    "a later version": (SPEC.replace("version: 1", "version: 99"), ["version 99", "update"]),
    "a version that is none": (SPEC.replace("version: 1", "version: one"), ["version='one'", "whole number"]),
    "no genome": ("format: spinenas-spec\nversion: 1", ["spec.yaml", "genome", "required"]),
    "an unknown key": (SPEC + "colour: red\n", ["spec.yaml", "colour"]),
    "a parent that comes later": (SPEC.replace("parents: [0, 1]", "parents: [0, 16]", 1), ["genome", "16"]),
    "a level that there is not": (SPEC.replace("level: 2", "level: 99", 1), ["level", "99"]),
    "a kind that there is not": (SPEC.replace("kind: bottleneck", "kind: bottle", 1), ["kind", "'bottle'"]),
    "numbers out of order": (SPEC.replace("node: 3", "node: 4", 1), ["node=4", "expected 3"]),
    "cut off": (SPEC[: len(SPEC) // 2], ["spec.yaml", "line"]),
    "not UTF-8": (SPEC.encode() + b"\xff", ["spec.yaml", "not UTF-8"]),
    "an alias": ("format: &a spinenas-spec\nversion: *a", ["line 2", "alias *a"]),
    "a tag": ("format: !!python/name:os.system", ["line 1", "python/name"]),
    "too deep": ("format: " + "[" * 5000, ["line 1", "nested deeper"]),
    "too large": ("#" * 2_000_000, ["more than"]),
    "a scaling by nothing": (re.sub("(?m)^  width: .*", "  width: 0", SPEC), ["width"]),
}


def _execute(statement: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        with closing(sqlite3.connect(file)) as database, database:
            for (trigger,) in database.execute(
                "select name from sqlite_master where type = 'trigger'"
            ).fetchall():
                database.execute(f"drop trigger {trigger}")
            database.execute("pragma ignore_check_constraints = on")
            database.execute(statement)

    return change


def _overwritten(content: bytes) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        for each in file.parent.glob(f"{file.name}*"):
            each.write_bytes(content)

    return change


def _another_program(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as database:
        database.execute("create table songs (name text)")


def _garbled(file: Path) -> None:
    """Its first page is whole, the others are not."""
    content = file.read_bytes()
    file.write_bytes(content[:4096] + bytes(len(content) - 4096))


DATABASES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "of a later version": (_execute("update alembic_version set version_num = '9999'"), ["9999", "version"]),
    "no database": (_overwritten(b"this is no database" * 100), ["campaign.sqlite"]),
    "empty": (_overwritten(b""), ["campaign.sqlite", "not one of SpineNAS"]),
    "another program's": (_another_program, ["campaign.sqlite", "not one of SpineNAS"]),
    "gone": (Path.unlink, ["campaign.sqlite", "cannot be opened"]),
    "garbled": (_garbled, ["campaign.sqlite"]),
    "without the campaign": (
        _execute("update campaigns set name = 'other'"),
        ["no campaign 'small'", "other"],
    ),
    "with a config that is none": (_execute("update campaigns set config = '{}'"), ["missing"]),
    "with a config that is no JSON": (_execute("update campaigns set config = '{'"), ["campaign.sqlite"]),
    "with a config that is a list": (_execute("update campaigns set config = '[]'"), ["JSON object", "[]"]),
    "with a config that is a number": (_execute("update campaigns set config = '5'"), ["JSON object", "5"]),
    "with a config that is null": (_execute("update campaigns set config = 'null'"), ["JSON object", "None"]),
    "with a note that is a number": (_execute("update trials set note = '5'"), ["JSON object", "5"]),
    "with an unknown key in its config": (
        _execute("update campaigns set config = json_set(config, '$.colour', 'red')"),
        ["colour", "unknown key"],
    ),
    "with a state that there is not": (
        _execute("update trials set status = 'lost'"),
        ["campaign.sqlite", "lost"],
    ),
    "with a genome that is none": (_execute("update trials set genome = 'adam'"), ["genome text"]),
    "with a time that is none": (_execute("update trials set started = 'noon'"), ["campaign.sqlite"]),
}


def _notes(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def broken(directory: Path) -> None:
        notes = json.loads((directory / "train.json").read_text(encoding="utf-8"))
        change(notes)
        (directory / "train.json").write_text(json.dumps(notes), encoding="utf-8")

    return broken


def _pictures(write: Callable[[Path], object]) -> Callable[[Path], None]:
    """The first picture written anew."""

    def broken(directory: Path) -> None:
        notes = json.loads((directory / "train.json").read_text(encoding="utf-8"))
        write(directory / "images" / notes["images"][0]["file_name"])

    return broken


def _no_pictures(directory: Path) -> None:
    shutil.rmtree(directory / "images")
    (directory / "images").mkdir()


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _linked(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/passwd")


DATA: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no pictures": (_no_pictures, ["images", "24 of 24 pictures are missing"]),
    "a picture cut off": (
        _pictures(lambda file: file.write_bytes(file.read_bytes()[:200])),
        ["cannot be used"],
    ),
    "a picture of another size": (
        _pictures(lambda file: Image.new("RGB", (3, 5)).save(file)),
        ["3 x 5", "the annotation file says"],
    ),
    "a text in place of a picture": (_pictures(lambda file: file.write_text("hello")), ["cannot identify"]),
    "an empty picture": (_pictures(lambda file: file.write_bytes(b"")), ["cannot identify"]),
    "a folder in place of a picture": (_pictures(_folder), ["missing"]),
    "a link that leads out": (_pictures(_linked), ["is a link to /etc/passwd", "outside"]),
    "no JSON": (lambda at: (at / "train.json").write_text("{"), ["train.json", "is not JSON"]),
    "JSON of something else": (lambda at: (at / "train.json").write_text("[]"), ["holds a list"]),
    "an annotation of no image": (_notes(lambda n: n["annotations"][0].update(image_id=10**9)), [str(10**9)]),
    "a box without area": (_notes(lambda n: n["annotations"][0]["bbox"].__setitem__(2, 0)), ["bbox", "area"]),
    "a box that is no number": (
        _notes(lambda n: n["annotations"][0]["bbox"].__setitem__(2, float("nan"))),
        ["bbox", "nan", "four numbers"],
    ),
    "a path out of the directory": (
        _notes(lambda n: n["images"][0].update(file_name="../../etc/passwd")),
        ["passwd", "leaves the images directory"],
    ),
    "a name with control characters": (
        _notes(lambda n: n["categories"][0].update(name="\x1b[2J")),
        ["category", "control characters"],
    ),
    "two images of one id": (_notes(lambda n: n["images"][1].update(id=n["images"][0]["id"])), ["twice"]),
    "no categories": (_notes(lambda n: n.update(categories=[])), ["categories is empty"]),
    "a picture of a terabyte": (
        _notes(lambda n: n["images"][0].update(height=10**6, width=10**6)),
        ["the annotation file says 1000000 x 1000000"],
    ),
}


@dataclass(frozen=True)
class Bench:
    """Everything that a kind of bad input may need to be prepared."""

    nas: Nas
    home: Path
    written: Written
    place: Path
    rendered: Path

    def config(self, kind: str) -> tuple[list[Path | str], list[str]]:
        changes, expected = CONFIGS[kind]
        return ["run", self.written(changes)], expected

    def text(self, kind: str) -> tuple[list[Path | str], list[str]]:
        content, expected = TEXTS[kind]
        return ["run", self._file("config.yaml", content)], expected

    def command(self, kind: str) -> tuple[list[Path | str], list[str]]:
        return list(shlex.split(kind)), COMMANDS[kind]

    def spec(self, kind: str) -> tuple[list[Path | str], list[str]]:
        content, expected = SPECS[kind]
        return ["cost", self._file("spec.yaml", content)], expected

    def database(self, kind: str) -> tuple[list[Path | str], list[str]]:
        breaks, expected = DATABASES[kind]
        assert self.nas("run", self.written({"budget": {"trials": 3}})).code == 0
        breaks(self.home / "small" / "campaign.sqlite")
        return ["resume", "small"], expected

    def data(self, kind: str) -> tuple[list[Path | str], list[str]]:
        breaks, expected = DATA[kind]
        directory = self.place / "set"
        shutil.copytree(self.rendered, directory)
        (directory / "instances_train.json").rename(directory / "train.json")
        breaks(directory)
        return ["run", self.written(_coco(directory))], expected

    def _file(self, name: str, content: str | bytes) -> Path:
        path = self.place / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path


TABLES: dict[str, Mapping[str, object]] = {
    "config": CONFIGS,
    "text": TEXTS,
    "command": COMMANDS,
    "spec": SPECS,
    "database": DATABASES,
    "data": DATA,
}


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small COCO directory."""
    path = tmp_path_factory.mktemp("data") / "set"
    render_to(RenderedData(train_images=24, val_images=2, size=64), path)
    return path


@pytest.fixture
def bench(nas: Nas, home: Path, written: Written, tmp_path: Path, rendered: Path) -> Bench:
    return Bench(nas, home, written, tmp_path, rendered)


@pytest.mark.parametrize(("noun", "kind"), [(noun, kind) for noun, table in TABLES.items() for kind in table])
def test_one_clear_line_and_nothing_left_behind(bench: Bench, home: Path, noun: str, kind: str) -> None:
    arguments, expected = getattr(bench, noun)(kind)

    _is_one_line(bench.nas(*arguments), expected)
    if noun != "database":
        assert not (home / "small").exists()
        assert not list(home.glob(".small*"))


def test_there_are_kinds_enough() -> None:
    assert all(len(table) >= 10 for table in TABLES.values())
    assert sum(map(len, TABLES.values())) >= 30


def test_a_name_nearby_is_offered(nas: Nas, written: Written) -> None:
    assert nas("run", written()).code == 0

    _is_one_line(nas("status", "smal"), ["smal", "'small'"])


def test_a_name_that_is_taken(nas: Nas, written: Written) -> None:
    assert nas("run", written()).code == 0

    _is_one_line(nas("run", written()), ["small", "already exists", "nas resume small", "--name"])
    ended = nas("run", written(), "--continue")
    assert (ended.code, "goes on with" in ended.err) == (0, False)
    _is_one_line(nas("run", written({"seed": 4}), "--continue"), ["small", "another config"])
    assert nas("run", written({"seed": 4}), "--name", "other").code == 0


def test_what_is_not_read_when_a_campaign_goes_on_is_said(nas: Nas, written: Written) -> None:
    assert nas("run", written()).code == 0
    ended = nas("run", written({"finalists": {"top": 2, "seeds": 2}, "control": True}), "--continue")
    assert ended.code == 0
    [line] = [line for line in ended.err.splitlines() if "goes on with" in line]
    for word in ("this file's finalists, control;", "`nas finalists small`", "`nas control small`"):
        assert word in line
    ended = nas("run", written({"runner": {"kind": "serial", "timeout_seconds": 600}}), "--continue")
    assert "this file's runner;" in ended.err


def test_a_trial_that_does_not_exist(nas: Nas, written: Written) -> None:
    assert nas("run", written()).code == 0

    _is_one_line(nas("show", "small", "99"), ["no trial 99"])
    _is_one_line(nas("show", "small", "9" * 20), ["number", "2147483647"])


def test_another_name_that_is_none(nas: Nas, home: Path, written: Written) -> None:
    _is_one_line(nas("run", written(), "--name", "my run"), ["--name", "'my run'", "letters"])
    assert not home.exists()


def test_a_trial_that_failed_is_not_exported(nas: Nas, written: Written, tmp_path: Path) -> None:
    everything = {"failures": {"share": 1.0}, "budget": {"trials": 2}}
    nas("run", written({"evaluator": {"kind": "synthetic", "failures": 1.0}} | everything))

    _is_one_line(nas("export", "small", "--trial", "1", "--out", tmp_path / "x"), ["trial 1 is failed"])
    assert not (tmp_path / "x").exists()


def test_a_folder_that_can_not_be_made(nas: Nas, home: Path, written: Written) -> None:
    home.write_text("a file where the campaigns should go", encoding="utf-8")

    _is_one_line(nas("run", written()), [str(home)])


def test_a_campaign_whose_holder_is_this_process_is_not_busy(home: Path, written: Written) -> None:
    folder = create(load(written()), home)
    folder, config = find(home, folder.name)

    with driving(folder, config), driving(folder, config):
        pass


def _is_one_line(ended: Any, expected: list[str]) -> None:
    assert ended.code == 2, ended
    assert ended.out == ""
    assert ended.err.startswith("nas: ")
    assert ended.err.count("\n") == 1, ended.err
    for word in expected:
        assert word in ended.err, ended.err
