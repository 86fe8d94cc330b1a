"""Read the details of bills, one request each; tell those that CashPay does not know any more from other trouble."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from cashpay_pipeline.errors import (
    AccessDeniedError,
    BillNotFoundError,
    CashpayError,
    CredentialsRejectedError,
    RateLimitedError,
    RequestRefusedError,
    UnavailableError,
)
from cashpay_pipeline.sync.session import Session
from cashpay_pipeline.verdicts import MAX_TRIES
from cashpay_pipeline.warehouse import store
from cashpay_pipeline.warehouse.issues import resolve_issues

REFUSED, UNREADABLE = "details_refused", "details_unreadable"
"""Why the details of a bill were set aside."""
TRIES_MORE = 2
"""For bills that are no more than a sample, or could not be read before."""
CHUNK = 100
FAILURES_IN_A_ROW = 3
GONE_SHARE, GONE_AT_LEAST = 0.05, 20

NOT_TO_MARK = """
select order_reference, missing_since is null as is_listed
from core.bills
where account = $account and list_contains($these, order_reference)
    and (missing_since is not null or verified_at >= $begun)
union all
select order_reference, true as is_listed
from core.data_issues
where account = $account and source = 'list' and last_seen_at >= $begun and list_contains($these, order_reference)
"""
"""Bills that are marked already, and those that this very run has seen in the list."""

LAST_SHOWN = """
select order_reference from core.bills
where account = $account and missing_since is null and first_seen_at < $begun
    and not list_contains($these, order_reference)
order by verified_at desc, order_reference
limit 3
"""


def read_details(
    session: Session, references: Sequence[str], *, are_unlisted: bool = False, tries: int = MAX_TRIES
) -> None:
    """Read bills one by one, a few at a time; mark those that CashPay does not know any more.

    Args:
        session: the sync under way.
        references: the bills.
        are_unlisted: whether the list does not show them either; then it is no wonder that many are gone.
        tries: how often each is asked for at most.

    Raises:
        CashpayError: several in a row could not be read, nor another one; those before are stored.
    """
    found = 0
    failed: list[str] = []
    gone: list[tuple[str, datetime]] = []
    with ThreadPoolExecutor(max_workers=session.settings.max_in_flight) as pool:
        for start in range(0, len(references), CHUNK):
            chunk = references[start : start + CHUNK]
            for reference, outcome, asked_at, moment in pool.map(lambda r: _details(session, r, tries), chunk):
                failed = [*failed, reference] if isinstance(outcome, CashpayError) else []
                if isinstance(outcome, CashpayError) and _is_out_of_order(session, failed, outcome):
                    raise outcome
                if outcome is None:
                    gone.append((reference, moment))
                else:
                    found += isinstance(outcome, dict)
                    _take(session, reference, outcome, asked_at, moment)
            if session.batch.is_due:
                session.save()
            session.tell()
    spared = _not_to_mark(session, [reference for reference, _ in gone])
    gone = [(reference, moment) for reference, moment in gone if spared.get(reference, True)]
    told = f"CashPay does not know {len(gone)} of {len(references)} bills"
    if not are_unlisted and len(gone) > max(GONE_AT_LEAST, GONE_SHARE * len(references)):
        session.record.lacks(f"{told}: nothing was marked; the next full refresh looks for them in the list.")
        gone = []
    elif gone and not found and not _finds_another(session, [reference for reference, _ in gone]):
        session.record.lacks(f"{told}, nor shows it the details of another one: nothing was marked.")
        gone = []
    elif any(spared.values()):
        listed = sum(spared.values())
        session.record.warn(f"CashPay lists {listed} bills whose details it does not know: they were not marked.")
        gone = [(reference, moment) for reference, moment in gone if reference not in spared]

    def mark_gone() -> None:
        store.mark_missing(session.warehouse, session.account, gone)
        resolve_issues(session.warehouse, session.account, [reference for reference, _ in gone], session.now())

    session.save(mark_gone)
    if gone:
        session.record.warn(f"CashPay no longer knows {len(gone)} bills: see core.bills.missing_since.")


def _not_to_mark(session: Session, gone: Sequence[str]) -> dict[str, bool]:
    """Which of these bills are not to be marked as missing: True for what was listed just now, False for the marked."""
    if not gone:
        return {}
    session.save()
    found = session.warehouse.rows(
        NOT_TO_MARK, {"account": session.account, "begun": session.begun, "these": list(gone)}
    )
    return {row["order_reference"]: row["is_listed"] for row in found}


def _is_out_of_order(session: Session, failed: Sequence[str], error: CashpayError) -> bool:
    """Whether failures in a row are no matter of these bills, but of all details."""
    if len(failed) % FAILURES_IN_A_ROW:
        return False
    return _is_down(error) or not _finds_another(session, failed)


def _is_down(error: CashpayError) -> bool:
    """Whether CashPay or the line is down; a 500 can be an answer to this bill alone."""
    return isinstance(error, UnavailableError) and error.status != 500


def _finds_another(session: Session, these: Sequence[str]) -> bool:
    """Whether CashPay shows the details of a bill that it has shown lately; one that was known before this sync.

    Where details answer 404 to everything, or the list is another merchant's, no bill is gone by that; where they are
    out of order for all, it is nothing about these bills.
    """
    last = session.warehouse.rows(
        LAST_SHOWN, {"account": session.account, "begun": session.begun, "these": list(these)}
    )
    for reference, outcome, asked_at, moment in (
        _details(session, bill["order_reference"], TRIES_MORE) for bill in last
    ):
        if isinstance(outcome, dict):
            _take(session, reference, outcome, asked_at, moment)
            return True
    return False


def _details(session: Session, reference: str, tries: int) -> tuple[str, Any, datetime, datetime]:
    asked_at = session.now()
    try:
        outcome: Any = session.client.fetch_bill(reference, tries=tries)
    except BillNotFoundError:
        outcome = None
    except (CredentialsRejectedError, RateLimitedError):
        raise
    except CashpayError as error:
        outcome = error
    return reference, outcome, asked_at, session.now()


def _take(session: Session, reference: str, outcome: Any, asked_at: datetime, moment: datetime) -> None:
    if isinstance(outcome, CashpayError) and _is_down(outcome):
        session.record.lacks("Some bills could not be re-checked; they stay due.")
    elif isinstance(outcome, CashpayError):
        is_refused = isinstance(outcome, RequestRefusedError | AccessDeniedError)
        session.batch.set_aside_unread(reference, REFUSED if is_refused else UNREADABLE, moment)
        session.record.warn("The details of some bills cannot be read; they stay due: see core.data_issues.")
    else:
        session.batch.add([outcome], "details", asked_at, moment)
