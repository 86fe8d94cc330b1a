"""What a walk has met so far, counted in the file: so an interrupted walk knows as much as one that was not."""

from datetime import datetime

from cashpay_pipeline.normalize import TEXT, frame
from cashpay_pipeline.pagination import Page
from cashpay_pipeline.sync.session import Session


def has_met(session: Session, page: Page, started: datetime, *, all_of_it: bool = False) -> bool:
    """Whether this walk has met a page's rows before: any of them, or all."""
    session.save()
    met = count_on(session, page, "verified_at >= $moment", started)
    return met == size_of(page) if all_of_it else met > 0


def size_of(page: Page) -> int:
    """How many different keys a page has."""
    return len(set(page.keys) - {None})


def count_on(session: Session, page: Page, condition: str, moment: datetime) -> int:
    """How many keys of a page are stored, as bills or set aside, and were read as the condition on `$moment` says.

    Bills are looked for where their creation times say, so that DuckDB passes over the others; elsewhere if need be.
    """
    references = frame([(key,) for key in set(page.keys)], {"order_reference": TEXT})
    created = [c for r in page.records if (c := session.created_at(r))]
    places: list[tuple[str, dict[str, datetime]]] = [("true", {})]
    if created:
        places.insert(0, ("created_at between $first and $last", {"first": min(created), "last": max(created)}))
    count = 0
    for place, limits in places:
        count = session.warehouse.execute(
            f"""
            select count(distinct order_reference) from (
                select order_reference, first_seen_at, verified_at from core.bills where account = $account and {place}
                union all
                select order_reference, first_seen_at, last_seen_at from core.data_issues
                where account = $account and source = 'list'
            )
            where order_reference in (select order_reference from page_row) and {condition}
            """,  # noqa: S608 - conditions of ours
            {"account": session.account, "moment": moment, **limits},
            page_row=references,
        )
        if count == size_of(page):
            break
    return count


def count_met(session: Session, started: datetime) -> int:
    """How many different rows of the list were met since `started`: bills, and rows that are in no bill."""
    session.save()
    return int(
        session.value(
            """
            select (select count(*) from core.bills where account = $1 and verified_at >= $2) + (
                select count(distinct coalesce(order_reference, issue_id)) from core.data_issues as issue
                where account = $1 and source = 'list' and last_seen_at >= $2 and not exists (
                    select 1 from core.bills as bill
                    where bill.account = issue.account and bill.order_reference = issue.order_reference
                        and bill.verified_at >= $2
                )
            )
            """,
            session.account,
            started,
        )
    )
