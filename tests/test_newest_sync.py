"""Which sync is the newest hangs on no clock, in the tables and queries as in status, checks and report (T8)."""

from datetime import timedelta
from pathlib import Path

import pytest
from rows import ask, at, bill, history, published, sync_row

from cashpay_pipeline.reconcile import load_mapping, reconcile
from cashpay_pipeline.report.queries import read_facts
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.warehouse import read_published


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sync whose login was refused while the clock here was 400 days ahead, then a good night."""
    with published(tmp_path) as warehouse:
        history(warehouse, "paid", ("Pending", 0, at(2), None), ("Paid", 1000, at(4), at(2)), created_at=at(1, 20))
        sync_row(warehouse, "sync-0302", "full_refresh", at(2), "complete")
        sync_row(warehouse, "ahead", "refresh", at(3) + timedelta(days=400), "failed")
        sync_row(warehouse, "sync-0304", "refresh", at(4), "complete")
    return tmp_path


def test_a_clock_that_was_wrong_once_makes_no_newest_sync(folder: Path) -> None:
    rows = read_published(
        load_settings(data_dir=folder), "select sync_id, is_newest, age_hours, last_complete_at from marts.sync_health"
    )[1]
    minute = timedelta(minutes=1)
    assert rows == [
        ("sync-0302", False, 48, at(2) + minute),
        ("ahead", False, 0, at(2) + minute),
        ("sync-0304", True, 0, at(4) + minute),
    ]
    ((account, kind, status, *_),) = ask(folder, "freshness")
    assert (account, kind, status) == ("main", "refresh", "complete")
    assert ask(folder, "changed_last_night") == [("main", "XOF", "Pending", "Paid", 1, 1000)]
    assert [row[2] for row in ask(folder, "bills_changed_last_night")] == ["paid"]


def test_the_data_ends_where_the_last_complete_reading_did_whatever_a_clock_had_said(tmp_path: Path) -> None:
    """In the report, the queries, the table of syncs, and what a reconciliation says of orders that are too new."""
    settings = load_settings(data_dir=tmp_path)
    with published(tmp_path) as warehouse:
        for month in (2, 3):
            bill(warehouse, f"paid-{month}", "Paid", 10 * month, created_at=at(3, 1, month=month), changed_at=at(4))
        sync_row(warehouse, "ahead", "refresh", at(3) + timedelta(days=400), "complete")
        sync_row(warehouse, "sync-0304", "refresh", at(4), "complete")
    assert read_facts(settings).last_day == at(3).date()
    assert [row[1] for row in ask(tmp_path, "yesterday_by_gateway")] == [at(3).date()]
    assert ask(tmp_path, "this_month_against_last") == [("main", "XOF", at(3).date(), 30, 20, 10)]
    assert {row[1].month for row in ask(tmp_path, "last_month_by_day_and_gateway")} == {2}
    minute = timedelta(minutes=1)
    known = "select last_complete_at from marts.sync_health where is_newest"
    assert read_published(settings, known)[1] == [(at(4) + minute,)]
    orders = tmp_path / "orders.csv"
    orders.write_text("reference;amount;paid;date\nNEW;5;yes;2026-03-05\n")
    said = reconcile(settings, str(orders), load_mapping(None)).assumed
    assert [line for line in said if line.startswith("1 order without a bill can be newer")]


def test_how_old_the_list_was_is_not_told_where_a_clock_was_wrong(tmp_path: Path) -> None:
    """A complete night under a `Date` of the future, then syncs that do not read the list: 9,600 hours below zero."""
    with published(tmp_path) as warehouse:
        sync_row(warehouse, "ahead", "refresh", at(3) + timedelta(days=400), "complete")
        sync_row(warehouse, "failed", "refresh", at(4), "failed")
        sync_row(warehouse, "recheck", "recheck", at(5), "complete")
    known = "select hours_since_complete from marts.sync_health"
    assert read_published(load_settings(data_dir=tmp_path), known)[1] == [(0,), (None,), (None,)]
    ((_, kind, _, ended_at, complete_at, hours, *_),) = ask(tmp_path, "freshness")
    assert (kind, complete_at > ended_at, hours) == ("recheck", True, None)
