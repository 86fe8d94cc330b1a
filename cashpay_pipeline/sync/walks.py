"""The walks through the bill list, its newest end and the whole of it; and the gateways.

What a finished walk means is decided here: which bills are missing, whether the numbers agree with CashPay's, and how
far the watermark moves. Nothing is concluded from a walk that did not come to its end.
"""

from datetime import UTC, datetime, timedelta

from cashpay_pipeline.errors import CashpayError, GuardError
from cashpay_pipeline.normalize import TEXT, frame, normalize_gateways
from cashpay_pipeline.pagination import BillList, Page
from cashpay_pipeline.sync.missing import look_for_missing
from cashpay_pipeline.sync.session import Session, reference_of
from cashpay_pipeline.warehouse.gateways import save_gateways
from cashpay_pipeline.warehouse.issues import resolve_unseen_issues

FUTURE_TOLERATED = timedelta(minutes=5)
EARLIEST_SANE = datetime(2000, 1, 1, tzinfo=UTC)
RESUME_WITHIN = timedelta(days=14)
WHOLE_LIST_EVERY = timedelta(days=6, hours=20)
"""Weekly, also where a night begins some hours earlier than that of the week before."""


def read_gateways(session: Session) -> None:
    """Read the gateways on offer, and keep their history. An answer without any changes nothing."""
    session.stage = "gateways"
    session.tell()
    gateways, issues = normalize_gateways(session.client.fetch_gateways())
    known = session.value(
        "select count(*) from core.gateways where account = ? and missing_since is null", session.account
    )
    if issues:
        session.record.lacks(f"{len(issues)} gateways cannot be read ({issues[0].field}: {issues[0].reason}).")
    elif gateways.empty and known:
        session.record.lacks(f"CashPay shows no gateway, {known} were known: they were kept as they are.")
    else:
        with session.warehouse.transaction():
            save_gateways(session.warehouse, session.account, gateways, session.now())


def has_finished_a_walk(session: Session) -> bool:
    """Whether the whole list was ever read to its end."""
    return bool(
        session.value("select full_walk_finished_at is not null from core.accounts where account = ?", session.account)
    )


def read_newest_end(session: Session) -> None:
    """Read the newest end of the list until all further down is known and older than the overlap.

    Stopping early needs the order to hold in this very run; where it does not, the whole list is read. So it is where
    half of the requests does not suffice: else that end alone would be read each night, and what is below it never.
    One page is in flight at a time: what is read ahead of the stop would be asked for in vain.
    """
    session.stage = "newest bills"
    started = session.now()
    watermark = session.value("select watermark_at from core.accounts where account = ?", session.account)
    horizon = watermark - timedelta(hours=session.settings.overlap_hours) if watermark else EARLIEST_SANE
    bills = session.bill_list(count=lambda: _count_met(session, started), in_flight=1)
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
        _finish_whole_list(session, bills, started)
    elif bills.order == "none":
        session.record.warn("The list has no order to rely on: the whole of it is read.")
        if not _read_half_of_what_is_left(session):
            session.record.lacks("The list has no order and is too long for one run: the next run goes on.")
    elif is_too_far:
        session.record.warn("No bills known before were met at the newest end of the list: the whole of it is read.")
        _go_on_from_newest_end(session, bills, started)
        if not _read_half_of_what_is_left(session):
            session.record.lacks("The whole list is too long for one run: the next run goes on.")
    else:
        if bills.order != "oldest_first":
            _read_arrivals(session, bills, started)
        _finish_newest_end(session, bills, started)


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
    if begun is not None and account["walk_position"] > account["walk_page_size"]:
        bills = session.bill_list(count=lambda: _count_met(session, begun), size=account["walk_page_size"])
        if _walk(session, bills, begun, offset=account["walk_position"] - account["walk_page_size"], pages=pages):
            if bills.ended:
                passed = account["walk_position"]
                if session.record.kind == "full_refresh" or passed // bills.usual_size <= session.requests_left():
                    _read_passed_part_again(session, bills, passed)
                _finish_whole_list(session, bills, begun)
            return bills.ended
    bills = session.bill_list(count=lambda: _count_met(session, now))
    _walk(session, bills, now, pages=pages)
    if bills.ended:
        _finish_whole_list(session, bills, now)
    return bills.ended


