"""The end of the flow: the copy that analysts open, and the word on whether it is whole."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from cashpay_pipeline.defs.metadata import EVERY_MORNING, OWNERS
from cashpay_pipeline.defs.names import CORE_TABLES, PUBLISHED, Names
from cashpay_pipeline.defs.resources import WRITER_POOL, plain_failures, warehouse_of
from cashpay_pipeline.marts import all_marts


def published_asset(names: Names) -> dg.AssetsDefinition:
    """The copy that analysts open."""

    @dg.asset(
        key=names.key(PUBLISHED),
        description="The copy of the warehouse that analysts open: replaced as a whole, never seen half done.",
        group_name=names.name("published"),
        deps=[names.key(("core", name)) for name in CORE_TABLES]
        + [names.key(("marts", mart.name)) for mart in all_marts()],
        kinds={"duckdb"},
        owners=OWNERS,
        tags={"domain": "payments"},
        freshness_policy=EVERY_MORNING,
        required_resource_keys={names.warehouse},
        pool=WRITER_POOL,
    )
    def analytics(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        """Publish; then, if this run's sync was incomplete, fail, so that nobody takes the figures for whole."""
        from cashpay_pipeline.warehouse import publish, read_published

        with plain_failures():
            settings = warehouse_of(context, names).settings()
            copy = publish(settings)
            _, syncs = read_published(
                settings, "select status, warnings from core.syncs where dagster_run_id = ?", [context.run.run_id]
            )
        yield dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(copy.path.absolute())),
                "bytes": copy.bytes,
                "published_at": f"{copy.published_at:%Y-%m-%d %H:%M:%S} UTC",
            }
        )
        for status, warnings in syncs:
            if status != "complete":
                raise dg.Failure(
                    description="\n".join([f"The sync is {status}: figures can be too low.", *warnings]),
                    metadata={"error_code": dg.MetadataValue.text(status)},
                    allow_retries=False,
                )

    return analytics
