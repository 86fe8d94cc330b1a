"""The marts against literal rows: everything that a table holds, and what the database says about it."""

import re
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rows import FLOOZ, MIXX, at, bill, history, insert, payments, sync_row, version

from cashpay_pipeline.catalog import catalog
from cashpay_pipeline.errors import WarehouseError
from cashpay_pipeline.marts import all_marts, build_mart, read_mart
from cashpay_pipeline.warehouse import Warehouse

MARTS = {mart.name: mart for mart in all_marts()}


def build(warehouse: Warehouse, name: str) -> list[tuple[Any, ...]]:
    build_mart(warehouse, MARTS[name])
    return warehouse.connection.execute(f"from marts.{name}").fetchall()


def columns(warehouse: Warehouse, name: str, *chosen: str) -> list[tuple[Any, ...]]:
    build_mart(warehouse, MARTS[name])
    return warehouse.connection.execute(f"select {', '.join(chosen)} from marts.{name}").fetchall()


def test_daily_collections_puts_received_money_on_the_day_it_was_last_seen_missing(warehouse: Warehouse) -> None:
    insert(
        warehouse, "core.gateways", account="main", gateway_reference=MIXX, name="Mixx by Yas",
        first_seen_at=at(1), changed_at=at(1),
    )  # fmt: skip
    bill(warehouse, "paid-at-once", "Paid", 1000)
    unpaid = ("Pending", 0, at(1), None)
    history(warehouse, "paid-by-day", unpaid, ("Excess", 500, at(2), at(1)))
    history(warehouse, "before-midnight", unpaid, ("Paid", 40, at(2, 0, 5), at(1, 23, 59)))
    history(warehouse, "at-midnight", unpaid, ("Paid", 3, at(2, 0, 5), at(2, 0, 0)))
    history(warehouse, "night-missed", unpaid, ("Paid", 700, at(3), at(1)))
    history(warehouse, "26-hours", unpaid, ("Paid", 1, at(2, 4, 15), at(1)))
    bill(warehouse, "old-at-first-sync", "Paid", 300, created_at=at(20, month=2), first_seen_at=at(3), changed_at=at(3))
    bill(warehouse, "no-time", "Paid", 90, created_at=None, first_seen_at=at(3), changed_at=at(3))
    bill(warehouse, "clock-ahead", "Paid", 2, created_at=at(2, 3), first_seen_at=at(2), changed_at=at(2))
    paid = (unpaid, ("Paid", 20, at(3), at(2)))
    history(warehouse, "old-name", *paid, gateway_reference=MIXX, gateway_name="T-Money")
    history(warehouse, "new-name", *paid, gateway_reference=MIXX, gateway_name="Mixx by Yas")
    history(warehouse, "no-gateway", *paid, gateway_reference=None, gateway_name=None)
    history(warehouse, "euros", *paid, currency="EUR")
    history(warehouse, "missing", *paid, missing_since=at(4))
    history(warehouse, "other-account", *paid, account="second")
    for state, received in {"Pending": 0, "Canceled": 50, "Unknown": 90, "Paid": -10, "Excess": None}.items():
        bill(warehouse, f"left-out-{state}", state, received)
    warehouse.connection.execute("set TimeZone = 'Pacific/Auckland'")

    assert build(warehouse, "daily_collections") == [
        ("main", date(2026, 2, 20), FLOOZ, "Flooz", "XOF", 1, 300, 0, 300, 0, 0, 300),
        ("main", date(2026, 3, 1), FLOOZ, "Flooz", "XOF", 5, 2241, 700, 0, 0, 0, 2241),
        ("main", date(2026, 3, 2), FLOOZ, "Flooz", "EUR", 1, 20, 0, 0, 0, 0, 20),
        ("main", date(2026, 3, 2), FLOOZ, "Flooz", "XOF", 3, 25, 0, 0, 0, 0, 25),
        ("main", date(2026, 3, 2), MIXX, "Mixx by Yas", "XOF", 2, 40, 0, 0, 0, 0, 40),
        ("main", date(2026, 3, 2), None, None, "XOF", 1, 20, 0, 0, 0, 0, 20),
        ("main", date(2026, 3, 3), FLOOZ, "Flooz", "XOF", 1, 90, 90, 0, 0, 0, 90),
        ("second", date(2026, 3, 2), FLOOZ, "Flooz", "XOF", 1, 20, 0, 0, 0, 0, 20),
    ]


def test_daily_collections_keeps_money_on_its_day(warehouse: Warehouse) -> None:
    """Money stays on the day it came in, and leaves on the day it left."""
    unpaid = ("Pending", 0, at(1), None)
    history(warehouse, "in-two-parts", unpaid, ("Partial", 200, at(2), at(1)), ("Paid", 1000, at(4), at(3)))
    history(warehouse, "both-the-same-day", ("Partial", 10, at(1), None), ("Paid", 30, at(1, 4), at(1, 3)))
    history(warehouse, "refunded-to-zero", ("Paid", 1000, at(1), None), ("Paid", 0, at(3), at(2)))
    history(warehouse, "refunded-below-zero", ("Paid", 7, at(1), None), ("Paid", -7, at(3), at(2)))
    history(warehouse, "expired", ("Partial", 60, at(1), None), ("Expired", 60, at(3), at(2)))
    history(warehouse, "expired-then-paid", ("Partial", 5, at(1), None), ("Expired", 5, at(2), at(1)),
            ("Paid", 9, at(4), at(3)))  # fmt: skip
    history(warehouse, "told-later", unpaid, ("Excess", None, at(2), at(1)), ("Excess", 1500, at(3), at(2)))
    history(warehouse, "told-later-from-the-first", ("Partial", None, at(2), None), ("Partial", 4, at(3), at(2)))
    history(warehouse, "other-change", unpaid, ("Paid", 300, at(2), at(1)), ("Paid", 300, at(4), at(3)))

    assert build(warehouse, "daily_collections") == [
        ("main", date(2026, 3, 1), FLOOZ, "Flooz", "XOF", 9, 3106, 1500, 4, 1, 5, 3101),
        ("main", date(2026, 3, 2), FLOOZ, "Flooz", "XOF", 0, 0, 0, 0, 3, 1067, -1067),
        ("main", date(2026, 3, 3), FLOOZ, "Flooz", "XOF", 2, 809, 0, 0, 0, 0, 809),
    ]
    assert warehouse.rows("select cast(sum(net_amount) as bigint) as total from marts.daily_collections") == (
        warehouse.rows(
            "select cast(sum(greatest(received_amount, 0)) as bigint) as total from core.bills "
            "where state in ('Paid', 'Excess', 'Partial')"
        )
    )


