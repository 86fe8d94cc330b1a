"""A change lies between two readings; the first told what was before. So no day gets the money of another (M10)."""

from datetime import datetime

import pytest
from shop import Shop
from truth import query

from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.sync.rebuild import rebuild
from cashpay_pipeline.warehouse import open_warehouse

SILENT = ["received_amount", "payments", "gateway"]
LAST_CHANGE = """
select received_amount, changed_after, observed_at from core.bill_versions
where order_reference = 'A' order by version desc limit 1
"""


@pytest.fixture
def shop(simulator, settings):
    """2 March 2026, 10 o'clock in the morning; each sync comes a quarter of an hour later."""
    return Shop(simulator, settings)


def now(shop):
    return datetime.fromisoformat(shop.simulator.truth()["now"])


def net_by_day(shop):
    with open_warehouse(shop.settings) as warehouse:
        for mart in all_marts():
            build_mart(warehouse, mart)
    return shop.rows(
        "select received_date::varchar, sum(net_amount)::bigint from marts.daily_collections group by 1 order by 1"
    )


def paid_in_the_afternoon(shop, **fields):
    """Changed four hours later, at 14:15, and read at night; gives the moment of the change."""
    shop.simulator.advance(hours=4)
    moment = now(shop)
    shop.bill("A", **fields)
    shop.simulator.advance(hours=12)
    shop.sync("refresh")
    return moment


def check_last_change(shop, amount, moment):
    """What was received is right, and the moment lies in the interval that is told."""
    ((received, after, before),) = shop.rows(LAST_CHANGE)
    assert received == amount
    assert after <= moment <= before


def test_a_bill_created_after_it_was_read_as_paid_was_paid_by_then(shop):
    """Its time of creation is of another clock, or of another zone."""
    shop.bill("A", state="Paid", amount=500, date_create="2026-03-02T12:00:00+00:00")
    shop.sync("refresh")
    for _ in range(2):
        assert shop.bills("paid_after = paid_before", "paid_before = first_seen_at") == [(True, True)]
        assert shop.rows("select changed_after from core.bill_versions where version = 1") == [(None,)]
        rebuild(shop.settings)


@pytest.mark.parametrize("unfilled", [{"received_amount": 0}, {"received_amount": "0.00", "payments": []}], ids=repr)
def test_a_row_of_the_list_that_never_fills_in_sums_does_not_tell_how_old_the_money_is(unfilled, shop):
    shop.spoil("A", path="/orders", set=unfilled, delete=[field for field in SILENT if field not in unfilled])
    shop.bill("A", amount=10_000, state="Partial", received_amount=3_000)
    shop.sync("refresh")
    moment = paid_in_the_afternoon(shop, state="Partial", received_amount=7_000)
    check_last_change(shop, 7_000, moment)
    assert net_by_day(shop) == [("2026-03-02", 7_000)]


def test_details_that_name_no_sum_do_not_tell_how_old_the_money_is(shop):
    shop.simulator.set(details_fields="poor")
    shop.bill("A", amount=10_000, state="Partial", received_amount=3_000)
    shop.sync("refresh")
    shop.simulator.advance(hours=4)
    moment = now(shop)
    shop.bill("A", state="Partial", received_amount=7_000)
    shop.simulator.advance(hours=22)
    shop.sync("recheck")
    shop.sync("full_refresh")
    check_last_change(shop, 7_000, moment)


def test_a_row_that_is_the_same_as_one_before_does_not_tell_how_old_its_money_is(shop):
    """List and details are up to date: 12,000, then 24,000 that only the details showed, and 12,000 after a refund."""
    shop.bill("A", amount=10_000, state="Excess", received_amount=12_000)
    shop.sync("refresh")
    shop.bill("A", received_amount=24_000)
    shop.simulator.advance(hours=25)
    shop.sync("recheck")
    moment = paid_in_the_afternoon(shop, received_amount=12_000)
    check_last_change(shop, 12_000, moment)


@pytest.mark.parametrize(
    ("first", "spoiled"),
    [
        ({}, {"set": {"state": "SUCCESS"}, "delete": SILENT}),
        ({}, {"delete": ["state", *SILENT]}),
        ({"state": "Partial", "received_amount": 3_000}, {"set": {"state": "Pending", "received_amount": 0}}),
    ],
    ids=["unknown state", "no state", "lags"],
)
def test_a_row_of_the_list_that_is_not_believed_is_no_last_look_at_an_unpaid_bill(first, spoiled, shop):
    shop.bill("A", amount=10_000)
    shop.sync("refresh")
    shop.spoil("A", path="/orders", **spoiled)
    shop.bill("A", **first)
    shop.sync("recheck")
    moment = paid_in_the_afternoon(shop, state="Paid")
    ((state, after, before),) = shop.bills("state", "paid_after", "paid_before")
    assert state == "Paid"
    assert after <= moment <= before
    assert net_by_day(shop) == [("2026-03-02", 10_000)]


