"""Jobs and when they run. Each reads CashPay in its own way, builds the marts and publishes.

In one process: a step takes milliseconds, a process for each step would take seconds.
"""

import dagster as dg

from cashpay_pipeline.defs.assets import SyncConfig
from cashpay_pipeline.settings import BUSINESS_TIMEZONE
from cashpay_pipeline.sync import Kind

EVERYTHING = dg.AssetSelection.groups("core", "marts", "published")


def _reads(kind: Kind) -> dg.RunConfig:
    return dg.RunConfig(ops={"sync": SyncConfig(kind=kind, limit=None)})


refresh = dg.define_asset_job(
    "refresh",
    selection=EVERYTHING,
    config=_reads("refresh"),
    description="The newest bills, and those that are due for another look. For every night.",
    executor_def=dg.in_process_executor,
)
full_refresh = dg.define_asset_job(
    "full_refresh",
    selection=EVERYTHING,
    config=_reads("full_refresh"),
    description="The whole bill list, to its end. For every week.",
    executor_def=dg.in_process_executor,
)
recheck_open_bills = dg.define_asset_job(
    "recheck_open_bills",
    selection=EVERYTHING,
    config=_reads("recheck"),
    description="Only the bills that can still be paid.",
    executor_def=dg.in_process_executor,
)

nightly_refresh = dg.ScheduleDefinition(
    name="nightly_refresh",
    job=refresh,
    cron_schedule="15 2 * * *",
    execution_timezone=BUSINESS_TIMEZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night, when few customers pay, so that yesterday is whole in the morning.",
)
weekly_full_refresh = dg.ScheduleDefinition(
    name="weekly_full_refresh",
    job=full_refresh,
    cron_schedule="15 3 * * 0",
    execution_timezone=BUSINESS_TIMEZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a week the whole list, which finds what the nights could not see.",
)

JOBS = [refresh, full_refresh, recheck_open_bills]
SCHEDULES = [nightly_refresh, weekly_full_refresh]