def test_daily_collections_splits_a_bill_by_payment(warehouse: Warehouse) -> None:
    unpaid = ("Pending", 0, at(1), None)
    by_mixx = {"gateway_reference": MIXX, "gateway_name": "Mixx", "payment_count": 2}
    bill(warehouse, "at-once", "Paid", 1000, **by_mixx)
    payments(warehouse, "at-once", (FLOOZ, 400), (MIXX, 600))
    history(
        warehouse, "one-after-the-other", unpaid, ("Partial", 30, at(2), at(1)), ("Paid", 100, at(3), at(2)), **by_mixx
    )
    payments(warehouse, "one-after-the-other", (FLOOZ, 30), (MIXX, 70))
    bill(warehouse, "thrice", "Paid", 6, **(by_mixx | {"payment_count": 3}))
    payments(warehouse, "thrice", (FLOOZ, 1), (MIXX, 2), (FLOOZ, 3))
    history(warehouse, "refunded-in-part", ("Paid", 50, at(1), None), ("Paid", 20, at(3), at(2)), **by_mixx)
    payments(warehouse, "refunded-in-part", (FLOOZ, 5), (MIXX, 15))
    assert build(warehouse, "daily_collections") == [
        ("main", date(2026, 3, 1), FLOOZ, "GATEWAY-3", "XOF", 4, 439, 0, 0, 0, 0, 439),
        ("main", date(2026, 3, 1), MIXX, "Mixx", "XOF", 3, 647, 0, 0, 0, 0, 647),
        ("main", date(2026, 3, 2), MIXX, "Mixx", "XOF", 1, 70, 0, 0, 1, 30, 40),
    ]


@pytest.mark.parametrize(
    "made",
    [[(FLOOZ, 400), (MIXX, 500)], [(FLOOZ, 400), (MIXX, None)], [(FLOOZ, -100), (MIXX, 1100)], [(FLOOZ, 1000)]],
    ids=["does not add up", "amount not told", "negative", "one payment"],
)
def test_daily_collections_does_not_split_what_the_payments_do_not_explain(
    warehouse: Warehouse, made: list[tuple[str, int | None]]
) -> None:
    bill(warehouse, "a", "Paid", 1000, gateway_reference=MIXX, gateway_name="Mixx", payment_count=len(made))
    payments(warehouse, "a", *made)
    assert build(warehouse, "daily_collections") == [
        ("main", date(2026, 3, 1), MIXX, "Mixx", "XOF", 1, 1000, 0, 0, 0, 0, 1000)
    ]


def test_a_payment_that_tells_no_gateway_is_of_the_bills_gateway(warehouse: Warehouse) -> None:
    """However many there are, and as gateway_performance has it."""
    bill(warehouse, "once", "Paid", 1000, created_at=at(1))
    payments(warehouse, "once", (None, 1000))
    bill(warehouse, "in-two", "Paid", 1000, payment_count=2, created_at=at(1))
    payments(warehouse, "in-two", (None, 400), (None, 600))
    for name in ("daily_collections", "gateway_performance"):
        assert columns(warehouse, name, "gateway_reference", "received_amount") == [(FLOOZ, 2000)]


def test_daily_collections_keeps_money_with_its_gateway_when_it_is_refunded(warehouse: Warehouse) -> None:
    parts = (("Partial", 400, at(2), None), ("Paid", 1000, at(4), at(3)))
    by_mixx = {"gateway_reference": MIXX, "gateway_name": "Mixx", "payment_count": 2, "created_at": at(2, 1)}
    chosen = ("received_date", "gateway_reference", "received_amount", "withdrawn_amount")
    history(warehouse, "a", *parts, **by_mixx)
    payments(warehouse, "a", (FLOOZ, 400), (MIXX, 600))
    before = columns(warehouse, "daily_collections", *chosen)
    assert before == [(date(2026, 3, 2), FLOOZ, 400, 0), (date(2026, 3, 3), MIXX, 600, 0)]
    for table in ("core.bills", "core.bill_versions"):
        warehouse.connection.execute(f"delete from {table}")
    history(warehouse, "a", *parts, ("Paid", 0, at(9), at(8)), **by_mixx)
    assert columns(warehouse, "daily_collections", *chosen) == [
        *before, (date(2026, 3, 8), FLOOZ, 0, 400), (date(2026, 3, 8), MIXX, 0, 600)
    ]  # fmt: skip


def test_daily_collections_keeps_what_was_told_last_of_a_sum_that_is_no_longer_told(warehouse: Warehouse) -> None:
    """The one case in which it holds more than bill_states."""
    history(warehouse, "a", ("Partial", 400, at(1), None), ("Excess", None, at(3), at(2)))
    assert columns(warehouse, "daily_collections", "received_date", "net_amount") == [(date(2026, 3, 1), 400)]
    assert columns(warehouse, "bill_states", "received_amount", "unknown_received_count") == [(0, 1)]


def test_daily_collections_moves_money_to_the_day_of_creation_when_that_is_told_later(warehouse: Warehouse) -> None:
    """As its comment says: of the money that was there at the first reading, which counts on that day until then."""
    history(warehouse, "a", ("Paid", 1000, at(3), None), created_at=None)
    chosen = "received_date", "received_amount", "received_with_uncertain_day", "received_with_assumed_day"
    assert columns(warehouse, "daily_collections", *chosen) == [(date(2026, 3, 3), 1000, 1000, 0)]
    version(warehouse, "a", 2, "Paid", 1000, at(5), at(4))
    warehouse.execute("update core.bills set version = 2, created_at = ?, changed_at = ?", [at(20, month=2), at(5)])
    assert columns(warehouse, "daily_collections", *chosen) == [(date(2026, 2, 20), 1000, 0, 1000)]
    assert MARTS["daily_collections"].description.count("the money moves to the day of creation") == 1


MONEY_OF_DAYS = ("received_date", "received_amount", "received_with_uncertain_day", "withdrawn_count", "net_amount")


def test_what_one_sync_says_and_takes_back_never_came_in(warehouse: Warehouse) -> None:
    """A list says Paid and no sum, which is taken for all of it; a minute later the details tell less."""
    unpaid, paid = ("Pending", 0, at(1), None), ("Paid", 1000, at(3), at(2))
    history(warehouse, "at-once", ("Paid", 1000, at(2), None), ("Paid", 980, at(2, 2, 16), at(2)), created_at=at(1))
    history(warehouse, "known-before", unpaid, paid, ("Paid", 900, at(3, 2, 16), at(3)))
    history(warehouse, "in-two-steps", unpaid, paid, ("Paid", 60, at(3, 2, 16), at(3)), ("Paid", 50, at(3, 3), at(3)))
    history(warehouse, "not-at-all", unpaid, paid, ("Canceled", 0, at(3, 2, 16), at(3)))
    history(warehouse, "more", ("Paid", 1000, at(4), None), ("Excess", 1007, at(5, 2, 16), at(5)), created_at=at(4))
    assert columns(warehouse, "daily_collections", *MONEY_OF_DAYS) == [
        (date(2026, 3, 1), 980, 0, 0, 980), (date(2026, 3, 2), 950, 0, 0, 950), (date(2026, 3, 4), 1000, 0, 0, 1000),
        (date(2026, 3, 5), 7, 0, 0, 7),
    ]  # fmt: skip


def test_what_one_sync_finds_after_another_is_a_change(warehouse: Warehouse) -> None:
    """A refund that comes with another change, and what is paid while a sync is under way."""
    paid = ("Paid", 1000, at(2), None)
    history(warehouse, "back", paid, ("Paid", 1000, at(4), at(3)), ("Paid", 400, at(4, 2, 16), at(4)), created_at=at(2))
    history(warehouse, "paid-now", ("Pending", 0, at(4), None), ("Paid", 50, at(4, 7), at(4, 2)), created_at=at(1))
    assert columns(warehouse, "daily_collections", *MONEY_OF_DAYS) == [
        (date(2026, 3, 2), 1000, 0, 0, 1000), (date(2026, 3, 4), 50, 0, 1, -550)
    ]  # fmt: skip


