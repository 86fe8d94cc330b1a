"""Whole syncs of the simulator over HTTP into a DuckDB file: what each kind of list costs, and that no bill is lost."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from signals import ENDLESS, interrupting
from truth import assert_warehouse_equals_truth, query

from cashpay_pipeline.attempts import Reply
from cashpay_pipeline.client import CashpayClient
from cashpay_pipeline.errors import (
    GuardError,
    PagingError,
    RequestRefusedError,
    UnavailableError,
    UnexpectedReplyError,
    WrongAddressError,
)
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.sync import SyncResult, batch, run_sync, whole_list
from cashpay_pipeline.warehouse import store

OPEN = ("Pending", "Partial", "Unknown")


class StandingClock:
    """The simulator's time, never twice the same; what is slept passes on the stopwatch only, and at once."""

    def __init__(self, simulator: SimulatorProcess) -> None:
        self.moment = simulator.now()
        self.slept = 0.0

    def now(self) -> datetime:
        self.moment += timedelta(microseconds=10)
        return self.moment

    def monotonic(self) -> float:
        return (self.now() - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


class StoppedClock(StandingClock):
    """A clock so coarse that a whole sync happens in one moment."""

    def now(self) -> datetime:
        return self.moment


class CorrectedClock(StandingClock):
    """A clock that `set_back` corrects, as NTP does; the stopwatch runs on."""

    set_back = timedelta()

    def now(self) -> datetime:
        return super().now() - self.set_back

    def monotonic(self) -> float:
        return super().monotonic() + self.set_back.total_seconds()


@pytest.fixture
def sync(simulator: SimulatorProcess, make_settings: Callable[..., Settings]) -> Callable[..., SyncResult]:
    """Run a sync, small pages by default, on a clock that agrees with the simulator's."""
    clock = StandingClock(simulator)

    def run(kind: str = "refresh", **overrides: Any) -> SyncResult:
        clock.moment = max(clock.moment + timedelta(seconds=1), simulator.now())
        simulator.clear_log()
        return run_sync(make_settings(**({"page_size": 50} | overrides)), kind=kind, clock=clock)

    return run


def bills(simulator: SimulatorProcess) -> list[dict[str, Any]]:
    return simulator.truth()["bills"]


def cost(simulator: SimulatorProcess) -> Counter[str]:
    """Requests by resource, logins left out."""
    return Counter(e["template"] for e in simulator.log() if e["path"] != "/auth")


def pages(simulator: SimulatorProcess) -> list[tuple[int, int]]:
    """Number and size of the list pages asked for, in order of arrival."""
    return [(e["page"], int(e["size"])) for e in simulator.log() if e["template"] == "/orders"]


def details(simulator: SimulatorProcess) -> set[str]:
    """The bills whose details were asked for."""
    return {e["path"].removeprefix("/orders/") for e in simulator.log() if e["template"] == "/orders/{ref}"}


def stored(settings: Settings) -> list[str]:
    return [
        r["order_reference"]
        for r in query(settings.warehouse_path, "select order_reference from core.bills order by 1")
    ]


def references(simulator: SimulatorProcess) -> list[str]:
    return sorted(b["order_reference"] for b in bills(simulator))


def newest_first(simulator: SimulatorProcess) -> list[dict[str, Any]]:
    return bills(simulator)[::-1]


def created(bill: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(bill["date_create"])


def state(result: SyncResult) -> tuple[str, list[str]]:
    return result.status, result.warnings


COMPLETE = ("complete", [])
NEW = {"put": {"amount": 700}}


# What a sync costs


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({}, [1, 1, 2, 3, 4, 5, 6]),
        # An end that tells no total is come to twice.
        ({"end": "204"}, [1, 1, 2, 3, 4, 5, 5, 6, 6]),
        ({"end": "404"}, [1, 1, 2, 3, 4, 5, 5, 6, 6]),
        # A last page that repeats is asked for once more: it could be drift.
        ({"end": "last_page"}, [1, 1, 2, 3, 4, 5, 6, 7]),
        ({"order": "oldest_first"}, [1, 2, 3, 4, 5, 6]),
        # Without a total, the page after the end and the page before the first are looked at too.
        ({"total": "missing"}, [0, 1, 1, 2, 3, 4, 5, 6, 7]),
    ],
    ids=lambda v: "-".join(map(str, v.values())) or "defaults" if isinstance(v, dict) else "",
)
def test_a_full_refresh_costs_its_pages_the_proof_of_the_end_and_one_page_again(switches, expected, sync, simulator):
    simulator.set(**switches)
    assert state(sync("full_refresh")) == COMPLETE
    assert sorted(number for number, _ in pages(simulator)) == expected
    assert cost(simulator) == {"/gateways": 1, "/orders": len(expected)}


@pytest.mark.parametrize("overlap_hours", [0, 24, 48])
def test_a_refresh_with_nothing_new_costs_the_overlap_one_page_again_and_what_is_due(overlap_hours, sync, simulator):
    sync("full_refresh")
    assert state(sync(overlap_hours=overlap_hours)) == COMPLETE
    rows = newest_first(simulator)
    horizon = created(rows[0]) - timedelta(hours=overlap_hours)
    overlap = next(n for n in range(1, 6) if created(rows[50 * n - 50]) < horizon)
    newest = [*((n, 50) for n in range(1, overlap + 1)), (1, 50)]
    assert pages(simulator)[: len(newest)] == newest
    # What is due is read by its details, or by pages that hold several of them.
    due = {b["order_reference"] for b in rows[50 * overlap :] if b["state"] in OPEN}
    crowded = pages(simulator)[len(newest) :]
    on_them = {b["order_reference"] for n, _ in crowded for b in rows[50 * n - 50 : 50 * n]}
    assert details(simulator) == due - on_them
    assert len(crowded) + len(details(simulator)) <= len(due)
    assert cost(simulator).keys() <= {"/gateways", "/orders", "/orders/{ref}"}
    assert cost(simulator)["/gateways"] == 1


def test_a_refresh_of_a_list_that_is_oldest_first_reads_its_far_end(sync, simulator):
    simulator.set(order="oldest_first")
    sync("full_refresh")
    assert state(sync(overlap_hours=24)) == COMPLETE
    # The first page shows the order, the last ones are read backwards to known ground, then forwards to the end.
    assert [n for n, _ in pages(simulator)] == [1, 5, 4, 3, 5, 6]


# Table P


