"""One asset check a file in `sql/checks`. The SQL says what is wrong; here is only how Dagster hears of it."""

import dagster as dg

from cashpay_pipeline.checks import Check, all_checks, run_check
from cashpay_pipeline.defs.metadata import rows_as_table
from cashpay_pipeline.defs.resources import WRITER_POOL, WarehouseResource

SEVERITIES = {"error": dg.AssetCheckSeverity.ERROR, "warn": dg.AssetCheckSeverity.WARN}


def asset_checks() -> list[dg.AssetChecksDefinition]:
    """Every check."""
    return [_asset_check(check) for check in all_checks()]


def _asset_check(check: Check) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name=check.name,
        asset=list(check.table),
        description=check.description,
        blocking=check.blocking,
        pool=WRITER_POOL,
    )
    def find_bad_rows(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[WarehouseResource]
    ) -> dg.AssetCheckResult:
        with warehouse.open(context.run) as opened:
            verdict = run_check(opened, check)
        return dg.AssetCheckResult(
            passed=not verdict.bad_rows,
            severity=SEVERITIES[check.severity],
            metadata={
                "bad_rows": verdict.bad_rows,
                **({"sample": rows_as_table(verdict.sample)} if verdict.sample else {}),
            },
        )

    return find_bad_rows