def test_a_sum_that_nobody_named_gives_way_to_the_first_that_is(warehouse: Warehouse) -> None:
    """Of a bill that is Paid without a sum the details tell less, a night later: no refund. What follows is one."""
    unpaid, all_of_it = ("Pending", 0, at(1), None), ("Paid", 1000, at(2), at(1))
    same = ("Paid", 1000, at(3), at(2))
    history(warehouse, "less", unpaid, all_of_it, same, ("Paid", 900, at(5), at(4)), ("Paid", 700, at(7), at(6)))
    history(warehouse, "canceled", unpaid, all_of_it, ("Canceled", 0, at(3), at(2)))
    history(warehouse, "by-payments", unpaid, all_of_it, ("Paid", 0, at(3), at(2)))
    history(warehouse, "half-a-letter", unpaid, all_of_it, ("Paid", 0, at(3), at(2)))
    payloads = {
        "less": '{"received_amount":null,"payments":[]}', "canceled": "{}",
        "by-payments": '{"payments":[{"amount":1000}]}', "half-a-letter": r'{"description":"\ud800"}',
    }  # fmt: skip
    for reference, payload in payloads.items():
        warehouse.execute(
            "update core.bill_versions set payload = ? where order_reference = ? and received_amount = 1000",
            [payload, reference],
        )
    assert columns(warehouse, "daily_collections", *MONEY_OF_DAYS) == [
        (date(2026, 3, 1), 3900, 0, 0, 3900), (date(2026, 3, 2), 0, 0, 3, -3000), (date(2026, 3, 6), 0, 0, 1, -200)
    ]  # fmt: skip


def test_a_gateway_of_no_list_has_one_name_the_newest(warehouse: Warehouse) -> None:
    bill(warehouse, "now", "Paid", 100, gateway_name="Mixx by Yas", changed_at=at(3))
    bill(warehouse, "then", "Paid", 30, gateway_name="T-Money", changed_at=at(2))
    bill(warehouse, "no-name", "Paid", 7, gateway_name=None, changed_at=at(4))
    bill(warehouse, "elsewhere", "Paid", 9, gateway_name="Other", changed_at=at(4), account="second")
    bill(warehouse, "two-ways", "Paid", 50, gateway_name="T-Money", payment_count=2)
    payments(warehouse, "two-ways", ("only-in-payments", 20), (FLOOZ, 30))
    bill(warehouse, "two-ways-then", "Paid", 9, payment_count=2, account="third")
    bill(warehouse, "two-ways-now", "Paid", 7, payment_count=2, account="third", changed_at=at(2))
    for reference, amount in {"two-ways-then": 8, "two-ways-now": 6}.items():
        payments(warehouse, reference, ("only-in-payments", amount), (FLOOZ, 1), account="third")
    renamed = "gateway_reference = 'only-in-payments' and order_reference = 'two-ways-now'"
    warehouse.execute(f"update core.payments set gateway_name = 'Newest' where {renamed}")
    bill(warehouse, "by-name", "Paid", 5, gateway_reference=None, gateway_name="Flooz")
    bill(warehouse, "by-other-name", "Paid", 6, gateway_reference=None, gateway_name="Moov")
    listed = {"gateway_reference": MIXX, "gateway_name": "Old"}
    insert(warehouse, "core.gateways", account="main", gateway_reference=MIXX, name="Listed",
           first_seen_at=at(1), changed_at=at(1))  # fmt: skip
    bill(warehouse, "listed", "Paid", 1, **listed)
    chosen = ("account", "gateway_reference", "gateway_name", "bill_count", "received_amount")
    assert sorted(columns(warehouse, "daily_collections", *chosen), key=str) == [
        ("main", "gateway-3", "Mixx by Yas", 4, 167),
        ("main", "gateway-7", "Listed", 1, 1),
        ("main", "only-in-payments", "ONLY-IN-PAYMENTS", 1, 20),
        ("main", None, "Flooz", 1, 5),
        ("main", None, "Moov", 1, 6),
        ("second", "gateway-3", "Other", 1, 9),
        ("third", "gateway-3", "Flooz", 2, 2),
        ("third", "only-in-payments", "Newest", 2, 14),
    ]
    assert sorted(columns(warehouse, "gateway_performance", *chosen), key=str) == [
        ("main", "gateway-3", "Mixx by Yas", 4, 187),
        ("main", "gateway-7", "Listed", 1, 1),
        ("main", None, "Flooz", 1, 5),
        ("main", None, "Moov", 1, 6),
        ("second", "gateway-3", "Other", 1, 9),
        ("third", "gateway-3", "Flooz", 2, 16),
    ]


NOW = at(1, month=6)


def test_unpaid_bills_tells_what_is_known_of_each_open_bill(warehouse: Warehouse) -> None:
    order = {"merchant_reference": "ORDER-1", "created_at": at(31, month=5), "gateway_reference": None}
    customer = {"client_key": "k1", "client_phone_masked": "******42"}
    bill(warehouse, "failed", "Error", 0, **(order | {"created_at": at(30, month=5)}), changed_at=at(31, month=5))
    bill(warehouse, "failed-before", "Error", 0, **order, changed_at=at(30, month=5))
    bill(warehouse, "open", "Pending", 0, **order, **customer, gateway_name=None, verified_at=NOW)
    bill(
        warehouse, "paid-after", "Paid", 1000, **customer, verified_at=at(31, month=5),
        paid_after=at(31, month=5), paid_before=NOW,
    )  # fmt: skip
    history(
        warehouse, "partial", ("Error", 0, at(2), None), ("Partial", 400, at(3), at(2)), client_key="k2",
        missing_since=at(5),
    )  # fmt: skip
    bill(warehouse, "maybe", "Paid", 1000, client_key="k2", paid_after=at(1, 0), paid_before=at(2))
    bill(warehouse, "settled", "Partial", None, merchant_reference="ORDER-2", client_key="k3", created_at=None,
         business_date=None, first_seen_at=at(1, month=5))  # fmt: skip
    bill(warehouse, "settles", "Excess", 2, merchant_reference="ORDER-2", client_key="k3", paid_before=at(2))
    bill(warehouse, "in-euros", "Pending", -5, merchant_reference="ORDER-2", currency="EUR", created_at=at(2, month=6))
    bill(warehouse, "elsewhere", "Pending", 0, account="second", merchant_reference="ORDER-1", client_key="k1")
    bill(warehouse, "unknown", "Unknown", 0)
    bill(warehouse, "failed-alone", "Error", 0, changed_at=at(4))

    assert build(warehouse, "unpaid_bills") == [
        ("main", "partial", None, "Partial", "XOF", 1000, 400, 600, at(1, 1), date(2026, 3, 1), NOW, 92, "90+",
         "Flooz", at(2), "partial", "Flooz", False, False, "k2", None, "maybe", at(4), at(5)),
        ("main", "settled", "ORDER-2", "Partial", "XOF", 1000, None, 1000, None, None, NOW, 31, "31-90",
         "Flooz", None, None, None, True, False, "k3", None, "no", at(4), None),
        ("main", "open", "ORDER-1", "Pending", "XOF", 1000, 0, 1000, at(31, month=5), date(2026, 5, 31), NOW, 1, "1-7",
         None, at(31, month=5), "failed", "Flooz", False, True, "k1", "******42", "yes", NOW, None),
        ("main", "in-euros", "ORDER-2", "Pending", "EUR", 1000, -5, 1000, at(2, month=6), date(2026, 6, 2), NOW, 0,
         "0-1", "Flooz", None, None, None, False, True, None, None, None, at(4), None),
        ("second", "elsewhere", "ORDER-1", "Pending", "XOF", 1000, 0, 1000, at(1, 1), date(2026, 3, 1), at(4), 3, "1-7",
         "Flooz", None, None, None, False, True, "k1", None, "no", at(4), None),
    ]  # fmt: skip