@pytest.mark.parametrize("order", ["newest_first", "oldest_first", "random"])
@pytest.mark.parametrize("at", [1, 3, 5])
def test_P1_bills_created_during_a_walk_are_read(at, order, sync, simulator, settings):
    simulator.set(order=order)
    simulator.script(
        [{"at_request": at, "when": "before", "do": [NEW, NEW]}, {"at_request": at + 1, "when": "before", "do": [NEW]}]
    )
    result = sync("full_refresh")
    assert result.status == "complete"
    assert result.bills_new == 207
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_P1_bills_created_during_a_refresh_are_read(sync, simulator, settings):
    sync("full_refresh")
    simulator.script([{"at_request": n, "do": [NEW] * 30} for n in (1, 2, 3)])
    result = sync()
    assert (state(result), result.bills_new) == (COMPLETE, 90)
    assert stored(settings) == references(simulator)


@pytest.mark.parametrize("kind", ["refresh", "full_refresh", "recheck"])
def test_P2_the_list_is_never_filtered_by_what_changes(kind, sync, simulator):
    sync("full_refresh")
    sync(kind)
    assert {tuple(e["parameters"]) for e in simulator.log() if e["template"] == "/orders"} <= {("limit", "page")}


def test_P3_a_list_by_last_change_has_no_order_and_what_moves_is_found_again(sync, simulator, settings):
    simulator.set(order="updated")
    oldest = [b["order_reference"] for b in bills(simulator)[:3]]
    simulator.script(
        [{"at_request": n, "do": [{"put": {"order_reference": oldest[n], "state": "Paid"}}]} for n in (1, 2)]
    )
    result = sync("full_refresh")
    assert result.list_order == "none"
    assert set(references(simulator)) == set(stored(settings)) or result.status == "incomplete"
    assert sync().warnings == ["The list has no order to rely on: the whole of it is read."]
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


@pytest.mark.parametrize("in_flight", [1, 4])
@pytest.mark.parametrize("at", [2, 4])
@pytest.mark.parametrize("place", ["@1", "@60"])
def test_P4_bills_deleted_during_a_walk_hide_no_other(place, at, in_flight, sync, simulator, settings):
    simulator.script([{"at_request": at, "do": [{"delete": place}]}])
    result = sync("full_refresh", max_in_flight=in_flight)
    assert result.status == "complete"
    assert set(references(simulator)) <= set(stored(settings))


@pytest.mark.parametrize("end", ["empty", "204", "404"])
def test_P4_a_deletion_just_before_the_end_hides_no_bill_also_where_an_arrival_makes_up_for_it(
    end, sync, simulator, settings
):
    simulator.set(end=end)
    for bill in newest_first(simulator)[201:]:
        simulator.delete_bill(bill["order_reference"])  # one bill is left for the last of 5 pages
    moves = [{"at_request": 5, "do": [{"delete": "@1"}]}, {"at_request": 6, "do": [NEW]}]
    simulator.script([{**move, "when": "before"} for move in moves])
    assert sync("full_refresh", max_in_flight=1).status == "complete"
    assert set(references(simulator)) <= set(stored(settings))


@pytest.mark.parametrize(
    ("order", "in_flight", "met", "may_hide"),
    [("none", 3, 73, True), ("none", 3, 74, False), ("none", 1, 73, False), ("newest_first", 3, 73, False)],
)
def test_P1_rows_that_change_places_can_hide_a_bill_beside_a_total_that_stays(order, in_flight, met, may_hide):
    """Two pages in flight, served the other way round; which one comes first is chance (seed 10 of chaos)."""
    bills = SimpleNamespace(total=74, total_moved=False, in_flight=in_flight, order=order)
    assert whole_list._may_hide_bills(bills, met, 74, arrived=False) is may_hide


def test_P4_bills_that_are_gone_are_marked_by_the_next_full_refresh(sync, simulator, settings):
    sync("full_refresh")
    gone = {b["order_reference"] for b in bills(simulator)[10:13]}
    for reference in gone:
        simulator.delete_bill(reference)
    result = sync("full_refresh")
    (warning,) = result.warnings
    assert (result.status, warning.startswith("CashPay no longer knows")) == ("complete", True)
    marked = query(settings.warehouse_path, "select order_reference from core.bills where missing_since is not null")
    assert {r["order_reference"] for r in marked} == gone
    assert gone < details(simulator)
    assert len(details(simulator)) == 4  # one that the list shows is asked for as well


def missing(settings: Settings) -> set[str]:
    marked = query(settings.warehouse_path, "select order_reference from core.bills where missing_since is not null")
    return {r["order_reference"] for r in marked}


def unlisted(*rows: dict[str, Any]) -> dict[str, Any]:
    """From now on the list shows these bills no more."""
    mutate = {"references": [b["order_reference"] for b in rows], "drop": True}
    return {"path": "/orders", "kind": "mutate", "times": None, "mutate": mutate}


def test_P4_many_bills_that_are_gone_are_marked_where_list_and_details_agree(sync, simulator, settings):
    sync("full_refresh")
    gone = {b["order_reference"] for b in bills(simulator)[10:60]}
    for reference in gone:
        simulator.delete_bill(reference)
    assert state(sync("full_refresh")) == (
        "complete",
        ["CashPay no longer knows 50 bills: see core.bills.missing_since."],
    )
    assert missing(settings) == gone
    assert state(sync()) == COMPLETE


def test_P4_no_bill_is_marked_where_details_answer_404_to_everything(sync, simulator, settings):
    simulator.set(total="missing")
    sync("full_refresh")
    dropped = unlisted(*bills(simulator)[10:13])
    simulator.faults([dropped, {"path": "/orders/{ref}", "status": 404, "times": None}])
    expected = "CashPay does not know 3 of 3 bills, nor shows it the details of another one: nothing was marked."
    assert state(sync("full_refresh")) == ("incomplete", [expected])
    assert missing(settings) == set()


def test_P4_no_bill_is_marked_where_the_list_shows_none_that_was_known(sync, simulator, settings):
    """As when another merchant's list is read: then no 404 is a deletion."""
    sync("full_refresh")
    for bill in bills(simulator):
        simulator.delete_bill(bill["order_reference"])
    for _ in range(3):
        simulator.put_bill()
    assert sync("full_refresh").status == "incomplete"
    assert missing(settings) == set()


def test_P4_bills_that_the_list_no_longer_shows_stay_where_details_show_them(sync, simulator, settings, monkeypatch):
    """A list of the newest bills only; the others are asked for in portions, all of them in turn."""
    monkeypatch.setattr("cashpay_pipeline.sync.missing.MISSING_LOOKED_UP", 30)
    simulator.set(total="missing")
    sync("full_refresh")
    rows = bills(simulator)[:60]
    old = sorted(b["order_reference"] for b in rows)
    simulator.faults([unlisted(*rows)])
    asked = []
    for _ in range(2):
        assert state(sync("full_refresh")) == (
            "complete",
            ["60 of 204 known bills are not in the list any more: 30 of them were asked for."],
        )
        asked += details(simulator)
    assert sorted(asked) == old
    assert missing(settings) == set()
    # A refresh that comes to the list's end by chance asks for less of them.
    assert state(sync(page_size=200)) == (
        "complete",
        ["60 of 204 known bills are not in the list any more: 20 of them were asked for."],
    )


