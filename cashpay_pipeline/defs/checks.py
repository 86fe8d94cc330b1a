"""One asset check a file in `sql/checks`. The SQL says what is wrong; here is only how Dagster hears of it.

The checks of one table are one step: it opens the warehouse once, and each can still be run alone.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import dagster as dg

from cashpay_pipeline.catalog import TableName
from cashpay_pipeline.checks import Check, all_checks, run_check
from cashpay_pipeline.defs.metadata import rows_as_table
from cashpay_pipeline.defs.names import Names
from cashpay_pipeline.defs.resources import WRITER_POOL, WarehouseResource

SEVERITIES = {"error": dg.AssetCheckSeverity.ERROR, "warn": dg.AssetCheckSeverity.WARN}


def asset_checks(names: Names) -> list[dg.AssetChecksDefinition]:
    """Every check."""
    by_table = sorted(all_checks(), key=lambda check: check.table)
    return [_table_checks(names, table, list(checks)) for table, checks in groupby(by_table, lambda c: c.table)]


def check_keys(names: Names) -> list[dg.AssetCheckKey]:
    """The key of every check."""
    return [dg.AssetCheckKey(names.key(check.table), check.name) for check in all_checks()]


def _table_checks(names: Names, table: TableName, checks: Sequence[Check]) -> dg.AssetChecksDefinition:
    key = names.key(table)

    @dg.multi_asset_check(
        name=names.name(f"check_{'_'.join(table)}"),
        specs=[
            dg.AssetCheckSpec(
                check.name,
                asset=key,
                description=check.description,
                blocking=check.blocking,
                metadata={"source": dg.MetadataValue.text(f"sql/checks/{check.name}.sql")},
            )
            for check in checks
        ],
        can_subset=True,
        pool=WRITER_POOL,
    )
    def find_bad_rows(
        context: dg.AssetCheckExecutionContext, cashpay_warehouse: dg.ResourceParam[WarehouseResource]
    ) -> Iterator[dg.AssetCheckResult]:
        selected = {key.name for key in context.selected_asset_check_keys}
        with cashpay_warehouse.open(context.run) as opened:
            verdicts = {check: run_check(opened, check) for check in checks if check.name in selected}
        for check, verdict in verdicts.items():
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=check.name,
                passed=not verdict.bad_rows,
                severity=SEVERITIES[check.severity],
                description=_words(verdict.bad_rows),
                metadata={
                    "bad_rows": verdict.bad_rows,
                    **({"sample": rows_as_table(verdict.sample)} if verdict.sample else {}),
                },
            )

    return find_bad_rows


def _words(bad_rows: int) -> str:
    if bad_rows == 1:
        return "One row is wrong."
    return f"{bad_rows:,} rows are wrong." if bad_rows else "Nothing is wrong."