def _go_on_from_newest_end(session: Session, bills: BillList, started: datetime) -> None:
    """Let the walk of the whole list go on where the newest end was left, if it is not done so already.

    A walk that began before the newest end was last read whole can have passed the place of bills that came since.
    """
    session.save()
    session.warehouse.execute(
        """
        update core.accounts as account set walk_started_at = ?, walk_position = ?, walk_page_size = ?
        where account.account = ? and (account.walk_started_at is null or exists (
            select 1 from core.syncs as sync
            where sync.account = account.account and sync.kind = 'refresh' and sync.complete
                and sync.finished_at > account.walk_started_at
        ))
        """,
        [started, bills.place, bills.usual_size, session.account],
    )


def _read_half_of_what_is_left(session: Session) -> bool:
    """Read the whole list as far as half of the request budget goes: the re-checks need the other half."""
    return read_whole_list(session, pages=max(1, session.requests_left() // 2))


def _read_passed_part_again(session: Session, bills: BillList, position: int) -> None:
    """Read what an interrupted walk had passed: bills can have changed since, or come there, also from further down.

    The numbers need not tell: a bill that was met and then deleted makes up for one that is hidden.
    """
    passed = session.bill_list(count=bills.count, size=bills.usual_size)
    for page in passed.walk():
        session.take_page(page)
        if page.offset + passed.size >= position:
            break


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
    number = 0
    first: Page | None = None
    lately = max(started, session.now() - RESUME_WITHIN)
    for number, page in enumerate(bills.walk(offset), start=1):
        if offset and first is None and not _met(session, page, lately):
            return False
        if offset and first is not None and number == 2 and bills.skips_rows(first, page):
            return False
        first = first or page

        def save_place() -> None:
            session.warehouse.execute(
                "update core.accounts set walk_started_at = ?, walk_position = ?, walk_page_size = ? where account = ?",
                [started, bills.place, bills.usual_size, session.account],
            )

        session.take_page(page, save_place)
        if pages and number == max(pages, 2):  # the first one repeats what was read
            session.save(save_place)
            break
    return number > 0 or not offset


def _finish_whole_list(session: Session, bills: BillList, started: datetime) -> None:
    """The list has ended: look again for what came meanwhile, compare, mark what is missing, move the watermark."""
    record = session.record
    session.save()
    record.list_order, session.list_size = bills.order, bills.usual_size
    known = session.value(
        "select count(*) from core.bills where account = ? and missing_since is null", session.account
    )
    if known and not _count_met(session, started):
        raise GuardError(
            f"The bill list is empty, while {known} bills are stored.",
            where=f"account {session.account}",
            next_step="Run `cashpay check`. If the account was emptied on purpose, use another CASHPAY_DATA_DIR.",
        )
    total_at_end = bills.total or 0
    arrived = bills.order != "oldest_first" and _read_arrivals(session, bills, started)
    if _may_hide_bills(bills, _count_met(session, started), total_at_end, arrived=arrived):
        if (
            record.kind == "full_refresh"
            or not has_finished_a_walk(session)
            or (bills.total or 0) // bills.usual_size < session.requests_left()
        ):
            record.warn("Bills moved while the list was read: it was read once more, page by page.")
            again = session.bill_list(count=lambda: _count_met(session, started), in_flight=1, size=bills.usual_size)
            _walk(session, again, started)
            bills.total = again.total
        else:
            record.lacks(
                "Bills moved while the list was read, which can hide some; it is too long to be read once more."
            )
    lacks_some = bills.total is None or _count_met(session, started) < bills.total
    begins_too_late = lacks_some and _hides_a_page_before_the_first(session, bills, started)
    met = _count_met(session, started)
    if bills.total is not None and met < bills.total:
        record.lacks(f"CashPay counts {bills.total} bills, its list shows {met}: {bills.total - met} were not found.")
    else:
        if bills.total is not None and met > bills.total:
            record.warn(f"CashPay counts {bills.total} bills, its list shows {met}: its count is not up to date.")
        if not begins_too_late:
            look_for_missing(session, started)
    session.save(lambda: _save_progress(session, started, whole=not begins_too_late))


def _may_hide_bills(bills: BillList, met: int, total_at_end: int, *, arrived: bool) -> bool:
    """Whether bills that came or went during a walk can have hidden others from it."""
    if bills.total is None:
        return False
    if bills.total_moved and (met < bills.total or bills.total < total_at_end):
        return True
    if met < bills.total and bills.in_flight > 1 and bills.order == "none":  # rows change places, and the total stays
        return True
    return arrived and bills.in_flight > 1 and not (bills.total_moved and met == bills.total)


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
    session.save(lambda: _save_progress(session, started, whole=False))


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


def _read_arrivals(session: Session, bills: BillList, started: datetime) -> bool:
    """Read the list's first pages again until one brings nothing that this walk has not met; whether anything came."""
    arrived = False
    last: list[str | None] = []
    offset = 0
    while True:
        page = bills.read_page(offset)
        if page.keys in ([], last):
            return arrived
        is_new = not _met(session, page, started, all_of_it=True)
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
        page = BillList(session.try_page, reference_of, session.created_at, lambda: 0, bills.size, first_page=0).ask(
            0, bills.size
        )
    except CashpayError:
        return False
    if not page.records or _met(session, page, started, all_of_it=True):
        return False
    session.take_page(bills.read_page(0))
    if _met(session, page, started, all_of_it=True):  # what was new there has just come, and is on the first page too
        return False
    session.record.lacks(
        "CashPay's pages are counted from 0: set CASHPAY_FIRST_PAGE=0 and run again, bills are missing."
    )
    return True


def _is_known_ground(session: Session, page: Page, started: datetime, horizon: datetime) -> bool:
    """Whether every row of a page is older than the horizon and was stored before this run."""
    if any((moment := session.created_at(r)) is None or moment >= horizon for r in page.records):
        return False
    return _count(session, page, "first_seen_at < ?", started) == _size(page)


def _met(session: Session, page: Page, started: datetime, *, all_of_it: bool = False) -> bool:
    """Whether this walk has met a page's rows before: any of them, or all."""
    session.save()
    met = _count(session, page, "verified_at >= ?", started)
    return met == _size(page) if all_of_it else met > 0


def _size(page: Page) -> int:
    """How many different keys a page has."""
    return len(set(page.keys) - {None})


def _count(session: Session, page: Page, condition: str, moment: datetime) -> int:
    """How many keys of a page are stored, as bills or set aside, and fulfil a condition on when they were read.

    Bills are looked for where their creation times say, so that DuckDB passes over the others; elsewhere if need be.
    """
    references = frame([(key,) for key in set(page.keys)], {"order_reference": TEXT})
    created = [c for r in page.records if (c := session.created_at(r))]
    count = 0
    for near in (["created_at between $3 and $4"] if created else []) + ["true"]:
        count = session.warehouse.execute(
            f"""
            select count(distinct order_reference) from (
                select order_reference, first_seen_at, verified_at from core.bills where account = $1 and {near}
                union all
                select order_reference, first_seen_at, last_seen_at from core.data_issues
                where account = $1 and source = 'list'
            )
            where order_reference in (select order_reference from page_row) and {condition.replace("?", "$2")}
            """,  # noqa: S608 - conditions of ours
            [session.account, moment, *([min(created), max(created)] if near != "true" else [])],
            page_row=references,
        )
        if count == _size(page):
            break
    return count


def _count_met(session: Session, started: datetime) -> int:
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


def _save_progress(session: Session, started: datetime, *, whole: bool) -> None:
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