def test_Y17_bills_whose_rows_are_set_aside_are_not_taken_for_missing(sync, simulator, settings, monkeypatch):
    monkeypatch.setattr(batch, "BAD_AT_LEAST", 1_000)
    sync("full_refresh")
    bad = [b["order_reference"] for b in bills(simulator)[:30]]
    rule = {"path": "/orders", "kind": "mutate", "mutate": {"references": bad, "set": {"amount": "?"}}, "times": None}
    simulator.faults([rule])
    result = sync("full_refresh")
    assert (state(result), result.rows_set_aside >= 30, details(simulator)) == (COMPLETE, True, set())


@pytest.mark.parametrize("total", ["right", "missing"])
@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
@pytest.mark.parametrize("skips_by", ["cap", "asked"])
def test_P5_a_server_that_caps_the_page_is_read_completely(skips_by, order, total, sync, simulator, settings):
    simulator.set(page_cap=20, cap_skips_by=skips_by, order=order, total=total)
    assert sync("full_refresh").status == "complete"
    assert set(pages(simulator)) >= {(1, 50), *((n, 20) for n in range(2, 13))}
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())
    simulator.advance(hours=30)
    assert sync().status == "complete"
    assert stored(settings) == references(simulator)


def test_P6_a_short_page_does_not_end_the_list(sync, simulator, settings):
    simulator.set(short_page_at=2)
    assert state(sync("full_refresh")) == COMPLETE
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def nights_until_an_old_change_is_seen(sync, simulator, settings, *, fewer_than):
    """The refreshes, of 14 requests each, until the rolling walk comes to a bill that no re-check reads."""
    sync("full_refresh")
    simulator.advance(days=31)
    sync("recheck")
    simulator.put_bill(bills(simulator)[0]["order_reference"], description="changed in silence")
    nights = []
    while not query(settings.warehouse_path, "select 1 from core.bills where description = 'changed in silence'"):
        simulator.advance(days=1)
        nights.append(sync(page_size=5, request_budget=14))
        assert len(nights) < fewer_than
    return nights


@pytest.mark.long
def test_P6_a_list_whose_pages_are_all_short_is_read_to_its_end_a_part_each_night(sync, simulator, settings):
    settle(simulator, days=60, total="missing")
    simulator.faults([unlisted(*bills(simulator)[3:-1:4])])
    nights = nights_until_an_old_change_is_seen(sync, simulator, settings, fewer_than=8)
    assert all(night.requests <= 14 + 8 for night in nights)
    assert len(nights) > 2


@pytest.mark.parametrize("total", ["right", "missing"])
def test_P7_an_empty_page_in_the_middle_stops_the_sync_and_moves_nothing(total, sync, simulator, settings):
    simulator.set(empty_page_at=3, total=total)
    with pytest.raises(PagingError, match="Page 3 is empty, but page 4 is not"):
        sync("full_refresh")
    assert stored(settings) == sorted(b["order_reference"] for b in newest_first(simulator)[:100])
    (account,) = query(settings.warehouse_path, "select watermark_at, full_walk_finished_at from core.accounts")
    assert account == {"watermark_at": None, "full_walk_finished_at": None}
    (record,) = query(settings.warehouse_path, "select status, complete, error_code from core.syncs")
    assert record == {"status": "failed", "complete": False, "error_code": "paging"}
    simulator.set(empty_page_at=0)
    assert sync().status == "complete"
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


@pytest.mark.parametrize("total", ["right", "missing", "zero", "low"])
def test_P8_a_list_without_pages_is_read_whole(total, sync, simulator, settings):
    simulator.set(paging="ignored", total=total)
    assert sync("full_refresh").status == "complete"
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())
    assert sync().status == "complete"


@pytest.mark.parametrize("total", ["right", "missing"])
@pytest.mark.parametrize("cap", [0, 20, 13], ids=["as_asked", "usual_cap", "odd_cap"])
def test_P8_the_first_page_for_ever_stops_the_sync(cap, total, sync, simulator, settings):
    simulator.set(paging="page_ignored", page_cap=cap, total=total)
    with pytest.raises(PagingError, match="repeat the same"):
        sync("full_refresh")
    assert len(stored(settings)) == cap or 50


def test_P8_a_row_set_aside_in_a_list_without_pages_does_not_keep_the_sync_for_ever(sync, simulator):
    simulator.set(paging="ignored")
    bad = newest_first(simulator)[3]["order_reference"]
    rule = {"path": "/orders", "kind": "mutate", "mutate": {"references": [bad], "set": {"amount": "?"}}, "times": None}
    simulator.faults([rule])
    result = sync("full_refresh")
    assert (result.status, result.rows_set_aside > 0, len(pages(simulator))) == ("complete", True, 5)


def test_a_row_set_aside_costs_no_further_page(sync, simulator):
    bad = [b["order_reference"] for b in newest_first(simulator)[3::50]]
    rule = {"path": "/orders", "kind": "mutate", "mutate": {"references": bad, "set": {"amount": "?"}}, "times": None}
    simulator.faults([rule])
    assert sync("full_refresh").status == "complete"
    assert sorted(n for n, _ in pages(simulator)) == [1, 1, 2, 3, 4, 5, 6]
    assert sync(overlap_hours=0).status == "complete"
    assert [n for n, _ in pages(simulator)][:3] == [1, 2, 1]


def unreadable(*rows: dict[str, Any]) -> dict[str, Any]:
    """From now on nobody can read the amount of these bills."""
    mutate = {"references": [b["order_reference"] for b in rows], "set": {"amount": "?"}}
    return {"path": "*", "kind": "mutate", "times": None, "mutate": mutate}


def test_P11_a_bill_set_aside_in_two_forms_in_one_walk_makes_up_for_none_that_the_list_hides(sync, simulator):
    rows = newest_first(simulator)
    simulator.faults([unreadable(rows[49]), unlisted(rows[120])])
    other_form = {"put": {"order_reference": rows[49]["order_reference"], "description": "another form"}}
    simulator.script([{"at_request": 1, "do": [NEW, other_form]}])  # the last row of page 1 is the first of page 2
    assert state(sync("full_refresh", max_in_flight=1)) == (
        "incomplete",
        [
            "CashPay counts 205 bills, its list shows 204: 1 were not found.",
            "Bills moved while the list was read: it was read once more, page by page.",
        ],
    )


