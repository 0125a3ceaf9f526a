"""Does the proxy tell genomes apart? SpineNet-49 and 12 random genomes, 3 seeds each, at 500 steps.

    python -m experiments.proxy_signal             train what is missing (about an hour on 2 cores), report
    python -m experiments.proxy_signal --report    report what is there
    python -m experiments.proxy_signal --again     train those that took over 90 s once more

Recipe and data are those of configs/proxy.yaml with 500 steps, which were the shipped ones until the study of
configs/proxy_study.yaml halved them. They were chosen on SpineNet-49 and on random
genomes of other seeds (`CHOICE`), among them those that three earlier versions of this study used;
the twelve reported here were not looked at before. Writes
experiments/results/proxy_signal.{jsonl,json,png}; --again: proxy_signal_again.jsonl. Equal trials give
equal numbers to the last bit, so training again only measures the time anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from experiments.trials import Job, run_jobs
from nas.config import load
from nas.proxy_study.ranks import interval, tau, variances
from proxy_trainer.config import ProxyConfig
from search_space.catalog import SPINENET_49, space_by_name
from search_space.genome import Genome
from search_space.graph import resolve

ROOT = Path(__file__).parent
RESULTS = ROOT / "results" / "proxy_signal.jsonl"
SEEDS = (0, 1, 2)
CHOICE = (100, 101, 102, *range(1000, 1012), *range(2000, 2012), *range(3000, 3012))
REPORTED = tuple(range(4000, 4012))
LONGER = 3
BAR_SECONDS = 90
STEPS, WARMUP_STEPS = 500, 30


def genomes(seeds: Iterable[int]) -> dict[str, str]:
    """Texts of random genomes, by name."""
    space = space_by_name("spinenet-49")
    return {f"random-{seed}": space.sample(np.random.default_rng(seed)).to_text() for seed in seeds}


def studied() -> ProxyConfig:
    """The proxy that is studied."""
    config = load(ROOT.parent / "configs" / "proxy.yaml").evaluator
    if not isinstance(config, ProxyConfig):
        raise TypeError("configs/proxy.yaml does not train proxies")
    return config.with_recipe(steps=STEPS, warmup_steps=WARMUP_STEPS)


def longer(config: ProxyConfig) -> ProxyConfig:
    """The same recipe with three times the steps."""
    recipe = config.recipe
    return config.with_recipe(steps=LONGER * recipe.steps, warmup_steps=LONGER * recipe.warmup_steps)


def jobs(config: ProxyConfig, *, choice: bool) -> list[Job]:
    """Shipped recipe at all seeds first, then three times the steps at one seed."""
    if choice:
        found = genomes(CHOICE)
        return [Job("choice", name, text, seed, config) for seed in SEEDS[:2] for name, text in found.items()]
    found = {"SpineNet-49": SPINENET_49.to_text()} | genomes(REPORTED)
    short = [Job("proxy", name, text, seed, config) for seed in SEEDS for name, text in found.items()]
    return short + [Job("longer", name, text, SEEDS[0], longer(config)) for name, text in found.items()]


def finest_at_p3(text: str) -> int:
    """The level that the finest features on any way to P3 have to pass.

    3 or less where P3 sees features of its own resolution, more where all that it gets was coarser
    somewhere on its way and was enlarged again.
    """
    graph = resolve(Genome.from_text(text))
    finest: dict[int, int] = {}
    for node in graph.nodes:
        before = [finest[parent] for parent in (*node.parents, *node.raw)]
        finest[node.number] = max(node.level, min(before)) if before else node.level
    return finest[graph.outputs[3]]


def better_part(table: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Without the worst third of the genomes."""
    order = np.argsort(table.mean(axis=1))
    return np.asarray(table[order[len(order) // 3 :]])


def ratio(table: np.ndarray[Any, Any]) -> float:
    """Genome variance over seed variance."""
    between, seed = variances(table)
    return between / seed


def report(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All figures of docs/proxy.md that come from this study."""
    names = list(dict.fromkeys(row["name"] for row in rows if row["arm"] == "proxy"))
    metric = {(row["arm"], row["name"], row["seed"]): row["metrics"] for row in rows}
    texts = {row["name"]: row["genome"] for row in rows}
    seeds = tuple(seed for seed in SEEDS if all(("proxy", each, seed) in metric for each in names))

    def table(arm: str, name: str, seeds: tuple[int, ...]) -> np.ndarray[Any, Any]:
        return np.array([[metric[arm, each, seed][name] for seed in seeds] for each in names])

    ap = table("proxy", "AP", seeds)
    ap50 = table("proxy", "AP50", seeds)
    values = ap.ravel()
    mean = ap.mean(axis=1)
    best_part = better_part(ap)
    between, seed = variances(best_part)
    found: dict[str, Any] = {
        "genomes": len(names),
        "seeds": len(seeds),
        "trials": int(values.size),
        "median_AP50": float(np.median(ap50)),
        "median_AP": float(np.median(values)),
        "tied_share": 1 - len(set(values.tolist())) / len(values),
        "genome_sd_better": between**0.5 if between > 0 else 0.0,
        "seed_sd_better": seed**0.5,
        "ratio_better": ratio(best_part),
        "ratio_better_interval": interval(lambda chosen: ratio(best_part[chosen]), len(best_part)),
        "ratio_all": ratio(ap),
        "spinenet49_rank": int((mean > mean[names.index("SpineNet-49")]).sum()) + 1,
        "seconds": [float(f(table("proxy", "seconds", seeds))) for f in (np.median, np.max)],
        "rows": [
            {
                "name": each,
                "AP": ap[index].round(4).tolist(),
                "AP50": round(float(ap50[index].mean()), 3),
                "flops": metric["proxy", each, SEEDS[0]]["flops"],
                "finest_at_p3": finest_at_p3(texts[each]),
            }
            for index, each in enumerate(names)
        ],
    }
    if all(("longer", each, SEEDS[0]) in metric for each in names):
        long = table("longer", "AP", SEEDS[:1])[:, 0]
        found["tau_longer"] = tau(mean, long)
        found["tau_longer_interval"] = interval(lambda chosen: tau(mean[chosen], long[chosen]), len(mean))
        found["longer_AP"] = dict(zip(names, long.round(4).tolist(), strict=True))
        found["spinenet49_rank_longer"] = int((long > long[names.index("SpineNet-49")]).sum()) + 1
    return found


def again(wanted: list[Job], rows: list[dict[str, Any]], workers: int) -> None:
    """Train the slow ones once more, and say whether all but the time is the same."""
    slow = {row["key"]: row["metrics"] for row in rows if row["metrics"]["seconds"] > BAR_SECONDS}
    jobs_again = [job for job in wanted if job.arm == "proxy" and job.key in slow]
    for row in run_jobs(jobs_again, RESULTS.with_stem("proxy_signal_again"), workers):
        now, before = row["metrics"], slow[row["key"]]
        same = all(now[name] == before[name] for name in now if name.startswith(("A", "loss")))
        print(f"{row['key']}: {now['seconds']:.1f} s, before {before['seconds']:.1f} s, same numbers: {same}")


def plot(found: dict[str, Any], path: Path) -> None:
    """AP by genome, every seed a dot; and against three times the steps."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = sorted(found["rows"], key=lambda row: -np.mean(row["AP"]))
    panels = 2 if "tau_longer" in found else 1
    figure, grid = plt.subplots(1, panels, figsize=(3 + 3.5 * panels, 4), layout="constrained", squeeze=False)
    axes = grid[0]
    for place, row in enumerate(rows):
        colour = "tab:red" if row["name"] == "SpineNet-49" else "tab:blue"
        axes[0].plot([place] * len(row["AP"]), row["AP"], "o", color=colour, markersize=4)
        axes[0].plot(place, np.mean(row["AP"]), "_", color=colour, markersize=16)
        if "longer_AP" in found:
            axes[1].plot(np.mean(row["AP"]), found["longer_AP"][row["name"]], "o", color=colour)
    axes[0].set_xticks(range(len(rows)), [row["name"].replace("random-", "") for row in rows], rotation=60)
    axes[0].set_ylabel("AP on the reward split")
    axes[0].set_title("Shipped proxy: one dot a seed, a bar at the mean")
    if "tau_longer" in found:
        axes[1].set_xlabel("AP, shipped proxy (mean of 3 seeds)")
        axes[1].set_ylabel("AP, three times the steps")
        axes[1].set_title(f"Kendall tau {found['tau_longer']:.2f}")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--choice", action="store_true", help="the genomes that the recipe was chosen on")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--again", action="store_true", help="train those over 90 s once more")
    options = parser.parse_args()
    config = studied()
    wanted = jobs(config, choice=options.choice)
    rows = run_jobs(wanted, RESULTS, 0 if options.report or options.again else options.workers)
    if options.again:
        again(wanted, rows, options.workers)
        return
    if options.choice:
        return
    found = report(rows)
    RESULTS.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    plot(found, RESULTS.with_suffix(".png"))
    print(json.dumps({key: value for key, value in found.items() if key != "rows"}, indent=1))


if __name__ == "__main__":
    main()
