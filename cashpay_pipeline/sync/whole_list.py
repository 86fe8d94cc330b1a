"""The walk through the whole list, in one run or in parts, and what follows from its end.

Which bills are missing, whether the numbers agree with CashPay's, and how far the watermark moves is decided here.
Nothing is concluded from a walk that did not come to its end.
"""

from datetime import UTC, datetime, timedelta
from functools import partial

from cashpay_pipeline.errors import (
    CashpayError,
    CredentialsRejectedError,
    GuardError,
    RateLimitedError,
    TooManyBadRowsError,
    UnavailableError,
)
from cashpay_pipeline.pagination import BillList, Page
from cashpay_pipeline.sync.met import count_met, has_met
from cashpay_pipeline.sync.missing import look_for_missing
from cashpay_pipeline.sync.session import Session, reference_of
from cashpay_pipeline.verdicts import MAX_TRIES
from cashpay_pipeline.warehouse.issues import resolve_unseen_issues
from cashpay_pipeline.warehouse.store import doubt_zeros

SERVER_ERROR = 500
FUTURE_TOLERATED = timedelta(minutes=5)
EARLIEST_SANE = datetime(2000, 1, 1, tzinfo=UTC)
RESUME_WITHIN = timedelta(days=14)
WHOLE_LIST_EVERY = timedelta(days=6, hours=20)
"""Weekly, also where a night begins some hours earlier than that of the week before."""


def has_finished_a_walk(session: Session) -> bool:
    """Whether the whole list was ever read to its end."""
    return bool(
        session.value("select full_walk_finished_at is not null from core.accounts where account = ?", session.account)
    )


def read_whole_list(session: Session, *, pages: int | None = None) -> bool:
    """Read the list to its end; go on where an earlier walk was interrupted, if its place can be found again.

    Args:
        session: the sync under way.
        pages: how many pages may be read at most; the walk goes on with the next run then.

    Returns:
        Whether the end was reached.
    """
    session.stage = "whole list"
    session.save()
    (account,) = session.warehouse.rows(
        "select walk_started_at, walk_position, walk_page_size from core.accounts where account = ?", [session.account]
    )
    now, begun = session.now(), account["walk_started_at"]
    # A walk that begins later than now, for a clock was set back, would not be found to have met what is read now.
    if begun is not None and begun <= now and account["walk_position"] > account["walk_page_size"]:
        bills = session.bill_list(count=lambda: count_met(session, begun), size=account["walk_page_size"])
        if _walk(session, bills, begun, offset=account["walk_position"] - account["walk_page_size"], pages=pages):
            if bills.ended:
                passed = account["walk_position"]
                if session.record.kind == "full_refresh" or passed // bills.usual_size <= session.requests_left():
                    _read_passed_part_again(session, bills, passed)
                    begun = now  # by now all of it was read in this run: what was met only before may be gone
                finish_whole_list(session, bills, begun)
            return bills.ended
    bills = session.bill_list(count=lambda: count_met(session, now))
    _walk(session, bills, now, pages=pages)
    if bills.ended:
        finish_whole_list(session, bills, now)
    return bills.ended


def read_part_of_whole_list(session: Session) -> None:
    """Spend what is left of the request budget on the whole list, where the last walk through it is a week old.

    So a list too long for one night is still read from end to end, a part each night.
    """
    begun = session.value("select full_walk_started_at from core.accounts where account = ?", session.account)
    left = session.requests_left()
    if begun is None or session.now() - begun < WHOLE_LIST_EVERY or not left:
        return
    if not read_whole_list(session, pages=left):
        session.record.warn("A part of the whole list was read; the next run goes on from there.")


def _walk(session: Session, bills: BillList, started: datetime, *, offset: int = 0, pages: int | None = None) -> bool:
    """Walk from `offset` to the end, or so many pages. False if that is not where the walk had come to.

    Bills created since only move the place down, so that some rows are read twice; deletions can move it up, and
    then the page before it holds nothing that was read, or nothing lately, or is past the end. If it is short, the
    server may give fewer rows a page than it did, and skip the others.
    """

    def save_place() -> None:
        session.warehouse.execute(
            "update core.accounts set walk_started_at = ?, walk_position = ?, walk_page_size = ? where account = ?",
            [started, bills.place, bills.usual_size, session.account],
        )

    number = 0
    first: Page | None = None
    lately = max(started, session.now() - RESUME_WITHIN)
    try:
        for number, page in enumerate(bills.walk(offset), start=1):
            if offset and first is None and not has_met(session, page, lately):
                return False
            if offset and first is not None and number == 2 and bills.skips_rows(first, page):
                return False
            first = first or page
            session.take_page(page, save_place)
            if pages and number == max(pages, 2):  # the first one repeats what was read
                session.save(save_place)
                break
    except TooManyBadRowsError:
        raise
    except BaseException as error:  # the next run goes on from here (N10), whether CashPay or a signal stopped this one
        if first is not None and (isinstance(error, CashpayError) or not isinstance(error, Exception)):
            session.save(save_place)
        raise
    return number > 0 or not offset


def _read_passed_part_again(session: Session, bills: BillList, position: int) -> None:
    """Read what an interrupted walk had passed: bills can have changed since, or come there, also from further down.

    The numbers need not tell: a bill that was met and then deleted makes up for one that is hidden.
    """
    passed = session.bill_list(count=bills.count, size=bills.usual_size)
    for page in passed.walk():
        session.take_page(page)
        if page.offset + passed.size >= position:
            break


