"""Walk the bill list completely: page size, stop rules, drift, loop guard. Knows no HTTP and no bill.

Nothing is promised about the list but that it has pages. Therefore:

- The shape is detected on the first page and pinned; an unknown one is an error, never zero bills.
- The list ends with an empty page (also a 204, or a 404 after the first page). A short page or `total` never end it.
  Where the empty page tells no `total` and others do, the page before it and the end are read once more.
- A page that repeats is drift, the end, or a list without pages: see `_is_end`.
- A first page that is shorter than asked may mean a server that caps the size, yet skips by the size asked for. From
  there on the walk asks for the size it got, which is right in every case.
- With several pages in flight, a bill created between two requests can hide a row, and so can a deletion at any time.
  Then `total` drops from one page to the next in list order, and the pages around that place are read again in order.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from cashpay_pipeline.errors import (
    CashpayError,
    PagingError,
    ReplyTooLargeError,
    RequestRefusedError,
    UnavailableError,
    UnexpectedReplyError,
)
from cashpay_pipeline.redaction import Redactor
from cashpay_pipeline.shapes import Clean, find_records

FALLBACK_SIZE = 20
"""The largest page size that any public integration is known to use."""

USUAL_SIZES = (10, 15, 20, 25, 30, 50, 100, 200, 250, 500, 1000)
"""Page sizes that servers choose by themselves: so many rows of a list without pages may be its first page only."""

RECENT_PAGES = 8
READ_AGAIN_AT_MOST = 3
AGAIN_IF_TOTAL_WAVERS = 20
"""Pages, or half of the list, that are read again in a walk whose `total` rises after it has dropped."""

ListOrder = Literal["newest_first", "oldest_first", "none", "unknown"]


class PageReply(Protocol):
    """What the client gives for one page."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def body(self) -> Any:
        """What the JSON says; None where there is none."""

    @property
    def asked_at(self) -> datetime:
        """When it was asked for, UTC."""

    @property
    def received_at(self) -> datetime:
        """When it arrived, UTC."""


@dataclass(frozen=True)
class Page:
    """One page as it was read.

    Attributes:
        offset: rows of the list before it, by the page number and size that were asked for.
        records: rows, in the list's order; a row that is not an object is passed on as it is.
        keys: the rows' keys, in the same order; None where a row has none.
        total: how many rows the API says there are, or None.
        asked_at, received_at: when it was asked for and when it came, UTC; None for a page that does not exist (404).
    """

    offset: int
    records: list[Any]
    keys: list[str | None]
    total: int | None
    asked_at: datetime | None = None
    received_at: datetime | None = None


class OrderWatch:
    """Judges the list's order by the creation times of rows met for the first time, in the order met."""

    def __init__(self) -> None:
        self._last: datetime | None = None
        self._fell = self._rose = False

    def see(self, moment: datetime | None) -> None:
        """Take note of the next row; a row without a time says nothing."""
        if moment is None:
            return
        if self._last is not None:
            self._fell = self._fell or moment < self._last
            self._rose = self._rose or moment > self._last
        self._last = moment

    def jump(self) -> None:
        """Do not compare the next row with the last: it comes from another place."""
        self._last = None

    @property
    def order(self) -> ListOrder:
        """What has been seen so far."""
        if self._fell and self._rose:
            return "none"
        if self._fell:
            return "newest_first"
        return "oldest_first" if self._rose else "unknown"


