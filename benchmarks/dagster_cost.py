"""What the pipeline costs beside Dagster itself, as ratios: loading the definitions, and a refresh with nothing new.

    .venv/bin/python benchmarks/dagster_cost.py

Three ways, each in turn with the graph of the same steps, assets and checks that do nothing (`empty_graph.py`), and
the least of several rounds:

- as a night runs it: started by Dagster's daemon in a process of its own, from there to the end of the run;
- by `dagster job execute`, in CPU seconds of all its processes, so that a busy machine tells the same;
- in this process, where all is loaded already: the graph telling Dagster nothing and what the refresh tells it, and
  the work of the refresh without Dagster.

`make docs` first if `sql/` has changed: see `catalog.py`.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
from empty_graph import Told, empty_definitions, graph_of

from cashpay_pipeline.checks import all_checks, run_check
from cashpay_pipeline.definitions import build_defs
from cashpay_pipeline.marts import build_marts
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.warehouse import open_warehouse, publish

ROUNDS = 5
HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
LOCATIONS = {"refresh": "cashpay_pipeline.definitions", "empty": "empty_graph", "empty_by_default": "empty_graph"}
"""The jobs, with the module of each."""


def child_seconds() -> float:
    """CPU seconds of all processes that this one has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cost_of(command: list[str]) -> float:
    """CPU seconds of a command and of what it starts."""
    before = child_seconds()
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return child_seconds() - before


def least_of(tasks: dict[str, Callable[[], float]]) -> dict[str, float]:
    """The least of what each costs: done in turn, the first round not counted."""
    least = dict.fromkeys(tasks, float("inf"))
    for number in range(ROUNDS + 1):
        for name, task in tasks.items():
            cost = task()
            if number:
                least[name] = min(least[name], cost)
    return least


def of_definitions() -> None:
    """A fresh interpreter that imports them, beside one that imports Dagster."""

    def loading(module: str) -> Callable[[], float]:
        return lambda: cost_of([sys.executable, "-c", f"import {module}"])

    tell("Definitions, CPU", least_of({name: loading(name) for name in ("cashpay_pipeline.definitions", "dagster")}))


def of_a_night() -> None:
    """Each job started by the daemon: seconds from there to the end of the run."""
    with dg.DagsterInstance.get() as instance, running_daemon():

        def night(job: str) -> Callable[[], float]:
            return lambda: launched(instance, job)

        tell("As a night runs it, seconds", least_of({job: night(job) for job in LOCATIONS}))


@contextmanager
def running_daemon() -> Iterator[None]:
    """Dagster's daemon, with both code locations."""
    daemon = subprocess.Popen(
        [str(BIN / "dagster-daemon"), "run", *_modules(LOCATIONS.values())],
        cwd=HERE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        daemon.terminate()
        daemon.wait()
        with suppress(ProcessLookupError):  # its code servers outlive it for a moment, and write into DAGSTER_HOME
            os.killpg(daemon.pid, signal.SIGKILL)


def launched(instance: dg.DagsterInstance, job: str) -> float:
    """Have the daemon run a job; seconds from its start of a process to the end of the run."""
    cost_of([str(BIN / "dagster"), "job", "launch", *_modules([LOCATIONS[job]]), "-j", job])
    (run,) = instance.get_runs(limit=1)
    deadline = time.monotonic() + 120
    while (seen := instance.get_run_by_id(run.run_id)) is None or not seen.is_finished:
        if time.monotonic() > deadline:
            sys.exit(f"{job} does not end; see the events of run {run.run_id}.")
        time.sleep(0.2)
    if not seen.is_success:
        sys.exit(f"{job} failed; see the events of run {run.run_id}.")
    stats = instance.get_run_stats(run.run_id)
    assert stats.end_time and stats.launch_time
    return stats.end_time - stats.launch_time


def _modules(names: Iterable[str]) -> list[str]:
    return [word for name in dict.fromkeys(names) for word in ("-m", name)]


def of_processes() -> None:
    """Each job by Dagster's command."""

    def executed(job: str) -> Callable[[], float]:
        return lambda: cost_of([str(BIN / "dagster"), "job", "execute", "-m", LOCATIONS[job], "-j", job])

    tell("By `dagster job execute`, CPU", least_of({job: executed(job) for job in LOCATIONS}))


def in_this_process(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Each job, and the work of the refresh, without what it takes to load them."""

    def executed(job: dg.JobDefinition) -> dg.ExecuteInProcessResult:
        return job.execute_in_process(instance=instance, run_config=QUIET)

    def cost(task: Callable[[], object]) -> Callable[[], float]:
        def measured() -> float:
            started = time.process_time()
            task()
            return time.process_time() - started

        return measured

    defs = build_defs(settings=settings)
    refresh = defs.resolve_job_def("refresh")
    told = told_of_assets(executed(refresh))
    empty = empty_definitions(graph_of(defs)).resolve_job_def("empty")
    telling = empty_definitions(graph_of(defs), told, "telling").resolve_job_def("empty")
    tasks: dict[str, Callable[[], object]] = {
        "refresh": lambda: executed(refresh),
        "empty": lambda: executed(empty),
        "empty, telling Dagster the same of each asset": lambda: executed(telling),
        "without Dagster: reading": lambda: run_sync(settings),
        "without Dagster: marts and checks": lambda: _build_and_check(settings),
        "without Dagster: publishing": lambda: publish(settings),
    }
    tell("In this process, CPU", least_of({name: cost(task) for name, task in tasks.items()}))


def told_of_assets(result: dg.ExecuteInProcessResult) -> Told:
    """What a run told Dagster of each asset."""
    events = [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    return {event.asset_key: event.metadata for event in events}


def _build_and_check(settings: Settings) -> None:
    with open_warehouse(settings) as warehouse:
        build_marts(warehouse)
        for check in all_checks():
            run_check(warehouse, check)


def tell(title: str, costs: dict[str, float]) -> None:
    """Print each cost, and how many times it the first is."""
    first = next(iter(costs.values()))
    print(f"\n{title}")
    for name, cost in costs.items():
        print(f"  {name}: {cost:.2f}, ratio {first / cost:.2f}", flush=True)


def main() -> None:
    """Measure and print."""
    of_definitions()
    with (
        tempfile.TemporaryDirectory() as folder,
        SimulatorProcess(
            seed=7, days=30, bills_per_day=100, start="2026-03-02T10:00:00+00:00", frozen=True
        ) as simulator,
    ):
        given = {
            "base_url": simulator.base_url,
            "data_dir": str(Path(folder) / "data"),
            "requests_per_second": "5000",
            **{name: DEMO_CREDENTIALS[name] for name in ("username", "password", "client_id", "client_secret")},
        }
        settings = load_settings(**given)
        run_sync(settings)
        simulator.advance(hours=1)  # What was read is of the past now: no part of it needs to be read once more.
        home = Path(folder) / "home"
        home.mkdir()
        shutil.copy(HERE.parent / "deploy/dagster.yaml", home)
        graph = Path(folder) / "graph.json"
        graph.write_text(json.dumps(graph_of(build_defs())))
        os.environ |= {f"CASHPAY_{name.upper()}": value for name, value in given.items()}
        os.environ |= {"DAGSTER_HOME": str(home), "EMPTY_GRAPH": str(graph)}
        with dg.DagsterInstance.get() as instance:
            in_this_process(settings, instance)
        of_processes()
        of_a_night()


if __name__ == "__main__":
    main()
