"""What the pipeline costs beside Dagster itself, as ratios: loading the definitions, and a refresh with nothing new.

    .venv/bin/python benchmarks/dagster_cost.py

CPU seconds and not wall time, so that a busy machine tells the same: the least of several rounds. The refresh is
compared with a Dagster job of as many steps that do nothing, in one process, with the same kind of instance.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dagster as dg

from cashpay_pipeline.definitions import build_defs
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.simulator.process import SimulatorProcess

ROUNDS = 3
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


def empty_twin(defs: dg.Definitions) -> dg.JobDefinition:
    """A job of as many steps as `refresh`, none of which does anything."""
    steps = len(defs.resolve_job_def("refresh").nodes)

    def step(number: int) -> dg.AssetsDefinition:
        @dg.asset(name=f"step_{number}", deps=[f"step_{number - 1}"] if number else [])
        def nothing() -> None: ...

        return nothing

    job = dg.define_asset_job("empty", executor_def=dg.in_process_executor)
    return dg.Definitions([step(number) for number in range(steps)], jobs=[job]).resolve_job_def("empty")


def run_seconds(job: dg.JobDefinition, instance: dg.DagsterInstance) -> float:
    """CPU seconds of one run in this process."""
    least = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        assert job.execute_in_process(instance=instance, run_config=QUIET).success
        least = min(least, time.process_time() - started)
    return least


def main() -> None:
    """Measure and print."""
    ours, dagster = load_seconds("cashpay_pipeline.definitions"), load_seconds("dagster")
    print(f"definitions: {ours:.2f} s CPU, import dagster: {dagster:.2f} s, ratio {ours / dagster:.2f}")
    with (
        tempfile.TemporaryDirectory() as folder,
        SimulatorProcess(
            seed=7, days=30, bills_per_day=100, frozen=True, start="2026-03-02T10:00:00+00:00"
        ) as simulator,
        dg.DagsterInstance.local_temp(folder) as instance,
    ):
        settings = load_settings(
            base_url=simulator.base_url,
            data_dir=Path(folder) / "data",
            requests_per_second=5000,
            **{name: DEMO_CREDENTIALS[name] for name in OAUTH2},
        )
        defs = build_defs(settings=settings)
        refresh = defs.resolve_job_def("refresh")
        run_seconds(refresh, instance)
        ours, empty = run_seconds(refresh, instance), run_seconds(empty_twin(defs), instance)
    print(f"refresh with nothing new: {ours:.2f} s CPU, as many empty steps: {empty:.2f} s, ratio {ours / empty:.2f}")


if __name__ == "__main__":
    main()