@dataclass
class BillList:
    """The list of bills, to be walked once.

    Args:
        fetch: reads one page by number and size.
        reference: a row's key, or None where it has none.
        created_at: a row's creation time, or None.
        count: how many different rows were read so far, in this walk or in the part of it that came before.
        page_size: rows to ask for.
        first_page: number of the first page.
        in_flight: how many pages may be asked for at once, where `total` allows it.
        clean: masks a text of the server's.

    Attributes:
        ended: whether a walk has come to the list's end.
        pages: pages read so far.
        place: rows that need not be read again: where another walk may go on after this one was stopped.
        size: rows a page now; fewer than usual while a place is read that cannot be had otherwise.
        usual_size: rows a page that the list gives.
        total: what the API last said that there are, None where it says nothing usable.
        total_moved: whether it ever changed during the walk.
    """

    fetch: Callable[[int, int], PageReply]
    reference: Callable[[Any], str | None]
    created_at: Callable[[Any], datetime | None]
    count: Callable[[], int]
    page_size: int = 100
    first_page: int = 1
    in_flight: int = 1
    clean: Clean = Redactor().clean

    ended: bool = field(default=False, init=False)
    pages: int = field(default=0, init=False)
    place: int = field(default=0, init=False)
    total: int | None = field(default=None, init=False)
    total_moved: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.size = self.usual_size = self.page_size
        self._envelope: str | None = None
        self._forward_watch, self._backward_watch = OrderWatch(), OrderWatch()
        self._recent: deque[list[str | None]] = deque(maxlen=RECENT_PAGES)
        self._recent_keys: set[str] = set()

    @property
    def order(self) -> ListOrder:
        """The order of what was read so far."""
        if self._backward_watch.order in ("oldest_first", "none"):
            return "none"
        return self._forward_watch.order

    def agrees(self) -> bool:
        """Whether as many different rows were read as the API says there are."""
        return self.total is not None and self.count() == self.total

    def walk(self, offset: int = 0) -> Iterator[Page]:
        """Read pages in the list's order from the one that holds row `offset` on, to the end.

        Raises:
            PagingError: the list cannot be walked to its end.
            UnexpectedReplyError: a page has no list that we know, or another shape than the page before.
            CashpayError: what `fetch` raises.
        """
        with ThreadPoolExecutor(max_workers=max(1, self.in_flight)) as pool:
            ahead = _Ahead(self, pool, offset - offset % self.size)
            last_total: int | None = None
            last_keys: list[str | None] = []
            drops: Counter[int] = Counter()
            again, wavers = 0, False
            doubted: tuple[int, int | None] | None = None
            while True:
                page = ahead.next()
                if page.records and page.keys == last_keys:
                    self.pages += 1
                    self._note_total(page)
                    if self._is_end(page):
                        self.ended = True
                        return
                    last_total, last_keys = page.total, []
                    continue
                self._note(page)
                if page.offset == 0 and 0 < len(page.records) < self.size:
                    self.size = len(page.records)
                    ahead.go_to(self.size)
                if page.offset == 0:
                    self.usual_size = self.size
                dropped = 0 if page.total is None else max(0, (last_total or 0) - page.total)
                wavers = wavers or (bool(drops) and (page.total or 0) > (last_total or 0))
                if wavers and again >= max(AGAIN_IF_TOTAL_WAVERS, (page.total or 0) // self.size // 2):
                    dropped = 0  # it differs from server to server, and says nothing about deletions
                if not page.records and page.total is None and last_total and doubted != (page.offset, last_total):
                    dropped, doubted = 1, (page.offset, last_total)  # it cannot show a drop: the page before it can
                if drops[page.offset] == READ_AGAIN_AT_MOST:
                    dropped = 0  # the total wavers
                self.place = page.offset + self.size
                if dropped:  # what was behind deleted rows has moved up before this page
                    self.place = max(0, page.offset - -(-dropped // self.size) * self.size)
                if page.records:
                    yield page
                if dropped:
                    drops[page.offset] += 1
                    again += (page.offset - self.place) // self.size + 1
                    self._forward_watch.jump()
                    ahead.go_to(self.place, alone=True)
                elif not page.records:
                    self._look_further(page)
                    self.ended = True
                    return
                last_total, last_keys = page.total or last_total, [] if dropped else page.keys

    def walk_back(self, first: Page) -> Iterator[Page]:
        """Read pages from the list's end down to the first, for a list that is oldest first and has a `total`.

        Bills created meanwhile are appended and move nothing; `walk(end)` reads them afterwards, `end` being the
        offset of the first page that this yields.
        """
        end = (first.total or 0) + 1
        while end > len(first.records):
            size = self.size
            page = self._read((end - 1) // size * size)
            if self.size < size:  # these are the first rows of that page: its last ones come before them
                continue
            self._note(page, backwards=True)
            yield page
            end = page.offset

    def read_page(self, offset: int) -> Page:
        """Read one page, the one that holds row `offset`, outside a walk."""
        page = self._read(offset - offset % self.size)
        self.pages += 1
        self._note_total(page)
        return page

    def skips_rows(self, short: Page, following: Page) -> bool:
        """Whether rows are lacking between two pages: the first is short, as of a server that gives fewer than asked.

        Asked for by the size that was got, the list shows what follows it in any case: the second page begins with it.
        """
        size = len(short.records)
        if not 0 < size < following.offset - short.offset:
            return False

        def first_of(page: Page) -> str | None:
            return next((key for key in page.keys if key is not None and key not in short.keys), None)

        for offset in range((short.offset + size) // size * size, following.offset + size, size):
            self.pages += 1
            if follows := first_of(self.ask(offset, size)):
                return follows != first_of(following)
        return True

    def _is_end(self, page: Page) -> bool:
        """A page equal to the one before it: is the list at its end?

        - One more is asked for: new bills can have shifted the list by just a page.
        - If that one is equal too, and as many rows were read as `total` says, or it is so far down that `total` leaves
          none: the server shows its last page, or its only one, for ever. Bills that came or went meanwhile are for
          the caller to look for. Where only one page was ever read, the total may count no more than that page.
        - Else a list without pages is whole where there is no `total` and nothing says that it is only the first page.

        Raises:
            PagingError: the list repeats itself and nothing can be said about the rows that are missing.
        """
        further = self._read(page.offset + self.size)
        self.pages += 1
        if further.keys != page.keys:
            return False
        if self.agrees() or (self.total is not None and page.offset >= self.total):
            if self.count() > len(page.records) or self._counts_the_list(len(page.records)):
                return True
            self.total = None
        read = self.count()
        if self.total is None and read == len(page.records) and not self._may_be_a_part(read):
            return True
        raise PagingError(
            f"Pages up to {self._number(further.offset)} repeat the same {len(page.records)} rows, while {read} bills "
            f"of {'an unknown number' if self.total is None else self.total} were read.",
            where=f"bill list, page {self._number(page.offset)}",
        )

    def _may_be_a_part(self, rows: int) -> bool:
        """Whether a list without pages may have more than these rows: a usual size, or one that heeds what is asked."""
        if rows in (self.page_size, *USUAL_SIZES):
            return True
        self.pages += 1
        return len(self.ask(0, max(1, rows - 1)).records) < rows

    def _counts_the_list(self, rows: int) -> bool:
        """Whether a `total` equal to the rows of the only page stays when another size is asked for.

        Where the size changes nothing, a usual number of rows may be a page of a list whose parameters are others.
        """
        self.pages += 1
        other = self.ask(0, rows - 1 or 2)
        return other.total == self.total and (len(other.records) != rows or rows not in USUAL_SIZES)

    def _look_further(self, empty: Page) -> None:
        """An empty page is the end, unless the rows do not add up and the page after it has some (P7)."""
        if self.agrees():
            return
        further = self._read(empty.offset + self.size)
        self.pages += 1
        if further.records and further.keys not in self._recent:
            raise PagingError(
                f"Page {self._number(empty.offset)} is empty, but page {self._number(further.offset)} is not.",
                where=f"bill list, page {self._number(empty.offset)}",
                next_step="Run again; if it stays, report it to CashPay: bills may be hidden there.",
            )

    def _read(self, offset: int) -> Page:
        try:
            return self.ask(offset, self.size)
        except (RequestRefusedError, ReplyTooLargeError, UnavailableError) as error:
            return self.ask_for_less(offset, error)

    def ask_for_less(self, offset: int, error: CashpayError) -> Page:
        """Read a place again in smaller pages, after a refusal of the size or to corner a row that breaks its page.

        Nothing is skipped: at the smallest size the error stands, and names the place.
        """
        while True:
            refused = isinstance(error, RequestRefusedError) and error.status in (400, 422)
            breaks = isinstance(error, ReplyTooLargeError) or getattr(error, "status", None) in (413, 500)
            if self.size > FALLBACK_SIZE and (refused or breaks):
                self.size = FALLBACK_SIZE
            elif self.size > 1 and breaks:
                self.size //= 2
            else:
                raise error
            try:
                return self.ask(offset - offset % self.size, self.size)
            except (RequestRefusedError, ReplyTooLargeError, UnavailableError) as again:
                error = again

    def ask(self, offset: int, size: int) -> Page:
        """One request for one page."""
        number = offset // size + self.first_page
        try:
            reply = self.fetch(number, size)
        except RequestRefusedError as error:
            if error.status == 404 and number > self.first_page:
                return Page(offset, [], [], None)
            raise
        if reply.status == 204:
            return Page(offset, [], [], None, reply.asked_at, reply.received_at)
        envelope, records, total = find_records(reply.body, self.clean, where=f"bill list, page {number}")
        if self._envelope is None:
            self._envelope = envelope
        elif envelope != self._envelope:
            raise UnexpectedReplyError(
                f"The list changed its shape during the walk, from {self._envelope} to {envelope}.",
                where=f"bill list, page {number}",
            )
        if not records and offset:
            total = total or None  # counted over the page, not over the list
        return Page(offset, records, [self.reference(r) for r in records], total, reply.asked_at, reply.received_at)

    def _number(self, offset: int) -> int:
        return offset // self.size + self.first_page

    def _note(self, page: Page, *, backwards: bool = False) -> None:
        """Take a page into account: order and total."""
        self.pages += 1
        watch = self._backward_watch if backwards else self._forward_watch
        rows = list(zip(page.keys, page.records, strict=True))
        for key, record in reversed(rows) if backwards else rows:
            if key is None or key in self._recent_keys:
                continue
            watch.see(self.created_at(record))
            self._recent_keys.add(key)
        self._recent.append(page.keys)
        self._recent_keys = {k for keys in self._recent for k in keys if k is not None}
        self._note_total(page)

    def _note_total(self, page: Page) -> None:
        if page.total is not None:
            self.total_moved = self.total_moved or self.total not in (None, page.total)
            self.total = page.total


class _Ahead:
    """Hands out pages in order, and asks for the next ones meanwhile where `total` says that they exist."""

    def __init__(self, bills: BillList, pool: ThreadPoolExecutor, offset: int) -> None:
        self._bills = bills
        self._pool = pool
        self._coming: deque[tuple[int, Future[Page]]] = deque()
        self._next = offset
        self._small_until = 0
        self._alone = True

    def next(self) -> Page:
        """The next page."""
        bills = self._bills
        if not self._coming and self._next >= self._small_until:
            bills.size = bills.usual_size
            self.go_to(self._next)
        while not self._coming or (
            not self._alone and len(self._coming) < bills.in_flight and self._next <= (bills.total or 0)
        ):
            self._coming.append((self._next, self._pool.submit(bills.ask, self._next, bills.size)))
            self._next += bills.size
        self._alone = bills.total is None or bills.in_flight == 1 or bills.size < bills.usual_size
        offset, answer = self._coming.popleft()
        try:
            return answer.result()
        except (RequestRefusedError, ReplyTooLargeError, UnavailableError) as error:
            is_any_place = offset == self._small_until  # the next large page fails too: then it is the size
            self._small_until = max(self._small_until, offset + bills.size)
            page = bills.ask_for_less(offset, error)
            bills.usual_size = bills.size if is_any_place else bills.usual_size
            self.go_to(page.offset + bills.size, alone=True)
            return page

    def go_to(self, offset: int, *, alone: bool = False) -> None:
        """Forget what was asked for ahead and go on from another place, for one page alone if need be."""
        for _, future in self._coming:
            future.cancel()
        self._coming.clear()
        self._next = offset - offset % self._bills.size
        self._alone = alone or self._alone
