"""What a sync stores of bills. Every function here runs inside a transaction of the caller's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from cashpay_pipeline.errors import GuardError
from cashpay_pipeline.normalize import BILL_DTYPES, TEXT, TIME, frame
from cashpay_pipeline.privacy import Masker, load_key
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.warehouse.database import Warehouse

HISTORY_DTYPES = {
    "first_seen_at": TIME,
    "changed_at": TIME,
    "verified_at": TIME,
    "money_told_at": TIME,
    "content_told_at": TIME,
    "paid_after": TIME,
    "paid_before": TIME,
    "missing_since": TIME,
    "version": "Int64",
    "list_digest": TEXT,
    "details_digest": TEXT,
}
"""What a current row has beside its typed values."""
VERSION_DTYPES = {
    "changed_after": TIME,
    "source": TEXT,
    "digest": TEXT,
    "payload": TEXT,
}
"""What a version has beside what is in its current row."""
SEEN_DTYPES = {
    "order_reference": TEXT,
    "verified_at": TIME,
    "money_told_at": TIME,
    "money_is_open": "boolean",
    "content_told_at": TIME,
    "list_digest": TEXT,
    "details_digest": TEXT,
}
IS_OPEN = "state in ('Pending', 'Partial', 'Unknown')"
SETTLED_AT = "(case when version = 1 then coalesce(created_at, first_seen_at) else changed_at end)"
"""A bill that was settled when it was first read has been so for an unknown time: it counts from its creation."""

DUE_AT = f"""
case
    when money_told_at is null then timestamptz 'epoch'
    when {IS_OPEN} then
        case
            when money_told_at < coalesce(created_at, first_seen_at) + interval 168 hours then money_told_at
            else money_told_at + interval 168 hours
        end
    else list_min(list_filter(
        [{SETTLED_AT} + hours
            for hours in [interval 24 hours, interval 168 hours, interval 720 hours]],
        lambda moment: moment > money_told_at
    ))
end
"""
"""Four hours before that moment no rule of sync/recheck.py asks for the bill yet. So most need not be looked at."""

KNOWN_COLUMNS = """
bill.rowid as place, bill.account, bill.order_reference, bill.state, bill.received_amount, bill.created_at,
bill.gateway_reference, bill.gateway_name, bill.payment_count, bill.first_seen_at, bill.changed_at, bill.verified_at,
bill.money_told_at, bill.content_told_at, bill.paid_after, bill.paid_before, bill.version, bill.list_digest,
bill.details_digest,
reading.state = bill.state and reading.digest is not distinct from
    case reading.source when 'list' then bill.list_digest else bill.details_digest end as is_same
"""
"""What is stored of the bills of a batch, and its `place` in the table: where a batch writes, until it is committed."""

FIND_NEAR = f"""
create or replace temp table known_bill as
select {KNOWN_COLUMNS}
from core.bills as bill join reading using (order_reference)
where bill.account = $account -- DuckDB passes over what was created at other times
    and bill.created_at between $first::timestamptz - interval 24 hours and $last::timestamptz + interval 24 hours
