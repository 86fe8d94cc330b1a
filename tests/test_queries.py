"""The example queries on a small shop: each answers what its comment asks."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rows import FLOOZ, MIXX, ask, at, bill, history, insert, payments, published, sync_row

from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.sqlfiles import read_sql, sql_folder
from cashpay_pipeline.warehouse import Warehouse, read_published

QUERIES = {path.stem: read_sql(path) for path in sorted((sql_folder() / "queries").glob("*.sql"))}
NOW = at(10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("shop")
    with published(folder) as warehouse:
        fill(warehouse)
    yield folder


def fill(warehouse: Warehouse) -> None:
    """A shop on the morning of 10 March: what came in yesterday, what is open, and some older bills."""

    def seen(day: int, hour: int = 1, month: int = 3) -> dict[str, datetime]:
        """Created, then read in the following night."""
        night = at(day + 1, month=month)
        return {"created_at": at(day, hour, month=month), "first_seen_at": night, "changed_at": night}

    now = {"verified_at": NOW}
    mixx = {"gateway_reference": MIXX, "gateway_name": "Mixx by Yas"}
    ama = {"client_key": "ama", "client_phone_masked": "******01"}
    kofi = {"client_key": "kofi", "client_phone_masked": "******02"}
    unpaid = ("Pending", 0)
    history(warehouse, "yesterday-1", (*unpaid, at(9), None), ("Paid", 500, NOW, at(9)), created_at=at(8, 20), **ama,
            **now, amount=500, paid_after=at(9), paid_before=NOW)  # fmt: skip
    bill(warehouse, "yesterday-2", "Paid", 300, **seen(9, 10), **mixx, **kofi, **now, amount=300,
         paid_after=at(9, 10), paid_before=NOW)  # fmt: skip
    history(warehouse, "days-later", (*unpaid, at(2), None), ("Paid", 200, at(6), at(5)), **ama, amount=200,
            paid_after=at(5), paid_before=at(6))  # fmt: skip
    february = seen(5, month=2)
    bill(warehouse, "in-february", "Paid", 400, **february, **kofi, amount=400,
         paid_after=february["created_at"], paid_before=february["changed_at"])  # fmt: skip
    late_february = seen(20, month=2)
    bill(warehouse, "late-in-february", "Paid", 50, **late_february, amount=50,
         paid_after=late_february["created_at"], paid_before=late_february["changed_at"])  # fmt: skip
    bill(warehouse, "in-part", "Partial", 100, **seen(7), **now, **ama, amount=250)
    bill(warehouse, "open", "Pending", 0, **seen(9, 12), **now, merchant_reference="ORDER-1")
    bill(warehouse, "failed", "Error", 0, **seen(9, 11), **now, merchant_reference="ORDER-1")
    for day, reference in enumerate(("once", "again"), start=3):
        times = seen(day)
        bill(warehouse, reference, "Paid", 60, **times, amount=60, merchant_reference="ORDER-2",
             paid_after=times["created_at"], paid_before=times["changed_at"])  # fmt: skip
    bill(warehouse, "gone", "Pending", 0, **seen(2), missing_since=at(5))
    bill(warehouse, "euros", "Paid", 9, **seen(9, 15), **now, account="second", currency="EUR", amount=9,
         paid_after=at(9, 15), paid_before=NOW)  # fmt: skip
    payments(warehouse, "yesterday-1", (FLOOZ, 500))
    ahead = at(8).replace(year=2027)  # by a clock that was set right since
    sync_row(warehouse, "sync-ahead", "refresh", ahead, "complete")
    sync_row(warehouse, "sync-0309", "full_refresh", at(9), "complete")
    sync_row(warehouse, "sync-0310-first", "refresh", at(10, 1), "complete")
    sync_row(warehouse, "sync-0310", "refresh", NOW, "incomplete", warnings=["slow"], reported_total=12)
    sync_row(warehouse, "second-0310", "refresh", NOW, "complete", account="second")
    insert(
        warehouse, "core.data_issues", issue_id="i", account="main", sync_id="sync-0310", source="list",
        reason="missing", field="amount", payload="{}", first_seen_at=NOW, last_seen_at=NOW,
    )  # fmt: skip


ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "bill_over_time": [
        (at(9), "main", "yesterday-1", 1, "Pending", "XOF", 1000, 0, None),
        (NOW, "main", "yesterday-1", 2, "Paid", "XOF", 1000, 500, at(9)),
    ],
    "bills_changed_last_night": [
        ("main", None, "yesterday-1", "Pending", "Paid", "XOF", 500, "Flooz"),
        ("main", None, "yesterday-2", None, "Paid", "XOF", 300, "Mixx by Yas"),
        ("main", "ORDER-1", "failed", None, "Error", "XOF", 0, "Flooz"),
        ("main", "ORDER-1", "open", None, "Pending", "XOF", 0, "Flooz"),
    ],
    "changed_last_night": [
        ("main", "XOF", None, "Error", 1, 0),
        ("main", "XOF", None, "Paid", 1, 300),
        ("main", "XOF", None, "Pending", 1, 0),
        ("main", "XOF", "Pending", "Paid", 1, 500),
    ],
    "conversion_by_weekday_and_hour": [
        ("main", 1, 1, 1, 0, Decimal("0.0000")),
        ("main", 1, 10, 1, 1, Decimal("1.0000")),
        ("main", 1, 11, 1, 0, Decimal("0.0000")),
        ("main", 1, 12, 1, 0, Decimal("0.0000")),
        ("main", 2, 1, 1, 1, Decimal("1.0000")),
        ("main", 3, 1, 1, 1, Decimal("1.0000")),
        ("main", 4, 1, 1, 1, Decimal("1.0000")),
        ("main", 5, 1, 1, 1, Decimal("1.0000")),
        ("main", 6, 1, 1, 0, Decimal("0.0000")),
        ("main", 7, 1, 1, 1, Decimal("1.0000")),
        ("main", 7, 20, 1, 1, Decimal("1.0000")),
        ("second", 1, 15, 1, 1, Decimal("1.0000")),
    ],
    "freshness": [
        ("main", "refresh", "incomplete", at(10, 2, 16), at(10, 1, 16), 1, 1, 11, 12, 1, NOW, 1),
        ("second", "refresh", "complete", at(10, 2, 16), at(10, 2, 16), 0, 0, 1, 60, 0, None, 0),
    ],
    "last_month_by_day_and_gateway": [
        ("main", date(2026, 2, 5), "Flooz", "XOF", 400, 0, 400),
        ("main", date(2026, 2, 20), "Flooz", "XOF", 50, 0, 50),
    ],
    "orders_paid_twice": [
        ("main", "ORDER-2", "paid_twice_order", "once", "again", "XOF", 60, 60, 60, "Flooz", at(5)),
    ],
    "paid_after_more_than_a_day": [
        ("main", "days-later", "Flooz", "XOF", 200, at(1, 1), at(5), at(6), 97, 121),
    ],
    "partial_payments_owed": [
        ("main", None, "in-part", "XOF", 250, 100, 150, True, 3, "ama", "******01", None),
    ],
    "this_month_against_last": [
        ("main", "XOF", date(2026, 3, 9), 1220, 400, 820),
        ("second", "EUR", date(2026, 3, 9), 9, 0, 9),
    ],
    "top_customers": [
        ("main", "XOF", 1, "ama", "******01", 800, 2, 3, date(2026, 3, 1), date(2026, 3, 8)),
        ("main", "XOF", 2, "kofi", "******02", 700, 2, 2, date(2026, 2, 5), date(2026, 3, 9)),
    ],
    "totals_as_known_at": [
        (at(1, 0, 0), "main", "XOF", "Paid", 2, 2000, 450),
    ],
    "unpaid_since_when": [
        ("main", None, "in-part", "Partial", "XOF", 150, at(7, 1), 3, "1-7", None, "yes"),
        ("main", "ORDER-1", "open", "Pending", "XOF", 1000, at(9, 12), 0, "0-1", NOW, None),
    ],
    "yesterday_by_gateway": [
        ("main", date(2026, 3, 9), "Flooz", "XOF", 1, 500, 0, 0),
        ("main", date(2026, 3, 9), "Mixx by Yas", "XOF", 1, 300, 0, 0),
        ("second", date(2026, 3, 9), "Flooz", "EUR", 1, 9, 0, 0),
    ],
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_answers_its_question(folder: Path, name: str) -> None:
    assert ask(folder, name) == ANSWERS[name]


def test_a_recheck_ends_no_day_and_is_no_night(tmp_path: Path) -> None:
    """It reads open bills only: what was paid and created since the last sync is not known yet."""
    with published(tmp_path) as warehouse:
        bill(warehouse, "yesterday", "Paid", 500, created_at=at(8), changed_at=at(9), verified_at=at(9))
        history(warehouse, "rechecked", ("Pending", 0, at(9), None), ("Paid", 70, at(11), at(10)), created_at=at(8, 1),
                verified_at=at(11))  # fmt: skip
        sync_row(warehouse, "sync-0309", "refresh", at(9), "complete")
        sync_row(warehouse, "sync-0310", "refresh", at(10), "failed")
        sync_row(warehouse, "sync-0311", "recheck", at(11), "complete")
    assert ask(tmp_path, "yesterday_by_gateway") == [("main", date(2026, 3, 8), "Flooz", "XOF", 1, 500, 0, 0)]
    assert ask(tmp_path, "this_month_against_last") == [("main", "XOF", date(2026, 3, 8), 500, 0, 500)]
    assert ask(tmp_path, "changed_last_night") == []
    assert ask(tmp_path, "bills_changed_last_night") == []


def test_a_bill_that_one_sync_stored_twice_is_one_changed_bill(tmp_path: Path) -> None:
    """The list says Partial without a sum, then the details tell it."""
    with published(tmp_path) as warehouse:
        history(warehouse, "known", ("Pending", 0, at(9), None), ("Partial", None, at(10), at(9)),
                ("Partial", 70, at(10), at(10)), created_at=at(8, 1))  # fmt: skip
        history(warehouse, "new", ("Partial", None, at(10), None), ("Paid", 90, at(10), at(10)), created_at=at(9, 20),
                gateway_name=None)  # fmt: skip
        sync_row(warehouse, "sync-0309", "refresh", at(9), "complete")
        sync_row(warehouse, "sync-0310", "refresh", at(10), "complete")
    assert ask(tmp_path, "bills_changed_last_night") == [
        ("main", None, "new", None, "Paid", "XOF", 90, "not told"),
        ("main", None, "known", "Pending", "Partial", "XOF", 70, "Flooz"),
    ]


def test_a_bill_of_which_a_night_stored_two_versions_changed_once(tmp_path: Path) -> None:
    """The list showed a state without its sum, and the same sync read the details."""
    with published(tmp_path) as warehouse:
        unread, read = ("Excess", None, at(3), at(2)), ("Excess", 1500, at(3), at(3))
        history(warehouse, "known", ("Partial", 400, at(2), None), unread, read)
        history(warehouse, "new", unread, read)
        history(warehouse, "not-told", ("Partial", 400, at(2), None), unread)
        sync_row(warehouse, "sync-0303", "refresh", at(3), "complete")
    assert ask(tmp_path, "changed_last_night") == [
        ("main", "XOF", None, "Excess", 1, 1500),
        ("main", "XOF", "Partial", "Excess", 2, 1100),
    ]


def test_what_was_told_before_does_not_come_in_again(tmp_path: Path) -> None:
    """A sum was told, then not for a night, then again. As in marts.daily_collections: 400 came in two nights before,
    and 800 last night, not 1,200.
    """
    with published(tmp_path) as warehouse:
        told, untold = ("Partial", 400, at(2), None), ("Excess", None, at(3), at(2))
        history(warehouse, "told-again", told, untold, ("Excess", 1200, at(4), at(3)), created_at=at(1, 20))
        history(warehouse, "not-told", told, untold, ("Canceled", None, at(4), at(3)), created_at=at(1, 20))
        history(warehouse, "below-zero", ("Paid", -70, at(3), None), ("Paid", 0, at(4), at(3)), created_at=at(1, 20))
        sync_row(warehouse, "sync-0304", "refresh", at(4), "complete")
    days = "select received_date, received_amount from marts.daily_collections order by 1"
    found = read_published(load_settings(data_dir=tmp_path), days)[1]
    assert found == [(date(2026, 3, 1), 800), (date(2026, 3, 2), 800)]
    more = {row[2]: row[6] for row in ask(tmp_path, "bills_changed_last_night")}
    assert more == {"told-again": 800, "not-told": None, "below-zero": 0}
    assert ask(tmp_path, "changed_last_night") == [
        ("main", "XOF", "Excess", "Canceled", 1, None),
        ("main", "XOF", "Excess", "Excess", 1, 800),
        ("main", "XOF", "Paid", "Paid", 1, 0),
    ]


def test_a_moment_of_a_bill_is_told_once(tmp_path: Path) -> None:
    """P12: the bill came twice in one page, and the payment between the two."""
    with published(tmp_path) as warehouse:
        history(warehouse, "twice", ("Pending", 0, at(2), None), ("Partial", 400, at(3), at(2)),
                ("Paid", 1000, at(3), at(3)))  # fmt: skip
    rows = ask(tmp_path, "bill_over_time")
    assert [(row[0], row[4], row[7]) for row in rows] == [(at(2), "Pending", 0), (at(3), "Paid", 1000)]


def test_a_part_paid_that_is_still_owed_is_owed_once(tmp_path: Path) -> None:
    with published(tmp_path) as warehouse:
        for number in (1, 2):
            bill(warehouse, f"p{number}", "Partial", 400, merchant_reference="A", created_at=at(number))
        bill(warehouse, "gone", "Partial", 400, missing_since=at(3))
    settings = load_settings(data_dir=tmp_path)
    columns, rows = read_published(settings, QUERIES["partial_payments_owed"][1])
    listed = [dict(zip(columns, row, strict=True)) for row in rows]
    assert sum(row["open_amount"] for row in listed if row["is_still_owed"]) == 600
    assert read_published(settings, "select sum(still_owed_amount) from marts.unpaid_aging")[1] == [(600,)]


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_says_its_question_in_english_and_french(name: str) -> None:
    header, _ = QUERIES[name]
    assert re.match(r"en: [A-Z].*\?\nfr: [A-ZÀ].* \?(\n|$)", header)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_never_adds_up_accounts_or_currencies(name: str) -> None:
    _, sql = QUERIES[name]
    assert "account" in sql and ("currency" in sql or "_amount" not in sql)


def test_queries_work_on_an_empty_warehouse(tmp_path: Path) -> None:
    with published(tmp_path):
        pass  # nothing is in it
    for name in QUERIES:
        assert ask(tmp_path, name) == []
