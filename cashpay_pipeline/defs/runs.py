"""Which runs of the instance are ours: other code locations may have a job `refresh` or an asset `marts/orders`."""

from collections.abc import Set
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from cashpay_pipeline.settings import Settings

DRY_RUN_TAG = "cashpay/dry_run"
"""On a run that only tried: whatever its end, it has read and stored nothing."""
LOCATION_TAG = ".dagster/repository"
"""Dagster's own, on every run that a code location has started."""
WAREHOUSE_TAG = ".dagster/cashpay_warehouse"
"""Tag of a run of `cashpay sync`, which no code location has started: the file that it writes. The list of runs has no
room for a path: the interface shows no tag that begins like this."""


def is_of(run: dg.DagsterRun, jobs: Set[str], tables: Set[dg.AssetKey]) -> bool:
    """Whether it is one of these jobs, or was started from the asset graph for these tables alone."""
    return run.job_name in jobs or bool(run.asset_selection and run.asset_selection <= tables)


def by_hand(settings: "Settings") -> dict[str, str]:
    """Tags of a run that is started in a process of ours."""
    return {WAREHOUSE_TAG: str(settings.warehouse_path.resolve())}


def tags_of_ours(context: dg.SensorEvaluationContext, settings: "Settings") -> list[dict[str, str]]:
    """What to find our runs by: each has one of these. Within a code location, names of jobs and assets are unique."""
    found = [by_hand(settings)]
    if context.code_location_origin:
        location = context.code_location_origin.location_name
        found.append({LOCATION_TAG: f"{context.repository_name}@{location}"})
    return found
