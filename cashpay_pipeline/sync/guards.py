"""What must hold before anything is stored: one environment, merchant and key for customers, and a right clock."""

from datetime import timedelta
from itertools import islice

from cashpay_pipeline.client import CashpayClient
from cashpay_pipeline.errors import GuardError
from cashpay_pipeline.normalize import normalize_bills
from cashpay_pipeline.privacy import Masker
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.sync.session import Session
from cashpay_pipeline.warehouse import Warehouse

PAGES_LOOKED_AT = 10
SKEW_REFUSED = timedelta(minutes=10)
FUTURE_TIMES = {
    "bills": (
        "verified_at",
        *("verified_at", "money_told_at", "content_told_at", "first_seen_at", "changed_at"),
        *("paid_after", "paid_before", "missing_since"),
    ),
    "bill_versions": ("observed_at", "observed_at", "changed_after"),
    "payments": ("observed_at", "observed_at"),
    "gateways": ("greatest(changed_at, missing_since)", "first_seen_at", "changed_at", "missing_since"),
    "gateway_versions": ("greatest(valid_from, valid_to)", "valid_from", "valid_to"),
    "data_issues": ("greatest(last_seen_at, resolved_at)", "first_seen_at", "last_seen_at", "resolved_at"),
    "api_fields": ("greatest(last_seen_at, missing_since)", "first_seen_at", "last_seen_at", "missing_since"),
    "accounts": (
        "greatest(watermark_at, walk_started_at, full_walk_finished_at)",
        *("watermark_at", "walk_started_at", "full_walk_started_at", "full_walk_finished_at"),
    ),
}
"""By table, the newest of a row's times, then all of them. Of large tables it is a column: DuckDB passes over the rest.

`changed_at` is equal to the `observed_at` of the bill's newest version and of its payments, and stays so.
"""
HOLDS_DATA = """
select exists (select 1 from core.bills where account = $1)
    or exists (select 1 from core.gateways where account = $1)
    or exists (select 1 from core.data_issues where account = $1) as holds_data
"""


def guard_account(warehouse: Warehouse, settings: Settings, masker: Masker, client: CashpayClient) -> None:
    """One file holds one environment, one key for customers, and each merchant once.

    Anything else would mix what cannot be told apart, or count it twice. An account that holds nothing yet holds no
    environment either. A pause that CashPay asked the account's earlier runs for is kept by this one.

    Raises:
        GuardError: the settings do not fit to what the file holds; nothing was asked for, and nothing noted.
    """
    rows = warehouse.rows("select * from core.accounts")
    elsewhere = [row for row in rows if row["environment"] != settings.environment]
    if other := next((row for row in elsewhere if _holds_data(warehouse, row["account"])), None):
        raise GuardError(
            f"This file holds data of {other['environment']}, and the settings name {settings.environment}.",
            where=str(settings.warehouse_path),
            next_step="Correct CASHPAY_BASE_URL if it is a slip; for another environment set CASHPAY_DATA_DIR to "
            "another folder.",
        )
    check = masker.check_of(*settings.merchant)
    if not _holds_bills(warehouse, settings.account):
        same = [row["account"] for row in rows if row["merchant_check"] == check]
        if other := next((account for account in same if _holds_bills(warehouse, account)), None):
            raise GuardError(
                f"The login of {settings.account} is that of {other}, whose bills this file holds: they would count "
                "twice.",
                where=str(settings.warehouse_path),
                next_step=f"Set CASHPAY_ACCOUNT back to {other}; to load the bills under the new name, set "
                "CASHPAY_DATA_DIR to another folder.",
            )
    own = next((row for row in rows if row["account"] == settings.account and row not in elsewhere), None)
    if own is None:
        with warehouse.transaction():
            # No data came from an address noted before, so it was a slip; nothing else noted of it holds here.
            warehouse.execute("delete from core.accounts where account = ?", [settings.account])
            warehouse.execute(
                "insert into core.accounts (account, environment, pii_key_check, first_seen_at) values (?, ?, ?, ?)",
                [settings.account, settings.environment, masker.fingerprint, client.now()],
            )
    elif own["resume_at"]:
        client.pause_until(own["resume_at"])


