"""The walk through a bill list, against a list in memory that can be wrong in every way the documentation leaves open.

Requests are answered in an order that the test decides, also where several are in flight: see `OrderedPool`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cashpay_pipeline import pagination
from cashpay_pipeline.errors import (
    CashpayError,
    PagingError,
    ReplyTooLargeError,
    RequestRefusedError,
    UnavailableError,
    UnexpectedReplyError,
)
from cashpay_pipeline.pagination import BillList, OrderWatch, Page
from cashpay_pipeline.redaction import Redactor
from cashpay_pipeline.shapes import find_records

CLEAN = Redactor().clean
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any
    asked_at: datetime = NOON
    received_at: datetime = NOON


def bill(number: int) -> dict[str, Any]:
    return {"order_reference": f"B{number:03}", "minute": number}


def reference(record: Any) -> str | None:
    return record.get("order_reference") if isinstance(record, dict) else None


def created_at(record: Any) -> datetime | None:
    return NOON + timedelta(minutes=record["minute"]) if isinstance(record, dict) and "minute" in record else None


@dataclass
class FakeList:
    """A list of `n` bills. `changes` come just before the request of that number: `+` a new bill, or a place to delete.

    Args:
        n: bills at the beginning.
        order: `newest_first` or `oldest_first`.
        cap: most rows it gives; 0 is no cap.
        skips_by: whether a capped page skips by the `cap` or by the size `asked` for.
        paging: `page`, `zero_based`, `ignored` (the whole list) or `page_ignored` (the first page for ever).
        end: what is past the end: `empty`, `204`, `404`, `last_page`.
        total: `right`, `missing`, `low`, `high`, `stale` (that of the beginning), `wavering`, `replicas` (it
            is lower by 60 or not, by chance), `page` (its own rows).
        empty_at, short_at: numbers of pages that come empty, or half full, though more follow.
        broken: a row that breaks its page, and how.
    """

    n: int
    order: str = "newest_first"
    cap: int = 0
    skips_by: str = "cap"
    paging: str = "page"
    end: str = "empty"
    total: str = "right"
    changes: Mapping[int, list[Any]] = field(default_factory=dict)
    empty_at: int = 0
    short_at: int = 0
    broken: tuple[str, Callable[[], CashpayError]] | None = None
    refuses_above: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.rows = [bill(i) for i in range(self.n)]
        self.first = {r["order_reference"] for r in self.rows}
        self.next_number = self.n
        self.asked: list[tuple[int, int]] = []

    @property
    def stayed(self) -> set[str]:
        """The bills that were there all the time."""
        return self.first & {r["order_reference"] for r in self.rows}

    @property
    def grew(self) -> bool:
        return self.next_number > self.n

    def fetch(self, number: int, size: int) -> Reply:
        self.asked.append((number, size))
        for change in self.changes.get(len(self.asked), []):
            self._change(change)
        limit, status = self.refuses_above
        if 0 < limit < size:
            raise RequestRefusedError("Too many rows.", status=status)
        rows = self.rows[::-1] if self.order == "newest_first" else list(self.rows)
        given = min(size, self.cap) if self.cap else size
        step = size if self.skips_by == "asked" else given
        index = {"zero_based": number, "page_ignored": 0}.get(self.paging, number - 1)
        start = index * step
        if self.paging == "ignored":
            start, given = 0, max(1, len(rows))
        if start >= len(rows) and start > 0:
            if self.end == "404":
                raise RequestRefusedError("Page not found", status=404)
            if self.end == "last_page" and rows:
                start = (len(rows) - 1) // given * given
        if number == self.empty_at:
            given = 0
        page = rows[start : start + (given // 2 if number == self.short_at else given)]
        if self.broken and any(r["order_reference"] == self.broken[0] for r in page):
            raise self.broken[1]()
        if not page and self.end == "204":
            return Reply(204, None)
        return Reply(200, {"items": page, **(self._total() if self.total != "page" else {"count": len(page)})})

    def _change(self, change: Any) -> None:
        if change == "+":
            self.rows.append(bill(self.next_number))
            self.next_number += 1
        elif self.rows:
            newest_first = len(self.rows) - 1 - change % len(self.rows)
            del self.rows[newest_first]

    def _total(self) -> dict[str, Any]:
        n = len(self.rows)
        totals = {
            "right": n,
            "low": n * 9 // 10,
            "high": n + 3,
            "stale": self.n,
            "wavering": n - len(self.asked) % 2,
            "replicas": n - 60 * Random(len(self.asked)).randrange(2),
            "zero": 0,
            "null": None,
            "text": str(n),
            "words": "many",
        }
        return {} if self.total == "missing" else {"total": totals[self.total]}


class OrderedPool:
    """In place of a thread pool: what was submitted is in flight until a result is wanted.

    Then some of the others are served first, the last submitted first: so many as `early` says next.
    """

    def __init__(self, early: Iterator[int]) -> None:
        self._early = early
        self.waiting: list[Pending] = []
        self.most_waiting = 0

    def __enter__(self) -> "OrderedPool":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, call: Callable[..., Any], *arguments: Any) -> "Pending":
        pending = Pending(self, call, arguments)
        self.waiting.append(pending)
        self.most_waiting = max(self.most_waiting, len(self.waiting))
        return pending

    def serve_before(self, wanted: "Pending") -> None:
        others = [p for p in reversed(self.waiting) if p is not wanted]
        for other in others[: next(self._early, 0)]:
            other.run()


class Pending:
    def __init__(self, pool: OrderedPool, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._pool, self._call, self._arguments = pool, call, arguments
        self._answer: Any = None

    def run(self) -> None:
        self._pool.waiting.remove(self)
        try:
            self._answer = self._call(*self._arguments)
        except CashpayError as error:
            self._answer = error

    def cancel(self) -> None:
        if self in self._pool.waiting:
            self._pool.waiting.remove(self)

    def result(self) -> Any:
        if self in self._pool.waiting:
            self._pool.serve_before(self)
            self.run()
        if isinstance(self._answer, CashpayError):
            raise self._answer
        return self._answer


@dataclass
class Outcome:
    """What a walk came to; `total_fell` if the total did after its last page."""

    bills: BillList
    rows: list[Any]
    pages: list[Page]
    error: CashpayError | None
    total_fell: bool = False

    @property
    def references(self) -> list[str]:
        return [reference(r) or "" for r in self.rows]


def read(
    fake: FakeList, *, size: int = 10, early: list[int] | None = None, in_flight: int = 1, first_page: int = 1
) -> Outcome:
    """Walk the list and then read its newest end again, as a sync does; keep all rows, and the error if one ends it."""
    met: set[str | None] = set()
    pages: list[Page] = []
    rows: list[Any] = []
    bills = BillList(fake.fetch, reference, created_at, lambda: len(met), size, first_page, in_flight)
    pool = OrderedPool(iter(early or []))

    def take(page: Page) -> bool:
        """Take a page; whether it brought anything."""
        before = len(met)
        met.update(reference(r) for r in page.records)
        rows.extend(page.records)
        return len(met) > before

    with patch.object(pagination, "ThreadPoolExecutor", lambda max_workers: pool):
        try:
            for page in bills.walk():
                assert len(fake.asked) < 2_000, "the walk does not end"
                pages.append(page)
                take(page)
            offset, total = 0, bills.total
            while bills.order != "oldest_first" and take(bills.read_page(offset)):
                offset += bills.size
        except CashpayError as error:
            return Outcome(bills, rows, pages, error)
    return Outcome(bills, rows, pages, None, total is not None and bills.total < total)


def names(numbers: range) -> list[str]:
    return [f"B{i:03}" for i in numbers]


# What is asked for: pages, the proof of the end, the newest page again


@pytest.mark.parametrize(
    ("contract", "asked"),
    [
        ({"n": 0}, [(1, 10), (1, 10)]),
        ({"n": 3}, [(1, 10), (2, 3), (1, 3)]),
        ({"n": 10}, [(1, 10), (2, 10), (1, 10)]),
        ({"n": 25}, [(1, 10), (2, 10), (3, 10), (4, 10), (1, 10)]),
        # An end that tells no total is come to twice.
        ({"n": 25, "end": "204"}, [(1, 10), (2, 10), (3, 10), (4, 10), (3, 10), (4, 10), (1, 10)]),
        ({"n": 25, "end": "404"}, [(1, 10), (2, 10), (3, 10), (4, 10), (3, 10), (4, 10), (1, 10)]),
        # A page that repeats is asked for once more: it could be drift.
        ({"n": 25, "end": "last_page"}, [(1, 10), (2, 10), (3, 10), (4, 10), (5, 10), (1, 10)]),
        # Where one page is all, the total is looked at once more: does it change with the size?
        ({"n": 26, "paging": "ignored"}, [(1, 10), (2, 10), (3, 10), (1, 25), (1, 10)]),
        # Without a total, the page after the end is looked at too (P7), and so is whether a smaller page is smaller.
        ({"n": 25, "total": "missing"}, [(1, 10), (2, 10), (3, 10), (4, 10), (5, 10), (1, 10)]),
        ({"n": 26, "total": "missing", "paging": "ignored"}, [(1, 10), (2, 10), (3, 10), (1, 25), (1, 10)]),
    ],
    ids=lambda v: "-".join(f"{k}={x}" for k, x in v.items()) if isinstance(v, dict) else "",
)
def test_H4_a_walk_costs_its_pages_the_proof_of_the_end_and_one_page_again(contract, asked):
    fake = FakeList(**contract)
    outcome = read(fake)
    assert (outcome.error, fake.asked) == (None, asked)
    assert set(outcome.references) == fake.stayed
    assert outcome.bills.ended
    assert outcome.bills.agrees() == (fake.total != "missing")


@pytest.mark.parametrize("in_flight", [1, 2, 4])
def test_pages_come_in_order_and_what_is_in_flight_is_limited(in_flight):
    fake = FakeList(97)
    met: set[str | None] = set()
    bills = BillList(fake.fetch, reference, created_at, lambda: len(met), 10, 1, in_flight)
    pool = OrderedPool(iter([3] * 50))
    with patch.object(pagination, "ThreadPoolExecutor", lambda max_workers: pool):
        pages = [met.update(map(reference, p.records)) or p for p in bills.walk()]
    assert [p.offset for p in pages] == list(range(0, 100, 10))
    assert [reference(r) for p in pages for r in p.records] == names(range(97))[::-1]
    assert pool.most_waiting == in_flight
    assert sorted(fake.asked) == [(i, 10) for i in range(1, 12)]
    assert (bills.order, bills.pages, bills.total) == ("newest_first", 11, 97)


def test_a_walk_can_begin_in_the_middle():
    fake = FakeList(25)
    bills = BillList(fake.fetch, reference, created_at, lambda: 25, 10)
    assert [p.offset for p in bills.walk(14)] == [10, 20]
    assert fake.asked == [(2, 10), (3, 10), (4, 10)]


# Table P


@pytest.mark.parametrize("in_flight", [1, 2, 3])
@pytest.mark.parametrize("at", range(1, 9))
def test_P1_new_bills_on_top_only_repeat_rows(at, in_flight):
    fake = FakeList(45, changes={at: ["+", "+"]})
    outcome = read(fake, in_flight=in_flight, early=[1] * 99)
    assert set(outcome.references) == {r["order_reference"] for r in fake.rows}
    assert (outcome.error, outcome.bills.agrees(), outcome.bills.order) == (None, True, "newest_first")


def test_P1_a_bill_created_while_pages_are_in_flight_hides_no_row():
    """Page 4 is served, a bill arrives, page 3 is served: bill B030 is on neither."""
    fake = FakeList(60, changes={4: ["+"]})
    outcome = read(fake, in_flight=2, early=[0, 0, 1])
    assert [n for n, _ in fake.asked[:6]] == [1, 2, 4, 3, 3, 4]
    assert outcome.references.count("B030") == 1
    assert set(outcome.references) == set(names(range(61)))


@pytest.mark.parametrize("place", [0, 9, 10, 19, 25])
@pytest.mark.parametrize("at", range(1, 7))
@pytest.mark.parametrize("in_flight", [1, 3])
def test_P4_a_deletion_hides_no_row_where_the_total_tells(in_flight, at, place):
    fake = FakeList(45, changes={at: [place]})
    outcome = read(fake, in_flight=in_flight, early=[0, 1, 0, 1, 1, 0, 1])
    assert fake.stayed <= set(outcome.references)
    assert outcome.error is None


def test_P4_many_deletions_at_once_are_gone_back_for():
    fake = FakeList(90, changes={6: [0] * 25})
    outcome = read(fake)
    assert fake.stayed <= set(outcome.references)
    assert [n for n, _ in fake.asked[:9]] == [1, 2, 3, 4, 5, 6, 3, 4, 5]


def test_P4_a_total_that_wavers_does_not_keep_the_walk_for_ever():
    fake = FakeList(55, total="wavering")
    outcome = read(fake)
    assert set(outcome.references) == fake.stayed
    assert len(fake.asked) < 50


@pytest.mark.parametrize("skips_by", ["cap", "asked"])
@pytest.mark.parametrize("total", ["right", "missing", "low", "high", "stale"])
@pytest.mark.parametrize("in_flight", [1, 3])
def test_P5_a_server_that_caps_the_page_is_read_completely(in_flight, total, skips_by):
    fake = FakeList(45, cap=4, skips_by=skips_by, total=total)
    outcome = read(fake, in_flight=in_flight)
    assert (outcome.error, outcome.references[:45]) == (None, names(range(45))[::-1])
    assert fake.asked[:3] == [(1, 10), (2, 4), (3, 4)]
    assert {size for _, size in fake.asked[1:]} == {4}


@pytest.mark.parametrize("total", ["right", "missing"])
def test_P6_a_short_page_in_the_middle_does_not_end_the_list(total):
    fake = FakeList(45, short_at=2, total=total)
    outcome = read(fake)
    assert {n for n, _ in fake.asked} >= {1, 2, 3, 4, 5, 6}
    missing = fake.stayed - set(outcome.references)
    assert len(missing) == 5  # this server skips what it did not show: nobody can read it, but a total tells
    assert outcome.bills.agrees() is False


@pytest.mark.parametrize("total", ["right", "missing", "low", "high", "stale"])
@pytest.mark.parametrize("end", ["empty", "204", "404"])
@pytest.mark.parametrize("in_flight", [1, 2])
def test_P7_an_empty_page_in_the_middle_is_an_error(in_flight, end, total):
    fake = FakeList(45, empty_at=3, total=total, end=end)
    outcome = read(fake, in_flight=in_flight)
    assert isinstance(outcome.error, PagingError)
    assert outcome.error.message == "Page 3 is empty, but page 4 is not."
    assert outcome.error.where == "bill list, page 3"
    assert not outcome.bills.ended


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ({"n": 45, "paging": "page_ignored"}, "Pages up to 3 repeat the same 10 rows, while 10 bills of 45 were read."),
        (
            {"n": 45, "paging": "page_ignored", "total": "missing"},
            "Pages up to 3 repeat the same 10 rows, while 10 bills of an unknown number were read.",
        ),
        # The cap is no size that was asked for at first, but a smaller page is smaller: there is more behind it.
        (
            {"n": 45, "paging": "page_ignored", "total": "missing", "cap": 7},
            "Pages up to 3 repeat the same 7 rows, while 7 bills of an unknown number were read.",
        ),
        # No page and no size is heeded, and just so many rows as servers give by themselves.
        (
            {"n": 20, "paging": "ignored", "total": "missing"},
            "Pages up to 3 repeat the same 20 rows, while 20 bills of an unknown number were read.",
        ),
        (
            {"n": 10, "paging": "ignored", "total": "missing"},
            "Pages up to 3 repeat the same 10 rows, while 10 bills of an unknown number were read.",
        ),
        (
            {"n": 20, "paging": "ignored"},
            "Pages up to 3 repeat the same 20 rows, while 20 bills of an unknown number were read.",
        ),
        (
            {"n": 45, "paging": "ignored", "total": "high"},
            "Pages up to 3 repeat the same 45 rows, while 45 bills of 48 were read.",
        ),
    ],
    ids=["page_ignored", "no_total", "capped", "usual_size", "size_asked", "usual_total", "total_says_more"],
)
def test_P8_the_same_page_for_ever_is_an_error(contract, message):
    outcome = read(FakeList(**contract))
    assert isinstance(outcome.error, PagingError)
    assert outcome.error.message == message


@pytest.mark.parametrize("cap", [0, 7, 20], ids=["as asked", "odd cap", "default of a server that knows no size"])
def test_P8_a_total_that_counts_the_page_does_not_make_the_first_page_the_list(cap):
    """The page parameter has another name there, and each reply says how many rows it has itself."""
    outcome = read(FakeList(200, paging="page_ignored", cap=cap, total="page"), size=100)
    assert isinstance(outcome.error, PagingError)
    assert "of an unknown number were read" in outcome.error.message


@pytest.mark.parametrize("total", ["right", "missing", "text", "zero", "low"])
@pytest.mark.parametrize("n", [1, 7, 26, 45])
def test_P8_a_list_without_pages_is_read_whole(n, total):
    fake = FakeList(n, paging="ignored", total=total)
    outcome = read(fake)
    assert (outcome.error, outcome.bills.ended) == (None, True)
    assert set(outcome.references) == fake.stayed


@pytest.mark.parametrize(
    ("n", "total", "changes"),
    [
        (45, "right", {4: ["+"] * 10}),
        (30, "stale", {1: ["+"] * 10, 4: ["+"] * 10}),
        (30, "stale", {1: ["+"] * 25, 6: ["+"] * 10}),
    ],
    ids=["total_says_more", "old_total_agrees", "old_total_leaves_none"],
)
def test_P8_a_page_that_repeats_because_a_page_of_bills_arrived_is_not_the_end(n, total, changes):
    fake = FakeList(n, total=total, changes=changes)
    outcome = read(fake)
    assert outcome.error is None
    assert set(outcome.references) == set(names(range(len(fake.rows))))


@pytest.mark.parametrize("n", [1, 10, 25, 30])
@pytest.mark.parametrize("in_flight", [1, 3])
def test_P9_the_last_page_again_is_the_end_if_the_total_agrees(in_flight, n):
    outcome = read(FakeList(n, end="last_page"), in_flight=in_flight)
    assert (outcome.error, outcome.bills.ended, set(outcome.references)) == (None, True, set(names(range(n))))


@pytest.mark.parametrize("total", ["low", "high"])
def test_P9_the_last_page_again_where_the_total_leaves_none_is_the_end(total):
    fake = FakeList(45, end="last_page", total=total)
    outcome = read(fake)
    assert (outcome.error, outcome.bills.ended, set(outcome.references)) == (None, True, fake.stayed)


def test_P9_the_last_page_again_is_an_error_without_a_total():
    fake = FakeList(45, end="last_page", total="missing")
    outcome = read(fake)
    assert isinstance(outcome.error, PagingError)
    assert set(outcome.references) == fake.stayed  # all of it is kept, but who can know


@pytest.mark.parametrize("total", ["wavering", "replicas"])
@pytest.mark.parametrize("in_flight", [1, 2])
def test_P10_a_total_that_wavers_takes_no_multiple_of_the_requests(in_flight, total):
    fake = FakeList(600, total=total)
    outcome = read(fake, in_flight=in_flight)
    assert (outcome.error, set(outcome.references)) == (None, fake.stayed)
    assert len(fake.asked) <= 2 * 63


@pytest.mark.parametrize("total", ["zero", "null", "text", "words", "stale", "low", "high", "missing"])
@pytest.mark.parametrize("in_flight", [1, 2])
def test_P10_P11_P19_no_total_ends_a_walk(in_flight, total):
    fake = FakeList(45, total=total, changes={2: ["+"], 5: ["+", "+"]})
    outcome = read(fake, in_flight=in_flight)
    assert outcome.error is None
    assert set(outcome.references) == set(names(range(48)))
    assert outcome.bills.total == {"stale": 45, "low": 43, "high": 51, "text": 48}.get(total)
    assert outcome.bills.total_moved == (total in ("low", "high", "text"))


def test_P12_a_row_on_two_pages_is_handed_on_twice():
    outcome = read(FakeList(25, changes={2: ["+"]}))
    assert outcome.references[:26].count("B015") == 2


@pytest.mark.parametrize(
    ("contract", "order"),
    [
        ({"n": 25}, "newest_first"),
        ({"n": 25, "order": "oldest_first"}, "oldest_first"),
        ({"n": 1}, "unknown"),
        ({"n": 45, "changes": {2: ["+"] * 3, 4: ["+"] * 9}}, "newest_first"),
    ],
    ids=["newest_first", "oldest_first", "one_row", "repeated_rows_are_no_breach"],
)
def test_P17_the_order_is_judged_by_rows_met_for_the_first_time(contract, order):
    assert read(FakeList(**contract)).bills.order == order


@pytest.mark.parametrize(
    ("moments", "order"),
    [
        ([], "unknown"),
        ([1, 1], "unknown"),
        ([3, 3, 1], "newest_first"),
        ([1, None, 3], "oldest_first"),
        ([1, 3, 2], "none"),
    ],
    ids=str,
)
def test_P17_order_watch(moments, order):
    watch = OrderWatch()
    for minute in moments:
        watch.see(None if minute is None else NOON + timedelta(minutes=minute))
    assert watch.order == order


def test_P17_a_list_that_is_not_oldest_first_backwards_has_no_order():
    fake = FakeList(45, order="oldest_first")
    fake.rows[32], fake.rows[37] = fake.rows[37], fake.rows[32]
    bills = BillList(fake.fetch, reference, created_at, lambda: 0, 10)
    first = next(iter(bills.walk()))
    assert bills.order == "oldest_first"
    assert [p.offset for p in bills.walk_back(first)] == [40, 30, 20, 10]
    assert bills.order == "none"


@pytest.mark.parametrize("cap", [0, 4])
@pytest.mark.parametrize("skips_by", ["cap", "asked"])
def test_walking_back_from_the_end_of_a_capped_list_misses_nothing(skips_by, cap):
    fake = FakeList(45, order="oldest_first", cap=cap, skips_by=skips_by)
    bills = BillList(fake.fetch, reference, created_at, lambda: 0, 10)
    first = next(iter(bills.walk()))
    rows = [*first.records, *(r for p in bills.walk_back(first) for r in p.records)]
    assert sorted(map(reference, rows)) == names(range(45))


@pytest.mark.parametrize(
    "failure", [ReplyTooLargeError("40 MB"), UnavailableError("500", status=500)], ids=["P16", "H16"]
)
@pytest.mark.parametrize("at", [2, 3, 4, 5])
def test_P16_walking_back_in_smaller_pages_from_one_that_is_too_large_misses_nothing(at, failure):
    fake = FakeList(205, order="oldest_first")
    fetch = fake.fetch

    def fails_once(number: int, size: int) -> Reply:
        reply = fetch(number, size)
        if len(fake.asked) == at:
            raise failure
        return reply

    bills = BillList(fails_once, reference, created_at, lambda: 0, 50)
    first = next(iter(bills.walk()))
    pages = list(bills.walk_back(first))
    rows = [*first.records, *(r for p in reversed(pages) for r in p.records)]
    assert list(dict.fromkeys(map(reference, rows))) == names(range(205))
    assert (bills.order, {size for _, size in fake.asked}) == ("oldest_first", {50, 20})


# Table H: what a page can be instead


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (None, "nothing"),
        ("text", "a text"),
        (12, "a number"),
        ({}, "an object with no fields"),
        ({"status": "success", "payload": {"rows": []}}, "an object with status, payload"),
        ({"items": {"1": {}}}, "an object with items"),
    ],
    ids=["null", "text", "number", "empty_object", "unknown_envelope", "items_is_an_object"],
)
@pytest.mark.parametrize("page", [1, 3])
def test_H2_an_unknown_shape_is_never_an_empty_list(page, body, shape):
    fake = FakeList(45)
    real = fake.fetch
    fake.fetch = lambda number, size: Reply(200, body) if number == page else real(number, size)
    outcome = read(fake)
    assert isinstance(outcome.error, UnexpectedReplyError)
    assert outcome.error.message == f"Expected a list of bills, got {shape}."
    assert outcome.error.where == f"bill list, page {page}"


def test_S10_bills_by_their_customers_phones_are_no_list_and_the_error_names_no_phone():
    with pytest.raises(UnexpectedReplyError) as caught:
        find_records({"+22890123456": [{"order_reference": "B"}], "228 90 12 34 57": [], "x\x1b": 1}, CLEAN)
    assert caught.value.message == "Expected a list of bills, got an object with ***, ***, x."


def test_H2_a_list_of_anything_but_objects_is_no_bill_list():
    with pytest.raises(UnexpectedReplyError, match="Expected bills, got a list of str"):
        find_records(["a", "b"], CLEAN)
    assert find_records([{"order_reference": "B"}, None], CLEAN)[1] == [{"order_reference": "B"}, None]


def test_H2_a_shape_that_changes_during_the_walk_is_an_error():
    fake = FakeList(45)
    real = fake.fetch
    fake.fetch = lambda number, size: Reply(200, [] if number == 3 else real(number, size).body)
    outcome = read(fake)
    assert isinstance(outcome.error, UnexpectedReplyError)
    assert outcome.error.message == "The list changed its shape during the walk, from {items: [...]} to [...]."


ROWS = [{"order_reference": "B1"}, {"order_reference": "B2"}]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (ROWS, ("[...]", None)),
        ({"items": ROWS, "total": 5}, ("{items: [...]}", 5)),
        ({"data": ROWS, "meta": {"total": 5, "current_page": 1}}, ("{data: [...]}", 5)),
        ({"page": 1, "total": 5, "_embedded": {"items": ROWS}}, ("{_embedded.items: [...]}", 5)),
        ({"orders": ROWS, "count": "5"}, ("{orders: [...]}", 5)),
        ({"records": ROWS, "totalRecords": 5}, ("{records: [...]}", 5)),
        ({"content": ROWS, "totalElements": 5, "totalPages": 3}, ("{content: [...]}", 5)),
        ({"hydra:member": ROWS, "hydra:totalItems": 5}, ("{hydra:member: [...]}", 5)),
        ({"items": ROWS, "total": 1}, ("{items: [...]}", None)),
        ({"items": ROWS, "total": True}, ("{items: [...]}", None)),
        ({"items": ROWS, "total": -5}, ("{items: [...]}", None)),
        ({"items": ROWS, "total": 5.0}, ("{items: [...]}", None)),
        ({"items": ROWS, "total": "٥"}, ("{items: [...]}", None)),
        ({"items": ROWS, "total": None, "count": 5}, ("{items: [...]}", 5)),
    ],
    ids=lambda v: "-".join(v) if isinstance(v, dict) else None,
)
def test_P11_envelope_and_total(body, found):
    envelope, rows, total = find_records(body, CLEAN)
    assert ((envelope, total), rows) == (found, ROWS)


def test_H8_a_first_page_that_is_not_there_is_an_error():
    fake = FakeList(3)

    def gone(number: int, size: int) -> Reply:
        raise RequestRefusedError("Not found", status=404)

    fake.fetch = gone
    outcome = read(fake)
    assert isinstance(outcome.error, RequestRefusedError)
    assert outcome.rows == []


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("in_flight", [1, 2])
def test_H11_a_size_that_is_refused_falls_back_to_20(in_flight, status):
    fake = FakeList(130, refuses_above=(50, status))
    outcome = read(fake, size=100, in_flight=in_flight)
    assert (outcome.error, outcome.references[:130]) == (None, names(range(130))[::-1])
    assert sorted(set(fake.asked)) == [(1, 20), (1, 100), *((i, 20) for i in range(2, 9))]


def test_H11_a_413_halves_the_size_down_to_one_and_then_stops():
    fake = FakeList(30, refuses_above=(0.5, 413))
    outcome = read(fake, size=100)
    assert isinstance(outcome.error, RequestRefusedError)
    assert fake.asked == [(1, 100), (1, 20), (1, 10), (1, 5), (1, 2), (1, 1)]


@pytest.mark.parametrize("status", [400, 422])
def test_H11_a_refusal_of_the_smallest_size_stands(status):
    fake = FakeList(30, refuses_above=(5, status))
    outcome = read(fake, size=100)
    assert isinstance(outcome.error, RequestRefusedError)
    assert fake.asked == [(1, 100), (1, 20)]


@pytest.mark.parametrize(
    "failure",
    [lambda: UnavailableError("500", status=500), lambda: ReplyTooLargeError("40 MB")],
    ids=["H16_500_for_ever", "P16_too_large"],
)
@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("size", [100, 30])
def test_H16_P16_a_row_that_breaks_its_page_is_cornered_and_never_skipped(size, in_flight, failure):
    fake = FakeList(250, broken=("B087", failure))  # row 162 of the list
    outcome = read(fake, size=size, in_flight=in_flight)
    assert type(outcome.error) is type(failure())
    assert [reference(p.records[0]) for p in outcome.pages] == [f"B{249 - p.offset:03}" for p in outcome.pages]
    assert list(dict.fromkeys(outcome.references)) == names(range(88, 250))[::-1]
    assert fake.asked[-1] == (163, 1)


class FailingList(FakeList):
    """One of which some pages cannot be had."""

    def __init__(self, length: int, *, fails: Callable[[int, int], bool]) -> None:
        super().__init__(length)
        self.fails = fails

    def fetch(self, number: int, size: int) -> Reply:
        if self.fails(number, size):
            self.asked.append((number, size))
            raise UnavailableError("500", status=500)
        return super().fetch(number, size)


@pytest.mark.parametrize("in_flight", [1, 3])
def test_H16_P16_the_pages_after_one_that_had_to_be_read_in_smaller_ones_are_as_large_as_before(in_flight):
    fake = FailingList(450, fails=lambda number, size: (number, size) == (2, 100))
    outcome = read(fake, size=100, in_flight=in_flight)
    assert (outcome.error, outcome.references[:450]) == (None, names(range(450))[::-1])
    smaller = [asked for asked in fake.asked if asked[1] < 100]
    assert (smaller, fake.asked.count((2, 100))) == ([(n, 20) for n in range(6, 11)], 1)
    assert {(n, 100) for n in range(1, 7)} <= set(fake.asked)


@pytest.mark.parametrize("in_flight", [1, 3])
def test_P16_where_the_next_large_page_fails_too_it_is_the_size_and_the_walk_stays_small(in_flight):
    fake = FailingList(900, fails=lambda number, size: size == 100 and number > 2)
    outcome = read(fake, size=100, in_flight=in_flight)
    assert (outcome.error, outcome.references[:900]) == (None, names(range(900))[::-1])
    large = {number for number, size in fake.asked if size == 100 and number > 2}
    assert large <= {3, 4, 5, 6}, "each costs minutes of trying again"
    assert in_flight > 1 or large == {3, 4}


def test_H16_an_outage_is_not_mistaken_for_a_broken_row():
    fake = FakeList(250, broken=("B087", lambda: UnavailableError("503", status=503)))
    outcome = read(fake, size=100)
    assert isinstance(outcome.error, UnavailableError)
    assert {size for _, size in fake.asked} == {100}


# Everything at once


@st.composite
def contracts(draw: st.DrawFn) -> dict[str, Any]:
    """A list, its changes and how it is read, where completeness is possible or its lack can be seen."""
    in_flight = draw(st.integers(1, 3))
    paging = draw(st.sampled_from(["page", "page", "page", "ignored", "page_ignored"]))
    total = draw(st.sampled_from(["right", "right", "missing", "low", "high", "stale", "text"]))
    if paging == "page_ignored" and total in ("low", "stale"):
        total = "right"  # a wrong total that happens to be the length of the only page cannot be seen through
    order = draw(st.sampled_from(["newest_first", "oldest_first"]))
    may_delete = total in ("right", "text") and order == "newest_first" and paging == "page"
    some = [st.lists(st.just("+"), min_size=1, max_size=9)]
    some += [st.lists(st.integers(0, 40), min_size=1, max_size=9)] if may_delete else []
    if may_delete and in_flight == 1:  # both between two requests in flight leave no sign in the total
        some += [st.lists(st.one_of(st.just("+"), st.integers(0, 40)), min_size=1, max_size=9)]
    changes = draw(st.dictionaries(st.integers(1, 14), st.one_of(some), max_size=4))
    deletes = any(c != "+" for cs in changes.values() for c in cs)
    return {
        "fake": {
            "n": draw(st.integers(0, 60)),
            "order": order,
            "cap": draw(st.sampled_from([0, 0, 3, 7])),
            "skips_by": draw(st.sampled_from(["cap", "asked"])),
            "paging": paging,
            "end": draw(st.sampled_from(["empty", "204", "404", "last_page"])),
            "total": total,
            "changes": changes,
            "empty_at": draw(st.sampled_from([0, 2, 3])) if total in ("right", "text") and not deletes else 0,
        },
        "size": draw(st.sampled_from([3, 5, 10])),
        "in_flight": in_flight,
        "early": draw(st.lists(st.integers(0, 2), max_size=20)),
    }


@settings(max_examples=600, deadline=None)
@given(contract=contracts())
@example(
    contract={
        "fake": {"n": 60, "changes": {4: ["+"], 6: [0], 9: ["+"] * 9}},
        "size": 10,
        "in_flight": 3,
        "early": [0, 1, 2, 1],
    }
)
@example(  # a deletion just after a page that arrivals made equal to the one before it
    contract={
        "fake": {"n": 10, "changes": {1: ["+"], 3: ["+"] * 5, 4: [5]}},
        "size": 5,
        "in_flight": 1,
        "early": [],
    }
)
@example(  # as many arrivals as a page has, beside a total that is a little low
    contract={
        "fake": {"n": 9, "total": "low", "changes": {1: ["+"], 2: ["+"], 4: ["+"] * 3}},
        "size": 3,
        "in_flight": 1,
        "early": [],
    }
)
@example(  # a deletion just before an end that tells no total, made up for in the count by an arrival after it
    contract={"fake": {"n": 51, "end": "204", "changes": {6: [0], 7: ["+"]}}, "size": 10, "in_flight": 1, "early": []}
)
@example(  # the same, where the count agrees already at the end, as a bill was counted and then deleted
    contract={
        "fake": {"n": 52, "end": "204", "changes": {3: [0], 8: [0], 9: ["+"]}},
        "size": 10,
        "in_flight": 1,
        "early": [],
    }
)
def test_every_bill_that_stayed_is_read_or_its_lack_is_told(contract):
    fake = FakeList(**contract["fake"])
    outcome = read(fake, size=contract["size"], in_flight=contract["in_flight"], early=contract["early"])
    bills = outcome.bills
    lost = fake.stayed - set(outcome.references)
    told = (
        outcome.error is not None
        or (bills.total is not None and not bills.agrees())
        or outcome.total_fell
        # A total that stood still while bills arrived cannot be relied on: the sync then reads again, one by one.
        or (bills.in_flight > 1 and fake.grew and not bills.total_moved)
    )
    assert not lost or told, f"lost without a sign: {sorted(lost)}"
    assert bills.ended == (outcome.error is None)