def test_unpaid_bills_and_aging_by_age(warehouse: Warehouse) -> None:
    ages = {
        "just now": (timedelta(0), 0, "0-1"),
        "a minute less than a day": (timedelta(hours=23, minutes=59), 0, "0-1"),
        "a day": (timedelta(days=1), 1, "1-7"),
        "almost 8 days": (timedelta(days=8, microseconds=-1), 7, "1-7"),
        "8 days": (timedelta(days=8), 8, "8-30"),
        "almost 31 days": (timedelta(days=31, seconds=-1), 30, "8-30"),
        "31 days": (timedelta(days=31), 31, "31-90"),
        "almost 91 days": (timedelta(days=91, seconds=-1), 90, "31-90"),
        "91 days": (timedelta(days=91), 91, "90+"),
    }
    for reference, (age, _, _) in ages.items():
        bill(warehouse, reference, "Pending", 0, created_at=NOW - age, verified_at=NOW)
    found = columns(warehouse, "unpaid_bills", "order_reference", "age_days", "age_class")
    assert sorted(found) == sorted((reference, days, name) for reference, (_, days, name) in ages.items())

    paid_order = {"merchant_reference": "ORDER-1", "created_at": at(1)}
    bill(warehouse, "settled", "Partial", 100, **paid_order)
    bill(warehouse, "settles", "Paid", 1000, **paid_order)
    bill(warehouse, "missing", "Pending", 0, created_at=at(1), missing_since=at(2))
    bill(warehouse, "both", "Pending", 0, **paid_order, missing_since=at(2))
    bill(warehouse, "in-part", "Partial", 300, created_at=at(1))
    bill(warehouse, "euros", "Pending", 0, created_at=NOW, currency="EUR")
    build(warehouse, "unpaid_bills")
    assert build(warehouse, "unpaid_aging") == [
        ("main", "EUR", "0-1", 0, NOW, 1, 1000, 0, 0, 1, 1000, NOW),
        ("main", "XOF", "0-1", 0, NOW, 2, 2000, 0, 0, 2, 2000, NOW - timedelta(hours=23, minutes=59)),
        ("main", "XOF", "1-7", 1, NOW, 2, 2000, 0, 0, 2, 2000, NOW - timedelta(days=8, microseconds=-1)),
        ("main", "XOF", "8-30", 8, NOW, 2, 2000, 0, 0, 2, 2000, NOW - timedelta(days=31, seconds=-1)),
        ("main", "XOF", "31-90", 31, NOW, 2, 2000, 0, 0, 2, 2000, NOW - timedelta(days=91, seconds=-1)),
        ("main", "XOF", "90+", 91, NOW, 5, 4600, 2, 2, 2, 1700, at(1)),
    ]


def test_an_order_is_owed_once_however_many_attempts_are_open(warehouse: Warehouse) -> None:
    def attempt(reference: str, order: str | None, received: int | None, hour: int, **values: Any) -> None:
        state = "Partial" if received else "Pending"
        bill(
            warehouse, reference, state, received, merchant_reference=order, created_at=at(1, hour), verified_at=at(3),
            **values,
        )  # fmt: skip

    attempt("a1", "A", 0, 1)
    attempt("a2", "A", 0, 3)
    attempt("a3", "A", 0, 2)
    attempt("b1", "B", 0, 1)
    attempt("b2", "B", 400, 2)
    attempt("c1", "C", 0, 1, missing_since=at(3))
    attempt("c2", "C", 300, 2)
    attempt("a-in-euros", "A", 0, 1, currency="EUR")
    attempt("a-elsewhere", "A", 0, 1, account="second")
    attempt("alone", None, 0, 1)
    attempt("alone-too", None, 0, 1)
    attempt("d1", "D", 100, 1)
    attempt("d2", "D", 400, 2)
    attempt("d3", "D", 0, 3)
    attempt("e1", "E", None, 1)
    attempt("e2", "E", 0, 2)
    found = columns(warehouse, "unpaid_bills", "order_reference", "is_still_owed")
    assert sorted(name for name, owed in found if owed) == [
        "a-elsewhere", "a-in-euros", "a2", "alone", "alone-too", "b2", "c2", "d1", "e2"
    ]  # fmt: skip
    chosen = ("account", "currency", "bill_count", "open_amount", "still_owed_count", "still_owed_amount")
    assert columns(warehouse, "unpaid_aging", *chosen) == [
        ("main", "EUR", 1, 1000, 1, 1000),
        ("main", "XOF", 14, 12800, 7, 6200),
        ("second", "XOF", 1, 1000, 1, 1000),
    ]


def test_a_bill_of_which_all_was_refunded_settles_no_order(warehouse: Warehouse) -> None:
    bill(warehouse, "refunded", "Paid", 0, merchant_reference="A", paid_before=at(2))
    bill(warehouse, "again", "Pending", 0, merchant_reference="A")
    bill(warehouse, "not-told", "Excess", None, merchant_reference="B", paid_before=at(2))
    bill(warehouse, "no-longer", "Pending", 0, merchant_reference="B")
    chosen = ("order_reference", "is_order_paid", "is_still_owed")
    assert columns(warehouse, "unpaid_bills", *chosen) == [("again", False, True), ("no-longer", True, False)]
    chosen = ("merchant_reference", "status", "paid_count", "paid_order_reference")
    assert sorted(columns(warehouse, "orders", *chosen)) == [("A", "open", 0, None), ("B", "paid", 1, "not-told")]


def test_an_order_is_failed_only_when_nothing_else_can_be(warehouse: Warehouse) -> None:
    states = {
        "refunded": ("Paid", "Error"), "refunded-too": ("Excess", "Error"),
        "unknown": ("Unknown", "Error"), "unknown-not-refunded": ("Unknown", "Paid"),
        "open": ("Pending", "Unknown"), "failed": ("Expired", "Canceled"), "only-unknown": ("Unknown",),
        "only-refunded": ("Excess",), "only-refunded-too": ("Paid",),
    }  # fmt: skip
    for order, attempts in states.items():
        for number, state in enumerate(attempts):
            bill(warehouse, f"{order}-{number}", state, 0, merchant_reference=order)
    assert dict(columns(warehouse, "orders", "merchant_reference", "status")) == {
        "refunded": "refunded", "refunded-too": "refunded",
        "unknown": "unknown", "unknown-not-refunded": "unknown", "open": "open",
        "failed": "failed", "only-unknown": "unknown", "only-refunded": "refunded",
        "only-refunded-too": "refunded",
    }  # fmt: skip


