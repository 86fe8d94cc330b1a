"""What the pipeline costs beside Dagster itself, as ratios: loading the definitions, and a refresh with nothing new.

    .venv/bin/python benchmarks/dagster_cost.py

CPU seconds and not wall time, so that a busy machine tells the same: the least of several rounds. The refresh is
compared with the same graph of steps, assets and checks that do nothing, in one process, with the same instance, once
telling Dagster nothing and once what the refresh tells it of each asset; and with its own work done without Dagster.
`make docs` first if `sql/` has changed: see `catalog.py`.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from cashpay_pipeline.checks import all_checks, run_check
from cashpay_pipeline.definitions import build_defs
from cashpay_pipeline.marts import build_marts
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.warehouse import open_warehouse, publish

ROUNDS = 5
STEPS_ONCE = 21
OAUTH2 = ("username", "password", "client_id", "client_secret")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def load_seconds(module: str) -> float:
    """CPU seconds of a fresh interpreter that imports a module."""
    least = float("inf")
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        least = min(least, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return least


Told = Mapping[dg.AssetKey, Mapping[str, Any]]


def empty_twin(defs: dg.Definitions, name: str, told: Told) -> dg.JobDefinition:
    """The job `refresh` with the same steps, assets, dependencies and checks, none of which does anything.

    Of each asset it tells what is in `told`.
    """
    steps = [_empty_step(step, name, told) for step in defs.assets or [] if isinstance(step, dg.AssetsDefinition)]
    checks = [_empty_checks(step, name) for step in defs.asset_checks or []]
    job = dg.define_asset_job(name, executor_def=dg.in_process_executor)
    return dg.Definitions(steps, asset_checks=checks, jobs=[job]).resolve_job_def(name)


def _empty_step(step: dg.AssetsDefinition, name: str, told: Told) -> dg.AssetsDefinition:
    specs = {
        spec.key: dg.AssetSpec(_twin(name, spec.key), deps=[_twin(name, dep.asset_key) for dep in spec.deps])
        for spec in step.specs
    }

    @dg.multi_asset(name=step.op.name, specs=[*specs.values()])
    def nothing() -> Iterator[dg.MaterializeResult[Any]]:
        for key, spec in specs.items():
            yield dg.MaterializeResult(asset_key=spec.key, metadata=told.get(key))

    return nothing


def _empty_checks(step: dg.AssetChecksDefinition, name: str) -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec(spec.name, asset=_twin(name, spec.asset_key), blocking=spec.blocking)
        for spec in step.check_specs
    ]

    @dg.multi_asset_check(name=step.op.name, specs=specs)
    def nothing() -> Iterator[dg.AssetCheckResult]:
        for spec in specs:
            yield dg.AssetCheckResult(passed=True, asset_key=spec.asset_key, check_name=spec.name)

    return nothing


def _twin(name: str, key: dg.AssetKey) -> dg.AssetKey:
    """Named otherwise: Dagster remembers what was made of each key."""
    return dg.AssetKey([name, *key.path])


def told_of_assets(result: dg.ExecuteInProcessResult) -> Told:
    """What a run told Dagster of each asset."""
    events = [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    return {event.asset_key: event.metadata for event in events}


def chain_of_steps(length: int) -> dg.JobDefinition:
    """A job of so many steps of an asset each, none of which does anything."""

    def step(number: int) -> dg.AssetsDefinition:
        @dg.asset(name=f"step_{number}", deps=[f"step_{number - 1}"] if number else [])
        def nothing() -> None: ...

        return nothing

    job = dg.define_asset_job("chain", executor_def=dg.in_process_executor)
    return dg.Definitions([step(number) for number in range(length)], jobs=[job]).resolve_job_def("chain")


def least_seconds(tasks: dict[str, Callable[[], object]]) -> dict[str, float]:
    """CPU seconds of each in this process: done in turn, the first round not counted, the least of the others."""
    least = dict.fromkeys(tasks, float("inf"))
    for number in range(ROUNDS + 1):
        for name, task in tasks.items():
            started = time.process_time()
            task()
            if number:
                least[name] = min(least[name], time.process_time() - started)
    return least


def main() -> None:
    """Measure and print."""
    ours, dagster = load_seconds("cashpay_pipeline.definitions"), load_seconds("dagster")
    print(f"definitions: {ours:.2f} s CPU, import dagster: {dagster:.2f} s, ratio {ours / dagster:.2f}")
    with (
        tempfile.TemporaryDirectory() as folder,
        SimulatorProcess(seed=7, days=30, bills_per_day=100, start="2026-03-02T10:00:00+00:00") as simulator,
        dg.DagsterInstance.local_temp(folder) as instance,
    ):
        settings = load_settings(
            base_url=simulator.base_url,
            data_dir=Path(folder) / "data",
            requests_per_second=5000,
            **{name: DEMO_CREDENTIALS[name] for name in OAUTH2},
        )

        def task(job: dg.JobDefinition) -> Callable[[], object]:
            return lambda: job.execute_in_process(instance=instance, run_config=QUIET)

        run_sync(settings)
        simulator.advance(hours=1)  # What was read is of the past now: no part of it needs to be read once more.
        defs = build_defs(settings=settings)
        refresh = defs.resolve_job_def("refresh")
        told = told_of_assets(refresh.execute_in_process(instance=instance, run_config=QUIET))
        least = least_seconds(
            {
                "refresh with nothing new": task(refresh),
                "the same graph, empty": task(empty_twin(defs, "empty", {})),
                "the same graph, which only tells the same of each asset": task(empty_twin(defs, "telling", told)),
                f"{STEPS_ONCE} empty steps of one asset, as many as refresh had at first": task(
                    chain_of_steps(STEPS_ONCE)
                ),
                "without Dagster: reading": lambda: run_sync(settings),
                "without Dagster: marts and checks": lambda: _build_and_check(settings),
                "without Dagster: publishing": lambda: publish(settings),
            }
        )
        print(f"steps of refresh: {len(refresh.nodes)}")
    ours = next(iter(least.values()))
    for name, seconds in least.items():
        print(f"{name}: {seconds:.2f} s CPU, ratio {ours / seconds:.2f}")


def _build_and_check(settings: Settings) -> None:
    with open_warehouse(settings) as warehouse:
        build_marts(warehouse)
        for check in all_checks():
            run_check(warehouse, check)


if __name__ == "__main__":
    main()
