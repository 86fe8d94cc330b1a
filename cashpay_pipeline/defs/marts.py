"""One asset a file in `sql/marts`: dependencies, comments and column lineage come from the SQL.

One step builds them all: it opens the warehouse once, and each can still be built alone. One that fails stops those
after it; those before it are kept, and nothing is published.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from cashpay_pipeline.catalog import catalog
from cashpay_pipeline.defs.charts import chart_and_tags
from cashpay_pipeline.defs.metadata import table_facts, table_spec
from cashpay_pipeline.defs.names import Names
from cashpay_pipeline.defs.resources import WRITER_POOL, warehouse_of
from cashpay_pipeline.marts import Mart, all_marts, build_mart, code_version

if TYPE_CHECKING:
    from cashpay_pipeline.warehouse import Warehouse


def marts_asset(names: Names) -> dg.AssetsDefinition:
    """Every mart, built by one step."""
    marts = all_marts()

    @dg.multi_asset(
        name=names.name("build_marts"),
        description="Builds the tables of sql/marts anew, each in a transaction, those first that others are made of.",
        specs=[_spec(names, mart) for mart in marts],
        can_subset=True,
        required_resource_keys={names.warehouse},
        pool=WRITER_POOL,
    )
    def build(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        with warehouse_of(context, names).open(context.run) as opened:
            for mart in marts:
                key = names.key(("marts", mart.name))
                if key in context.selected_asset_keys:
                    try:
                        build_mart(opened, mart)
                    except Exception:
                        context.log.error(f"marts.{mart.name} was not built, nor were those after it.")
                        raise
                    yield _result(context.instance, names, opened, mart)

    return build


def _spec(names: Names, mart: Mart) -> dg.AssetSpec:
    return table_spec(
        names,
        ("marts", mart.name),
        deps=[names.key(name) for name in mart.depends_on],
        kinds={"duckdb", "sql"},
        skippable=True,
        code_version=code_version(mart),
        metadata={
            "grain": dg.MetadataValue.text(mart.grain),
            "source": dg.MetadataValue.text(f"sql/marts/{mart.path.name}"),
            "sql": dg.MetadataValue.md(f"```sql\n{mart.sql}\n```"),
        },
    )


def _result(instance: dg.DagsterInstance, names: Names, opened: "Warehouse", mart: Mart) -> dg.MaterializeResult[Any]:
    """What is in the table now, and where it comes from."""
    table = ("marts", mart.name)
    chart, tags = chart_and_tags(instance, names.key(table), opened, table)
    lineage = {
        column: [dg.TableColumnDep(asset_key=names.key(source), column_name=name) for source, name in sources]
        for column, sources in catalog().sources[mart.name].items()
    }
    return dg.MaterializeResult(
        asset_key=names.key(table),
        metadata={
            **table_facts(opened, table),
            **chart,
            "dagster/column_lineage": dg.TableColumnLineage(lineage),
        },
        tags=tags,
    )
