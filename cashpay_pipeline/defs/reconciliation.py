"""The shop's orders against the bills, once the copy is published; where no export is set, nothing is to be seen.

After publishing, not before: an export that cannot be read must never keep last night's bills from the analysts.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from cashpay_pipeline.defs.metadata import rows_as_table, table_facts, table_spec
from cashpay_pipeline.defs.names import PUBLISHED, RECONCILIATION, Names
from cashpay_pipeline.defs.resources import WRITER_POOL, plain_failures, warehouse_of

if TYPE_CHECKING:
    from cashpay_pipeline.reconcile import Reconciliation


def reconciliation_asset(names: Names) -> dg.AssetsDefinition:
    """The two tables of `cashpay reconcile`."""

    @dg.multi_asset(
        name=names.name("reconcile"),
        description="Compares the export that CASHPAY_ORDERS names with the bills; skipped where it names none.",
        specs=[
            # Not every shop has an export, and nobody is late without one. In the group of the marts, which are made
            # before publishing, it would close a loop between the two groups.
            table_spec(
                names,
                table,
                deps=[names.key(("core", "bills")), names.key(PUBLISHED)],
                kinds={"duckdb", "sql"},
                skippable=True,
            ).replace_attributes(freshness_policy=None, group_name=names.name("reconciliation"))
            for table in RECONCILIATION
        ],
        required_resource_keys={names.warehouse},
        pool=WRITER_POOL,
    )
    def compare(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        """Reconcile, publish again, and report the totals."""
        warehouse = warehouse_of(context, names)
        with plain_failures():
            settings = warehouse.settings()
            if not settings.orders:
                context.log.info("CASHPAY_ORDERS names no export of orders: nothing to compare.")
                return
            from cashpay_pipeline.reconcile import load_mapping, reconcile

            found = reconcile(
                settings,
                settings.orders,
                load_mapping(settings.orders_mapping),
                owner=f"Dagster run {context.run.run_id}",
            )
        for assumption in found.assumed:
            context.log.info(assumption)
        with warehouse.open(context.run) as stored:
            for table in RECONCILIATION:
                facts = table_facts(stored, table)
                yield dg.MaterializeResult(asset_key=names.key(table), metadata=facts | _totals(found))

    return compare


def _totals(found: "Reconciliation") -> dict[str, Any]:
    """Numbers by class, which the interface plots; money by currency only."""
    from cashpay_pipeline.reconcile import CLASSES

    rows = [
        {
            "class": CLASSES[total.name],
            "currency": total.currency,
            "references": total.references,
            "ordered": total.ordered,
            "received": total.received,
            "difference": total.difference,
        }
        for total in found.totals
    ]
    return {
        "run_id": found.run_id,
        "orders": found.orders,
        **found.references,
        **({"totals": rows_as_table(rows)} if rows else {}),
        "assumed": dg.MetadataValue.text("\n".join(found.assumed) or "nothing"),
    }