def finish_whole_list(session: Session, bills: BillList, started: datetime) -> None:
    """The list has ended: look again for what came meanwhile, compare, mark what is missing, move the watermark."""
    record = session.record
    session.save()
    record.list_order, session.list_size = bills.order, bills.usual_size
    known = session.value(
        "select count(*) from core.bills where account = ? and missing_since is null", session.account
    )
    if known and not count_met(session, started):
        raise GuardError(
            f"The bill list is empty, while {known} bills are stored.",
            where=f"account {session.account}",
            next_step="Run `cashpay check`. If the account was emptied on purpose, use another CASHPAY_DATA_DIR.",
        )
    total_at_end = bills.total or 0
    arrived = bills.order != "oldest_first" and read_arrivals(session, bills, started)
    if _may_hide_bills(bills, count_met(session, started), total_at_end, arrived=arrived):
        if (
            record.kind == "full_refresh"
            or not has_finished_a_walk(session)
            or (bills.total or 0) // bills.usual_size < session.requests_left()
        ):
            record.warn("Bills moved while the list was read: it was read once more, page by page.")
            again = session.bill_list(count=lambda: count_met(session, started), in_flight=1, size=bills.usual_size)
            _walk(session, again, started)
            bills.total = again.total
        else:
            record.lacks(
                "Bills moved while the list was read, which can hide some; it is too long to be read once more."
            )
    lacks_some = bills.total is None or count_met(session, started) < bills.total
    begins_too_late = lacks_some and _hides_a_page_before_the_first(session, bills, started)
    met = count_met(session, started)
    if bills.total is not None and met < bills.total:
        record.lacks(f"CashPay counts {bills.total} bills, its list shows {met}: {bills.total - met} were not found.")
    else:
        if bills.total is not None and met > bills.total:
            record.warn(f"CashPay counts {bills.total} bills, its list shows {met}: its count is not up to date.")
        if not begins_too_late:
            look_for_missing(session, started)
    session.save(lambda: save_progress(session, started, whole=not begins_too_late))


def _may_hide_bills(bills: BillList, met: int, total_at_end: int, *, arrived: bool) -> bool:
    """Whether bills that came or went during a walk can have hidden others from it."""
    if bills.total is None:
        return False
    if bills.total_moved and (met < bills.total or bills.total < total_at_end):
        return True
    if met < bills.total and bills.in_flight > 1 and bills.order == "none":  # rows change places, and the total stays
        return True
    return arrived and bills.in_flight > 1 and not (bills.total_moved and met == bills.total)


def read_arrivals(session: Session, bills: BillList, started: datetime) -> bool:
    """Read the list's first pages again until one brings nothing that this walk has not met; whether anything came."""
    arrived = False
    last: list[str | None] = []
    offset = 0
    while True:
        page = bills.read_page(offset)
        if page.keys in ([], last):
            return arrived
        is_new = not has_met(session, page, started, all_of_it=True)
        session.take_page(page)
        if not is_new:
            return arrived
        arrived = True
        last = page.keys
        offset += bills.size


def _hides_a_page_before_the_first(session: Session, bills: BillList, started: datetime) -> bool:
    """A server that counts pages from zero would hide its newest bills from a walk that starts at one."""
    if session.settings.first_page == 0:
        return False
    try:
        page = _page_zero(session, bills.size)
    except CashpayError as error:
        session.record.lacks(f"Whether CashPay's pages are counted from 0 could not be asked: {error.message}")
        return True
    if page is None or not page.records or has_met(session, page, started, all_of_it=True):
        return False
    session.take_page(bills.read_page(0))
    if has_met(session, page, started, all_of_it=True):  # what was new there has just come, to the first page too
        return False
    session.record.lacks(
        "CashPay's pages are counted from 0: set CASHPAY_FIRST_PAGE=0 and run again, bills are missing."
    )
    return True


def _page_zero(session: Session, size: int) -> Page | None:
    """The page before the first, or None where the server refuses it, be it with a 500.

    Raises:
        CashpayError: it cannot be asked, also not at the second attempt.
    """
    for tries in (1, MAX_TRIES):  # the first time a 500 is an answer, for which more tries would be in vain
        fetch = partial(session.fetch_page, tries=tries)
        try:
            return BillList(fetch, reference_of, session.created_at, lambda: 0, first_page=0).ask(0, size)
        except (CredentialsRejectedError, RateLimitedError, UnavailableError) as error:
            if getattr(error, "status", None) == SERVER_ERROR:
                return None
            if tries == MAX_TRIES:
                raise
        except CashpayError:
            return None
    return None


def save_progress(session: Session, started: datetime, *, whole: bool) -> None:
    """Move the watermark, never back, never past CashPay's clock; note a walk that came to the list's end."""
    now = session.now()
    session.warehouse.execute(
        """
        update core.accounts as account set watermark_at = greatest(account.watermark_at, (
            select max(created_at) from core.bills
            where account = ? and verified_at >= ? and created_at between ? and ?
        ))
        where account.account = ?
        """,
        [session.account, started, EARLIEST_SANE, now + FUTURE_TOLERATED, session.account],
    )
    if whole:
        session.warehouse.execute(
            """
            update core.accounts set full_walk_started_at = ?, full_walk_finished_at = ?,
                walk_started_at = null, walk_position = null, walk_page_size = null
            where account = ?
            """,
            [started, now, session.account],
        )
        resolve_unseen_issues(session.warehouse, session.account, started, now)
        doubt_zeros(session.warehouse, session.account)
