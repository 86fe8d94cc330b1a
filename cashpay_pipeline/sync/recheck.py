"""Bills that may have changed where no walk looks: open ones by age, settled ones a few times more.

CashPay tells of no change, so each open bill is asked for again: the younger, the more often. A settled bill is read
once more after 1, 7 and 30 days; one whose row of the list was set aside, each night. What changes most comes first.
"""

from collections.abc import Sequence

from cashpay_pipeline.sync.details import REFUSED, TRIES_MORE, UNREADABLE, read_details
from cashpay_pipeline.sync.session import Session
from cashpay_pipeline.warehouse import store

LACKS_GATEWAY, LACKS_SUM = "paid, gateway not known", "given up, sum not known"
"""Where the details of some do not tell it, those of others are not asked for: no money that counts is in question."""
SET_ASIDE = "set aside"
TRIED_FOR_MORE = TRIED_AGAIN = 20
CROWD = 3

AGE_CLASSES = (
    "open, under 1 hour",
    "open, under 7 days",
    "sum not known",
    SET_ASIDE,
    "open, under 90 days",
    "open, older",
    "settled",
    LACKS_GATEWAY,
    LACKS_SUM,
)
"""What is asked first comes first."""

FIND_DUE = f"""
create or replace temp table due as
with damaged as (
    select order_reference, max(last_seen_at) filter (where source = 'details' and resolved_at is null) as tried_at
    from core.data_issues
    where account = $account and order_reference is not null and $nightly
    group by order_reference
    having bool_or(source = 'list' and resolved_at is null)
        and min(first_seen_at) < $now -- each night counts few rows as newly set aside, see `BAD_SHARE`
        and coalesce(tried_at < $now - interval 20 hours, true)
),
aged as (
    select
        order_reference,
        created_at,
        money_told_at,
        money_told_at >= verified_at as list_tells_money,
        money_told_at >= $now as is_fresh,
        {store.IS_OPEN} as is_open,
        (epoch_us($now) - epoch_us(coalesce(created_at, first_seen_at))) / 86_400_000_000 as age_days,
        -- a night may begin some hours earlier than the one before, and is a night later all the same
        (epoch_us($now + interval 4 hours) - epoch_us(money_told_at)) / 86_400_000_000 as unverified_days,
        epoch_us({store.SETTLED_AT}) as settled_us,
        (epoch_us($now + interval 4 hours) - settled_us) / 86_400_000_000 as settled_days,
        (epoch_us(money_told_at + interval 4 hours) - settled_us) / 86_400_000_000 as settled_days_then,
        money_told_at is null as lacks_details,
        missing_since is not null as is_missing,
        state in ('Canceled', 'Expired', 'Error') as is_given_up,
        state = 'Paid' and received_amount = amount and coalesce(gateway_reference, gateway_name) is null
            as lacks_gateway_only
    from core.bills
    where account = $account and due_at <= $now + interval 4 hours
        -- one answer that CashPay does not know a bill can be a slip: for a week it stays due, each night if it is open
        and (missing_since is null or ($nightly and missing_since > $now - interval 168 hours))
),
classed as (
    select
        order_reference,
        created_at,
        money_told_at,
        list_tells_money,
        case
            when lacks_details and is_given_up then '{LACKS_SUM}'
            when lacks_details and lacks_gateway_only then '{LACKS_GATEWAY}'
            when lacks_details then 'sum not known'
            when is_fresh then null
            when is_open and age_days < 1 / 24 then 'open, under 1 hour'
            when is_open and (age_days < 7 or is_missing) and ($nightly or unverified_days > 1)
                then 'open, under 7 days'
            when is_open and age_days < 90 and unverified_days > 7 then 'open, under 90 days'
            when is_open and unverified_days > 30 then 'open, older'
            when not is_open and (
                (settled_days >= 1 and settled_days_then < 1)
                or (settled_days >= 7 and settled_days_then < 7)
                or (settled_days >= 30 and settled_days_then < 30)
            ) then 'settled'
        end as age_class
    from aged
    where order_reference not in (select order_reference from damaged)
    union all
    select order_reference, null, tried_at, false, '{SET_ASIDE}' from damaged
)
select order_reference, created_at, money_told_at, list_tells_money, age_class from classed where age_class is not null
"""  # noqa: S608 - expressions of ours

UNREAD = f"""
unread as (
    select order_reference, max(last_seen_at) as tried_at
    from core.data_issues
    where account = $account and reason in ('{REFUSED}', '{UNREADABLE}') and resolved_at is null
    group by order_reference
)
"""  # noqa: S608 - words of ours

FIRST_DUE = f"""
with {UNREAD}
select order_reference, age_class, tried_at is not null as is_unread
from due left join unread using (order_reference)
order by tried_at nulls first, array_position($classes, age_class), money_told_at nulls first, order_reference
limit $limit
"""  # noqa: S608 - words of ours
"""Bills whose details could not be read come last and keep no other waiting; those tried longest ago come first."""