def test_P14_a_bill_set_aside_in_two_forms_makes_up_for_none_that_appears_late(sync, simulator, settings):
    bad = newest_first(simulator)[0]
    simulator.faults([unreadable(bad)])
    sync("full_refresh")
    simulator.put_bill(bad["order_reference"], description="another form")
    late = simulator.put_bill(date_create=simulator.now() - timedelta(hours=100))["order_reference"]
    result = sync(page_size=2)
    assert (state(result), late in stored(settings)) == (
        ("complete", ["CashPay counts 205 bills, 204 were known: the whole list is read."]),
        True,
    )


@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
def test_P9_the_last_page_again_ends_the_list(order, sync, simulator, settings):
    simulator.set(end="last_page", order=order)
    assert state(sync("full_refresh")) == COMPLETE
    simulator.advance(hours=30)
    assert sync().status == "complete"
    assert stored(settings) == references(simulator)


@pytest.mark.parametrize("order", ["newest_first", "oldest_first", "random"])
@pytest.mark.parametrize("change", [NEW, {"delete": "@3"}], ids=["created", "deleted"])
@pytest.mark.parametrize("at", [5, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 6))])
def test_P9_the_last_page_again_ends_a_list_that_changed_meanwhile(at, change, order, sync, simulator, settings):
    simulator.set(end="last_page", order=order)
    simulator.script([{"at_request": at, "when": "before", "do": [change]}])
    assert sync("full_refresh").status == "complete"
    assert set(references(simulator)) <= set(stored(settings))


@pytest.mark.parametrize("at", [39, 40])
def test_P9_a_last_page_that_repeats_because_a_bill_arrived_is_not_the_end_by_an_old_total(
    at, sync, simulator, settings
):
    settle(simulator, days=40, total="stale")
    before = set(references(simulator))
    simulator.script([{"at_request": at, "do": [NEW]}])
    sync("full_refresh", page_size=1, max_in_flight=1)
    assert before <= set(stored(settings))


@pytest.mark.parametrize(
    ("total", "order"),
    [
        *((total, "newest_first") for total in ("string", "null", "zero", "stale", "low")),
        *((total, "oldest_first") for total in ("right", "stale", "low", "missing")),
    ],
)
def test_P10_P11_P19_no_total_ends_a_walk_or_makes_it_fail(total, order, sync, simulator, settings):
    simulator.set(total=total, order=order)
    simulator.script([{"at_request": 3, "do": [NEW] * 3}])
    assert sync("full_refresh").status == "complete"
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())
    simulator.advance(hours=60)
    assert sync().status == "complete"
    assert stored(settings) == references(simulator)


def test_P11_a_total_above_what_the_list_shows_makes_the_sync_incomplete(sync, simulator, settings):
    simulator.set(total="high")
    reason = "CashPay counts 207 bills, its list shows 204: 3 were not found."
    assert state(sync("full_refresh")) == ("incomplete", [reason])
    assert stored(settings) == references(simulator)
    assert state(sync()) == (
        "incomplete",
        [reason, "CashPay counts 207 bills, 204 were known: the whole list is read."],
    )


def test_P11_a_total_below_what_the_list_shows_is_a_warning(sync, simulator):
    simulator.set(total="low")
    expected = "CashPay counts 183 bills, its list shows 204: its count is not up to date."
    assert state(sync("full_refresh")) == ("complete", [expected])


def test_P12_a_bill_met_twice_in_two_states_keeps_both(sync, simulator, settings):
    reference = newest_first(simulator)[49]["order_reference"]
    simulator.put_bill(reference, state="Pending", received_amount=0, payments=[])
    paid = {"put": {"order_reference": reference, "state": "Paid"}}
    simulator.script([{"at_request": 1, "do": [NEW, paid]}])  # the last row of page 1 is the first of page 2
    assert sync("full_refresh").status == "complete"
    rows = query(
        settings.warehouse_path,
        "select version, state from core.bill_versions where order_reference = ? order by version",
        reference,
    )
    assert rows == [{"version": 1, "state": "Pending"}, {"version": 2, "state": "Paid"}]
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_P13_bills_that_share_their_time_with_the_watermark_are_read(sync, simulator, settings):
    simulator.reset(days=1, bills_per_day=1, switches={"total": "missing"})
    moment = newest_first(simulator)[0]["date_create"]
    settled = {"date_create": moment, "state": "Canceled"}  # so that no re-check meets them by chance
    for number in range(120):
        simulator.put_bill(f"SANDBOX-SAME-{number:03}", **settled)
    sync("full_refresh")
    for number in range(60):  # further down in the list than those that are known
        simulator.put_bill(f"SANDBOX-0-SAME-{number:03}", **settled)
    simulator.put_bill(date_create=simulator.now() + timedelta(seconds=1))  # so that the order shows at once
    result = sync(overlap_hours=0)
    assert (state(result), result.bills_new) == (COMPLETE, 61)
    assert stored(settings) == references(simulator)


@pytest.mark.parametrize(
    ("hours_old", "total", "kind", "warnings"),
    [
        (40, "right", "refresh", []),
        (40, "missing", "refresh", []),
        (100, "right", "refresh", ["CashPay counts 205 bills, 204 were known: the whole list is read."]),
        (100, "missing", "full_refresh", []),
    ],
    ids=["in_the_overlap", "in_the_overlap_no_total", "the_total_tells", "the_full_refresh_finds_it"],
)
def test_P14_a_bill_that_appears_late_with_an_old_date_is_read(
    hours_old, total, kind, warnings, sync, simulator, settings
):
    simulator.set(total=total)
    sync("full_refresh")
    simulator.put_bill(date_create=simulator.now() - timedelta(hours=hours_old))
    result = sync(kind, page_size=2)  # pages so small that neither the stop nor a re-check comes near it by chance
    assert (state(result), result.bills_new) == (("complete", warnings), 1)
    assert stored(settings) == references(simulator)


def test_P14_the_watermark_moves_only_with_a_finished_walk_and_never_past_the_clock(sync, simulator, settings):
    future = simulator.put_bill(date_create=simulator.now() + timedelta(days=400))
    newest = created(newest_first(simulator)[1])
    sync("full_refresh")
    assert future["order_reference"] in stored(settings)
    assert query(settings.warehouse_path, "select watermark_at from core.accounts") == [{"watermark_at": newest}]
    simulator.put_bill()
    simulator.faults([{"path": "/orders", "page": 2, "status": 503, "times": None}])
    with pytest.raises(UnavailableError):
        sync()
    assert query(settings.warehouse_path, "select watermark_at from core.accounts") == [{"watermark_at": newest}]


