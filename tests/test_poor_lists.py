"""Lists that name no sums, or never fill them in: what a bill has received is what its details tell (M10, D4)."""

from unittest.mock import ANY

import pytest
from shop import Shop

from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.warehouse import open_warehouse


@pytest.fixture
def shop(simulator, settings):
    return Shop(simulator, settings)


@pytest.fixture
def poor_shop(shop):
    """Its list names no sums, payments or gateways."""
    shop.simulator.set(list_fields="poor")
    return shop


MONEY = ("order_reference", "state", "received_amount", "payment_count")


def test_a_poor_list_is_no_news_of_a_sum_that_grows(poor_shop):
    """Not of the nights that list the bill, nor of the weekly refresh that lists all."""
    poor_shop.bill("A", amount=10_000, state="Partial", received_amount=3_000)
    poor_shop.bill("B", amount=10_000, state="Excess", received_amount=12_000)
    poor_shop.sync("refresh")
    assert poor_shop.bills(*MONEY) == [("A", "Partial", 3_000, 1), ("B", "Excess", 12_000, 1)]
    poor_shop.bill("A", state="Partial", received_amount=7_000)
    poor_shop.bill("B", state="Excess", received_amount=22_000)
    poor_shop.sync("full_refresh")
    poor_shop.sync("refresh")
    assert poor_shop.bills(*MONEY)[0] == ("A", "Partial", 7_000, 2)
    for _ in range(2):
        poor_shop.simulator.advance(days=1)
        poor_shop.sync("full_refresh")
        poor_shop.sync("refresh")
    assert poor_shop.bills(*MONEY)[1] == ("B", "Excess", 22_000, 2), "a settled bill is read again after a day"


@pytest.mark.parametrize(("state", "received", "left"), [("Paid", 10_000, 4_000), ("Canceled", 3_000, 0)])
def test_a_poor_list_is_no_news_of_money_that_goes_back_from_a_settled_bill(state, received, left, poor_shop):
    """It shows the bill each night, and each week with all others; only its details tell, after a day and a week."""
    poor_shop.bill("A", amount=10_000, state=state, received_amount=received)
    poor_shop.sync("refresh")
    poor_shop.simulator.advance(hours=25)
    poor_shop.sync("refresh")
    (told_at,) = poor_shop.bills("money_told_at")[0]
    poor_shop.bill("A", received_amount=left)
    for night in range(1, 8):
        poor_shop.simulator.advance(days=1)
        poor_shop.sync("full_refresh")
        poor_shop.sync("refresh")
        assert poor_shop.bills(*MONEY)[0][:3] == ("A", state, left if night >= 6 else received)
    changed = "select received_amount, changed_after from core.bill_versions where order_reference = 'A' "
    changed += "order by version desc limit 1"
    assert poor_shop.rows(changed) == [(left, told_at)]


def test_the_money_of_before_is_known_only_until_it_was_told(poor_shop):
    """What a mart says of the day on which more came in must not go by a row that did not name the sum."""
    poor_shop.bill("A", amount=10_000, state="Partial", received_amount=3_000)
    poor_shop.sync("refresh")
    ((told_at,),) = poor_shop.bills("money_told_at")
    poor_shop.bill("A", state="Partial", received_amount=7_000)
    poor_shop.sync("full_refresh")
    poor_shop.sync("refresh")
    versions = "select received_amount, changed_after from core.bill_versions where received_amount is not null"
    assert poor_shop.rows(f"{versions} order by version") == [(3_000, ANY), (7_000, told_at)]
    ((verified_at, again_at),) = poor_shop.bills("verified_at", "money_told_at")
    assert verified_at == again_at > told_at


def test_a_poor_list_that_says_paid_makes_no_refund_of_what_the_details_tell(poor_shop):
    """Settled with less than was billed, be it by fees: not all of it came in first."""
    poor_shop.bill("A", amount=10_000, state="Paid", received_amount=9_800)
    poor_shop.bill("B", amount=10_000)
    poor_shop.sync("refresh")
    poor_shop.bill("B", state="Paid", received_amount=9_000)
    poor_shop.spoil("B", path="/orders/{ref}", delete=["received_amount", "payments"])
    poor_shop.sync("refresh")
    poor_shop.spoil()
    poor_shop.simulator.advance(hours=25)
    poor_shop.sync("recheck")
    assert poor_shop.bills(*MONEY) == [("A", "Paid", 9_800, 1), ("B", "Paid", 9_000, 1)]
    with open_warehouse(poor_shop.settings) as warehouse:
        build_mart(warehouse, next(mart for mart in all_marts() if mart.name == "daily_collections"))
    sums = "cast(sum(received_amount) as bigint), cast(sum(withdrawn_amount) as bigint)"
    assert poor_shop.rows(f"select {sums} from marts.daily_collections") == [(18_800, 0)]