CROWDED_PAGES = """
with {unread},
by_hour as (
    select date_trunc('hour', created_at) as hour, count(*) as bills
    from core.bills
    where account = $account and missing_since is null and created_at {before} $edge
    group by hour
),
before_hour as (
    select hour, coalesce(sum(bills) over (order by hour {order} rows between unbounded preceding and 1 preceding), 0)
        as bills
    from by_hour
),
placed as (
    select
        bill.order_reference,
        before_hour.bills - 1
            + row_number() over (partition by before_hour.hour order by bill.created_at {order}) as place
    from core.bills as bill
    join before_hour on before_hour.hour = date_trunc('hour', bill.created_at)
    where bill.account = $account and bill.missing_since is null and bill.created_at {before} $edge
        and before_hour.hour in (select date_trunc('hour', created_at) from due)
),
paged as (
    select
        order_reference,
        array_position($classes, age_class) as rank,
        cast(place // $size * $size as bigint) as page_offset
    from placed join due using (order_reference)
    where list_tells_money
),
crowded as (
    select page_offset, min(rank) as rank from paged group by page_offset having count(*) >= $crowd
),
alone as (
    select array_position($classes, age_class) as rank
    from due
    where order_reference not in (select order_reference from paged semi join crowded using (page_offset))
        and order_reference not in (select order_reference from unread)
)
select page_offset, (select count(*) from alone where alone.rank < crowded.rank) as come_first
from crowded
order by rank, page_offset
"""
"""Pages that hold several due bills, those of what changes most first; and how many due bills on no such page are to be
asked for before that page."""
LIST_ORDERS = {
    "newest_first": {"order": "desc", "before": ">=", "edge": "min(created_at)"},
    "oldest_first": {"order": "asc", "before": "<", "edge": "max(created_at) + interval 1 hour"},
}
"""How the list is ordered, and what of it stands before the last bill that is due: only that is looked at."""


def recheck_due_bills(session: Session, limit: int | None) -> None:
    """Read again every bill that is due, as far as the request budget goes.

    What does not fit stays due: the next run takes it up where this one stopped.
    """
    session.stage = "re-checks"
    session.save()
    count = _find_due(session)
    if limit is None and _read_crowded_pages(session, count):
        count = _find_due(session)
    left = session.requests_left()
    allowed = session.warehouse.rows(
        FIRST_DUE,
        {
            "account": session.account,
            "classes": list(AGE_CLASSES),
            "limit": left if limit is None else min(left, limit),
        },
    )
    fresh = [d for d in allowed if not d["is_unread"]]
    unread = [d["order_reference"] for d in allowed if d["is_unread"]][:TRIED_AGAIN]
    sampled = (LACKS_GATEWAY, LACKS_SUM)
    read_details(session, [d["order_reference"] for d in fresh if d["age_class"] not in sampled])
    for age_class in sampled:
        _complete(session, [d["order_reference"] for d in fresh if d["age_class"] == age_class])
    read_details(session, unread, tries=TRIES_MORE)
    if left_over := count - len(fresh) - len(unread):
        session.record.warn(f"{left_over} re-checks that are due are left for the next run.")


def _find_due(session: Session) -> int:
    """Put what is due into the temporary table `due`; how much it is."""
    session.warehouse.rows(
        FIND_DUE,
        {
            "account": session.account,
            "now": session.begun,  # what becomes due, or is set aside, during the run waits for the next one
            "nightly": session.record.kind != "recheck",
        },
    )
    return int(session.value("select count(*) from due"))


def _read_crowded_pages(session: Session, due: int) -> bool:
    """Read list pages that hold several due bills: one request instead of several.

    Where a bill stands in the list is worked out from the creation times stored, if this run has seen the list keep
    to them. A bill that is not there after all stays due, and its details are asked for. What changes most comes first
    here too: no page takes the request of a single bill that is to be asked before the bills on it.
    """
    order = LIST_ORDERS.get(session.record.list_order or "")
    if session.list_size is None or order is None or due < CROWD:
        return False
    bills = session.bill_list(count=lambda: 0, in_flight=1)
    crowded = session.warehouse.rows(
        CROWDED_PAGES.format(unread=UNREAD, **order),
        {
            "account": session.account,
            "size": bills.size,
            "crowd": CROWD,
            "classes": list(AGE_CLASSES),
            "edge": session.value(f"select date_trunc('hour', {order['edge']}) from due"),  # noqa: S608 - of ours
        },
    )
    for row in crowded:
        if session.requests_left() <= row["come_first"]:
            break
        session.take_page(bills.read_page(row["page_offset"]))
    session.save()
    return bool(crowded)


def _complete(session: Session, references: Sequence[str]) -> None:
    """Ask the details of bills for what the list does not tell; no further if some do not tell either."""
    if not references:
        return
    sample, rest = references[:TRIED_FOR_MORE], references[TRIED_FOR_MORE:]
    read_details(session, sample)
    told = session.value(
        "select count(*) from core.bills where account = ? and list_contains(?, order_reference) "
        "and received_amount is not null "
        "and (state != 'Paid' or coalesce(gateway_reference, gateway_name) is not null)",
        session.account,
        list(sample),
    )
    if told:
        read_details(session, rest)
    else:
        session.record.warn("CashPay names no gateway or no sum for some bills, neither listed nor in detail.")
