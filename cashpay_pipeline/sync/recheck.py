"""Bills that may have changed where no walk looks: open ones by age, settled ones a few times more.

CashPay tells of no change, so each open bill is asked for again: the younger, the more often. A settled bill is read
once more after 1, 7 and 30 days. What changes most is asked first.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from cashpay_pipeline.errors import BillNotFoundError, RequestRefusedError, UnavailableError
from cashpay_pipeline.normalize import TEXT, frame
from cashpay_pipeline.sync.session import Session
from cashpay_pipeline.warehouse import store

LACKS_DETAILS = "gateway or sum not known"
REFUSED_FOR_ONE_BILL = (200, 400, 422)
CHUNK = 100
FAILURES_IN_A_ROW = 3
TRIED_FOR_MORE = 20
CROWD = 3
GONE_SHARE, GONE_AT_LEAST = 0.05, 20

DUE = """
with aged as (
    select
        order_reference,
        verified_at,
        verified_at >= $started as is_fresh,
        state in ('Pending', 'Partial', 'Unknown') as is_open,
        $now - coalesce(created_at, first_seen_at) as age,
        $now - verified_at as unverified,
        $now - changed_at as settled,
        verified_at - changed_at as settled_when_verified,
        details_digest is null and (
            received_amount is null
            or (state in ('Paid', 'Excess', 'Partial') and gateway_reference is null and gateway_name is null)
        ) as lacks_details
    from core.bills
    where account = $account and missing_since is null
),
classed as (
    select
        order_reference,
        verified_at,
        case
            when lacks_details then 'gateway or sum not known'
            when is_fresh then null
            when is_open and age < interval 1 hour then 'open, under 1 hour'
            when is_open and age < interval 7 days and ($nightly or unverified > interval 20 hours)
                then 'open, under 7 days'
            when is_open and age < interval 90 days and unverified > interval 7 days then 'open, under 90 days'
            when is_open and unverified > interval 30 days then 'open, older'
            when not is_open and (
                (settled >= interval 1 day and settled_when_verified < interval 1 day)
                or (settled >= interval 7 days and settled_when_verified < interval 7 days)
                or (settled >= interval 30 days and settled_when_verified < interval 30 days)
            ) then 'settled'
        end as age_class,
        row_number() over (partition by age_class order by verified_at, order_reference) as place
    from aged
)
select order_reference, age_class
from classed
where age_class is not null
order by
    array_position(
        ['open, under 1 hour', 'open, under 7 days', 'gateway or sum not known',
         'open, under 90 days', 'open, older', 'settled'],
        age_class
    ),
    place
