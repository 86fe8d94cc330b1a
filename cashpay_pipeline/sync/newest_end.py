"""The walk through the newest end of the list, which a refresh reads each time."""

from datetime import datetime, timedelta

from cashpay_pipeline.pagination import BillList, Page
from cashpay_pipeline.sync.met import count_met, count_on, size_of
from cashpay_pipeline.sync.session import Session
from cashpay_pipeline.sync.whole_list import (
    EARLIEST_SANE,
    finish_whole_list,
    read_arrivals,
    read_whole_list,
    save_progress,
)


def read_newest_end(session: Session) -> None:
    """Read the newest end of the list until all further down is known and older than the overlap.

    Stopping early needs the order to hold in this very run; where it does not, the whole list is read. It is also read
    where half of the requests is not enough: else that end alone would be read each night, and nothing below it ever.
    One page is in flight at a time: what is read ahead of the stop would be asked for in vain.
    """
    session.stage = "newest bills"
    started = session.now()
    watermark = session.value("select watermark_at from core.accounts where account = ?", session.account)
    horizon = watermark - timedelta(hours=session.settings.overlap_hours) if watermark else EARLIEST_SANE
    bills = session.bill_list(count=lambda: count_met(session, started), in_flight=1)
    newest_at, other_half, is_too_far = 0, session.requests_left() // 2, False
    for page in bills.walk():
        session.take_page(page)
        if page.offset == 0 and bills.order == "oldest_first" and (bills.total or 0) > len(page.records):
            newest_at, is_too_far = _read_back(session, bills, page, started, horizon, other_half)
            break
        if bills.order == "newest_first" and _is_known_ground(session, page, started, horizon):
            break
        if bills.order == "none":
            break
        is_too_far = session.requests_left() <= other_half
        if is_too_far:
            break
    session.record.list_order = bills.order
    if bills.order == "oldest_first" and not bills.ended and not is_too_far:
        is_too_far = not _read_to_end(session, bills, newest_at, other_half)
    if bills.ended:
        finish_whole_list(session, bills, started)
    elif bills.order == "none":
        session.record.warn("The list has no order to rely on: the whole of it is read.")
        if not _read_half_of_what_is_left(session):
            session.record.lacks("The list has no order and is too long for one run: the next run goes on.")
    elif is_too_far:
        session.record.warn("No bills known before were met at the newest end of the list: the whole of it is read.")
        joins = bills.order == "oldest_first" or _is_known(session, page, started)
        _go_on_from_newest_end(session, bills, started, joins=joins)
        if not _read_half_of_what_is_left(session):
            session.record.lacks("The whole list is too long for one run: the next run goes on.")
    else:
        if bills.order != "oldest_first":
            read_arrivals(session, bills, started)
        _finish_newest_end(session, bills, started)


def _read_back(
    session: Session, bills: BillList, first: Page, started: datetime, horizon: datetime, other_half: int
) -> tuple[int, bool]:
    """Read from the end of an oldest-first list to known ground.

    Returns:
        Where the newest page was, and whether known ground is too far: only `other_half` of the requests is left then.
    """
    newest_at = 0
    for page in bills.walk_back(first):
        session.take_page(page)
        newest_at = newest_at or page.offset
        if bills.order == "none" or (page.records and _is_known_ground(session, page, started, horizon)):
            break
        if session.requests_left() <= other_half:
            return newest_at, True
    return newest_at, False


def _read_to_end(session: Session, bills: BillList, offset: int, other_half: int) -> bool:
    """Read an oldest-first list from its newest page on: a total that is not up to date hides what was appended.

    False if the end is too far: only `other_half` of the requests is left then.
    """
    last: list[str | None] = []
    while session.requests_left() > other_half:
        page = bills.read_page(offset)
        if page.keys in ([], last):
            return True
        session.take_page(page)
        last = page.keys
        offset += bills.size
    return False


def _is_known_ground(session: Session, page: Page, started: datetime, horizon: datetime) -> bool:
    """Whether every row of a page is older than the horizon and was stored before this run."""
    if any((moment := session.created_at(r)) is None or moment >= horizon for r in page.records):
        return False
    return _is_known(session, page, started)


def _is_known(session: Session, page: Page, started: datetime) -> bool:
    """Whether every row of a page was stored before this run."""
    return count_on(session, page, "first_seen_at < $moment", started) == size_of(page)


def _go_on_from_newest_end(session: Session, bills: BillList, started: datetime, *, joins: bool) -> None:
    """Let the walk of the whole list go on where the newest end was left, if it is not done so already.

    A walk that began before the newest end was last read whole can have passed the place of bills that came since. So
    it has where the newest end does not join what was read before: those in between are on no page of either.
    """
    session.save()
    session.warehouse.execute(
        """
        update core.accounts as account set walk_started_at = ?, walk_position = ?, walk_page_size = ?
        where account.account = ? and (account.walk_started_at is null or not ? or exists (
            select 1 from core.syncs as sync
            where sync.account = account.account and sync.kind = 'refresh' and sync.complete
                and sync.finished_at > account.walk_started_at
        ))
        """,
        [started, bills.place, bills.usual_size, session.account, joins],
    )


def _read_half_of_what_is_left(session: Session) -> bool:
    """Read the whole list as far as half of the request budget goes: the re-checks need the other half."""
    return read_whole_list(session, pages=max(1, session.requests_left() // 2))


def _finish_newest_end(session: Session, bills: BillList, started: datetime) -> None:
    """The newest end has been read: does CashPay count as many bills as are stored? If more, the whole list is read."""
    session.save()
    session.list_size = bills.usual_size
    stored = session.value(
        """
        select (select count(*) from core.bills where account = $1 and missing_since is null) + (
            select count(distinct coalesce(order_reference, issue_id)) from core.data_issues as issue
            where account = $1 and source = 'list' and resolved_at is null and not exists (
                select 1 from core.bills as bill
                where bill.account = issue.account and bill.order_reference = issue.order_reference
            )
        )
        """,
        session.account,
    )
    if bills.total is not None and bills.total > stored:
        session.record.warn(f"CashPay counts {bills.total} bills, {stored} were known: the whole list is read.")
        if _read_half_of_what_is_left(session):
            return
        session.record.lacks("The whole list is too long for one run: the next run goes on.")
    elif bills.total is not None and bills.total < stored:
        session.record.warn(
            f"CashPay counts {bills.total} bills, {stored} are stored; the next full refresh looks for the others."
        )
    session.save(lambda: save_progress(session, started, whole=False))