def test_a_poor_list_shows_a_bill_given_up_and_its_details_what_it_had_received(poor_shop):
    poor_shop.bill("A", amount=10_000, state="Partial", received_amount=3_000)
    poor_shop.sync("refresh")
    poor_shop.bill("A", state="Partial", received_amount=7_000)
    poor_shop.bill("A", state="Canceled")
    poor_shop.sync("refresh")
    assert poor_shop.bills(*MONEY) == [("A", "Canceled", 7_000, 2)]


@pytest.mark.parametrize(("state", "received"), [("Partial", 2_000), ("Excess", 12_000), ("Paid", 10_000)])
def test_a_sum_is_asked_for_however_many_bills_were_given_up_whose_details_tell_none(state, received, poor_shop):
    """Of those only a sample is asked for, the last of all."""
    given_up = [f"A-{n:02}" for n in range(25)]
    for reference in given_up:
        poor_shop.bill(reference, amount=10_000, state="Canceled")
    poor_shop.spoil(*given_up, path="/orders/{ref}", delete=["received_amount", "payments"])
    poor_shop.bill("B", amount=10_000, state=state, received_amount=received)
    result = poor_shop.sync("refresh")
    assert poor_shop.bills(*MONEY)[-1] == ("B", state, received, 1)
    asked = [r["path"] for r in poor_shop.simulator.log() if r["template"] == "/orders/{ref}"]
    assert (asked[0], len(asked)) == ("/orders/B", 1 + 20)
    assert result.warnings == ["CashPay names no gateway or no sum for some bills, neither listed nor in detail."]


def test_a_gateway_that_no_details_tell_costs_a_sample_and_an_open_bill_does_not_wait_for_it(poor_shop):
    for n in range(25):
        poor_shop.bill(f"A-{n:02}", amount=10_000, state="Paid")
    poor_shop.bill("B", amount=10_000)
    poor_shop.spoil(path="/orders/{ref}", delete=["gateway", "payments"])

    def asked():
        poor_shop.simulator.clear_log()
        poor_shop.sync("refresh")
        return sorted(r["path"] for r in poor_shop.simulator.log() if r["template"] == "/orders/{ref}")

    assert len(asked()) == 20
    poor_shop.bill("B", state="Partial", received_amount=2_000)
    assert asked() == [*(f"/orders/A-{n}" for n in range(20, 25)), "/orders/B"]
    assert poor_shop.bills(*MONEY)[-1] == ("B", "Partial", 2_000, 0)


def test_a_gateway_of_which_only_the_name_is_told_is_known(shop):
    payment = {"amount": 10_000, "gateway": {"libelle": "Flooz"}}
    shop.spoil("A", path="/orders", set={"gateway": None, "payments": [payment]})
    shop.bill("A", amount=10_000, state="Paid")
    shop.sync("refresh")
    assert shop.bills("received_amount", "gateway_reference", "gateway_name") == [(10_000, None, "Flooz")]
    assert [request for request in shop.simulator.log() if request["path"] == "/orders/A"] == []


@pytest.mark.parametrize("state", ["Paid", "Excess", "Partial", "Canceled"])
def test_details_read_while_pending_do_not_stand_for_those_of_another_state(state, poor_shop):
    poor_shop.bill("A", amount=10_000)
    poor_shop.sync("refresh")
    poor_shop.sync("recheck")
    poor_shop.bill("A", state=state)
    poor_shop.sync("refresh")
    (truth,) = poor_shop.simulator.truth()["bills"]
    assert poor_shop.bills(*MONEY) == [("A", state, truth["received_amount"], len(truth["payments"]))]


