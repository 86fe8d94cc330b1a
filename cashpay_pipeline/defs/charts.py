"""The picture that the interface shows of a table: a PNG inside Markdown, which needs no server of its own."""

import base64
from typing import TYPE_CHECKING, Any

import dagster as dg

from cashpay_pipeline.catalog import TableName

if TYPE_CHECKING:
    from cashpay_pipeline.warehouse import Warehouse

COLLECTIONS: TableName = ("marts", "daily_collections")


def chart_of(warehouse: "Warehouse", table: TableName) -> dict[str, Any]:
    """Metadata with a table's chart, if it has one."""
    if table != COLLECTIONS:
        return {}
    # Altair takes a second to load: not for those who only load the definitions.
    from cashpay_pipeline.report.charts import collections_chart_png

    png = collections_chart_png(warehouse.rows("select * from marts.daily_collections"))
    return {
        "chart": dg.MetadataValue.md(
            f"![Money received, by day and gateway](data:image/png;base64,{base64.b64encode(png).decode()})"
        )
    }
