"""The one list of everything that Dagster knows. Loading it reads the SQL files and nothing else.

What only a run needs (pandas, DuckDB, requests) is imported by the steps: it would take longer than Dagster itself.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from cashpay_pipeline.clock import Clock
from cashpay_pipeline.defs.assets import sync_asset
from cashpay_pipeline.defs.checks import asset_checks
from cashpay_pipeline.defs.jobs import jobs, schedules
from cashpay_pipeline.defs.marts import marts_asset
from cashpay_pipeline.defs.names import Names
from cashpay_pipeline.defs.published import published_asset
from cashpay_pipeline.defs.reconciliation import reconciliation_asset
from cashpay_pipeline.defs.resources import WarehouseResource
from cashpay_pipeline.defs.sensors import sensors

if TYPE_CHECKING:
    from cashpay_pipeline.settings import Settings
    from cashpay_pipeline.sync import Progress


def build_defs(
    *,
    settings: "Settings | None" = None,
    progress: "Callable[[Progress], None] | None" = None,
    clock: Clock | None = None,
    key_prefix: str | Sequence[str] | None = None,
    running: bool = True,
) -> dg.Definitions:
    """Assemble the definitions anew.

    Args:
        settings: use these instead of the environment's, which a step reads when it runs.
        progress: told how a sync goes on.
        clock: what time is told, measured and waited by.
        key_prefix: put before every asset key and, joined by `_`, before every other name, so that all of it can be
            merged into another code location: `dg.Definitions.merge(yours, build_defs(key_prefix="cashpay"))`.
        running: whether schedules and sensors run by themselves, or only once somebody turns them on.
    """
    names = Names.under(key_prefix)
    every_job = jobs(names)
    assets = [sync_asset(names), marts_asset(names), published_asset(names), reconciliation_asset(names)]
    return dg.Definitions(
        assets=assets,
        asset_checks=asset_checks(names),
        jobs=list(every_job.values()),
        schedules=schedules(names, every_job, running=running),
        sensors=sensors(names, {key for asset in assets for key in asset.keys}, running=running),
        resources={names.warehouse: WarehouseResource(settings, progress, clock)},
        # Runs that are started from the asset graph; in somebody else's location that is theirs to say.
        executor=None if names.prefix else dg.in_process_executor,
    )


defs = build_defs()
"""What Dagster should know about the pipeline, and when it runs. Thin: the work is in the modules beside it."""
