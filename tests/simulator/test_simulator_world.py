"""The made-up shop: lifelike, deterministic, and moved by the clock, by scripts and by hand."""

import collections
from datetime import timedelta

import pytest
from simulated_merchant import START, Merchant

from cashpay_pipeline.simulator.control_client import ControlError
from cashpay_pipeline.simulator.process import SimulatorProcess


def test_the_same_seed_and_clock_give_the_same_bytes(merchant, simulator):
    first = merchant.get("/orders", limit=500).body
    simulator.reset(seed=8)
    other = merchant.log_in().get("/orders", limit=500).body

    with SimulatorProcess(seed=7, days=3, bills_per_day=20, start=START, frozen=True) as again:
        assert Merchant(again.base_url).log_in().get("/orders", limit=500).body == first
    assert other != first


def test_walking_there_by_days_or_at_once_gives_the_same_world(simulator):
    for _ in range(9):
        simulator.advance(days=1)
    by_days = simulator.truth()

    simulator.reset()
    simulator.advance(days=9)

    assert simulator.truth() == by_days


def test_going_back_in_time_gives_the_world_of_then(simulator):
    then = simulator.truth()
    simulator.advance(days=5)
    simulator.put_bill(amount=5)

    simulator.set_time(START)

    assert simulator.truth() == then


def test_history_holds_exactly_days_times_bills(simulator):
    simulator.reset(start="2026-11-24T00:00:00+00:00", days=30, bills_per_day=100)

    assert len([bill for bill in simulator.truth()["bills"] if bill["date_create"] < "2026-11-24"]) == 3000


def test_the_shop_is_lifelike(simulator):
    simulator.reset(days=30, bills_per_day=100)
    bills = simulator.truth()["bills"]
    count = len(bills)

    states = collections.Counter(bill["state"] for bill in bills)
    assert set(states) == {"Paid", "Pending", "Partial", "Excess", "Error", "Canceled", "Expired"}
    assert 0.6 < states["Paid"] / count < 0.9
    hours = collections.Counter(int(bill["date_create"][11:13]) for bill in bills)
    assert hours[19] > 3 * hours[9] / 2 > 20 * hours[3]
    codes = {bill["code"] for bill in bills}
    assert count * 0.8 < len(codes) < count
    assert 0 < sum(bill["merchant_reference"] is None for bill in bills) < count * 0.1
    customers = collections.Counter(bill["client"]["phone"] for bill in bills)
    assert customers.most_common(1)[0][1] > 5
    orders = collections.defaultdict(list)
    for bill in bills:
        orders[bill["merchant_reference"]].append(bill["state"])
    assert [states for name, states in orders.items() if name and len(states) > 1 and "Error" in states]


def test_money_agrees_with_states(simulator):
    simulator.reset(days=30, bills_per_day=100)

    for bill in simulator.truth()["bills"]:
        received, amount = bill["received_amount"], bill["amount"]
        assert received == sum(payment["amount"] for payment in bill["payments"])
        expected = {
            "Paid": received == amount,
            "Excess": received > amount,
            "Partial": 0 < received < amount,
            "Expired": received < amount,
        }
        assert expected.get(bill["state"], received == 0), bill


def test_a_day_passes(simulator):
    simulator.reset(days=30, bills_per_day=100)
    before = {bill["order_reference"]: bill["state"] for bill in simulator.truth()["bills"]}

    simulator.advance(days=1)

    after = {bill["order_reference"]: bill["state"] for bill in simulator.truth()["bills"]}
    turns = collections.Counter((before[ref], after[ref]) for ref in before if before[ref] != after[ref])
    assert before.keys() < after.keys()
    assert turns[("Pending", "Paid")] > 0
    assert {old for old, _ in turns} <= {"Pending", "Partial"}


def test_history_tells_when_each_bill_changed(simulator):
    simulator.advance(days=20)
    truth = {bill["order_reference"]: bill for bill in simulator.truth()["bills"]}
    history = simulator.history()

    names = ("state", "amount", "received_amount")
    assert history.keys() == truth.keys()
    assert {ref: {name: rows[-1][name] for name in names} for ref, rows in history.items()} == {
        ref: {name: bill[name] for name in names} for ref, bill in truth.items()
    }
    assert all(rows[0]["state"] == "Pending" for rows in history.values())


def test_bills_made_by_hand(simulator):
    made = simulator.put_bill("SANDBOX-MINE", amount=4000, date_create="2026-11-23T08:00:00+00:00")
    half = simulator.put_bill("SANDBOX-MINE", state="Partial")
    simulator.advance(minutes=10)
    paid = simulator.put_bill("SANDBOX-MINE", state="Paid")

    assert (made["state"], made["received_amount"], made["payments"]) == ("Pending", 0, [])
    assert (half["received_amount"], [one["amount"] for one in half["payments"]]) == (2000, [2000])
    assert (paid["received_amount"], [one["amount"] for one in paid["payments"]]) == (4000, [2000, 2000])
    assert simulator.history()["SANDBOX-MINE"] == [
        {"at": "2026-11-23T08:00:00+00:00", "state": "Pending", "amount": 4000, "received_amount": 0},
        {"at": START, "state": "Partial", "amount": 4000, "received_amount": 2000},
        {"at": "2026-11-24T09:10:00+00:00", "state": "Paid", "amount": 4000, "received_amount": 4000},
    ]