def test_P13_bills_that_are_read_in_the_moment_in_which_the_walk_began_were_met(simulator, settings):
    clock = StoppedClock(simulator)
    assert state(run_sync(settings, kind="full_refresh", clock=clock)) == COMPLETE
    assert state(run_sync(settings, clock=clock)) == COMPLETE
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_P15_a_bill_paid_long_after_the_newest_end_is_read_again(sync, simulator, settings):
    sync("full_refresh")
    late = next(b["order_reference"] for b in bills(simulator) if b["state"] == "Pending")
    assert late in [b["order_reference"] for b in newest_first(simulator)[150:]]
    simulator.put_bill(late, state="Paid")
    assert state(sync()) == COMPLETE
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_P16_a_page_that_is_too_large_is_read_in_smaller_ones(sync, simulator, settings):
    simulator.faults([{"path": "/orders", "page": 2, "kind": "gzip_bomb", "megabytes": 140}])
    assert state(sync("full_refresh", max_in_flight=1)) == COMPLETE
    assert pages(simulator)[:4] == [(1, 50), (2, 50), (3, 20), (4, 20)]
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


@pytest.mark.parametrize("order", ["random", "updated"])
def test_P17_a_list_that_loses_its_order_is_read_whole(order, sync, simulator, settings):
    sync("full_refresh")
    for _ in range(7):
        simulator.put_bill(date_create=simulator.now() - timedelta(hours=90))
    simulator.set(order=order, total="missing")
    result = sync()
    assert (result.status, result.bills_new, result.list_order) == ("complete", 7, "none")
    assert "The list has no order to rely on: the whole of it is read." in result.warnings
    assert stored(settings) == references(simulator)


def test_P17_a_first_page_of_bills_that_share_their_time_tells_no_order(sync, simulator, settings):
    simulator.set(order="oldest_first", total="missing")
    for _ in range(60):
        simulator.put_bill(date_create=created(bills(simulator)[0]))
    sync("full_refresh")
    simulator.put_bill()
    result = sync()
    assert (result.status, result.bills_new, result.list_order) == ("complete", 1, "oldest_first")
    assert stored(settings) == references(simulator)


def test_P18_re_checks_beyond_the_budget_stay_due(sync, simulator):
    sync("full_refresh")
    result = sync(request_budget=10, overlap_hours=0, page_size=5)
    assert result.requests <= 10
    assert any("left for the next run" in w for w in result.warnings)


def test_P18_a_total_that_is_always_too_high_takes_no_more_than_the_budget(sync, simulator):
    """Each night the whole list is looked through for the bills that are not there: a part of it, and it is told."""
    sync("full_refresh")
    sync()
    simulator.set(total="high")
    told = "The whole list is too long for one run: the next run goes on."
    results = [sync(page_size=5, request_budget=30) for _ in range(3)]
    assert all(r.status == "incomplete" and r.requests <= 30 + 8 for r in results)
    assert told in results[0].warnings


def test_P18_a_list_without_order_leaves_half_of_the_budget_to_the_re_checks(sync, simulator, settings):
    settle(simulator, order="random")
    sync("full_refresh")
    young = simulator.put_bill(date_create=simulator.now() - timedelta(days=3), state="Pending")["order_reference"]
    sync()
    simulator.advance(days=1)
    simulator.put_bill(young, state="Paid")
    result = sync(page_size=2, request_budget=25)
    (bill,) = query(settings.warehouse_path, "select state from core.bills where order_reference = ?", young)
    assert (bill["state"], result.status, result.requests <= 25) == ("Paid", "incomplete", True)
    assert any(warning.endswith("too long for one run: the next run goes on.") for warning in result.warnings)


@pytest.mark.parametrize("contract", ["oldest_first", "undated"])
def test_P18_a_list_whose_newest_end_cannot_be_told_is_read_within_the_budget(contract, sync, simulator, settings):
    settle(simulator)
    if contract == "undated":
        bare = {"delete": ["date_create"]}
        simulator.faults([{"path": "/orders", "kind": "mutate", "times": None, "mutate": bare}])
    else:
        simulator.set(order="oldest_first", total="missing")
    sync("full_refresh")
    late = simulator.put_bill(state="Canceled")["order_reference"]
    results = []
    while late not in stored(settings):
        results.append(sync(page_size=5, request_budget=26, max_in_flight=1))
        assert len(results) < 9
    assert max(r.requests for r in results) <= 26
    told = "No bills known before were met at the newest end of the list: the whole of it is read."
    assert contract == "undated" or all(told in r.warnings for r in results)


@pytest.mark.long
@pytest.mark.parametrize("is_under_way", [False, True], ids=["no_walk", "a_walk_that_is_past_them"])
def test_P18_a_newest_end_too_long_for_one_night_is_read_on_from_where_it_was_left(
    is_under_way, sync, simulator, settings
):
    settle(simulator, days=150, total="missing")
    sync("full_refresh")
    simulator.advance(days=7)
    sync(page_size=5, request_budget=36 if is_under_way else 100)
    (place,) = query(settings.warehouse_path, "select walk_position as rows from core.accounts")
    assert place["rows"] is None or place["rows"] > 90
    assert is_under_way == (place["rows"] is not None)
    simulator.advance(days=10)
    for n in range(90):  # while the machine was off
        created_at = simulator.now() - timedelta(days=9) + timedelta(hours=2 * n)
        simulator.put_bill(f"LATE-{n:02}", state="Canceled", date_create=created_at)
    for _ in range(5):
        result = sync(page_size=5, request_budget=20)
        assert (result.status, result.requests <= 20) == ("incomplete", True)
    assert set(references(simulator)) <= set(stored(settings))


@pytest.mark.long
@pytest.mark.parametrize("total", ["missing", "low"])
def test_P18_a_walk_that_has_passed_the_place_of_a_burst_is_not_taken_for_whole(total, sync, simulator, settings):
    """More bills come in one night than the newest end can be read, while the whole list is read in parts."""
    settle(simulator, total=total)
    made = 0

    def come(many):
        nonlocal made
        for n in range(many):
            made += 1
            moment = simulator.now() - timedelta(hours=20 * (many - n) / many)
            simulator.put_bill(f"B-{made:03}", state="Paid", date_create=moment)

    come(30)
    sync("full_refresh", page_size=10)
    came = {0: 60, 4: 60}
    for night in range(20):
        simulator.advance(hours=23.75)
        come(came.get(night, 3))
        shown = set(references(simulator))
        result = sync(page_size=10, request_budget=10, max_in_flight=1)
        assert result.status == "incomplete" or shown <= set(stored(settings)), night
    assert shown <= set(stored(settings))


@pytest.mark.parametrize(("total", "overlap"), [("low", 48), ("right", 1_000_000)], ids=["forwards", "backwards"])
def test_P18_an_end_of_an_oldest_first_list_that_is_too_far_leaves_half_of_the_budget(
    total, overlap, sync, simulator, settings
):
    """A total that is too low begins far above the end; an overlap of all times goes back to the first page."""
    settle(simulator, days=300, order="oldest_first", total=total)
    sync("full_refresh")
    results, places = [], [0]
    for _ in range(2):
        simulator.advance(days=1)
        results.append(sync(page_size=2, request_budget=24, overlap_hours=overlap, max_in_flight=1))
        places.append(query(settings.warehouse_path, "select walk_position from core.accounts")[0]["walk_position"])
    assert max(r.requests for r in results) <= 24
    assert {r.status for r in results} == {"incomplete"}
    assert places[0] < places[1] < places[2]