def test_gateway_performance_by_week_of_creation(warehouse: Warehouse) -> None:
    insert(
        warehouse, "core.gateways", account="main", gateway_reference=FLOOZ, name="Flooz by Moov",
        first_seen_at=at(1), changed_at=at(1),
    )  # fmt: skip
    sunday, monday = at(8, 23, 59), at(9, 0, 0)
    for minutes in range(1, 101):
        bill(
            warehouse, f"paid-{minutes}", "Paid", 1000, created_at=monday,
            paid_after=monday + timedelta(minutes=minutes, seconds=-1), paid_before=monday + timedelta(minutes=minutes),
        )  # fmt: skip
    bill(warehouse, "error", "Error", 0, created_at=monday)
    bill(warehouse, "open", "Pending", 0, created_at=monday, amount=50)
    bill(warehouse, "expired", "Expired", 7, created_at=monday, missing_since=at(12))
    bill(
        warehouse, "excess", "Excess", 2000, created_at=sunday, paid_after=sunday - timedelta(hours=1),
        paid_before=sunday + timedelta(hours=26),
    )  # fmt: skip
    bill(warehouse, "no-gateway", "Canceled", 0, created_at=monday, gateway_reference=None, gateway_name=None)
    bill(warehouse, "euros", "Partial", None, created_at=monday, currency="EUR")
    bill(warehouse, "no-time", "Paid", 1000, created_at=None, paid_before=at(2))
    bill(warehouse, "other-account", "Unknown", None, created_at=monday, account="second", amount=-9)
    share = Decimal

    week, before, empty = date(2026, 3, 9), date(2026, 3, 2), (None,) * 6
    assert build(warehouse, "gateway_performance") == [
        ("main", before, FLOOZ, "Flooz by Moov", "XOF", 1, 1, 0, 0, 0, share("1.0000"), share("0.0000"), 1000, 2000,
         0, 1560, 0, 1560, 0, 1560, 1),
        ("main", week, FLOOZ, "Flooz by Moov", "EUR", 1, 0, 1, 0, 0, share("0.0000"), share("0.0000"), 1000, 0,
         *empty, 0),
        ("main", week, FLOOZ, "Flooz by Moov", "XOF", 103, 100, 1, 1, 1, share("0.9709"), share("0.0097"), 102050,
         100007, 49, 50, 89, 90, 98, 99, 0),
        ("main", week, None, None, "XOF", 1, 0, 0, 0, 1, share("0.0000"), share("0.0000"), 1000, 0, *empty, 0),
        ("main", None, FLOOZ, "Flooz by Moov", "XOF", 1, 1, 0, 0, 0, share("1.0000"), share("0.0000"), 1000, 1000,
         *empty, 0),
        ("second", week, FLOOZ, "Flooz", "XOF", 1, 0, 0, 0, 1, share("0.0000"), share("0.0000"), 0, 0, *empty, 0),
    ]  # fmt: skip


def test_time_to_pay_has_bounds_only(warehouse: Warehouse) -> None:
    created = at(1, 1)
    bill(warehouse, "seen-unpaid", "Paid", 1000, paid_after=at(1, 1, 59), paid_before=at(2, 1, 58), missing_since=at(3))
    bill(
        warehouse, "first-seen-paid", "Excess", None, currency="EUR", paid_after=created,
        paid_before=at(1, 3, month=6) + timedelta(microseconds=1), gateway_reference=None, gateway_name=None,
    )  # fmt: skip
    bill(warehouse, "clock-ahead", "Paid", 1000, paid_after=at(1, 0), paid_before=at(1, 0))
    bill(warehouse, "no-time", "Paid", 1000, created_at=None, paid_before=at(2))
    bill(warehouse, "open", "Partial", 10)
    day = date(2026, 3, 1)
    assert build(warehouse, "time_to_pay") == [
        ("main", "seen-unpaid", FLOOZ, "Flooz", "XOF", 1000, created, day, at(1, 1, 59), at(2, 1, 58), 44, 1483, False),
        ("main", "first-seen-paid", None, None, "EUR", None, created, day, created,
         at(1, 3, month=6) + timedelta(microseconds=1), 0, 92 * 1440 + 120 + 1, True),
        ("main", "clock-ahead", FLOOZ, "Flooz", "XOF", 1000, created, day, at(1, 0), at(1, 0), 0, 0, False),
    ]  # fmt: skip


def test_a_bill_without_a_lower_bound_was_paid_after_its_creation(warehouse: Warehouse) -> None:
    """First read paid and without a time of creation, which its details brought later."""
    created = {"created_at": at(2, 0)}
    bill(warehouse, "slow", "Paid", 1000, **created, paid_after=at(3, 0), paid_before=at(4, 2))
    for name in ("quick", "quick-too"):
        bill(warehouse, name, "Paid", 1000, **created, paid_after=None, paid_before=at(2, 0, 16))
    bill(warehouse, "wide", "Paid", 1000, **created, paid_after=at(2, 0), paid_before=at(4, 3))
    bounds = columns(
        warehouse, "time_to_pay", "order_reference", "paid_after", "at_least_minutes", "at_most_minutes", "is_wide"
    )
    assert sorted(bounds) == [
        ("quick", at(2, 0), 0, 1, False),
        ("quick-too", at(2, 0), 0, 1, False),
        ("slow", at(3, 0), 1440, 3000, False),
        ("wide", at(2, 0), 0, 3060, True),
    ]
    percentiles = "p50_at_least_minutes", "p50_at_most_minutes", "wide_count"
    assert columns(warehouse, "gateway_performance", *percentiles) == [(0, 1, 1)]


def test_payment_differences_names_each_bill_once(warehouse: Warehouse) -> None:
    many = {"payment_count": 2}
    bill(warehouse, "exact", "Paid", 1000)
    bill(warehouse, "open", "Pending", 0)
    bill(warehouse, "failed", "Error", 0)
    bill(warehouse, "unknown", "Unknown", 300)
    bill(warehouse, "partial", "Partial", 400, missing_since=at(5), client_key="k")
    bill(warehouse, "partial-not-told", "Partial", None)
    bill(warehouse, "excess", "Excess", 1001, paid_before=at(2))
    bill(warehouse, "excess-not-told", "Excess", None)
    bill(warehouse, "paid-too-much", "Paid", 1500, currency="EUR")
    bill(warehouse, "refunded-to-zero", "Paid", 0)
    bill(warehouse, "kept", "Expired", 60)
    bill(warehouse, "double", "Excess", 2000)
    bill(warehouse, "more-than-double", "Excess", 2100)
    bill(warehouse, "two-payments", "Excess", None, **many)
    payments(warehouse, "two-payments", (FLOOZ, 1000), (MIXX, 1100))
    bill(warehouse, "two-halves", "Paid", 1000, **many)
    payments(warehouse, "two-halves", (FLOOZ, 500), (FLOOZ, 500))
    order = {"merchant_reference": "ORDER-1"}
    bill(warehouse, "second", "Excess", 3000, **order, paid_before=at(3))
    bill(warehouse, "first", "Paid", 1000, **order, paid_before=at(2))
    bill(warehouse, "third", "Paid", 1000, **order, paid_before=at(3), created_at=at(2))
    bill(warehouse, "not-paid", "Error", 0, **order)
    bill(warehouse, "given-back", "Paid", 0, **order, paid_before=at(1))
    bill(warehouse, "in-euros", "Paid", 1000, **order, currency="EUR", paid_before=at(4))
    bill(warehouse, "elsewhere", "Paid", 1000, **order, account="second", paid_before=at(4))

    day, flooz = date(2026, 3, 1), "Flooz"
    assert build(warehouse, "payment_differences") == [
        ("main", "excess", None, "excess", "Excess", "XOF", 1000, 1001, 1, 1, flooz, day, at(2), None, None, None),
        ("main", "excess-not-told", None, "excess", "Excess", "XOF", 1000, None, None, 1, flooz, day, *[None] * 4),
        ("main", "more-than-double", None, "excess", "Excess", "XOF", 1000, 2100, 1100, 1, flooz, day, *[None] * 4),
        ("main", "paid-too-much", None, "excess", "Paid", "EUR", 1000, 1500, 500, 1, flooz, day, *[None] * 4),
        ("main", "kept", None, "kept", "Expired", "XOF", 1000, 60, 60, 1, flooz, day, *[None] * 4),
        ("main", "double", None, "paid_twice_bill", "Excess", "XOF", 1000, 2000, 1000, 1, flooz, day, *[None] * 4),
        ("main", "two-payments", None, "paid_twice_bill", "Excess", "XOF", 1000, None, None, 2, flooz, day,
         *[None] * 4),
        ("main", "second", "ORDER-1", "paid_twice_order", "Excess", "XOF", 1000, 3000, 3000, 1, flooz, day, at(3),
         "first", None, None),
        ("main", "third", "ORDER-1", "paid_twice_order", "Paid", "XOF", 1000, 1000, 1000, 1, flooz, date(2026, 3, 2),
         at(3), "first", None, None),
        ("main", "partial", None, "partial", "Partial", "XOF", 1000, 400, -600, 1, flooz, day, None, None, "k", at(5)),
        ("main", "partial-not-told", None, "partial", "Partial", "XOF", 1000, None, None, 1, flooz, day, *[None] * 4),
        ("main", "given-back", "ORDER-1", "short", "Paid", "XOF", 1000, 0, -1000, 1, flooz, day, at(1), *[None] * 3),
        ("main", "refunded-to-zero", None, "short", "Paid", "XOF", 1000, 0, -1000, 1, flooz, day, *[None] * 4),
    ]  # fmt: skip


