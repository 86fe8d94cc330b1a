"""How a step reaches the settings and the warehouse, and how a failure of ours becomes one of Dagster's.

A plain object and not a `ConfigurableResource`: it has no configuration, so that no path and no secret can be typed
into the launchpad or be shown by the interface (S4, S5). Settings are read when a step runs, never before.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from cashpay_pipeline.clock import Clock, SystemClock
from cashpay_pipeline.defs.names import Names
from cashpay_pipeline.errors import CashpayError

if TYPE_CHECKING:
    from cashpay_pipeline.settings import Settings
    from cashpay_pipeline.sync import Progress
    from cashpay_pipeline.warehouse import Warehouse

    HasResources = (
        dg.AssetExecutionContext
        | dg.AssetCheckExecutionContext
        | dg.ScheduleEvaluationContext
        | dg.SensorEvaluationContext
    )

WRITER_POOL = "duckdb_writer"


class WarehouseResource:
    """Opens the working file for one step and closes it whatever happens (C4).

    Args:
        settings: use these instead of the environment's.
        progress: told how a sync goes on.
        clock: what time is told, measured and waited by.
    """

    def __init__(
        self,
        settings: "Settings | None" = None,
        progress: "Callable[[Progress], None] | None" = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self.progress = progress
        self.clock = clock or SystemClock()

    def settings(self) -> "Settings":
        """The settings, read now."""
        from cashpay_pipeline.settings import load_settings

        return self._settings or load_settings()

    @contextmanager
    def open(self, run: dg.DagsterRun) -> Iterator["Warehouse"]:
        """The warehouse, for writing; a failure inside is told in plain words."""
        from cashpay_pipeline.warehouse import open_warehouse

        with plain_failures(), open_warehouse(self.settings(), owner=f"Dagster run {run.run_id}") as warehouse:
            yield warehouse


def warehouse_of(context: "HasResources", names: Names) -> WarehouseResource:
    """The resource, in a step, a schedule or a sensor."""
    found: WarehouseResource = getattr(context.resources, names.warehouse)
    return found


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turn an error of ours into a failed step that says what happened, what is kept and what to do."""
    try:
        yield
    except CashpayError as error:
        raise dg.Failure(
            description=str(error),
            metadata={
                "error_code": dg.MetadataValue.text(error.code),
                "next_step": dg.MetadataValue.text(error.next_step),
            },
            allow_retries=False,
        ) from None
