"""One asset check a file in `sql/checks`. The SQL says what is wrong; here is only how Dagster hears of it.

The checks of `core` are one step: it opens the warehouse once, and each can still be run alone. A step for each other
table, so that none waits for itself by way of a blocking check.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError

from cashpay_pipeline.checks import Check, all_checks, run_check
from cashpay_pipeline.defs.metadata import rows_as_table
from cashpay_pipeline.defs.names import Names
from cashpay_pipeline.defs.resources import WRITER_POOL, warehouse_of

CHECK_CORE = "check_core"
SEVERITIES = {"error": dg.AssetCheckSeverity.ERROR, "warn": dg.AssetCheckSeverity.WARN}


def asset_checks(names: Names) -> list[dg.AssetChecksDefinition]:
    """Every check."""
    by_step = sorted(all_checks(), key=lambda check: (_step(check), check.table, check.name))
    return [_checks_of_step(names, step, list(checks)) for step, checks in groupby(by_step, _step)]


def check_keys(names: Names) -> list[dg.AssetCheckKey]:
    """The key of every check."""
    return [dg.AssetCheckKey(names.key(check.table), check.name) for check in all_checks()]


def is_of_red_check(failure: dg.DagsterEvent) -> bool:
    """Whether a blocking check that is red has stopped this step."""
    error = failure.step_failure_data.error
    return error is not None and error.cls_name == DagsterAssetCheckFailedError.__name__


def _step(check: Check) -> str:
    schema, table = check.table
    return CHECK_CORE if schema == "core" else f"check_{schema}_{table}"


def _checks_of_step(names: Names, step: str, checks: Sequence[Check]) -> dg.AssetChecksDefinition:
    by_key = {dg.AssetCheckKey(names.key(check.table), check.name): check for check in checks}

    @dg.multi_asset_check(
        name=names.name(step),
        description="Looks for rows that must not be, as the files of sql/checks say.",
        specs=[
            dg.AssetCheckSpec(
                check.name,
                asset=key.asset_key,
                description=check.description,
                blocking=check.blocking,
                metadata={"source": dg.MetadataValue.text(f"sql/checks/{check.name}.sql")},
            )
            for key, check in by_key.items()
        ],
        can_subset=True,
        required_resource_keys={names.warehouse},
        pool=WRITER_POOL,
    )
    def find_bad_rows(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        from cashpay_pipeline.warehouse.syncs import note_checked

        selected = context.selected_asset_check_keys
        with warehouse_of(context, names).open(context.run) as opened:
            verdicts = {key: run_check(opened, by_key[key]) for key in by_key if key in selected}
            for key, verdict in verdicts.items():
                yield dg.AssetCheckResult(
                    asset_key=key.asset_key,
                    check_name=key.name,
                    passed=not verdict.bad_rows,
                    severity=SEVERITIES[by_key[key].severity],
                    description=_words(verdict.bad_rows),
                    metadata={
                        "bad_rows": verdict.bad_rows,
                        **({"sample": rows_as_table(verdict.sample)} if verdict.sample else {}),
                    },
                )
            if step == CHECK_CORE and by_key.keys() <= selected:
                note_checked(opened)  # by now Dagster has written down what each of them found

    return find_bad_rows


def _words(bad_rows: int) -> str:
    if bad_rows == 1:
        return "One row is wrong."
    return f"{bad_rows:,} rows are wrong." if bad_rows else "Nothing is wrong."