@pytest.mark.parametrize(
    ("state", "unfilled"),
    [("Paid", {"received_amount": 0}), ("Partial", {"received_amount": "0.00"}), ("Canceled", {"payments": []})],
    ids=repr,
)
def test_sums_that_the_list_never_fills_in_take_none_away(state, unfilled, shop):
    missing = [field for field in ("received_amount", "payments", "gateway") if field not in unfilled]
    shop.spoil("A", path="/orders", set=unfilled, delete=missing)
    shop.bill("A", amount=10_000, state="Partial", received_amount=4_000)
    shop.sync("refresh")
    shop.bill("A", state=state)
    shop.sync("refresh")
    shop.bill("A", description="corrected")
    (truth,) = shop.simulator.truth()["bills"]
    expected = ("A", state, truth["received_amount"], len(truth["payments"]))
    for kind in ("full_refresh", "refresh", "full_refresh"):
        shop.sync(kind)
        assert shop.bills(*MONEY) == [expected]
    shop.simulator.clear_log()
    shop.sync("refresh")
    asked = [request for request in shop.simulator.log() if request["path"] == "/orders/A"]
    assert len(asked) == (state == "Partial"), "what is no news raises no question, and only a part paid may grow"
    assert shop.bills(*MONEY) == [expected]


def test_a_refund_is_believed_when_the_details_tell_it_too(shop):
    shop.bill("A", amount=10_000, state="Paid")
    shop.sync("refresh")
    shop.bill("A", received_amount=0, payments=[])
    shop.sync("refresh")
    assert shop.bills(*MONEY) == [("A", "Paid", 0, 0)]


def test_a_sum_that_goes_back_is_seen_although_the_list_shows_what_it_showed_before(shop):
    shop.bill("A", amount=10_000, state="Excess", received_amount=12_000)
    shop.sync("refresh")
    shop.bill("A", received_amount=24_000)
    shop.simulator.advance(days=1)
    shop.sync("recheck")
    assert shop.bills(*MONEY)[0][:3] == ("A", "Excess", 24_000)
    shop.bill("A", received_amount=12_000)
    shop.sync("refresh")
    assert shop.bills(*MONEY)[0][:3] == ("A", "Excess", 12_000)


def test_a_list_that_lags_behind_the_details_changes_nothing_and_is_asked_about_once(shop):
    shop.bill("A", amount=10_000, state="Partial", received_amount=4_000)
    shop.spoil("A", path="/orders", set={"received_amount": 3_000, "description": "as listed"})
    shop.sync("refresh")
    shop.sync("recheck")
    shop.bill("A", received_amount=5_000)
    shop.sync("recheck")
    assert shop.bills("received_amount", "description") != [(3_000, "as listed")]
    versions = shop.rows("select count(*) from core.bill_versions")
    for _ in range(3):
        shop.sync("full_refresh")
        shop.sync("refresh")
        assert shop.bills("received_amount") == [(5_000,)]
    assert shop.rows("select count(*) from core.bill_versions") == versions


@pytest.mark.parametrize(("untold", "told"), [("received_amount", "payments"), ("payments", "received_amount")])
@pytest.mark.parametrize("state", ["Partial", "Excess"])
def test_a_list_that_names_the_sum_or_its_payments_has_the_other_one_asked_for(state, untold, told, shop):
    """Not from one night on: each night that the list shows the bill, it seems to tell what came in."""
    shop.spoil("A", path="/orders", delete=[untold])
    shop.bill("A", amount=100_000 if state == "Partial" else 10_000, state=state, received_amount=13_000)
    shop.sync("refresh")
    for received in (20_000, 27_000):
        shop.simulator.advance(hours=25)
        shop.bill("A", state=state, received_amount=received)
        shop.sync("refresh")
        assert shop.rows("select received_amount from core.bills where order_reference = 'A'") == [(received,)]
        assert shop.rows("select sum(amount) from core.payments where order_reference = 'A'") == [(received,)]


def test_a_list_that_lags_changes_nothing_also_with_a_row_that_it_had_not_shown_before(shop):
    """The same night its details are asked for: what the list said is not left standing."""
    shop.bill("A", amount=10_000)
    shop.sync("refresh")
    for received in (3_000, 7_000):
        shop.bill("A", state="Partial", received_amount=received)
    shop.sync("recheck")
    assert shop.bills("state", "received_amount") == [("Partial", 7_000)]
    gateway = {"reference": "g", "libelle": "G"}
    lagging = {"received_amount": 3_000, "payments": [{"amount": 3_000, "gateway": gateway}]}
    shop.spoil("A", path="/orders", set=lagging)
    shop.sync("refresh")
    assert shop.bills("state", "received_amount") == [("Partial", 7_000)]