DIFFERENCES = "order_reference", "kind", "difference_amount"


def test_a_part_paid_for_an_order_that_another_bill_paid_is_too_much(warehouse: Warehouse) -> None:
    order = {"merchant_reference": "A"}
    bill(warehouse, "all", "Paid", 1000, **order, created_at=at(1), paid_after=at(1), paid_before=at(2))
    bill(warehouse, "part", "Partial", 400, **order, created_at=at(3), first_seen_at=at(4), changed_at=at(4))
    assert columns(warehouse, "unpaid_bills", "is_order_paid", "is_still_owed") == [(True, False)]
    bill(warehouse, "too-much", "Excess", 1100, merchant_reference="B", paid_before=at(3))
    bill(warehouse, "part-before", "Partial", 300, merchant_reference="B")
    bill(warehouse, "one-part", "Partial", 100, merchant_reference="C")
    bill(warehouse, "other-part", "Partial", 200, merchant_reference="C")
    assert columns(warehouse, "payment_differences", *DIFFERENCES) == [
        ("too-much", "excess", 100),
        ("part-before", "paid_twice_order", 300),
        ("part", "paid_twice_order", 400),
        ("one-part", "partial", -900),
        ("other-part", "partial", -800),
    ]


def test_a_second_payment_that_was_given_back_leaves_nothing_to_give_back(warehouse: Warehouse) -> None:
    for name, received in {"none-back": 2000, "one-back": 1000, "both-back": 0}.items():
        bill(warehouse, name, "Excess" if received > 1000 else "Paid", received, payment_count=2)
        payments(warehouse, name, (FLOOZ, 1000), (MIXX, 1000))
    assert columns(warehouse, "payment_differences", *DIFFERENCES) == [
        ("none-back", "paid_twice_bill", 1000),
        ("both-back", "short", -1000),
    ]


def test_no_more_is_lacking_than_was_billed(warehouse: Warehouse) -> None:
    """Money received below zero counts for zero, here as elsewhere."""
    bill(warehouse, "a", "Paid", -7)
    assert columns(warehouse, "payment_differences", *DIFFERENCES) == [("a", "short", -1000)]


def test_a_free_order_is_paid_and_not_refunded(warehouse: Warehouse) -> None:
    bill(warehouse, "free", "Paid", 0, amount=0, merchant_reference="A")
    bill(warehouse, "open", "Pending", 0, amount=0, merchant_reference="A")
    bill(warehouse, "paid-all-the-same", "Paid", 10, amount=0, payment_count=2)
    payments(warehouse, "paid-all-the-same", (FLOOZ, 5), (FLOOZ, 5))
    assert columns(warehouse, "orders", "status", "paid_count") == [("paid", 1)]
    assert columns(warehouse, "unpaid_bills", "is_order_paid", "open_amount") == [(True, 0)]
    assert columns(warehouse, "payment_differences", *DIFFERENCES) == [("paid-all-the-same", "excess", 10)]


def test_customers_by_key_and_currency(warehouse: Warehouse) -> None:
    one = {"client_key": "k1", "client_phone_masked": "******42"}
    bill(warehouse, "paid", "Paid", 900, **one, created_at=at(1, 23, 59), paid_before=at(2))
    bill(warehouse, "paid-again", "Excess", 1100, **one, created_at=at(2, 0, 0), paid_before=at(3), missing_since=at(4))
    bill(warehouse, "open", "Partial", None, **one, created_at=at(5))
    bill(warehouse, "error", "Error", -50, **one, amount=-50)
    bill(warehouse, "euros", "Pending", 0, **one, currency="EUR", created_at=None)
    bill(warehouse, "elsewhere", "Expired", 0, **one, account="second")
    bill(warehouse, "no-customer", "Paid", 1000)
    assert sorted(build(warehouse, "customers")) == [
        ("main", "k1", "EUR", "******42", 1, 0, 1, 0, 1000, 0, None, None, None),
        ("main", "k1", "XOF", "******42", 4, 2, 1, 1, 3000, 2000, date(2026, 3, 1), date(2026, 3, 5), at(3)),
        ("second", "k1", "XOF", "******42", 1, 0, 0, 0, 1000, 0, date(2026, 3, 1), date(2026, 3, 1), None),
    ]


def test_orders_with_their_attempts(warehouse: Warehouse) -> None:
    def attempt(reference: str, order: str | None, state: str, received: int | None, **values: Any) -> None:
        bill(warehouse, reference, state, received, merchant_reference=order, **values)

    attempt("a1", "A", "Error", 0, created_at=at(1, 9))
    attempt("a2", "A", "Paid", 1200, created_at=at(1, 10), amount=1200, paid_after=at(1, 10), paid_before=at(2))
    attempt("a3", "A", "Pending", 0, created_at=None, missing_since=at(4))
    attempt("b2", "B", "Paid", 1000, created_at=at(2), paid_after=at(2), paid_before=at(3))
    attempt("b1", "B", "Excess", 1001, created_at=at(1), paid_after=at(3), paid_before=at(4))
    attempt("c1", "C", "Partial", 300)
    attempt("d1", "D", "Canceled", 40)
    attempt("d2", "D", "Expired", None, created_at=at(1, 5), amount=70)
    attempt("d3", "D", "Paid", 5, currency="EUR", amount=5, paid_before=at(2))
    attempt("a1", "A", "Pending", -3, account="second")
    attempt("alone", None, "Paid", 1000)
    assert sorted(build(warehouse, "orders")) == [
        ("main", "A", "XOF", "paid", 3, 1, 1, 1, at(1, 9), at(1, 10), "a1", "a3", "Pending", "a2", at(1, 10), at(2),
         1200, 1200),
        ("main", "B", "XOF", "paid", 2, 0, 2, 0, at(1), at(2), "b1", "b2", "Paid", "b2", at(2), at(3), 1000, 2001),
        ("main", "C", "XOF", "open", 1, 0, 0, 0, at(1, 1), at(1, 1), "c1", "c1", "Partial", None, None, None, 1000,
         300),
        ("main", "D", "EUR", "paid", 1, 0, 1, 0, at(1, 1), at(1, 1), "d3", "d3", "Paid", "d3", None, at(2), 5, 5),
        ("main", "D", "XOF", "failed", 2, 0, 0, 0, at(1, 1), at(1, 5), "d1", "d2", "Expired", None, None, None, 70, 40),
        ("second", "A", "XOF", "open", 1, 0, 0, 0, at(1, 1), at(1, 1), "a1", "a1", "Pending", None, None, None, 1000,
         0),
    ]  # fmt: skip