"""


CROWDED_PAGES = """
with placed as (
    select order_reference, (row_number() over (order by {order}) - 1) // ? * ? as page_offset
    from core.bills
    where account = ? and missing_since is null
)
select placed.page_offset
from placed
where placed.order_reference in (select order_reference from due)
group by placed.page_offset
having count(*) >= ?
order by placed.page_offset
"""


def recheck_due_bills(session: Session, limit: int | None = None) -> None:
    """Read again every bill that is due, as far as the request budget goes.

    What does not fit stays due: the next run takes it up where this one stopped.
    """
    session.stage = "re-checks"
    session.save()
    due = _due(session)
    if limit is None and _read_crowded_pages(session, due):
        due = _due(session)
    left = session.requests_left()
    allowed = due[: left if limit is None else min(left, limit)]
    read_details(session, [d["order_reference"] for d in allowed if d["age_class"] != LACKS_DETAILS])
    _complete(session, [d["order_reference"] for d in allowed if d["age_class"] == LACKS_DETAILS])
    if len(due) > len(allowed):
        session.record.warn(f"{len(due) - len(allowed)} re-checks that are due are left for the next run.")


def read_details(session: Session, references: Sequence[str]) -> None:
    """Read bills one by one, a few at a time; mark those that CashPay does not know any more.

    Raises:
        UnavailableError: several in a row could not be read; those before are stored.
    """
    failures = 0
    gone: list[tuple[str, datetime]] = []
    with ThreadPoolExecutor(max_workers=session.settings.max_in_flight) as pool:
        for start in range(0, len(references), CHUNK):
            chunk = references[start : start + CHUNK]
            for reference, outcome, moment in pool.map(lambda r: _details(session, r), chunk):
                failures = failures + 1 if isinstance(outcome, UnavailableError) else 0
                if failures >= FAILURES_IN_A_ROW and isinstance(outcome, UnavailableError):
                    raise outcome
                if outcome is None:
                    gone.append((reference, moment))
                else:
                    _take(session, reference, outcome, moment)
            if session.batch.is_due:
                session.save()
            session.tell()
    if len(gone) > max(GONE_AT_LEAST, GONE_SHARE * len(references)):
        session.record.lacks(f"CashPay does not know {len(gone)} of {len(references)} bills: nothing was marked.")
        gone = []
    session.save(lambda: store.mark_missing(session.warehouse, session.account, gone))
    if gone:
        session.record.warn(f"CashPay no longer knows {len(gone)} bills: see core.bills.missing_since.")


def _due(session: Session) -> list[dict[str, Any]]:
    return session.warehouse.rows(
        DUE,
        {
            "account": session.account,
            "now": session.now(),
            "started": session.begun,
            "nightly": session.record.kind != "recheck",
        },
    )


def _read_crowded_pages(session: Session, due: Sequence[dict[str, Any]]) -> bool:
    """Read list pages that hold several due bills: one request instead of several.

    Where a bill stands in the list is worked out from the creation times stored, if this run has seen the list keep
    to them. A bill that is not there after all stays due, and its details are asked for.
    """
    orders = {"newest_first": "created_at desc", "oldest_first": "created_at"}
    if session.list_size is None or session.record.list_order not in orders or len(due) < CROWD:
        return False
    bills = session.bill_list(count=lambda: 0, in_flight=1)
    session.warehouse.connection.register(
        "due", frame([(d["order_reference"],) for d in due], {"order_reference": TEXT})
    )
    offsets = session.warehouse.rows(
        CROWDED_PAGES.format(order=orders[session.record.list_order]),
        [bills.size, bills.size, session.account, CROWD],
    )
    session.warehouse.connection.unregister("due")
    for row in offsets[: session.requests_left()]:
        session.take_page(bills.read_page(row["page_offset"]))
    session.save()
    return bool(offsets)


def _complete(session: Session, references: Sequence[str]) -> None:
    """Ask the details of bills whose list row names no sum or no gateway; give up if the details do not either."""
    sample, rest = references[:TRIED_FOR_MORE], references[TRIED_FOR_MORE:]
    read_details(session, sample)
    told = session.value(
        "select count(*) from core.bills where account = ? and list_contains(?, order_reference) "
        "and received_amount is not null and (state not in ('Paid', 'Excess', 'Partial') "
        "or coalesce(gateway_reference, gateway_name) is not null)",
        session.account,
        list(sample),
    )
    if told:
        read_details(session, rest)
    elif sample:
        session.record.warn("CashPay names no gateway or no sum for some bills, neither listed nor in detail.")


def _details(session: Session, reference: str) -> tuple[str, Any, datetime]:
    try:
        outcome: Any = session.client.fetch_bill(reference)
    except BillNotFoundError:
        outcome = None
    except UnavailableError as error:
        outcome = error
    except RequestRefusedError as error:
        if error.status not in REFUSED_FOR_ONE_BILL:
            raise
        outcome = error
    return reference, outcome, session.now()


def _take(session: Session, reference: str, outcome: Any, moment: datetime) -> None:
    if isinstance(outcome, RequestRefusedError):
        session.batch.set_aside_refused(reference, moment)
    elif isinstance(outcome, UnavailableError):
        session.record.lacks("Some bills could not be re-checked; they stay due.")
    else:
        session.take([outcome], "details", moment)