def test_rebuild_keeps_since_when_a_bill_paid_in_part_can_have_been_paid(shop):
    shop.simulator.set(list_fields="poor")
    shop.bill("A", amount=10_000, state="Partial", received_amount=3_000)
    shop.sync("refresh")
    shop.sync("full_refresh")
    shop.bill("A", state="Paid")
    shop.sync("refresh")

    def stored():
        return [
            query(shop.settings.warehouse_path, f"select * from core.{table} order by all")
            for table in ("bills", "payments", "bill_versions")
        ]

    before = stored()
    rebuild(shop.settings)
    assert stored() == before


ZERO = {"received_amount": 0, "payments": []}


def of_a(shop, columns):
    return shop.rows(f"select {columns} from core.bills where order_reference = 'A'")


def check_paid(shop, moment):
    ((state, after, before),) = of_a(shop, "state, paid_after, paid_before")
    assert state == "Paid"
    assert after <= moment <= before


@pytest.mark.parametrize(
    "lagging", [{"state": "Pending", **ZERO}, {"state": "SUCCESS"}], ids=["before", "unknown word"]
)
def test_a_list_that_contradicts_the_details_each_night_changes_nothing(lagging, shop):
    """A refresh reads the newest page twice: the second look is no news either."""
    shop.bill("A", amount=10_000)
    shop.spoil("A", path="/orders", set=lagging)
    shop.sync("refresh")
    moment = now(shop)
    shop.bill("A", state="Paid")
    shop.sync("recheck")
    versions = of_a(shop, "version")
    for _ in range(3):
        shop.simulator.advance(hours=24)
        shop.sync("refresh")
    assert of_a(shop, "version") == versions
    check_paid(shop, moment)
    assert net_by_day(shop)[0] == ("2026-03-02", 10_000)


def test_a_sum_of_before_that_is_seen_twice_does_not_tell_how_old_the_money_is(shop):
    payments = [{"amount": 3_000, "gateway": {"reference": "g", "libelle": "G"}}]
    shop.bill("A", amount=10_000)
    shop.spoil("A", path="/orders", set={"received_amount": 3_000, "payments": payments})
    shop.bill("A", state="Partial", received_amount=3_000)
    shop.sync("refresh")
    shop.bill("A", received_amount=5_000)
    shop.sync("recheck")
    shop.sync("refresh")
    moment = now(shop)
    shop.bill("A", received_amount=7_000)
    shop.simulator.advance(hours=12)
    shop.sync("refresh")
    shop.sync("refresh")
    check_last_change(shop, 7_000, moment)


def test_a_row_of_the_list_that_unpays_what_the_details_told_is_for_them_to_confirm(shop):
    shop.bill("A", amount=10_000)
    shop.sync("refresh")
    moment = now(shop)
    shop.bill("A", state="Paid")
    shop.sync("recheck")
    shop.spoil("A", path="/orders", set={"state": "Pending", "description": "a row not seen before", **ZERO})
    shop.simulator.advance(hours=30)
    shop.sync("refresh")
    check_paid(shop, moment)
    assert net_by_day(shop)[0] == ("2026-03-02", 10_000)
    shop.spoil()
    shop.bill("A", state="Pending", received_amount=0)
    shop.sync("refresh")
    assert of_a(shop, "state, received_amount") == [("Pending", 0)]


@pytest.mark.parametrize("unfilled", [{"received_amount": 0}, ZERO], ids=repr)
def test_a_zero_that_the_list_never_fills_in_books_no_payment_a_day_late(unfilled, shop):
    shop.spoil("A", path="/orders", set=unfilled, delete=[f for f in SILENT if f not in unfilled])
    shop.bill("A", amount=10_000)
    shop.sync("refresh")
    moment = paid_in_the_afternoon(shop, state="Paid")
    check_last_change(shop, 10_000, moment)
    assert net_by_day(shop) == [("2026-03-02", 10_000)]


def test_a_zero_that_the_list_never_fills_in_books_no_past_on_the_day_of_the_first_sync(shop):
    shop.spoil("A", path="/orders", set=ZERO, delete=["gateway"])
    shop.bill("A", amount=10_000, state="Paid", date_create="2026-02-20T10:00:00+00:00")
    shop.sync("refresh")
    assert net_by_day(shop) == [("2026-02-20", 10_000)]


def test_a_list_without_states_and_dates_tells_no_interval_and_rebuild_gives_the_same(shop):
    shop.spoil("A", path="/orders", delete=["state", "date_create", *SILENT])
    shop.bill("A", amount=10_000, state="Paid", date_create="2026-02-20T10:00:00+00:00")
    shop.sync("refresh")
    before = shop.bills("paid_after", "paid_before")
    rebuild(shop.settings)
    assert shop.bills("paid_after", "paid_before") == before
    assert net_by_day(shop) == [("2026-02-20", 10_000)]


def test_a_night_without_a_state_does_not_make_a_bill_paid_later(shop):
    shop.bill("A", amount=10_000)
    shop.sync("refresh")
    moment = now(shop)
    shop.bill("A", state="Paid")
    shop.sync("refresh")
    for state in ({"state": None}, {"state": " "}, {}):
        shop.spoil("A", **({"set": state} if state else {}))
        shop.simulator.advance(hours=23)
        shop.sync("refresh")
        check_paid(shop, moment)