def test_monthly_summary_keeps_billed_and_received_apart(warehouse: Warehouse) -> None:
    last = at(31, 23, 59)
    history(warehouse, "paid-next-month", ("Pending", 0, last, None),
            ("Paid", 1000, at(1, 2, month=4), at(1, 0, month=4)), created_at=last)  # fmt: skip
    history(warehouse, "taken-back", ("Paid", 500, at(2), None), ("Canceled", 0, at(9, month=4), at(8, month=4)))
    bill(warehouse, "first-of-april", "Error", 0, created_at=at(1, 0, 0, month=4))
    bill(warehouse, "old", "Paid", 70, amount=70, created_at=at(9, month=1), changed_at=at(1), missing_since=at(3))
    bill(warehouse, "euros", "Partial", 30, currency="EUR")
    bill(warehouse, "no-time", "Excess", 9, amount=9, created_at=None, changed_at=at(7, month=5))
    bill(warehouse, "elsewhere", "Unknown", None, account="second", amount=-9)
    build(warehouse, "daily_collections")
    share = Decimal
    assert build(warehouse, "monthly_summary") == [
        ("main", date(2026, 1, 1), "XOF", 1, 1, 0, 0, 0, 1, share("1.0000"), 70, 70, 0, 70, 0, 70),
        ("main", date(2026, 3, 1), "EUR", 1, 0, 1, 0, 0, 0, share("0.0000"), 1000, 30, 0, 30, 0, 0),
        ("main", date(2026, 3, 1), "XOF", 2, 1, 0, 0, 1, 0, share("0.5000"), 2000, 500, 0, 500, 0, 0),
        ("main", date(2026, 4, 1), "XOF", 1, 0, 0, 1, 0, 0, share("0.0000"), 1000, 1000, 500, 500, 0, 0),
        ("main", date(2026, 5, 1), "XOF", 0, 0, 0, 0, 0, 0, None, 0, 9, 0, 9, 9, 0),
        ("main", None, "XOF", 1, 1, 0, 0, 0, 0, share("1.0000"), 9, 0, 0, 0, 0, 0),
        ("second", date(2026, 3, 1), "XOF", 1, 0, 0, 0, 1, 0, share("0.0000"), 0, 0, 0, 0, 0, 0),
    ]


def test_sync_health_tells_how_old_each_account_is(warehouse: Warehouse) -> None:
    sync_row(warehouse, "s1", "full_refresh", at(1), "complete")
    sync_row(warehouse, "s2", "refresh", at(2), "failed", error_code="RateLimitedError", warnings=["a", "b"])
    sync_row(warehouse, "s3", "recheck", at(3), "complete", reported_total=None)
    sync_row(warehouse, "s4", "refresh", at(3, 3), "running", finished_at=None)
    sync_row(warehouse, "other", "refresh", at(2), "incomplete", account="second", waited_seconds=1.5)
    ended = timedelta(minutes=1)
    done = at(1) + ended
    assert build(warehouse, "sync_health") == [
        ("main", "s1", "full_refresh", at(1), done, 60, "complete", True, None, 0, 3, 5, 1, Decimal("0.250"), 60, 4, 2,
         1, 60, False, 48, done, 0),
        ("main", "s2", "refresh", at(2), at(2) + ended, 60, "failed", False, "RateLimitedError", 2, 3, 5, 1,
         Decimal("0.250"), 60, 4, 2, 1, 60, False, 24, done, 24),
        ("main", "s3", "recheck", at(3), at(3) + ended, 60, "complete", True, None, 0, 3, 5, 1, Decimal("0.250"), 60,
         4, 2, 1, None, False, 0, done, 48),
        ("main", "s4", "refresh", at(3, 3), at(3, 3) + ended / 2, 30, "running", False, None, 0, 3, 5, 1,
         Decimal("0.250"), 60, 4, 2, 1, 60, True, 0, done, 48),
        ("second", "other", "refresh", at(2), at(2) + ended, 60, "incomplete", False, None, 0, 3, 5, 1,
         Decimal("1.500"), 60, 4, 2, 1, 60, True, 24, None, None),
    ]  # fmt: skip


def test_bill_states_counts_bills_and_money_by_state(warehouse: Warehouse) -> None:
    bill(warehouse, "a", "Paid", 1000)
    bill(warehouse, "b", "Paid", 900, amount=900, created_at=at(1, 0), verified_at=at(2), missing_since=at(4))
    bill(warehouse, "c", "Paid", -5, amount=-5)
    bill(warehouse, "d", "Partial", None)
    bill(warehouse, "e", "Paid", 10, currency="EUR", amount=10)

    assert build(warehouse, "bill_states") == [
        ("main", "Paid", "EUR", 1, 10, 10, 0, 0, at(1, 1), at(4)),
        ("main", "Paid", "XOF", 3, 1900, 1900, 0, 1, at(1, 0), at(2)),
        ("main", "Partial", "XOF", 1, 1000, 0, 1, 0, at(1, 1), at(4)),
    ]


def test_an_account_is_counted_as_if_it_were_alone(warehouse: Warehouse) -> None:
    """Two merchants can have bills, orders, gateways and customers of the same names."""

    def fill(account: str, day: int, part: int, told: int | None, first: str, last: str, gateway: str) -> None:
        created, paid = {"account": account, "created_at": at(1, day)}, {"paid_before": at(day + 1)}
        shop = {"merchant_reference": "A", "client_key": "k", **created}
        twice = {"payment_count": 2, "gateway_reference": "of-no-list", "gateway_name": gateway}
        history(warehouse, "grown", ("Error", 0, at(day), None), ("Partial", part, at(day, 3), at(day)),
                (first, 1000, at(day + 1), at(day)), **shop, **paid, **twice)  # fmt: skip
        payments(warehouse, "grown", (FLOOZ, part), (MIXX, 1000 - part), account=account)
        history(warehouse, "corrected", (first, 1000, at(day), None), (first, part, at(day, 3), at(day)), **shop,
                paid_before=at(3, 1))  # fmt: skip
        history(warehouse, "lent", (first, told, at(day), None), ("Paid", 9, at(day + 1), at(day)), **created)
        history(warehouse, "open", ("Error", 0, at(day), None), ("Pending", 0, at(day + 1), at(day)),
                **shop | {"merchant_reference": "B"}, verified_at=at(day + 3))  # fmt: skip
        bill(warehouse, "in-part", "Partial", part, **created, merchant_reference=gateway)
        bill(warehouse, "other", last, 2 * part, **created, merchant_reference="B", client_key="j")
        bill(warehouse, "twice", first, 2100, **created, **paid, **twice | {"gateway_name": f"{gateway} before"})
        payments(warehouse, "twice", (FLOOZ, part), (None, 2100 - part), account=account)
        for listed in (MIXX, gateway):
            insert(warehouse, "core.gateways", account=account, gateway_reference=listed, name=gateway,
                   first_seen_at=at(day), changed_at=at(day))  # fmt: skip
        sync_row(warehouse, f"sync-{account}", "refresh", at(4, 2, day), "complete", account=account)

    def rows_of_main() -> dict[str, list[tuple[Any, ...]]]:
        for mart in all_marts():
            build_mart(warehouse, mart)
        sql = "from marts.{} where account = 'main' order by all"
        return {name: warehouse.connection.execute(sql.format(name)).fetchall() for name in MARTS}

    fill("main", 2, 400, 1000, "Paid", "Canceled", "Old")
    alone = rows_of_main()
    assert all(alone.values())
    fill("second", 1, 1000, None, "Excess", "Paid", "of-no-list")
    fill("third", 3, 100, None, "Paid", "Error", "Other")
    assert rows_of_main() == alone


