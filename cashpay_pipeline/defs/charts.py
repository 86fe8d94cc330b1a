"""The report's pictures, where the interface shows a table: PNG inside Markdown, which needs no server of its own."""

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from cashpay_pipeline.catalog import TableName
from cashpay_pipeline.clock import BUSINESS_TIMEZONE
from cashpay_pipeline.report import PERIOD_DAYS

if TYPE_CHECKING:
    from cashpay_pipeline.warehouse import Warehouse


class Chart(NamedTuple):
    """A picture: what it shows, in words; what draws it; the rows it is drawn from, of all accounts together."""

    alt: str
    drawn_by: str
    sql: str
    parameters: dict[str, Any]


COLLECTIONS: TableName = ("marts", "daily_collections")
CONVERSION: TableName = ("marts", "gateway_performance")
AGING: TableName = ("marts", "unpaid_aging")
CHARTS = {
    COLLECTIONS: Chart(
        "Money received, by day and gateway",
        "collections_chart_png",
        "select * from marts.daily_collections",
        {},
    ),
    CONVERSION: Chart(
        "Share of bills paid, by week of creation",
        "conversion_chart_png",
        # As in the report: the weeks of the last 90 whole days that a complete sync saw; those not over are pale.
        """
        with last as (
            select cast(timezone($zone, coalesce(
                arg_max(started_at, rowid) filter (where complete), arg_max(started_at, rowid)
            )) as date) - 1 as day
            from core.syncs where kind != 'recheck'
        )
        select week_start, cast(sum(bill_count) as bigint) as bill_count, cast(sum(paid_count) as bigint) as paid_count,
            week_start + 6 > day as is_unfinished
        from marts.gateway_performance cross join last
        where week_start between date_trunc('week', day - $days + 1) and day
        group by all order by week_start
        """,
        {"zone": BUSINESS_TIMEZONE, "days": PERIOD_DAYS},
    ),
    AGING: Chart(
        "Money still owed, by age of the bill",
        "aging_chart_png",
        "select currency, age_class, cast(sum(still_owed_amount) as bigint) as still_owed_amount "
        "from marts.unpaid_aging group by all",
        {},
    ),
}
DRAWN_FROM = "cashpay/chart_drawn_from"
"""Tag of a materialization with a chart: a digest of the rows, and of the code that drew them."""


def chart_and_tags(
    instance: dg.DagsterInstance, key: dg.AssetKey, warehouse: "Warehouse", table: TableName
) -> tuple[dict[str, Any], dict[str, str]]:
    """Metadata and tags of a table's chart, if it has one; the former one again where nothing in it has changed.

    To load Altair and to draw takes a quarter of the processor time of a refresh that finds nothing new. A picture that
    cannot be drawn is a warning: the table is right without it.
    """
    if table not in CHARTS:
        return {}, {}
    try:
        tags = {DRAWN_FROM: _drawn_from(warehouse, table)}
        event = instance.get_latest_materialization_event(key)
        former = event.asset_materialization if event else None
        if former and former.tags and former.tags.get(DRAWN_FROM) == tags[DRAWN_FROM] and "chart" in former.metadata:
            return {"chart": former.metadata["chart"]}, tags
        return chart_of(warehouse, table), tags
    except Exception as error:
        dg.get_dagster_logger().warning(f"The chart of {'.'.join(table)} cannot be drawn ({type(error).__name__}).")
        return {}, {}


def _drawn_from(warehouse: "Warehouse", table: TableName) -> str:
    """The rows are unlike each other, each with its own key: they cannot cancel each other out."""
    _, _, sql, parameters = CHARTS[table]
    (rows,) = warehouse.rows(f"select count(*) as n, bit_xor(hash(t)) as content from ({sql}) as t", parameters)  # noqa: S608
    digest = hashlib.sha256(f"{rows['n']} {rows['content']}".encode())
    for path in [Path(__file__), *sorted((Path(__file__).parents[1] / "report").glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def chart_of(warehouse: "Warehouse", table: TableName) -> dict[str, Any]:
    """Metadata with a table's chart, drawn anew."""
    # Altair takes a second to load: not for those who only load the definitions.
    from cashpay_pipeline.report import charts

    alt, drawn_by, sql, parameters = CHARTS[table]
    png = base64.b64encode(getattr(charts, drawn_by)(warehouse.rows(sql, parameters))).decode()
    return {"chart": dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{png})")}
