"""`rebuild` gives the same content from the payloads alone; history answers for any moment."""

from datetime import datetime, timedelta

import duckdb
import pytest
from truth import query

from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.sync.rebuild import rebuild
from cashpay_pipeline.warehouse import open_warehouse

TABLES = ("bills", "payments", "bill_versions")


def content(settings):
    return {t: query(settings.warehouse_path, f"select * from core.{t} order by all") for t in TABLES}


@pytest.fixture
def three_nights(settings, simulator):
    """A warehouse with history: bills paid late, partly, too much, and one that is gone."""
    clock = SimulatedClock(simulator.base_url)
    for _ in range(3):
        run_sync(settings, clock=clock)
        simulator.advance(days=1)
    simulator.delete_bill("@-1")
    run_sync(settings, kind="full_refresh", clock=clock)
    return settings


def test_rebuild_gives_the_same_content(three_nights):
    before = content(three_nights)
    assert any(b["version"] > 1 for b in before["bills"])
    assert any(b["missing_since"] for b in before["bills"])
    assert rebuild(three_nights) == len(before["bill_versions"])
    assert content(three_nights) == before


@pytest.mark.parametrize("told_later", [False, True])
def test_D10_a_bill_that_was_first_read_paid_and_undated_stays_without_a_lower_bound(told_later, settings, simulator):
    simulator.put_bill("UNDATED", state="Paid")
    undated = {"references": ["UNDATED"], "delete": ["date_create"]}
    simulator.faults([{"path": "*", "kind": "mutate", "times": None, "mutate": undated}])
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, kind="full_refresh", clock=clock)
    if told_later:
        simulator.faults([])
        run_sync(settings, kind="full_refresh", clock=clock)
    before = content(settings)
    rebuild(settings)
    assert content(settings) == before


def test_rebuild_reads_times_without_a_zone_in_the_zone_of_the_settings(settings, simulator):
    simulator.set(date_form="iso_naive")
    run_sync(settings, clock=SimulatedClock(simulator.base_url))
    rebuild(settings.model_copy(update={"source_timezone": "Asia/Tokyo"}))
    rows = query(settings.warehouse_path, "select order_reference, created_at from core.bills")
    assert {row["order_reference"]: row["created_at"] for row in rows} == {
        bill["order_reference"]: datetime.fromisoformat(bill["date_create"]) - timedelta(hours=9)
        for bill in simulator.truth()["bills"]
    }


def test_rebuild_brings_back_a_lost_table(three_nights):
    before = content(three_nights)
    with duckdb.connect(str(three_nights.warehouse_path)) as connection:
        connection.execute("delete from core.bills")
        connection.execute("delete from core.payments")
    rebuild(three_nights)
    after = content(three_nights)
    assert after["payments"] == before["payments"]
    readings = (
        "verified_at",
        "money_told_at",
        "content_told_at",
        "missing_since",
        "list_digest",
        "details_digest",
        "due_at",
    )
    kept = [k for k in before["bills"][0] if k not in readings]
    assert [{k: b[k] for k in kept} for b in after["bills"]] == [{k: b[k] for k in kept} for b in before["bills"]]


def test_bills_as_of_answers_as_was_known_then(three_nights, simulator):
    history = query(
        three_nights.warehouse_path,
        "select * from core.bill_versions where order_reference in "
        "(select order_reference from core.bill_versions where version = 2) order by order_reference, version",
    )
    first, second = history[0], history[1]
    asked = "select state, version from core.bills_as_of(?::timestamptz) where order_reference = ?"
    just_before = second["observed_at"] - timedelta(microseconds=1)

    def state_at(moment: datetime):
        return query(three_nights.warehouse_path, asked, moment, first["order_reference"])

    assert state_at(first["observed_at"] - timedelta(seconds=1)) == []
    assert state_at(just_before) == [{"state": first["state"], "version": 1}]
    assert state_at(second["observed_at"]) == [{"state": second["state"], "version": 2}]


def test_rebuild_makes_the_tables_of_the_report_anew_too(three_nights):
    """`cashpay publish`, which may come next, makes none."""
    with open_warehouse(three_nights) as warehouse:
        warehouse.execute("update core.bills set received_amount = 0")
        for mart in all_marts():
            build_mart(warehouse, mart)
    rebuild(three_nights)
    received = "select sum(received_amount) as received from {}"
    (truth,) = query(three_nights.warehouse_path, received.format("core.bills"))
    assert truth["received"] > 0
    assert query(three_nights.warehouse_path, received.format("marts.bill_states")) == [truth]