def test_a_planned_change_happens_in_its_time(simulator):
    ref = simulator.put_bill(amount=100)["order_reference"]
    simulator.put_bill(ref, state="Paid", at=simulator.now() + timedelta(hours=1))

    states = []
    for _ in range(3):
        states.append(next(b["state"] for b in simulator.truth()["bills"] if b["order_reference"] == ref))
        simulator.advance(minutes=30)

    assert states == ["Pending", "Pending", "Paid"]


def test_a_late_arrival_appears_with_its_old_date(merchant, simulator):
    simulator.put_bill(
        "SANDBOX-LATE", date_create="2026-11-20T08:00:00+00:00", visible_from="2026-11-24T10:00:00+00:00"
    )

    assert merchant.get("/orders/SANDBOX-LATE").status == 404
    simulator.set_time("2026-11-24T09:59:00+00:00")
    simulator.advance(minutes=1)
    merchant.log_in()
    assert merchant.references(limit=500)[-1] == "SANDBOX-LATE"


def test_bad_values_are_served_as_they_are(merchant, simulator):
    simulator.put_bill("SANDBOX-BAD", amount="1 500", client=None, payments="none", state=None)

    row = merchant.get("/orders/SANDBOX-BAD").json

    assert {name: row[name] for name in ("amount", "client", "payments", "state")} == {
        **{"amount": "1 500", "client": None, "payments": "none", "state": None}
    }


def test_a_redated_bill_moves_in_the_list(merchant, simulator):
    newest = merchant.references(limit=1)[0]

    simulator.put_bill(newest, date_create="2020-01-01T00:00:00+00:00")

    assert merchant.references(limit=500)[-1] == newest


def test_a_deleted_bill_is_gone(merchant, simulator):
    first, second = merchant.references(limit=2)

    simulator.delete_bill(first)

    assert (merchant.references(limit=1), merchant.get(f"/orders/{first}").status) == ([second], 404)
    assert simulator.history()[first][-1]["state"] == "(deleted)"


def test_a_deleted_bill_comes_back_when_it_is_put(merchant, simulator):
    whole = merchant.references(limit=500)
    simulator.delete_bill(whole[4])

    simulator.put_bill(whole[4], description="here again")

    assert merchant.references(limit=500) == whole


def test_time_passes_a_deletion_twice(merchant, simulator):
    simulator.advance(hours=1)
    merchant.log_in()
    whole = merchant.references(limit=500)
    simulator.delete_bill(whole[0])

    simulator.set_time(START)
    simulator.set_time("2026-11-24T11:00:00+00:00")

    merchant.log_in()
    assert whole[0] not in merchant.references(limit=500)


def test_a_bill_of_the_future_cannot_be_changed(simulator):
    simulator.put_bill("SANDBOX-LATE", visible_from="2026-11-25T10:00:00+00:00")

    with pytest.raises(ControlError, match="still to come"):
        simulator.put_bill("SANDBOX-LATE", amount=1)


def test_a_renamed_gateway_keeps_its_name_on_old_payments(merchant, simulator):
    ref = simulator.put_bill(state="Paid")["order_reference"]
    payment = merchant.get(f"/orders/{ref}").json["payments"][0]
    reference = payment["gateway"]["reference"]
    simulator.advance(hours=1)
    merchant.log_in()

    simulator.put_gateway(reference, libelle="New name")
    added = simulator.put_gateway(libelle="Another")

    gateways = {one["reference"]: one["libelle"] for one in merchant.get("/gateways").json}
    assert (gateways[reference], gateways[added["reference"]]) == ("New name", "Another")
    assert merchant.get(f"/orders/{ref}").json["payments"][0] == payment
    simulator.put_gateway(reference, removed=True)
    assert reference not in {one["reference"] for one in merchant.get("/gateways").json}


def test_a_script_changes_the_world_between_two_pages(merchant, simulator):
    whole = merchant.references(limit=500)
    simulator.script(
        [
            {"at_request": 1, "do": [{"put": {"order_reference": "SANDBOX-TOP"}}]},
            {"at_request": 2, "when": "before", "do": [{"put": {"order_reference": "@2", "state": "Error"}}]},
            {"at_request": 2, "do": [{"delete": "@-1"}, {"advance": 60}]},
        ]
    )

    pages = [merchant.references(page=number, limit=10) for number in (1, 2)]

    assert pages == [whole[:10], whole[9:19]]
    assert merchant.references(limit=500) == ["SANDBOX-TOP", *whole[:-1]]
    assert merchant.get(f"/orders/{whole[0]}").json["state"] == "Error"
    assert simulator.now().isoformat() == "2026-11-24T09:01:00+00:00"