@pytest.mark.parametrize("is_filled", [False, True], ids=["empty", "filled"])
def test_a_mart_has_the_same_types_and_comments_with_and_without_rows(warehouse: Warehouse, is_filled: bool) -> None:
    if is_filled:
        known = {"merchant_reference": "ORDER-1", "client_key": "k"}
        bill(warehouse, "a", "Paid", 1000, **known, paid_after=at(1), paid_before=at(1))
        bill(warehouse, "b", "Partial", 1, **known)
        sync_row(warehouse, "s", "refresh", at(1), "complete")
    for mart in all_marts():
        build_mart(warehouse, mart)
    for name, mart in MARTS.items():
        assert bool(build(warehouse, name)) == is_filled, name
        comment, columns = catalog().tables["marts", name]
        assert comment.startswith(mart.description) and comment.endswith(f"Grain: {mart.grain}."), name
        found = warehouse.rows(
            "select column_name, data_type, comment from duckdb_columns() "
            "where schema_name = 'marts' and table_name = ? order by column_index",
            [name],
        )
        assert [tuple(row.values()) for row in found] == [(c.name, c.type, c.comment) for c in columns], name
        assert not [c.name for c in columns if not c.comment or c.type in ("HUGEINT", "DOUBLE", '"NULL"')], name


def test_building_again_replaces_the_table(warehouse: Warehouse) -> None:
    bill(warehouse, "a", "Paid", 1000)
    assert build(warehouse, "bill_states") == build(warehouse, "bill_states")


def test_a_failing_build_keeps_the_table_that_was_there(warehouse: Warehouse, tmp_path: Path) -> None:
    bill(warehouse, "a", "Paid", 1000)
    before = build(warehouse, "bill_states")
    path = tmp_path / "bill_states.sql"
    path.write_text(
        "-- Broken.\n-- grain: none\n--\n-- a: No number.\nselect cast(state as bigint) as a from core.bills\n"
    )
    with pytest.raises(Exception, match="Conversion Error"):
        build_mart(warehouse, read_mart(path))
    assert warehouse.connection.execute("from marts.bill_states").fetchall() == before


def test_every_core_table_and_column_has_a_comment() -> None:
    tables = catalog().tables
    assert not [table for table, (comment, _) in tables.items() if not comment]
    assert not [
        (table, column.name) for table, (_, columns) in tables.items() for column in columns if not column.comment
    ]


def test_dependencies_are_read_from_the_sql() -> None:
    names = ("bill_states", "daily_collections", "monthly_summary", "sync_health")
    assert {name: MARTS[name].depends_on for name in names} == {
        "bill_states": (("core", "bills"),),
        "daily_collections": (
            ("core", "bill_versions"), ("core", "bills"), ("core", "gateways"), ("core", "payments")
        ),
        "monthly_summary": (("core", "bills"), ("marts", "daily_collections")),
        "sync_health": (("core", "syncs"),),
    }  # fmt: skip


def test_marts_come_after_the_marts_they_are_made_of(tmp_path: Path) -> None:
    header = "-- Text.\n-- grain: one row\n--\n-- a: A column.\n"
    (tmp_path / "a_late.sql").write_text(header + "select a from marts.z_early\n")
    (tmp_path / "z_early.sql").write_text(header + "select state as a from core.bills\n")
    assert [mart.name for mart in all_marts(tmp_path)] == ["z_early", "a_late"]


def test_column_lineage_follows_the_sql_to_the_core_tables() -> None:
    bills = ("core", "bills")
    assert catalog().sources["bill_states"] == {
        "account": [(bills, "account")],
        "state": [(bills, "state")],
        "currency": [(bills, "currency")],
        "bill_count": [],
        "billed_amount": [(bills, "amount")],
        "received_amount": [(bills, "received_amount")],
        "unknown_received_count": [(bills, "received_amount")],
        "missing_count": [(bills, "missing_since")],
        "oldest_created_at": [(bills, "created_at")],
        "oldest_verified_at": [(bills, "verified_at")],
    }
    assert set(catalog().sources["daily_collections"]["gateway_name"]) >= {
        (bills, "gateway_name"),
        (("core", "gateways"), "name"),
        (("core", "payments"), "gateway_name"),
    }
    assert catalog().sources["unpaid_aging"]["open_amount"] == [(("marts", "unpaid_bills"), "open_amount")]


@pytest.mark.parametrize(
    "text",
    [
        "-- Text.\n--\n-- a: A column.\nselect 1 as a\n",
        "-- Text.\n-- grain: one row\n--\n-- b: Another column.\nselect 1 as a\n",
        "-- Text.\n-- grain: one row\n--\n-- a: A column.\n-- b: Too many.\nselect 1 as a\n",
        "-- Text.\n-- grain: one row\n--\n-- a: A column.\nselect 1 as a, 2 as b\n",
        "-- Text.\n-- grain: one row\n--\n-- a: A column.\ndrop table core.bills\n",
    ],
    ids=["no grain", "wrong column", "comment too many", "column too many", "no select"],
)
def test_a_header_that_does_not_fit_its_select_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.sql"
    path.write_text(text)
    with pytest.raises(WarehouseError, match=r"odd\.sql: the header must"):
        read_mart(path)


@pytest.mark.parametrize("name", MARTS)
def test_a_mart_says_its_account_and_what_its_money_is_in(name: str) -> None:
    mart = MARTS[name]
    money = [column for column in mart.comments if column.endswith("_amount")]
    assert "account" in mart.comments
    assert not money or ("currency" in mart.comments and any("smallest unit" in mart.comments[c] for c in money))


@pytest.mark.parametrize("name", MARTS)
def test_a_mart_is_the_same_whenever_it_is_built(name: str) -> None:
    assert not re.search(r"\bnow\(|current_|today\(|random\(", MARTS[name].sql)


@pytest.mark.parametrize("name", MARTS)
def test_a_mart_is_written_in_the_house_style(name: str) -> None:
    sql = MARTS[name].sql
    assert "select *" not in sql
    assert "\t" not in sql and sql.startswith("with\n")
