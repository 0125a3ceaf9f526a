"""A proxy study from its config to its report; and reports of known arms."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from nas import folder
from nas.proxy_study import run
from nas.proxy_study.config import REFERENCE, load
from nas.proxy_study.genomes import features, spread
from nas.proxy_study.report import ArmTable, print_study, study_facts
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import CocoData, RenderedData
from search_space.catalog import SPINENET_49, space_by_name

Nas = Callable[..., Any]

STUDY = {
    "name": "tiny",
    "space": {"stem": [{"level": 2}, {"level": 2}], "intermediates": {3: 1, 4: 1}, "kinds": ["residual"]},
    "genomes": {"count": 4, "seed": 1},
    "evaluator": {"kind": "synthetic", "noise": 0.01},
    "reference": {"evaluator": {"noise": 0.0}, "seeds": 2},
    "candidates": {"short": {"evaluator": {"noise": 0.2}}},
    "runner": {"kind": "serial"},
}


def written(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump(STUDY | changes))
    return path


def test_a_study_runs_goes_on_and_reports(nas: Nas, tmp_path: Path) -> None:
    config = written(tmp_path / "study.yaml")
    early = nas("proxy", "study", config, "--report")
    assert early.code == 2
    assert "short, reference" in early.err.replace("reference, short", "short, reference")
    ran = nas("proxy", "study", config)
    assert ran.code == 0, ran.err
    assert "most rank information per core-hour: short" in ran.out
    again = nas("proxy", "study", config, "--report", "--json")
    assert again.code == 0
    facts = json.loads(again.out)
    (short,) = facts["candidates"]
    assert (facts["genomes"], facts["reference"]["seeds"], short["seeds"]) == (4, 2, 1)
    assert short["core_seconds"] > 0
    # What is made up on the way is a share of the end.
    assert [(each["step"], each["tau_to_end"]) for each in short["rungs"]] == [(1, 1.0), (2, 1.0)]
    assert [each["tau"] for each in short["rungs"]] == [short["tau"]] * 2
    # Every arm trained the same genomes, and each is a campaign that can be looked at.
    rows = json.loads(nas("top", "tiny.short", "--json").out)
    assert {row["genome"] for row in rows} == set(load(config).texts())
    status = json.loads(nas("status", "tiny.reference", "--json").out)
    assert status["counts"]["finished"] == 8


def test_arms_are_trained_one_by_one(nas: Nas, tmp_path: Path) -> None:
    study = written(tmp_path / "study.yaml")
    assert nas("proxy", "study", study, "--arm", "reference").code == 0
    assert "short not trained yet" in nas("proxy", "study", study, "--report").err
    assert nas("proxy", "study", study, "--arm", "short").code == 0
    assert nas("proxy", "study", study, "--report").code == 0
    wrong = nas("proxy", "study", study, "--arm", "shrt")
    assert (wrong.code, "no arm 'shrt'; there are reference, short" in wrong.err) == (2, True), wrong.err


def test_arms_of_other_pictures_are_not_compared(
    nas: Nas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = written(tmp_path / "study.yaml")
    assert nas("proxy", "study", study).code == 0
    known = run._data(load(study), "short", folder.root(None))
    monkeypatch.setattr(run, "_data", lambda _, name, __: (known[0], name))  # by one config, two hashes
    refused = nas("proxy", "study", study, "--report")
    assert refused.code == 2
    assert "short was trained on other pictures than the reference" in refused.err


def test_a_report_is_of_all_arms(nas: Nas, tmp_path: Path) -> None:
    for arm in ("short", "shrt"):
        ended = nas("proxy", "study", written(tmp_path / "study.yaml"), "--report", "--arm", arm)
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert "--arm says what to train" in ended.err


def test_a_proxy_costs_what_cores_worked_for_it(
    nas: Nas, tmp_path: Path, forge: Callable[[Path, str], None]
) -> None:
    """Where the evaluator says so; a busy machine makes the clock run on while nothing is done."""
    study = written(tmp_path / "study.yaml")
    assert nas("proxy", "study", study).code == 0
    [database] = tmp_path.rglob("tiny.short/campaign.sqlite")
    worked = "SELECT campaign_id, number, attempt, step, 'seconds_cpu', 10.0 * number, 1 FROM metrics"
    forge(database, f"INSERT INTO metrics {worked} WHERE final AND name = 'AP'")
    facts = json.loads(nas("proxy", "study", study, "--report", "--json").out)
    assert facts["candidates"][0]["core_seconds"] == pytest.approx(25)


def test_arms_change_what_they_name_however_deep(tmp_path: Path) -> None:
    evaluator = {"kind": "proxy", "recipe": {"batch": 4}, "data": {"kind": "rendered", "train_images": 100}}
    arms = {
        "deep": {"evaluator": {"recipe": {"steps": 9, "warmup_steps": 1}, "data": {"val_images": 7}}},
        "none": {},
    }
    study = load(written(tmp_path / "study.yaml", evaluator=evaluator, candidates=arms, reference={}))
    deep, none = (study.evaluator_of(name) for name in arms)
    assert isinstance(deep, ProxyConfig)
    assert isinstance(deep.data, RenderedData)
    assert none == study.evaluator == study.evaluator_of(REFERENCE)
    assert (deep.recipe.steps, deep.recipe.batch) == (9, 4)
    assert (deep.data.train_images, deep.data.val_images) == (100, 7)
    seeds = {study.campaign(name).seed for name in (*arms, REFERENCE)}
    assert len(seeds) == 3


def test_another_kind_of_data_inherits_nothing_and_paths_count_from_the_file(tmp_path: Path) -> None:
    data = {"kind": "coco", "images": "pictures", "train": "train.json"}
    arms = {"real": {"evaluator": {"data": data}}}
    study = load(written(tmp_path / "study.yaml", evaluator={"kind": "proxy"}, candidates=arms, reference={}))
    real = study.evaluator_of("real")
    assert isinstance(real, ProxyConfig)
    assert isinstance(real.data, CocoData)
    assert real.data.images == tmp_path / "pictures"
    assert real.data.train == tmp_path / "train.json"


def test_a_study_says_what_it_did_not_look_at(nas: Nas, tmp_path: Path) -> None:
    assert nas("proxy", "study", written(tmp_path / "study.yaml")).code == 0
    more = STUDY["candidates"] | {"later": {"evaluator": {"noise": 0.3}}}  # type: ignore[operator] # a dict
    config = written(tmp_path / "study.yaml", candidates=more)
    assert "not trained yet, and not above: later" in nas("proxy", "study", config, "--report").out
    changed = written(tmp_path / "study.yaml", candidates={"short": {"evaluator": {"noise": 0.4}}})
    refused = nas("proxy", "study", changed)
    assert refused.code == 2
    assert "tiny.short" in refused.err
    assert "another name" in refused.err
    assert nas("proxy", "study", config, "--json").code == 2


def test_a_candidate_that_fails_is_a_result(nas: Nas, tmp_path: Path) -> None:
    arms = {"broken": {"evaluator": {"failures": 1.0}}, "short": {}}
    config = written(tmp_path / "study.yaml", candidates=arms)
    assert nas("proxy", "study", config).code == 0
    facts = json.loads(nas("proxy", "study", config, "--report", "--json").out)
    assert {row["name"]: row["failures"] for row in facts["candidates"]} == {"broken": 4, "short": 0}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"candidates": {}}, "candidates: expected at least one"),
        (
            {"candidates": {"a": {"evaluator": {"step": 3}}}},
            "a: evaluator.step: unknown key; did you mean 'steps'?",
        ),
        ({"candidates": {"reference": {}}}, "none but the reference"),
        ({"metric": "loss"}, "metric='loss', expected one of AP"),
        ({"genomes": {"count": 4, "include": ["r23-sp30"]}}, "include: 'r23-sp30' is not in the space"),
        ({"genomes": {"count": 2}}, "expected 4 to 1000"),
        ({"genomes": {"count": 4, "include": ["spinenet"]}}, "include: 'spinenet'"),
        ({"candidate": {}}, "candidate: unknown key; did you mean 'candidates'?"),
    ],
)
def test_a_config_that_cannot_be(nas: Nas, tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    ended = nas("proxy", "study", written(tmp_path / "study.yaml", **changes))
    assert ended.code == 2
    assert line in ended.err
    assert ended.err.count("\n") == 1


def test_genomes_are_spread_out() -> None:
    space = space_by_name("spinenet-49")
    chosen = spread(space, 24, seed=0)
    assert chosen == spread(space, 24, seed=0) != spread(space, 24, seed=1)
    assert len(set(chosen)) == 24
    random = [space.sample(np.random.default_rng(seed)) for seed in range(300)]
    for name in ("log_flops", "depth"):
        ours, theirs = (features(genomes)[name] for genomes in (chosen, random))
        # Close to the distribution of the space, both ends included.
        assert abs(np.median(ours) - np.median(theirs)) < 0.3 * theirs.std()
        assert ours.std() > 0.8 * theirs.std()
    assert abs(np.corrcoef(features(chosen)["log_flops"], features(chosen)["depth"])[0, 1]) < 0.6


def table(values: np.ndarray[Any, Any], seconds: float) -> ArmTable:
    return ArmTable(values, np.full(values.shape, seconds))


def test_reports_of_known_arms() -> None:
    rng = np.random.default_rng(0)
    space = space_by_name("spinenet-49")
    texts = (SPINENET_49.to_text(), *(space.sample(rng).to_text() for _ in range(23)))
    truth = rng.normal(0.2, 0.05, 24)
    arms = {
        REFERENCE: table(truth[:, np.newaxis] + rng.normal(0, 0.005, (24, 4)), 400.0),
        "good": table(truth[:, np.newaxis] + rng.normal(0, 0.02, (24, 2)), 80.0),
        "as good, dearer": table(truth[:, np.newaxis] + rng.normal(0, 0.02, (24, 2)), 160.0),
        "noise": table(rng.normal(0.2, 0.05, (24, 2)), 20.0),
    }
    arms["noise"].values[3, 0] = math.nan
    arms[REFERENCE].values[5, 1] = math.nan  # one of four seeds: the others tell
    arms[REFERENCE].values[6] = math.nan  # all of them: nothing is known of this genome
    facts = study_facts(texts, arms)
    good, dearer, noise = facts["candidates"]
    assert good["tau"] > 0.6 > 0.3 > abs(noise["tau"])
    assert good["interval"][0] < good["tau"] < good["interval"][1]
    assert good["partial"] > 0.5
    assert good["better_half"] < good["tau"]
    assert good["bits_per_core_hour"] > dearer["bits_per_core_hour"] > 0
    assert noise["failures"] == 1
    assert (facts["genomes"], facts["left_out"], facts["reference"]["failures"]) == (23, 1, 1)
    assert good["seed_sd"] == pytest.approx(0.02, rel=0.5)
    assert facts["reference"]["ceiling"] > 0.8
    assert facts["reference"]["hours"] == pytest.approx(23 * 4 * 400 / 3600)
    assert set(facts["alone"]) == {"log_flops", "log_parameters", "depth"}


def test_a_look_at_each_step_is_held_against_the_end() -> None:
    rng = np.random.default_rng(3)
    space = space_by_name("spinenet-49")
    texts = tuple(space.sample(rng).to_text() for _ in range(12))
    truth = rng.normal(0.2, 0.05, (12, 1))
    end = rng.permuted(truth, axis=0)
    there = {100: end + 0.001, 50: -end}
    there[100][0] = math.nan  # failed before: worst, as at the end
    end[0] = math.nan
    early = ArmTable(end, np.full(end.shape, 9.0), there)
    facts = study_facts(texts, {REFERENCE: table(truth, 400.0), "early": early}) | {"untrained": []}
    first, second = facts["candidates"][0]["rungs"]
    assert (first["step"], second["step"]) == (50, 100)
    assert second["tau_to_end"] == pytest.approx(1)
    assert first["tau_to_end"] < 0
    assert second["tau"] == pytest.approx(facts["candidates"][0]["tau"])
    console = Console(width=80, file=io.StringIO())
    print_study(console, "tiny", facts)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined] # it is a StringIO
    [no, yes] = [line.split() for line in lines if line.split()[1:2] in (["50"], ["100"])]
    assert (no[-1], yes[-1]) == ("no", "yes")


def test_a_report_can_be_read_in_80_columns() -> None:
    rng = np.random.default_rng(2)
    space = space_by_name("spinenet-49")
    texts = tuple(space.sample(rng).to_text() for _ in range(8))
    values = rng.normal(0.2, 0.05, (8, 2))
    long = "as-long-as-a-name-may-be-here."
    arms = {REFERENCE: table(values, 400.0), "short": table(values, 80.0), long: table(values[::-1], 9.0)}
    arms[long].values[0, 0] = math.nan
    facts = study_facts(texts, arms) | {"untrained": []}
    console = Console(width=80, file=io.StringIO())
    print_study(console, "tiny", facts)
    said = console.file.getvalue()  # type: ignore[attr-defined] # it is a StringIO
    short = facts["candidates"][0]
    assert "…" not in said
    for number in (short["genome_sd"], short["seed_sd"]):
        assert f" {number:.3f} " in said
    assert f"{short['tau']:.2f} [{short['interval'][0]:.2f}, {short['interval'][1]:.2f}]" in said
    assert long in "".join(line.split(" ")[0] for line in said.splitlines())  # folded


def test_a_failed_training_of_the_reference_is_no_ap_of_zero() -> None:
    rng = np.random.default_rng(1)
    space = space_by_name("spinenet-49")
    texts = tuple(space.sample(rng).to_text() for _ in range(12))
    whole = rng.normal(0.2, 0.05, 12)[:, np.newaxis] + rng.normal(0, 0.005, (12, 2))
    arms = {REFERENCE: table(whole, 400.0), "short": table(whole[:, :1], 80.0)}
    others = study_facts(texts[:-1], {name: table(arm.values[:-1], 1.0) for name, arm in arms.items()})
    whole[-1, 1] = math.nan
    found = study_facts(texts, arms)["reference"]
    assert found["failures"] == 1
    for word in ("ceiling", "seed_sd"):  # what they are said from are the other genomes
        assert found[word] == pytest.approx(others["reference"][word])
    assert found["genome_sd"] == pytest.approx(0.05, rel=0.5)
