"""One asset a file in `sql/marts`: dependencies, comments and column lineage come from the SQL."""

from typing import Any

import dagster as dg

from cashpay_pipeline.defs.charts import chart_of
from cashpay_pipeline.defs.metadata import table_facts, table_spec
from cashpay_pipeline.defs.names import Names
from cashpay_pipeline.defs.resources import WRITER_POOL, WarehouseResource
from cashpay_pipeline.marts import Mart, all_marts, build_mart, column_lineage


def mart_assets(names: Names) -> list[dg.AssetsDefinition]:
    """Every mart as an asset."""
    return [_mart_asset(names, mart) for mart in all_marts()]


def _mart_asset(names: Names, mart: Mart) -> dg.AssetsDefinition:
    table = ("marts", mart.name)

    @dg.multi_asset(
        name=names.name(f"build_{mart.name}"),
        specs=[
            table_spec(
                names,
                table,
                deps=[names.key(name) for name in mart.depends_on],
                kinds={"duckdb", "sql"},
                metadata={
                    "grain": dg.MetadataValue.text(mart.grain),
                    "source": dg.MetadataValue.text(f"sql/marts/{mart.path.name}"),
                    "sql": dg.MetadataValue.md(f"```sql\n{mart.sql}\n```"),
                },
            )
        ],
        pool=WRITER_POOL,
    )
    def build(
        context: dg.AssetExecutionContext, cashpay_warehouse: dg.ResourceParam[WarehouseResource]
    ) -> dg.MaterializeResult[Any]:
        with cashpay_warehouse.open(context.run) as opened:
            build_mart(opened, mart)
            facts = table_facts(opened, table) | chart_of(opened, table)
        return dg.MaterializeResult(metadata={**facts, "dagster/column_lineage": _lineage(names, mart)})

    return build


def _lineage(names: Names, mart: Mart) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(asset_key=names.key(table), column_name=source) for table, source in sources]
            for column, sources in column_lineage(mart).items()
        }
    )