@pytest.mark.long
def test_P18_the_last_part_of_a_walk_keeps_to_the_budget_also_where_bills_moved_meanwhile(sync, simulator, settings):
    """The total is that of an hour ago, and bills arrive while the last part is read."""
    settle(simulator)
    sync("full_refresh")
    simulator.advance(days=31)
    sync("recheck")
    simulator.set(total="stale")
    finished = "select full_walk_finished_at from core.accounts"
    results, before = [], query(settings.warehouse_path, finished)
    while query(settings.warehouse_path, finished) == before:
        simulator.advance(days=1)
        simulator.script([{"at_request": n, "do": [NEW]} for n in (12, 18)])
        results.append(sync(page_size=2, request_budget=25))
        assert len(results) < 30
    assert max(r.requests for r in results) <= 25 + 8
    told = "Bills moved while the list was read, which can hide some; it is too long to be read once more."
    assert (results[-1].status, told in results[-1].warnings) == ("incomplete", True)


def test_a_bill_that_arrives_before_the_page_before_the_first_is_tried_is_no_page_of_its_own(sync, simulator, settings):
    simulator.set(total="missing")
    sync("full_refresh", max_in_flight=1)
    at = [n for n, _ in pages(simulator)].index(0)  # the request before it
    simulator.script([{"at_request": at, "do": [NEW]}])
    assert state(sync("full_refresh", max_in_flight=1)) == COMPLETE
    assert [n for n, _ in pages(simulator)][-3:] == [1, 0, 1]
    assert stored(settings) == references(simulator)


def test_a_page_before_the_first_that_answers_500_is_asked_for_once(sync, simulator):
    simulator.set(total="missing")
    simulator.faults([{"path": "/orders", "page": 0, "status": 500, "times": None}])
    result = sync("full_refresh")
    assert (state(result), result.waited_seconds) == (COMPLETE, 0)
    assert [n for n, _ in pages(simulator)].count(0) == 1


@pytest.mark.parametrize("total", ["right", "missing"])
def test_pages_counted_from_zero_are_noticed_until_the_setting_is_right(total, sync, simulator, settings):
    simulator.set(paging="zero_based", total=total)
    hint = "CashPay's pages are counted from 0: set CASHPAY_FIRST_PAGE=0 and run again, bills are missing."
    for kind in ("full_refresh", "refresh", "refresh"):
        result = sync(kind)
        assert (result.status, hint in result.warnings) == ("incomplete", True)
    assert len(stored(settings)) == 154
    assert state(sync(first_page=0)) == COMPLETE
    assert stored(settings) == references(simulator)


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 429, "retry_after": 5}, {"status": 401}, {"kind": "close"}], ids=repr
)
def test_one_failure_does_not_stand_for_a_list_without_a_page_0(fault, sync, simulator, settings):
    simulator.set(paging="zero_based", total="missing")
    simulator.faults([{"path": "/orders", "page": 0, "times": 1, **fault}])
    result = sync("refresh")
    assert result.status == "incomplete" and "counted from 0: set CASHPAY_FIRST_PAGE=0" in result.warnings[-1]
    assert len(stored(settings)) == 154


def test_a_page_0_that_cannot_be_asked_for_leaves_the_walk_open(sync, simulator, settings):
    simulator.set(total="missing")
    simulator.faults([{"path": "/orders", "page": 0, "times": None, "status": 503}])
    for _ in range(2):
        result = sync("refresh")
        assert result.status == "incomplete" and "could not be asked" in result.warnings[-1]
    simulator.faults([])
    assert state(sync("refresh")) == COMPLETE


def test_a_walk_goes_on_where_it_was_interrupted(sync, simulator, settings, monkeypatch):
    monkeypatch.setattr("cashpay_pipeline.sync.batch.BATCH_ROWS", 1)
    simulator.faults([{"path": "/orders", "page": 4, "status": 503, "times": None}])
    with pytest.raises(UnavailableError):
        sync("full_refresh", max_in_flight=1)
    assert len(stored(settings)) == 150
    simulator.faults()
    for _ in range(3):
        simulator.put_bill()
    assert state(sync("full_refresh", max_in_flight=1)) == COMPLETE
    assert [n for n, _ in pages(simulator)] == [3, 4, 5, 6, 7, 1, 2, 3, 1]
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_T8_a_walk_that_began_later_than_it_is_now_begins_anew(simulator, make_settings):
    simulator.faults([{"path": "/orders", "page": 4, "status": 503, "times": None}])
    ahead = StandingClock(simulator)
    ahead.moment += timedelta(seconds=90)
    settings = make_settings(max_in_flight=1, page_size=20)
    with pytest.raises(UnavailableError):
        run_sync(settings, kind="full_refresh", clock=ahead)
    simulator.faults()
    assert state(run_sync(settings, kind="full_refresh", clock=StandingClock(simulator))) == COMPLETE


@pytest.mark.parametrize(
    ("failure", "kept", "told"),
    [(RuntimeError, 100, "RuntimeError"), (KeyboardInterrupt, 150, "interrupted"), ("signal", 150, "interrupted")],
)
def test_the_place_of_a_walk_is_stored_with_its_rows_or_not_at_all(failure, kept, told, sync, settings, monkeypatch):
    """What was being stored when a signal came is stored at the end, with the place; also if it came in a query."""
    monkeypatch.setattr("cashpay_pipeline.sync.batch.BATCH_ROWS", 50)
    save_changes, calls = store.save_changes, []

    def breaking(*arguments, **fields):
        calls.append(fields)
        if len(calls) == 3:
            if failure == "signal":
                with interrupting():
                    arguments[0].rows(ENDLESS, [8])
            raise failure("simulated failure")
        save_changes(*arguments, **fields)

    monkeypatch.setattr(store, "save_changes", breaking)
    # What a signal raised has no text with DuckDB 2.0.0.
    raised, text = (KeyboardInterrupt, None) if failure == "signal" else (failure, "simulated failure")
    with pytest.raises(raised, match=text):
        sync("full_refresh", max_in_flight=1)
    place = query(settings.warehouse_path, "select walk_position from core.accounts")
    assert (place, len(stored(settings))) == ([{"walk_position": kept}], kept)
    told_of_it = [{"bills_new": kept, "error_code": told}]
    assert query(settings.warehouse_path, "select bills_new, error_code from core.syncs") == told_of_it