def guard_merchant(session: Session, check: str) -> None:
    """One account holds one merchant's bills. A login of another name has to show that it sees the same ones (A12).

    So a login that was renamed, or the other scheme, goes on by itself. A file of before this was noted has nothing to
    compare with, nor has one without bills.
    """
    known = session.value("select merchant_check from core.accounts where account = ?", session.account)
    if known == check:
        return
    if known is not None and session.value("select count(*) from core.bills where account = ?", session.account):
        if not _shows_known_bills(session):
            raise GuardError(
                f"Account {session.account} was read with another login, and this one shows none of its bills.",
                where=str(session.settings.warehouse_path),
                next_step="Give another merchant a CASHPAY_ACCOUNT of its own. If it is the same merchant, read its "
                f"newest bills once more with the former login: one of {PAGES_LOOKED_AT} pages must be known.",
            )
        session.record.warn("The login is another one than before; it shows the same bills.")
    with session.warehouse.transaction():
        session.warehouse.execute(
            "update core.accounts set merchant_check = ? where account = ?", [check, session.account]
        )


def guard_clock(session: Session) -> None:
    """A clock that is far off breaks signatures sooner or later, and is better set right than worked around (T8)."""
    skew = session.client.skew
    if session.settings.scheme == "cashpay" and skew is not None and abs(skew) > SKEW_REFUSED:
        raise GuardError(
            f"This machine's clock is {in_words(skew)} CashPay's.", next_step="Set the clock right, then run again."
        )


def correct_future_times(session: Session) -> None:
    """Whatever was read in the future was read under a wrong `Date`: just now, at the latest (T8).

    Otherwise it would pass for read until that day has come: not asked for again, and met by every walk. And what the
    checks look at once, as a new field, would be new to them each night. The future is what lies ahead by both clocks,
    for today's `Date` may be the wrong one.
    """
    now = session.now()
    future = max(now, session.record.started_at) + SKEW_REFUSED
    moments = {"account": session.account, "future": future, "past": now - timedelta(seconds=1)}
    with session.warehouse.transaction():
        for table, (newest, *times) in FUTURE_TIMES.items():
            changes = [f"{time} = if({time} > $past, $past, {time})" for time in times]
            if table == "bills":
                changes.append("due_at = timestamptz 'epoch'")
            session.warehouse.execute(
                f"update core.{table} set {', '.join(changes)} where account = $account and {newest} > $future",  # noqa: S608 - names of ours
                moments,
            )


def in_words(skew: timedelta) -> str:
    """By how much this machine's clock is wrong, in the largest unit of which there are two: "3 minutes ahead of"."""
    minutes = round(abs(skew).total_seconds() / 60)
    units = ((24 * 60, "days"), (60, "hours"), (1, "minutes"))
    size, unit = next((size, unit) for size, unit in units if minutes >= 2 * size or size == 1)
    return f"{round(minutes / size)} {unit} {'behind' if skew > timedelta(0) else 'ahead of'}"


def _holds_bills(warehouse: Warehouse, account: str) -> bool:
    return bool(warehouse.rows("select 1 from core.bills where account = ? limit 1", [account]))


def _holds_data(warehouse: Warehouse, account: str) -> bool:
    (row,) = warehouse.rows(HOLDS_DATA, [account])
    return bool(row["holds_data"])


def _shows_known_bills(session: Session) -> bool:
    """Whether the first pages of the list show a bill that is stored, with the same amount and time; stores nothing."""
    bills = session.bill_list(count=lambda: 0, in_flight=1)
    for page in islice(bills.walk(), PAGES_LOOKED_AT):
        typed = normalize_bills(page.records, source_timezone=session.settings.source_timezone).bills()
        known = session.warehouse.execute(
            """
            select count(*) from core.bills as bill join shown using (order_reference)
            where bill.account = ? and bill.amount = shown.amount
                and bill.created_at is not distinct from shown.created_at
            """,
            [session.account],
            shown=typed[["order_reference", "amount", "created_at"]],
        )
        if known:
            return True
    return False
