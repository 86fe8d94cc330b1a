"""What `cashpay status` promises follows from the numbers of bills and the request budget."""

from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from truth import query

from cashpay_pipeline.coverage import REPORTED, ROWS_A_PAGE, AgeClass, Coverage, coverage, coverage_lines
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.sync import run_sync

NOW = datetime(2026, 3, 2, 3, tzinfo=UTC)
SEEN = NOW - timedelta(hours=20)
CREDENTIALS = {"base_url": "http://127.0.0.1/api", "login": "a", "api_key": "b", "api_reference": "1"}


def of(counts, reported=None, rows_a_page=None, **settings):
    def rows(sql, parameters):
        if sql == REPORTED:
            return [{"reported_total": reported}] if reported else []
        if sql == ROWS_A_PAGE:
            return [{"rows_a_page": rows_a_page}] if rows_a_page else []
        return [{"age_class": name, "bills": n, "oldest": SEEN, "sumless": 0} for name, n in counts.items()]

    return coverage(rows, load_settings(**CREDENTIALS, **settings), NOW)


def test_with_budget_enough_every_class_keeps_its_time():
    counts = {"open, under 7 days": 900, "open, under 90 days": 700, "open, older": 3000, "settled": 95_400}
    assert of(counts, page_size=100, requests_per_second=5) == Coverage(
        [
            AgeClass("open, under 7 days", 900, timedelta(days=1), SEEN),
            AgeClass("open, under 90 days", 700, timedelta(days=7), SEEN),
            AgeClass("open, older", 3000, timedelta(days=30), SEEN),
            AgeClass("settled", 95_400, timedelta(days=7), SEEN),
        ],
        1003,
        200.6,
    )


def test_a_small_budget_stretches_the_oldest_first():
    counts = {"open, under 7 days": 600, "open, under 90 days": 2800, "open, older": 6000, "settled": 90_600}
    found = of(counts, request_budget=1000)
    assert [c.promised and c.promised.days for c in found.classes] == [1, 7, None, None]
    assert list(coverage_lines(found, NOW))[3:5] == [
        "  open, older: no bound, the request budget is used up by those above "
        "(6,000 bills, the longest unread for 20 hours)",
        "  settled: no bound, the request budget is used up by those above "
        "(90,600 bills, the longest unread for 20 hours)",
    ]


@pytest.mark.parametrize(
    ("budget", "promised"),
    [(22, [1, 7, None, None]), (24, [1, 7, 30, 9]), (30, [1, 7, 30, 7]), (10, [3, 7, None, None])],
)
def test_no_bound_is_shorter_than_the_rule(budget, promised):
    found = of({"open, under 7 days": 22, "open, older": 5}, request_budget=budget)
    assert [c.promised and c.promised.days for c in found.classes] == promised


def test_pages_are_counted_as_the_server_gives_them():
    assert of({"settled": 1000}, rows_a_page=20).full_refresh_requests == 53
    assert of({"settled": 1000}, rows_a_page=0.5).full_refresh_requests == 1003
    assert of({"settled": 1000}, rows_a_page=104).full_refresh_requests == 13


def test_the_cost_of_a_full_refresh_is_that_of_the_last_one(make_settings, simulator):
    """100 rows a page are asked for, the server gives 2."""
    settings = make_settings()
    simulator.reset(days=60, bills_per_day=1, start=NOW.isoformat(), frozen=True)
    simulator.set(page_cap=2)
    result = run_sync(settings, kind="full_refresh", clock=SimulatedClock(settings.base_url))
    found = coverage(lambda sql, parameters: query(settings.warehouse_path, sql, *parameters), settings, NOW)
    assert result.requests * 0.8 <= found.full_refresh_requests <= result.requests * 1.2


@pytest.mark.parametrize(("reported", "requests"), [(None, 13), (999, 13), (30_000, 303)])
def test_a_full_refresh_reads_what_cashpay_says_there_is_where_less_is_stored(reported, requests):
    found = of({"settled": 1000}, reported, page_size=100, requests_per_second=5)
    assert (found.full_refresh_requests, found.full_refresh_seconds) == (requests, requests / 5)


def test_a_bill_that_cashpay_does_not_know_counts_while_it_is_asked_for(make_settings, simulator):
    """It is not waited for, so it is not the longest unread."""
    settings = make_settings()
    simulator.reset(days=3, bills_per_day=1, start=NOW.isoformat(), frozen=True)
    run_sync(settings, clock=SimulatedClock(settings.base_url))
    classes = []
    for days in (None, 6, 8):
        with duckdb.connect(str(settings.warehouse_path)) as file:
            file.execute("update core.bills set state = 'Pending', missing_since = ?", [days and NOW - timedelta(days)])
        found = coverage(lambda sql, parameters: query(settings.warehouse_path, sql, *parameters), settings, NOW)
        classes.append((found.classes[0].bills, found.classes[0].oldest is not None))
    assert classes == [(3, True), (3, False), (0, False)]


def test_settled_bills_whose_sums_the_list_does_not_name_are_promised_no_more_than_is_kept(make_settings, simulator):
    """Each walk shows their states; what they received is told by their details only, on three days."""
    settings = make_settings()
    simulator.reset(days=1, bills_per_day=1, start=NOW.isoformat(), frozen=True)
    for bill in simulator.truth()["bills"]:
        simulator.delete_bill(bill["order_reference"])
    for reference in ("A", "B"):
        simulator.put_bill(reference, state="Paid", amount=5_000, received_amount=5_000)
    simulator.set(list_fields="poor")
    clock = SimulatedClock(settings.base_url)

    def lines():
        found = coverage(
            lambda sql, parameters: query(settings.warehouse_path, sql, *parameters), settings, clock.now()
        )
        return list(coverage_lines(found, clock.now()))[4:-1]

    run_sync(settings, clock=clock)
    assert lines() == ["  settled: 7 days (2 bills, the longest unread for 0 hours)"]
    simulator.advance(minutes=15)
    run_sync(settings, kind="full_refresh", clock=clock)
    assert lines() == [
        "  settled: 7 days (2 bills, the longest unread for 0 hours)",
        "    of 2 of them the list names no sum: what they have received is read only 1, 7 and 30 days after they were "
        "settled",
    ]


@pytest.mark.parametrize("bills", [0, 3_000])
def test_the_lines_are_plain(bills):
    lines = list(coverage_lines(of({"open, under 7 days": bills} if bills else {}), NOW))
    assert lines == [
        "No change stays unseen for longer than, with a refresh each night:",
        "  open, under 7 days: 24 hours (3,000 bills, the longest unread for 20 hours)"
        if bills
        else "  open, under 7 days: 24 hours (0 bills)",
        "  open, under 90 days: 7 days (0 bills)",
        "  open, older: 30 days (0 bills)",
        "  settled: 7 days (0 bills)",
        f"A full refresh would cost about {33 if bills else 3} requests, {7 if bills else 1} s at the rate allowed.",
    ]