def test_a_walk_begins_anew_where_its_place_cannot_be_found_again(sync, simulator, settings, monkeypatch):
    monkeypatch.setattr("cashpay_pipeline.sync.batch.BATCH_ROWS", 1)
    simulator.faults([{"path": "/orders", "page": 4, "status": 503, "times": None}])
    with pytest.raises(UnavailableError):
        sync("full_refresh", max_in_flight=1)
    simulator.faults()
    for bill in newest_first(simulator)[:60]:
        simulator.delete_bill(bill["order_reference"])
    sync("full_refresh", max_in_flight=1)
    assert [n for n, _ in pages(simulator)][:4] == [3, 1, 2, 3]
    assert set(references(simulator)) <= set(stored(settings))


def settle(simulator: SimulatorProcess, days: int = 120, **switches: Any) -> None:
    """A bill a day, each of them canceled: so that no re-check meets one by chance."""
    simulator.reset(days=days, bills_per_day=1, switches=switches)
    for bill in bills(simulator):
        simulator.put_bill(bill["order_reference"], state="Canceled")


@pytest.mark.parametrize(("kind", "at_most"), [("refresh", 20), ("full_refresh", 90)])
def test_T8_bills_are_met_although_the_clock_is_set_back_when_the_walk_has_begun(
    kind, at_most, simulator, make_settings, monkeypatch
):
    settle(simulator, days=300)
    run_sync(make_settings(page_size=50), kind="full_refresh", clock=StandingClock(simulator))
    simulator.advance(days=1)
    clock, fetch = CorrectedClock(simulator), CashpayClient.fetch_bills_page

    def fetch_later(*arguments: Any, **named: Any) -> Reply:
        clock.set_back = timedelta(seconds=90)
        return fetch(*arguments, **named)

    monkeypatch.setattr(CashpayClient, "fetch_bills_page", fetch_later)
    result = run_sync(make_settings(page_size=5, request_budget=12), kind=kind, clock=clock)
    assert result.complete and result.requests <= at_most


def test_P4_a_place_past_the_end_of_a_list_that_shrank_is_no_end(sync, simulator, settings, monkeypatch):
    """What was passed is not read again: there is no budget left for it."""
    settle(simulator)
    monkeypatch.setattr(batch, "BATCH_ROWS", 1)
    simulator.faults([{"path": "/orders", "page": 24, "status": 503, "times": None}])
    with pytest.raises(UnavailableError):
        sync("full_refresh", page_size=5, max_in_flight=1)
    simulator.faults()
    for bill in newest_first(simulator)[:15]:
        simulator.delete_bill(bill["order_reference"])
    assert sync(page_size=5, max_in_flight=1, request_budget=10).complete
    assert [n for n, _ in pages(simulator)][:4] == [23, 24, 1, 2]
    assert set(references(simulator)) <= set(stored(settings))


@pytest.mark.parametrize("skips_by", ["cap", "asked"])
def test_P5_a_cap_that_comes_while_a_walk_is_stopped_hides_no_bill(skips_by, sync, simulator, settings, monkeypatch):
    settle(simulator, total="missing")
    monkeypatch.setattr(batch, "BATCH_ROWS", 1)
    simulator.faults([{"path": "/orders", "page": 6, "status": 503, "times": None}])
    with pytest.raises(UnavailableError):
        sync("full_refresh", page_size=10, max_in_flight=1)
    simulator.faults()
    simulator.set(page_cap=5, cap_skips_by=skips_by)
    assert state(sync("full_refresh", page_size=10, max_in_flight=1)) == COMPLETE
    assert stored(settings) == references(simulator)


@pytest.mark.long
def test_P18_a_walk_that_takes_longer_than_a_place_is_trusted_comes_to_its_end_a_part_each_night(
    sync, simulator, settings, monkeypatch
):
    monkeypatch.setattr(whole_list, "RESUME_WITHIN", timedelta(hours=30))
    settle(simulator, days=60)
    nights = nights_until_an_old_change_is_seen(sync, simulator, settings, fewer_than=15)
    assert len(nights) > 3


def test_a_walk_begins_anew_where_its_place_was_read_too_long_ago(sync, simulator, settings, monkeypatch):
    monkeypatch.setattr(batch, "BATCH_ROWS", 1)
    simulator.faults([{"path": "/orders", "page": 4, "status": 503, "times": None}])
    with pytest.raises(UnavailableError):
        sync("full_refresh", max_in_flight=1)
    simulator.faults()
    simulator.advance(days=15)
    assert state(sync("full_refresh", max_in_flight=1)) == COMPLETE
    assert [n for n, _ in pages(simulator)][:3] == [3, 1, 2]
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_P4_a_bill_deleted_after_a_stopped_walk_had_met_it_is_marked_by_the_full_refresh_that_goes_on(
    sync, simulator, settings, monkeypatch
):
    settle(simulator)
    monkeypatch.setattr(batch, "BATCH_ROWS", 1)
    simulator.faults([{"path": "/orders", "page": 4, "status": 503, "times": None}])
    with pytest.raises(UnavailableError):
        sync("full_refresh", page_size=20, max_in_flight=1)
    simulator.faults()
    gone = newest_first(simulator)[5]["order_reference"]
    simulator.delete_bill(gone)
    result = sync("full_refresh", page_size=20, max_in_flight=1)
    marked = query(settings.warehouse_path, "select order_reference from core.bills where missing_since is not null")
    assert marked == [{"order_reference": gone}]
    assert result.warnings == ["CashPay no longer knows 1 bills: see core.bills.missing_since."]


def test_P4_a_walk_stopped_before_it_read_again_what_a_deletion_moved_goes_on_there(
    sync, simulator, settings, monkeypatch
):
    """The deleted bill was met: so the numbers would agree while another is hidden, and no re-check meets that one.

    What was passed is not read again: there is no budget left for it.
    """
    simulator.reset(days=240, bills_per_day=1)
    for bill in bills(simulator):
        simulator.put_bill(bill["order_reference"], state="Canceled")
    monkeypatch.setattr(batch, "BATCH_ROWS", 1)
    simulator.script([{"at_request": 9, "when": "before", "do": [{"delete": "@6"}]}])
    simulator.faults([{"path": "/orders", "page": 8, "after": 1, "status": 503, "times": None}])
    with pytest.raises(UnavailableError):
        sync("full_refresh", page_size=20, max_in_flight=1)
    hidden = newest_first(simulator)[159]["order_reference"]
    assert hidden not in stored(settings)
    simulator.faults()
    assert sync("refresh", page_size=20, max_in_flight=1, request_budget=14).complete
    assert hidden in stored(settings)