@pytest.mark.parametrize(
    "blank", [{"merchant_reference": ""}, {"date_create": ""}, {"client": {"phone": None}}], ids=repr
)
def test_what_is_blank_in_the_list_and_known_by_the_details_stays(blank, shop):
    columns = ("merchant_reference", "created_at", "client_phone_masked")
    shop.bill("A", amount=10_000, merchant_reference="CMD-1")
    shop.spoil("A", path="/orders", set=blank)
    shop.sync("refresh")
    shop.sync("recheck")
    known = shop.bills(*columns)
    assert None not in known[0]
    shop.bill("A", state="Paid")
    shop.sync("refresh")
    assert shop.bills(*columns, "state") == [(*known[0], "Paid")]


def test_a_customer_whom_the_details_leave_out_for_once_stays(shop):
    """The list, which goes on showing its row of before, would not bring the customer back."""
    shop.bill("A", amount=10_000)
    shop.sync()
    known = shop.bills("client_key", "client_phone_masked", "version")
    shop.spoil("A", path="/orders/{ref}", set={"client": None})
    shop.sync("recheck")
    assert shop.bills("client_key", "client_phone_masked", "version") == known


def test_a_zero_of_the_list_does_not_hide_what_a_bill_had_received_before_it_was_given_up(shop):
    shop.spoil("A", path="/orders", set={"received_amount": 0, "payments": []})
    shop.bill("A", amount=10_000)
    shop.sync("refresh")
    shop.bill("A", state="Partial", received_amount=3_000)
    shop.bill("A", state="Canceled")
    shop.sync("refresh")
    assert shop.bills("state", "received_amount") == [("Canceled", 3_000)]


@pytest.mark.parametrize("paid_in_list", [0, 10_000])
def test_zeros_of_a_list_that_fills_no_sum_in_are_not_believed_of_bills_given_up_before_the_first_sync(
    paid_in_list, shop
):
    """Where it shows what a paid bill has received, it is: no details of all the others are asked for."""
    shop.bill("A", amount=10_000, state="Partial", received_amount=3_000)
    shop.bill("A", state="Canceled")
    shop.bill("B", amount=10_000, state="Paid")
    shop.simulator.advance(days=40)
    shop.spoil("A", path="/orders", set={"received_amount": 0, "payments": []})
    if not paid_in_list:
        gateway = {"reference": "g", "libelle": "G"}  # nothing else is to be asked of B
        shop.spoil("A", "B", path="/orders", set={"received_amount": 0, "payments": [], "gateway": gateway})
    for _ in range(2):
        shop.sync("full_refresh")
        shop.sync("refresh")
    assert shop.rows("select received_amount from core.bills where order_reference in ('A', 'B') order by all") == [
        (0 if paid_in_list else 3_000,),
        (10_000,),
    ]
    if not paid_in_list:
        told = "select changed_after = created_at from core.bill_versions join core.bills using (order_reference) "
        assert shop.rows(f"{told} where order_reference = 'A' and bill_versions.version = 2") == [(True,)]


def test_details_without_a_sum_and_with_empty_payments_leave_the_sum_of_the_list(shop):
    shop.bill("A", amount=10_000, state="Paid", received_amount=6_000)
    details = {"delete": ["received_amount"], "set": {"payments": []}}
    shop.simulator.faults(
        [
            {"path": path, "kind": "mutate", "times": None, "mutate": mutate}
            for path, mutate in (("/orders", {"delete": ["payments"]}), ("/orders/{ref}", details))
        ]
    )
    shop.sync("refresh")
    assert shop.bills("received_amount") == [(6_000,)]


def test_a_bill_that_its_details_complete_in_the_sync_that_saw_it_first_is_new_and_no_change(poor_shop):
    for reference in ("A", "B", "C"):
        poor_shop.bill(reference, amount=10_000, state="Paid", received_amount=10_000)
    first = poor_shop.sync("refresh")
    assert (first.bills_new, first.bills_changed) == (3, 0)
    assert poor_shop.rows("select max(version) from core.bill_versions") == [(2,)]
    poor_shop.bill("A", state="Excess", received_amount=12_000)
    second = poor_shop.sync("refresh")
    assert second.bills_new == 0 and second.bills_changed > 0
