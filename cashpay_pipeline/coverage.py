"""How long a change can stay unseen, by age of the bill, and what reading everything again would cost.

The promise follows from how `sync/recheck.py` asks and from the request budget; beside it stands what holds now: when
the bill of each class that has waited longest was last read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, inf
from typing import Any

from cashpay_pipeline.settings import Settings
from cashpay_pipeline.terminal import many

Rows = Callable[[str, Sequence[Any]], list[dict[str, Any]]]
"""What runs a query, on the working file or on the published copy."""

CLASSES = """
with bill as (
    select
        money_told_at < verified_at as is_sumless,
        case
            when state not in ('Pending', 'Partial', 'Unknown') then 'settled'
            when ?::timestamptz - coalesce(created_at, first_seen_at) < interval 7 days then 'open, under 7 days'
            when ?::timestamptz - coalesce(created_at, first_seen_at) < interval 90 days then 'open, under 90 days'
            else 'open, older'
        end as age_class,
        -- a bill whose money is not known was read all the same; one that CashPay does not know is not waited for
        case
            when missing_since is not null then null
            when age_class = 'settled' then verified_at -- their money is promised in a line of its own
            else least(verified_at, money_told_at)
        end as told_at
    from core.bills
    where account = ? and (missing_since is null or missing_since > ?::timestamptz - interval 7 days)
)
select age_class, count(*) as bills, min(told_at) as oldest, count(*) filter (where is_sumless) as sumless
from bill
group by age_class
"""

REPORTED = """
select reported_total from core.syncs
where account = ? and reported_total is not null
order by rowid desc limit 1
"""
ROWS_A_PAGE = """
select rows_read / pages as rows_a_page
from core.syncs
where account = ? and kind = 'full_refresh' and complete and pages > 0
order by rowid desc
limit 1
"""
"""As many as CashPay gives, which can be fewer than are asked for. Nearly all rows of a full refresh come by page."""

NIGHTS = {"open, under 7 days": 1, "open, under 90 days": 7, "open, older": 30, "settled": 7}
"""In how many nights each bill of a class is read once, if the budget allows; settled ones by the whole list."""


@dataclass(frozen=True)
class AgeClass:
    """One age class.

    Attributes:
        name: which bills.
        bills: how many there are now.
        promised: within which time each of them is read again; None where the request budget has nothing left for it.
        oldest: when the one that has waited longest was last read.
        sumless: of how many the list shows the state and no sum: whether money went back, it does not tell.
    """

    name: str
    bills: int
    promised: timedelta | None
    oldest: datetime | None
    sumless: int = 0


@dataclass(frozen=True)
class Coverage:
    """The classes, and the cost of a full refresh: requests, and seconds at the rate that is allowed."""

    classes: list[AgeClass]
    full_refresh_requests: int
    full_refresh_seconds: float


def coverage(rows: Rows, settings: Settings, now: datetime) -> Coverage:
    """Work out what is promised and what holds; one re-check is counted as one request, which list pages can beat."""
    found = {r["age_class"]: r for r in rows(CLASSES, [now, now, settings.account, now])}
    # Until the list was read to its end once, there are more bills than are stored.
    reported = [r["reported_total"] for r in rows(REPORTED, [settings.account])]
    total = max([sum(r["bills"] for r in found.values()), *reported])
    seen = [max(1.0, r["rows_a_page"]) for r in rows(ROWS_A_PAGE, [settings.account])]
    pages = ceil(total / min([settings.page_size, *seen])) + 3
    left = float(settings.request_budget)
    classes = []
    for name, nights in NIGHTS.items():
        held = found.get(name, {"bills": 0, "oldest": None, "sumless": 0})
        bills = held["bills"]
        wanted = bills / nights
        needed: float = nights
        if name == "settled":  # a week after the last walk through the whole list the next one begins
            needed += ceil(pages / left) - 1 if left >= 1 else inf
        elif wanted > left:
            needed = ceil(nights * wanted / left) if left >= 1 else inf
        promised = None if needed == inf else timedelta(days=needed)
        left = max(0.0, left - wanted)
        classes.append(AgeClass(name, bills, promised, held["oldest"], held["sumless"]))
    return Coverage(classes, pages, pages / settings.requests_per_second)


def coverage_lines(found: Coverage, now: datetime) -> Iterator[str]:
    """The coverage in plain words."""
    yield "No change stays unseen for longer than, with a refresh each night:"
    for each in found.classes:
        seen = "" if each.oldest is None else f", the longest unread for {_hours(now - each.oldest)}"
        yield f"  {each.name}: {_bound(each.promised)} ({many(each.bills, 'bill')}{seen})"
        if each.name == "settled" and each.sumless:
            yield (
                f"    of {each.sumless:,} of them the list names no sum: what they have received is read only 1, 7 and "
                "30 days after they were settled"
            )
    minutes = found.full_refresh_seconds / 60
    yield (
        f"A full refresh would cost about {found.full_refresh_requests:,} requests, "
        f"{f'{minutes:,.0f} minutes' if minutes >= 2 else f'{found.full_refresh_seconds:.0f} s'} at the rate allowed."
    )


def _bound(promised: timedelta | None) -> str:
    if promised is None:
        return "no bound, the request budget is used up by those above"
    return "24 hours" if promised.days == 1 else f"{promised.days} days"


def _hours(age: timedelta) -> str:
    hours = max(0.0, age.total_seconds() / 3600)
    return f"{hours / 24:,.0f} days" if hours >= 48 else f"{hours:.0f} hours"