@pytest.mark.parametrize("kind", ["refresh", "full_refresh"])
def test_P17_bills_that_came_into_the_part_that_a_stopped_walk_had_passed_are_read(
    kind, sync, simulator, settings, monkeypatch
):
    """In a list without order a new bill can stand anywhere."""
    simulator.reset(days=120, bills_per_day=1, switches={"order": "random"})
    for bill in bills(simulator):
        simulator.put_bill(bill["order_reference"], state="Canceled")  # so that no re-check meets them by chance
    monkeypatch.setattr(batch, "BATCH_ROWS", 1)
    simulator.faults([{"path": "/orders", "page": 5, "status": 503, "times": None}])
    with pytest.raises(UnavailableError):
        sync("full_refresh", page_size=20, max_in_flight=1)
    simulator.faults()
    for number in range(10):
        simulator.put_bill(f"SANDBOX-LATE-{number:02}", state="Canceled")
    assert sync(kind, page_size=20, max_in_flight=1).complete
    assert stored(settings) == references(simulator)


def test_P3_a_bill_that_moved_into_the_part_that_a_stopped_walk_had_passed_is_read(
    sync, simulator, settings, monkeypatch
):
    """The deleted bill was met and others stand above the moved one: neither the numbers nor the newest page tell."""

    def change(reference, **fields):
        simulator.advance(seconds=1)
        simulator.put_bill(reference, **fields)

    simulator.reset(days=120, bills_per_day=1, frozen=True, switches={"order": "updated"})
    for bill in bills(simulator):
        change(bill["order_reference"], state="Canceled")  # so that no re-check meets them by chance
    monkeypatch.setattr(batch, "BATCH_ROWS", 1)
    simulator.faults([{"path": "/orders", "page": 5, "status": 503, "times": None}])
    with pytest.raises(UnavailableError):
        sync("full_refresh", page_size=20, max_in_flight=1)
    simulator.faults()
    oldest, *others = [b["order_reference"] for b in bills(simulator)]
    assert oldest not in stored(settings)
    for reference in (oldest, *others[-40:]):
        change(reference, description="changed meanwhile")
    simulator.delete_bill(others[-50])
    sync("refresh", page_size=20, max_in_flight=1)
    assert oldest in stored(settings)


# Table H


def test_H2_an_unknown_shape_is_never_an_empty_list(sync, simulator, settings):
    sync("full_refresh")
    simulator.set(envelope="unknown")
    for kind in ("refresh", "full_refresh"):
        with pytest.raises(
            UnexpectedReplyError, match=r"Expected a list of bills, got an object with status, payload\."
        ):
            sync(kind)
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


@pytest.mark.parametrize("kind", ["refresh", "full_refresh"])
@pytest.mark.parametrize(
    "fault", [{"status": 204}, {"status": 200, "body": {"total": 0, "items": []}}], ids=["204", "empty"]
)
def test_H4_an_empty_first_page_never_empties_what_is_stored(fault, kind, sync, simulator, settings):
    sync("full_refresh")
    simulator.faults([{"path": "/orders", "times": None, **fault}])
    with pytest.raises(GuardError, match=r"The bill list is empty, while 204 bills are stored\."):
        sync(kind)
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


@pytest.mark.parametrize("end", ["empty", "204", "404"])
def test_H4_an_account_without_bills_is_fine(end, sync, simulator, settings):
    simulator.reset(days=1, bills_per_day=1, switches={"end": end})
    for bill in bills(simulator):
        simulator.delete_bill(bill["order_reference"])
    assert [state(sync(kind)) for kind in ("full_refresh", "refresh")] == [COMPLETE, COMPLETE]
    assert stored(settings) == []


def test_H8_a_list_that_is_not_there_is_a_wrong_address(sync, simulator, settings):
    sync("full_refresh")
    simulator.faults([{"path": "/orders", "status": 404, "times": None}])
    with pytest.raises(WrongAddressError) as stopped:
        sync()
    assert "/orders" in stopped.value.where
    assert stored(settings) == references(simulator)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_H11_a_size_that_is_refused_is_made_smaller(status, sync, simulator, settings):
    simulator.set(size_refused_above=20, size_refused_status=status)
    assert state(sync("full_refresh")) == COMPLETE
    assert sorted({size for _, size in pages(simulator)}) == [20, 50]
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_H11_a_413_is_not_tried_again_unchanged_and_halves_the_size_to_the_last(sync, simulator):
    simulator.set(size_refused_above=2, size_refused_status=413)
    assert state(sync("full_refresh")) == COMPLETE
    assert pages(simulator)[:6] == [(1, 50), (1, 20), (1, 10), (1, 5), (1, 2), (2, 2)]
    simulator.faults([{"path": "/orders", "status": 413, "times": None}])
    with pytest.raises(RequestRefusedError):
        sync("full_refresh")
    assert pages(simulator) == [(1, 50), (1, 20), (1, 10), (1, 5), (1, 2), (1, 1)]


@pytest.mark.parametrize("in_flight", [1, 2])
def test_H16_a_row_that_breaks_its_page_for_ever_stops_the_sync_and_is_never_skipped(
    in_flight, sync, simulator, settings
):
    rows = [b["order_reference"] for b in newest_first(simulator)]
    simulator.faults([{"path": "/orders", "contains": rows[72], "status": 500, "times": None}])
    with pytest.raises(UnavailableError) as stopped:
        sync("full_refresh", max_in_flight=in_flight)
    assert "page 73" in stopped.value.where
    assert stored(settings) == sorted(rows[:72])
    assert (73, 1) in pages(simulator)
    simulator.faults()
    assert sync().status == "complete"
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_H16_a_walk_stopped_in_small_pages_goes_on_in_those_of_before(sync, simulator, settings, monkeypatch):
    monkeypatch.setattr(batch, "BATCH_ROWS", 1)
    row = newest_first(simulator)[72]["order_reference"]
    simulator.faults([{"path": "/orders", "contains": row, "status": 500, "times": None}])
    with pytest.raises(UnavailableError):
        sync("full_refresh", max_in_flight=1)
    assert pages(simulator)[-1] == (73, 1)
    simulator.faults()
    assert state(sync("full_refresh", max_in_flight=1)) == COMPLETE
    assert {size for _, size in pages(simulator)} == {50}
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_N10_a_full_refresh_that_resumes_reads_what_was_passed_again(sync, simulator, settings, monkeypatch):
    """A change on a page that the interrupted walk had passed is found by the full refresh that goes on from it."""
    monkeypatch.setattr(batch, "BATCH_ROWS", 20)
    simulator.set(total="stale")
    simulator.faults([{"path": "/orders", "page": 4, "status": 503, "times": None}])
    with pytest.raises(UnavailableError):
        sync("full_refresh", page_size=20)
    passed = simulator.truth()["bills"][-30]["order_reference"]
    simulator.put_bill(passed, description="changed meanwhile")
    simulator.faults([])
    assert sync("full_refresh", page_size=20).complete
    described = query(settings.warehouse_path, "select description from core.bills where order_reference = ?", passed)
    assert described == [{"description": "changed meanwhile"}]
