"""The beginning of the flow: one step reads CashPay and fills the tables of `core`."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from cashpay_pipeline.defs.metadata import rows_as_table, table_facts, table_spec
from cashpay_pipeline.defs.names import CORE_TABLES, Names
from cashpay_pipeline.defs.resources import WRITER_POOL, plain_failures, warehouse_of
from cashpay_pipeline.defs.runs import DRY_RUN_TAG
from cashpay_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from cashpay_pipeline.diagnosis import Finding
    from cashpay_pipeline.sync import Kind, SyncResult
    from cashpay_pipeline.warehouse import Warehouse

OPEN_BILLS = """
select count(*) as open_bills,
    round(date_diff('second', min(verified_at), max(newest.at)) / 3600.0, 1) as oldest_unverified_open_hours
from core.bills, (select arg_max(finished_at, rowid) as at from core.syncs where account = $account) as newest
where account = $account and state in ('Pending', 'Partial', 'Unknown') and missing_since is null
"""


LAUNCH_AGAIN = "Correct it in the launchpad and launch the run again."


class SyncKind(Enum):
    """`Kind` as Dagster's configuration can leave it out: it takes no literal that may be None."""

    refresh = "refresh"
    full_refresh = "full_refresh"
    recheck = "recheck"


class SyncConfig(dg.Config):
    """What a person may choose in the launchpad. No secret has a place here (S4)."""

    kind: SyncKind | None = Field(
        None,
        description="refresh: the newest bills and those due for another look. full_refresh: the whole list. "
        "recheck: open bills only. Left out: what the job is named for, and refresh for tables of the asset graph.",
    )
    limit: int | None = Field(
        None, description="Look again at most at this many known bills; not with a full refresh, which reads all."
    )
    dry_run: bool = Field(
        False,
        description="Only try: log in, read the gateways and a few pages, and say in the log what is found, as "
        "`cashpay check` does. Nothing is stored, built or published. It fails if something is wrong.",
    )


def sync_asset(names: Names) -> dg.AssetsDefinition:
    """The core tables, filled by one step."""

    @dg.multi_asset(
        name=names.name("sync"),
        description="Reads CashPay and merges what it says into the core tables.",
        # Skippable for the sake of a dry run, after which nothing downstream is built.
        specs=[table_spec(names, ("core", name), kinds={"duckdb", "python"}, skippable=True) for name in CORE_TABLES],
        required_resource_keys={names.warehouse},
        pool=WRITER_POOL,
    )
    def sync(context: dg.AssetExecutionContext, config: SyncConfig) -> Iterator[dg.MaterializeResult[Any]]:
        """Run one sync and report what it found, table by table."""
        from cashpay_pipeline.demo import DEMO_NOTICE, with_demo
        from cashpay_pipeline.sync import run_sync

        warehouse = warehouse_of(context, names)
        with plain_failures():
            if config.limit is not None and config.limit < 1:
                raise SettingsError("`limit` in the run's configuration must be 1 or more.", next_step=LAUNCH_AGAIN)
            kind: Kind = config.kind.value if config.kind else names.kind_of(context.run.job_name)
            if config.limit is not None and kind == "full_refresh":
                raise SettingsError(
                    "`limit` is for bills that are looked at again; a full refresh reads the whole list.",
                    next_step=LAUNCH_AGAIN,
                )
            settings = warehouse.settings()
            if not settings.has_credentials:
                context.log.warning(DEMO_NOTICE)
            with with_demo(settings) as reachable:
                if config.dry_run:
                    from cashpay_pipeline.diagnosis import diagnose  # and all that reads orders: only for those who try

                    context.instance.add_run_tags(context.run.run_id, {DRY_RUN_TAG: "true"})
                    _try(context, diagnose(reachable, clock=warehouse.clock))
                    return
                result = run_sync(
                    reachable,
                    kind=kind,
                    limit=config.limit,
                    clock=warehouse.clock,
                    progress=warehouse.progress,
                    dagster_run_id=context.run.run_id,
                    reload=warehouse.settings if settings.has_credentials else None,
                )
        for warning in result.warnings:
            context.log.warning(warning)
        with warehouse.open(context.run) as stored:
            for name in CORE_TABLES:
                facts = table_facts(stored, ("core", name))
                if name == "bills":
                    facts |= _money(stored, result.account) | _open_bills(stored, result.account)
                if name in ("bills", "syncs"):
                    facts |= _effort(result)
                yield dg.MaterializeResult(asset_key=names.key(("core", name)), metadata=facts)

    return sync


def _try(context: dg.AssetExecutionContext, findings: Iterable["Finding"]) -> None:
    """Say what is found, and fail if something is wrong: as `cashpay check`, which ends with 1 then."""
    wrong = []
    for finding in findings:
        (context.log.info if finding.ok else context.log.error)(finding.text)
        if not finding.ok:
            wrong.append(finding.text)
    if wrong:
        raise dg.Failure("\n".join(wrong), metadata={"error_code": dg.MetadataValue.text("check")}, allow_retries=False)


def _money(warehouse: "Warehouse", account: str) -> dict[str, Any]:
    """Money by state, and what came in by currency as a number, which the interface plots."""
    rows = warehouse.rows(
        "select state, currency, count(*) as bills, cast(sum(greatest(amount, 0)) as bigint) as billed, "
        "cast(sum(greatest(coalesce(received_amount, 0), 0)) as bigint) as received "
        "from core.bills where account = ? group by state, currency order by state, currency",
        [account],
    )
    if not rows:
        return {}
    received: dict[str, int] = {}
    for row in rows:
        name = f"received_{row['currency'].lower()}"
        received[name] = received.get(name, 0) + row["received"]
    return {"money_by_state": rows_as_table(rows), **received}


def _open_bills(warehouse: "Warehouse", account: str) -> dict[str, Any]:
    """How many bills can still be paid, and how long ago the one read longest ago was read."""
    (row,) = warehouse.rows(OPEN_BILLS, {"account": account})
    return {name: float(value) if name.endswith("hours") else value for name, value in row.items() if value is not None}


def _effort(result: "SyncResult") -> dict[str, Any]:
    return {
        "account": dg.MetadataValue.text(result.account),
        "kind": dg.MetadataValue.text(result.kind),
        "status": dg.MetadataValue.text(result.status),
        "pages": result.pages,
        "requests": result.requests,
        "retries": result.retries,
        "waited_seconds": round(result.waited_seconds, 3),
        "rows_read": result.rows_read,
        "bills_new": result.bills_new,
        "bills_changed": result.bills_changed,
        "rows_set_aside": result.rows_set_aside,
        "warnings": dg.MetadataValue.text("\n".join(result.warnings) or "none"),
    }
