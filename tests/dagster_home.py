"""Dagster in this process, on the simulator's time: runs, ticks of schedules and sensors, and whether data is fresh."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.freshness_evaluator import CronFreshnessPolicyEvaluator
from dagster._core.execution.build_resources import wrap_resources_for_execution
from dagster._core.loader import LoadingContextForTest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin
from dagster._core.test_utils import freeze_time

from cashpay_pipeline.definitions import build_defs
from cashpay_pipeline.defs.runs import by_hand
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.simulator.clock import SimulatedClock

LOCATION, REPOSITORY = "cashpay_pipeline", "__repository__"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Home:
    """One Dagster instance whose clock is the simulator's; `cursors` is what the sensors remember."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings) -> None:
        self.instance, self.settings = instance, settings
        self.clock = SimulatedClock(settings.base_url or "")
        self.cursors: dict[str, str | None] = {}
        self.defs = build_defs(settings=settings, clock=self.clock)

    def _resources(self) -> dict[str, Any]:
        return dict(self.defs.resources or {})

    def run(self, job: str, **config: Any) -> dg.ExecuteInProcessResult:
        resolved = self.defs.resolve_job_def(job)
        given = resolved.run_config["ops"]["sync"]["config"] | config if resolved.run_config else config
        with freeze_time(self.clock.now()):
            return resolved.execute_in_process(
                instance=self.instance,
                raise_on_error=False,
                run_config={"ops": {"sync": {"config": given}}} | QUIET,
                tags=by_hand(self.settings),
            )

    def tick(self, schedule: str, at: datetime | None = None) -> tuple[bool, str]:
        """Whether the schedule starts its run, and if not why."""
        context = dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=at or self.clock.now(),
            resources=self._resources(),
            repository_def=self.defs.get_repository_def(),
        )
        data = self.defs.resolve_schedule_def(schedule).evaluate_tick(context)
        return bool(data.run_requests), data.skip_message or ""

    def sense(self, sensor: str) -> str:
        """What the sensor says it did, on the simulator's time."""
        with freeze_time(self.clock.now()):
            return self.sense_now(sensor)

    def sense_now(self, sensor: str) -> str:
        """The same in real time."""
        context = dg.SensorEvaluationContext(
            None,
            instance=self.instance,
            cursor=self.cursors.get(sensor),
            resources=wrap_resources_for_execution(self._resources()),
            repository_name=REPOSITORY,
            code_location_origin=RegisteredCodeLocationOrigin(LOCATION),
        )
        data = self.defs.resolve_sensor_def(sensor).evaluate_tick(context)
        self.cursors[sensor] = data.cursor
        return data.skip_message or ""

    def freshness(self, *key: str) -> str:
        """What the freshness daemon would find now."""
        node = self.defs.resolve_asset_graph().get(dg.AssetKey(key))
        with freeze_time(self.clock.now()):
            found = CronFreshnessPolicyEvaluator().evaluate_freshness(LoadingContextForTest(self.instance), node)
            return asyncio.run(found).value

    def last_run(self) -> dg.DagsterRun:
        return self.instance.get_runs(limit=1)[0]


@contextmanager
def dagster_home(folder: Path, settings: Settings) -> Iterator[Home]:
    folder.mkdir()
    with dg.DagsterInstance.ephemeral(tempdir=str(folder)) as instance:
        yield Home(instance, settings)


def metadata(result: dg.ExecuteInProcessResult, *key: str) -> dict[str, Any]:
    """What the run says of a table."""
    for event in result.get_asset_materialization_events():
        if event.asset_key == dg.AssetKey(key):
            found = event.step_materialization_data.materialization.metadata
            return {name: value.value for name, value in found.items()}
    return {}


def red(result: dg.ExecuteInProcessResult) -> set[str]:
    """Checks that did not pass, warnings among them."""
    return {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}
