"""Make every derived table again from the stored payloads, without one request.

What a payload does not tell stays as it is: when a bill was last read, that it is missing, how it was read last. The
same rules give the same content; new rules (a field typed anew, a state known at last) give it their way.
"""

from collections.abc import Callable, Iterator
from typing import Any

from cashpay_pipeline.changes import record_of
from cashpay_pipeline.clock import Clock
from cashpay_pipeline.errors import TooManyBadRowsError
from cashpay_pipeline.forget import mask_again
from cashpay_pipeline.marts import build_marts
from cashpay_pipeline.normalize import BILL_DTYPES, PAYMENT_DTYPES, NormalizedBills, normalize_bills
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.warehouse import Warehouse, open_warehouse
from cashpay_pipeline.warehouse.compact import compact
from cashpay_pipeline.warehouse.database import refuse_absent
from cashpay_pipeline.warehouse.store import DUE_AT, masker_of

CHUNK = 10_000

PAID_INTERVALS = """
create or replace temp table paid_interval as
with marked as (
    select account, order_reference, version, observed_at, changed_after, state in ('Paid', 'Excess') as is_paid
    from core.bill_versions
),
last_unpaid as (
    select account, order_reference, max(version) filter (where not is_paid) as version
    from marked
    group by account, order_reference
)
select marked.account, marked.order_reference, marked.observed_at as paid_before,
    case when marked.changed_after is not null then least(marked.changed_after, marked.observed_at) end as unpaid_at
from marked
join last_unpaid on marked.account = last_unpaid.account and marked.order_reference = last_unpaid.order_reference
where marked.is_paid and marked.version = coalesce(last_unpaid.version, 0) + 1
"""


def rebuild(settings: Settings, *, clock: Clock | None = None, report: Callable[[int], None] | None = None) -> int:
    """Derive `core.bills`, `core.payments` and the typed columns of `core.bill_versions` from the payloads anew.

    The payloads first, where they were stored under a laxer `CASHPAY_PII` than the present one; in the end every mart:
    no sync need follow, and to publish makes none.

    Returns:
        How many versions were read. `report` is told as it goes on.

    Raises:
        TooManyBadRowsError: payloads that were good cannot be read now; nothing was changed.
        GuardError: the key of the data folder is not the one that this file was written with.
        WarehouseError: there is no working file.
        WarehouseBusyError: another run is writing.
    """
    refuse_absent(settings, "There is nothing to rebuild yet.")
    with open_warehouse(settings, owner="rebuild", clock=clock) as warehouse:
        with warehouse.transaction():
            masked = mask_again(warehouse, masker_of(warehouse, settings))
            done = _derive(warehouse, settings, report or (lambda _: None))
        build_marts(warehouse)
        if masked:
            compact(warehouse)
        return done


def _derive(warehouse: Warehouse, settings: Settings, report: Callable[[int], None]) -> int:
    for table, dtypes in (("bills", BILL_DTYPES), ("payments", PAYMENT_DTYPES)):
        warehouse.execute(
            f"create or replace temp table rebuilt_{table} as "  # noqa: S608 - names of ours
            f"select account, 0::bigint as version, {', '.join(dtypes)} from core.{table} limit 0"
        )
    done = 0
    for keys, normalized in _versions(warehouse, settings):
        _keep(warehouse, keys, normalized)
        done += len(keys)
        report(done)
    _replace(warehouse)
    return done


def _versions(warehouse: Warehouse, settings: Settings) -> Iterator[tuple[list[dict[str, Any]], NormalizedBills]]:
    """All versions in chunks, typed anew; by row number, so that no chunk is held beside another."""
    last = -1
    while True:
        rows = warehouse.rows(
            "select rowid as place, account, version, payload from core.bill_versions where rowid > ? "
            "order by rowid limit ?",
            [last, CHUNK],
        )
        if not rows:
            return
        last = rows[-1]["place"]
        normalized = normalize_bills([record_of(r["payload"]) for r in rows], source_timezone=settings.source_timezone)
        if normalized.issues:
            first = normalized.issues[0]
            raise TooManyBadRowsError(
                f"{len(normalized.issues)} stored payloads cannot be read by this version "
                f"({first.field}: {first.reason}).",
                where=f"core.bill_versions, account {rows[first.index]['account']}",
            )
        yield rows, normalized


def _keep(warehouse: Warehouse, keys: list[dict[str, Any]], normalized: NormalizedBills) -> None:
    accounts, versions = [k["account"] for k in keys], [k["version"] for k in keys]
    warehouse.execute(
        "insert into rebuilt_bills by name select * from typed",
        typed=normalized.bills().assign(account=accounts, version=versions),
    )
    owners = [
        (k["account"], k["version"]) for k, c in zip(keys, normalized.contents.values(), strict=True) for _ in c[1]
    ]
    if owners:
        warehouse.execute(
            "insert into rebuilt_payments by name select * from typed",
            typed=normalized.payments().assign(account=[o[0] for o in owners], version=[o[1] for o in owners]),
        )


def _replace(warehouse: Warehouse) -> None:
    warehouse.execute(
        """
        update core.bill_versions as v
        set state = r.state, state_raw = r.state_raw, amount = r.amount, received_amount = r.received_amount
        from rebuilt_bills as r
        where v.account = r.account and v.order_reference = r.order_reference and v.version = r.version
        """
    )
    warehouse.execute(PAID_INTERVALS)
    typed = ", ".join(f"r.{c}" for c in BILL_DTYPES)
    warehouse.execute(
        f"""
        create or replace temp table rebuilt_current as
        select r.account, {typed}, first.observed_at as first_seen_at, v.observed_at as changed_at,
            coalesce(old.verified_at, v.observed_at) as verified_at,
            case when old.account is null then v.observed_at else old.money_told_at end as money_told_at,
            case when old.account is null then v.observed_at else old.content_told_at end as content_told_at,
            case
                when r.state not in ('Paid', 'Excess') then null
                when p.unpaid_at is not null then p.unpaid_at
                when origin.created_at is not null -- `least` passes over a null
                    then least(origin.created_at, p.paid_before)
            end as paid_after,
            case when r.state in ('Paid', 'Excess') then p.paid_before end as paid_before,
            old.missing_since, r.version, old.list_digest, old.details_digest
        from rebuilt_bills as r
        join core.bill_versions as v
            on v.account = r.account and v.order_reference = r.order_reference and v.version = r.version
        join core.bill_versions as first
            on first.account = r.account and first.order_reference = r.order_reference and first.version = 1
        join rebuilt_bills as origin
            on origin.account = r.account and origin.order_reference = r.order_reference and origin.version = 1
        left join core.bills as old on old.account = r.account and old.order_reference = r.order_reference
        left join paid_interval as p on p.account = r.account and p.order_reference = r.order_reference
        qualify row_number() over (partition by r.account, r.order_reference order by r.version desc) = 1
        """  # noqa: S608
    )
    for statement in (
        "delete from core.bills",
        f"""
        insert into core.bills by name
        select *, if(missing_since is null, {DUE_AT}, timestamptz 'epoch') as due_at from rebuilt_current
        """,  # noqa: S608
        "delete from core.payments",
        """
        insert into core.payments by name
        select p.* exclude (version), b.changed_at as observed_at from rebuilt_payments as p
        join core.bills as b
            on b.account = p.account and b.order_reference = p.order_reference and b.version = p.version
        """,
    ):
        warehouse.execute(statement)
