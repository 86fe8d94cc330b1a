"""The one list of everything that Dagster knows. Loading it reads the SQL files and nothing else."""

from collections.abc import Callable

import dagster as dg

from cashpay_pipeline.defs.assets import analytics, sync
from cashpay_pipeline.defs.checks import asset_checks
from cashpay_pipeline.defs.jobs import JOBS, SCHEDULES
from cashpay_pipeline.defs.marts import mart_assets
from cashpay_pipeline.defs.resources import WarehouseResource
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.sync import Progress


def build_defs(
    *, settings: Settings | None = None, progress: Callable[[Progress], None] | None = None
) -> dg.Definitions:
    """Assemble the definitions anew.

    Args:
        settings: use these instead of the environment's, which a step reads when it runs.
        progress: told how a sync goes on.
    """
    return dg.Definitions(
        assets=[sync, *mart_assets(), analytics],
        asset_checks=asset_checks(),
        jobs=JOBS,
        schedules=SCHEDULES,
        resources={"warehouse": WarehouseResource(settings, progress)},
        executor=dg.in_process_executor,
    )


defs = build_defs()
