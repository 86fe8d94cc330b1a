"""Which bills a list request gets, and in which envelope, under the switches in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cashpay_pipeline.simulator.bills import Bill
from cashpay_pipeline.simulator.replies import Refused
from cashpay_pipeline.simulator.switches import Switches
from cashpay_pipeline.simulator.world import World


@dataclass(frozen=True)
class Page:
    """What one list request gets.

    Attributes:
        bills: The bills of the page.
        is_past_end: Whether the page lies behind the last one.
        number: The page's number as the client counts.
        size: Rows that a full page has.
        found: How many bills the list has, in truth.
    """

    bills: Sequence[Bill]
    is_past_end: bool
    number: int
    size: int
    found: int


def select_page(world: World, query: Mapping[str, str], switches: Switches) -> Page:
    """Return the page that a query asks for.

    Raises:
        Refused: A number that is none, a size above the limit, or an unknown parameter.
    """
    _refuse_unknown(query, switches)
    bills = world.ordered(switches.order)
    if "terminal" in query:
        bills = [bill for bill in bills if bill.terminal == query["terminal"]]
    asked = _number(query, switches.size_param, switches.default_size, least=1)
    if 0 < switches.size_refused_above < asked:
        raise Refused(switches.size_refused_status, f"{switches.size_param} is too large")
    size = min(asked, switches.page_cap) if switches.page_cap else asked
    if switches.paging == "ignored":
        return Page(bills, False, 1, max(len(bills), 1), len(bills))
    if switches.paging == "offset":
        start = _number(query, "offset", 0, least=0)
        return _page(bills, start, size, 1 + start // size, switches)
    first = 0 if switches.paging == "zero_based" else 1
    number = _number(query, switches.page_param, first, least=0)
    index = 0 if switches.paging == "page_ignored" else max(number - first, 0)
    step = asked if switches.cap_skips_by == "asked" else size
    start, size = _with_odd_pages(index, step, size, first, switches)
    return _page(bills, start, size, number, switches)


def page_number(query: Mapping[str, str], switches: Switches) -> int | None:
    """Return the number of the page that a query asks for, as the client counts; None if it cannot be read."""
    first = 0 if switches.paging == "zero_based" else 1
    try:
        if switches.paging == "offset":
            size = _number(query, switches.size_param, switches.default_size, least=1)
            return 1 + _number(query, "offset", 0, least=0) // size
        return _number(query, switches.page_param, first, least=0)
    except Refused:
        return None


def _page(bills: Sequence[Bill], start: int, size: int, number: int, switches: Switches) -> Page:
    is_past_end = start >= len(bills) and start > 0
    if is_past_end and switches.end == "last_page" and bills:
        start = (len(bills) - 1) // max(size, 1) * max(size, 1)
        return Page(bills[start : start + size], False, number, size, len(bills))
    return Page(bills[start : start + size], is_past_end, number, size, len(bills))


def _with_odd_pages(index: int, step: int, size: int, first: int, switches: Switches) -> tuple[int, int]:
    """Return start and size of a page when one page before it, or itself, is empty or half full."""
    start = index * step
    number = index + first
    if switches.empty_page_at:
        if number == switches.empty_page_at:
            return start, 0
        start -= step if number > switches.empty_page_at else 0
    if switches.short_page_at:
        half = step // 2
        if number == switches.short_page_at:
            return start, min(size, half)
        start -= step - half if number > switches.short_page_at else 0
    return start, size


def envelope(rows: list[Any], page: Page, world: World, now: datetime, switches: Switches) -> Any:
    """Wrap the rows of a page in the shape that the switch `envelope` names."""
    total = _total(page, world, now, switches)
    pages = -(-page.found // page.size) if page.size else 0
    facts: dict[str, Any] = {} if switches.total == "missing" else {"total": total}
    place = {"page": page.number, "limit": page.size, "pages": pages}
    count = next(iter(facts.values()), None)
    shapes: dict[str, Any] = {
        "items_total": {**facts, "items": rows},
        "bare": rows,
        "data_total": {"data": rows, **facts},
        "data_meta": {"data": rows, "meta": {**facts, "current_page": page.number, "last_page": pages}},
        "embedded": {**place, **facts, "_embedded": {"items": rows}},
        "orders_count": {"orders": rows, **_named("count", facts, count)},
        "bills": {"bills": rows, **_named("count", facts, count)},
        "results": {"results": rows, **_named("count", facts, count)},
        "records_total": {"records": rows, **_named("totalRecords", facts, count)},
        "content": {
            "content": rows,
            **_named("totalElements", facts, count),
            "totalPages": pages,
            "number": page.number - 1,
        },
        "hydra": {"hydra:member": rows, **_named("hydra:totalItems", facts, count)},
        "unknown": {"status": "success", "payload": {"rows_by_page": {str(page.number): rows}}},
    }
    return shapes[switches.envelope]


def _named(name: str, facts: dict[str, Any], count: Any) -> dict[str, Any]:
    return {name: count} if facts else {}


def _total(page: Page, world: World, now: datetime, switches: Switches) -> Any:
    answers: dict[str, Any] = {
        "string": str(page.found),
        "zero": 0,
        "null": None,
        "low": page.found * 9 // 10,
        "high": page.found + 3,
    }
    if switches.total == "stale":
        return min(page.found, world.listed_before(now - timedelta(days=1)))
    return answers.get(switches.total, page.found)


def _refuse_unknown(query: Mapping[str, str], switches: Switches) -> None:
    known = {switches.page_param, switches.size_param, "terminal"}
    known |= {"offset"} if switches.paging == "offset" else set()
    unknown = sorted(set(query) - known)
    if unknown and switches.extra_params == "refused":
        raise Refused(400, f"Unknown parameter {unknown[0]}")


def _number(query: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        raise Refused(400, f"Parameter {name} is not valid")
    return int(text)
