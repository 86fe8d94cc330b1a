"""Jobs and when they run. Each reads CashPay in its own way, builds the marts and publishes.

In one process: a step takes milliseconds, a process for each step would take seconds. A schedule skips, and says why,
while CashPay refuses the login, and for a night that is long past.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from cashpay_pipeline.clock import BUSINESS_TIMEZONE
from cashpay_pipeline.defs.assets import SyncConfig, SyncKind
from cashpay_pipeline.defs.names import CORE_TABLES, JOBS, PUBLISHED, RECONCILIATION, Names
from cashpay_pipeline.defs.resources import WarehouseResource, warehouse_of
from cashpay_pipeline.errors import CashpayError
from cashpay_pipeline.health import TRY_AGAIN, Health, is_published, read_health
from cashpay_pipeline.marts import all_marts

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition


def jobs(names: Names) -> dict[str, "UnresolvedAssetJobDefinition"]:
    """Every job, by its name without prefix."""
    tables = [*(("core", name) for name in CORE_TABLES), *(("marts", mart.name) for mart in all_marts()), PUBLISHED]
    return {
        name: dg.define_asset_job(
            names.name(name),
            # Orders are compared once a night, not every quarter of an hour: each comparison is kept.
            selection=dg.AssetSelection.assets(
                *(names.key(table) for table in (*tables, *(RECONCILIATION if kind != "recheck" else ())))
            ),
            config=dg.RunConfig(ops={names.name("sync"): SyncConfig(kind=SyncKind(kind), limit=None, dry_run=False)}),
            description=description,
            executor_def=dg.in_process_executor,
        )
        for name, (kind, description) in JOBS.items()
    }


def schedules(
    names: Names, job: dict[str, "UnresolvedAssetJobDefinition"], *, running: bool
) -> list[dg.ScheduleDefinition]:
    """Every schedule."""
    return [
        _schedule(
            names,
            "nightly_refresh",
            job["refresh"],
            "15 2 * * *",
            "Every night, when few customers pay, so that yesterday is whole in the morning.",
            running=running,
        ),
        _schedule(
            names,
            "second_try",
            job["refresh"],
            "15 3-5 * * *",
            "Up to three times later in the night, only if CashPay could not be reached the last time, or if what was "
            "read is not published.",
            running=running,
            only_after_outage=True,
        ),
        _schedule(
            names,
            "weekly_full_refresh",
            job["full_refresh"],
            "15 3 * * 0",
            "Once a week the whole list, which finds what the nights could not see.",
            running=running,
        ),
        _schedule(
            names,
            "frequent_recheck",
            job["recheck_open_bills"],
            "*/15 * * * *",
            "Payments within a quarter of an hour, at the price of more requests. Off until you turn it on.",
            running=False,
            missed_after=timedelta(minutes=15),
            unless_writing=True,
        ),
    ]


def _schedule(
    names: Names,
    name: str,
    job: "UnresolvedAssetJobDefinition",
    cron: str,
    description: str,
    *,
    running: bool,
    only_after_outage: bool = False,
    missed_after: timedelta = timedelta(hours=20),
    unless_writing: bool = False,
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=names.name(name),
        job=job,
        cron_schedule=cron,
        execution_timezone=BUSINESS_TIMEZONE,
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        description=description,
        required_resource_keys={names.warehouse},
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        warehouse = warehouse_of(context, names)
        if warehouse.clock.now() - context.scheduled_execution_time > missed_after:
            return dg.SkipReason("This time is long past: the next run reads what it would have read.")
        health = _health(warehouse)
        if health is None:
            if unless_writing:  # else they would wait for the end of a long first load, one for each quarter of an hour
                return dg.SkipReason("A run is writing; the next time does what is left.")
            health = Health()
        if health.is_locked_out:
            return dg.SkipReason(health.locked_out)
        if only_after_outage and health.list_error_code not in TRY_AGAIN and _is_published(warehouse):
            return dg.SkipReason("The last sync needs no second try.")
        return dg.RunRequest()

    return evaluate


def _health(warehouse: WarehouseResource) -> Health | None:
    """What is known now, None while a run is writing; wrong settings or a damaged file are for the run to tell."""
    try:
        return read_health(warehouse.settings())
    except CashpayError:
        return Health()


def _is_published(warehouse: WarehouseResource) -> bool:
    """Whether the analysts have what was read; where that cannot be known now, a run may be about to see to it."""
    try:
        settings = warehouse.settings()
        return not settings.warehouse_path.exists() or is_published(settings)
    except CashpayError:
        return True