"""  # noqa: S608 - columns of ours
FIND_ELSEWHERE = """
create or replace temp table elsewhere as
select bill.rowid as place
from core.bills as bill join (from reading anti join known_bill using (order_reference)) using (order_reference)
where bill.account = ?
"""
ADD_ELSEWHERE = f"""
insert into known_bill
select {KNOWN_COLUMNS}
from core.bills as bill join elsewhere on elsewhere.place = bill.rowid join reading using (order_reference)
"""  # noqa: S608


@dataclass(frozen=True)
class Known:
    """What is stored about a bill that is read again."""

    version: int
    state: str
    first_seen_at: datetime
    verified_at: datetime
    money_told_at: datetime | None
    content_told_at: datetime | None
    paid_after: datetime | None
    paid_before: datetime | None
    list_digest: str | None
    details_digest: str | None
    payload: str | None


def known_bills(
    warehouse: Warehouse,
    account: str,
    seen: Sequence[tuple[str, str, str, str]],
    created: tuple[datetime, datetime] | None,
) -> tuple[set[str], dict[str, Known]]:
    """Look bills up by what was read of them: (order_reference, source, state, digest).

    Args:
        warehouse: the open file.
        account: the merchant account.
        seen: what was read.
        created: between which moments most of them were created, if that is known: they are looked for there first.

    Returns:
        The references whose reading is the same as the last one from that source and agrees with the state stored;
        and the others that are stored, with their newest payload. What is in neither is new.
    """
    reading = frame(list(seen), {"order_reference": TEXT, "source": TEXT, "state": TEXT, "digest": TEXT})
    first, last = created or (None, None)
    found = warehouse.execute(FIND_NEAR, {"account": account, "first": first, "last": last}, reading=reading)
    if found < len(reading) and warehouse.execute(FIND_ELSEWHERE, [account], reading=reading):
        warehouse.execute(ADD_ELSEWHERE, reading=reading)
    same = {r["order_reference"] for r in warehouse.rows("select order_reference from known_bill where is_same")}
    others = warehouse.rows(
        """
        select k.order_reference, k.version, k.state, k.first_seen_at, k.verified_at, k.money_told_at,
            k.content_told_at, k.paid_after, k.paid_before, k.list_digest, k.details_digest, v.payload
        from known_bill as k
        left join core.bill_versions as v -- the time lets DuckDB pass over most of the history
            on v.observed_at = k.changed_at
            and v.account = k.account and v.order_reference = k.order_reference and v.version = k.version
        where not k.is_same
        """
    )
    return same, {r.pop("order_reference"): Known(**r) for r in others}


def save_seen(warehouse: Warehouse, rows: Sequence[tuple[Any, ...]]) -> None:
    """Note that bills which `known_bills` found were read as they are stored; rows as in `SEEN_DTYPES`."""
    if rows:
        warehouse.execute(
            f"""
            update core.bills as bill
            set verified_at = again.verified_at, money_told_at = again.money_told_at,
                content_told_at = again.content_told_at, list_digest = again.list_digest,
                details_digest = again.details_digest, due_at = again.due_at, missing_since = null
            from (
                select *, {DUE_AT} as due_at
                from (
                    select known_bill.* replace (
                        greatest(known_bill.verified_at, seen.verified_at) as verified_at,
                        case -- a row of the list that is no news does not answer an open question
                            when seen.money_is_open then null
                            when known_bill.money_told_at is null and is_same and seen.details_digest is null then null
                            else greatest(known_bill.money_told_at, seen.money_told_at)
                        end as money_told_at,
                        case -- nor does it tell since when the answer has been another
                            when known_bill.money_told_at is null and is_same and seen.details_digest is null
                                then known_bill.content_told_at
                            else greatest(known_bill.content_told_at, seen.content_told_at)
                        end as content_told_at,
                        coalesce(seen.list_digest, known_bill.list_digest) as list_digest,
                        coalesce(seen.details_digest, known_bill.details_digest) as details_digest
                    )
                    from known_bill join seen using (order_reference)
                )
            ) as again
            where bill.rowid = again.place
            """,  # noqa: S608 - an expression of ours
            seen=frame(rows, SEEN_DTYPES),
        )


def save_changes(
    warehouse: Warehouse,
    account: str,
    sync_id: str,
    *,
    bills: pd.DataFrame,
    history: Sequence[tuple[Any, ...]],
    payments: pd.DataFrame,
) -> None:
    """Store new and changed bills: a version each, the current row, and its payments in place of the former ones.

    A bill is new unless the last `known_bills` found it.

    Args:
        warehouse: the open file.
        account: the merchant account.
        sync_id: the sync that read them.
        bills: typed rows (`BILL_DTYPES`), each key once.
        history: the rest of each row and of its version (`HISTORY_DTYPES`, `VERSION_DTYPES`), in the same order.
        payments: the payments of those bills (`PAYMENT_DTYPES`).
    """
    current = pd.concat([bills, frame(history, HISTORY_DTYPES | VERSION_DTYPES)], axis=1)
    warehouse.execute(
        """
        insert into core.bill_versions by name
        select ? as account, order_reference, version, changed_at as observed_at, changed_after, source,
            ? as sync_id, state, state_raw, amount, received_amount, digest, payload
        from current_rows
        """,
        [account, sync_id],
        current_rows=current,
    )
    names = ["account", *BILL_DTYPES, *HISTORY_DTYPES, "due_at"]
    warehouse.execute(
        f"""
        merge into core.bills as stored using (
            select current_rows.*, ? as account, {DUE_AT} as due_at, known_bill.place
            from current_rows
            left join (select order_reference, place from known_bill) as known_bill using (order_reference)
        ) as incoming on stored.rowid = incoming.place
        when matched then update set {", ".join(f"{c} = incoming.{c}" for c in names)}
        when not matched then insert ({", ".join(names)}) values ({", ".join(f"incoming.{c}" for c in names)})
        """,  # noqa: S608 - column names and an expression of ours
        [account],
        current_rows=current,
    )
    written = current[["order_reference", "changed_at"]]
    _delete_payments(warehouse, account, written)
    if not payments.empty:
        warehouse.execute(
            """
            insert into core.payments by name
            select payment_row.*, ? as account, written.changed_at as observed_at
            from payment_row join written using (order_reference)
            """,
            [account],
            payment_row=payments,
            written=written,
        )


def _delete_payments(warehouse: Warehouse, account: str, written: pd.DataFrame) -> None:
    """Delete the payments that changed bills had: those written with the former content, or all if some are not."""
    warehouse.execute(
        """
        create or replace temp table had_payments as
        select * from known_bill semi join written using (order_reference) where payment_count > 0
        """,
        written=written,
    )
    (expected,) = warehouse.rows("select coalesce(sum(payment_count), 0) as n from had_payments")
    for place in ("payment.observed_at = had.changed_at", "true"):
        if expected["n"] > 0:
            expected["n"] -= warehouse.execute(
                f"""
                delete from core.payments as payment using had_payments as had
                where payment.account = ? and payment.order_reference = had.order_reference and {place}
                """,  # noqa: S608 - conditions of ours
                [account],
            )


def doubt_zeros(warehouse: Warehouse, account: str) -> None:
    """Leave it to their details what bills given up have received, where the list shows paid ones with nothing, too.

    Such a list does not fill sums in. It is doubted of bills that were given up when they were first read: for the
    others a new state had the details asked for.
    """
    warehouse.execute(
        """
        update core.bills set money_told_at = null, content_told_at = created_at, due_at = timestamptz 'epoch'
        where account = $account and state in ('Canceled', 'Expired', 'Error') and received_amount = 0
            and version = 1 and details_digest is null and money_told_at is not null and exists (
                select 1 from core.bill_versions
                where account = $account and source = 'list' and state in ('Paid', 'Partial', 'Excess')
                    and received_amount = 0 and amount != 0
            )
        """,
        {"account": account},
    )


def mark_missing(warehouse: Warehouse, account: str, gone: Sequence[tuple[str, datetime]]) -> None:
    """Note bills that CashPay does not know any more, and since when; nothing is deleted.

    Each night of the next week they are looked at once more (sync/recheck.py), so they are due at once.
    """
    if gone:
        warehouse.execute(
            """
            update core.bills as bill set missing_since = gone.missing_since, due_at = timestamptz 'epoch'
            from gone
            where bill.account = ? and bill.order_reference = gone.order_reference
            """,
            [account],
            gone=frame(gone, {"order_reference": TEXT, "missing_since": TIME}),
        )


def masker_of(warehouse: Warehouse, settings: Settings) -> Masker:
    """What masks as this file was masked, and knows who asked to be forgotten.

    Raises:
        GuardError: the key of the data folder is not the one that this file was written with.
        WarehouseError: the key file cannot be used.
    """
    masker = Masker(settings.pii, load_key(settings.pii_key, settings.data_folder), forgotten_clients(warehouse))
    accounts = warehouse.rows("select pii_key_check from core.accounts")
    if any(row["pii_key_check"] != masker.fingerprint for row in accounts):
        raise GuardError(
            "The key that customers are recognised by is not the one this file was written with.",
            where=str(settings.warehouse_path),
            next_step="Put back the former CASHPAY_PII_KEY or the file pii.key of the data folder.",
        )
    return masker


def forgotten_clients(warehouse: Warehouse) -> list[str]:
    """The `client_key` of each customer who asked to be forgotten."""
    return [row["client_key"] for row in warehouse.rows("select client_key from core.forgotten_clients")]


def forgotten_bills(warehouse: Warehouse, account: str) -> set[str]:
    """The account's bills that are known to be of customers who asked to be forgotten."""
    rows = warehouse.rows("select order_reference from core.forgotten_bills where account = ?", [account])
    return {row["order_reference"] for row in rows}
