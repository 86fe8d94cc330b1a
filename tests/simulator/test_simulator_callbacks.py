"""Callbacks: signed, sent when a bill changes, and forged on demand."""

import jwt
import pytest

from cashpay_pipeline.simulator.control_client import ControlError
from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS

KEY = DEMO_CREDENTIALS["api_key"]


def verified(body):
    return jwt.decode(body["token"], KEY, algorithms=["HS256"])


def test_a_changed_bill_is_announced_with_a_signature(merchant, simulator, receiver):
    asked = {
        "amount": 1500,
        "merchant_reference": "CMD-9",
        "client": {"phone": "+22800000001"},
        "callback_url": receiver.url,
    }
    ref = merchant.post("/orders", asked).json["order_reference"]

    paid = simulator.put_bill(ref, state="Paid")

    assert verified(receiver.get(timeout=5)) == {
        "order_reference": ref,
        "merchant_reference": "CMD-9",
        "state": "Paid",
        "amount": 1500,
        "received_amount": 1500,
        "payments": paid["payments"],
        "client": {"phone": "+22800000001"},
    }


def test_a_bill_that_changes_by_itself_is_announced(merchant, simulator, receiver):
    simulator.set(created_bills="paid")
    asked = {"amount": 700, "client": {"phone": "+22800000001"}, "callback_url": receiver.url}
    merchant.post("/orders", asked)

    simulator.advance(seconds=31)

    assert verified(receiver.get(timeout=5))["state"] == "Paid"
    assert receiver.empty()


@pytest.mark.parametrize("kind", ["other_key", "unsigned", "altered"])
def test_forgeries_do_not_verify(simulator, receiver, kind):
    simulator.send_callback(receiver.url, "@1", kind=kind)

    with pytest.raises(jwt.InvalidTokenError):
        verified(receiver.get(timeout=5))


def test_a_replay_and_any_claims_can_be_sent(simulator, receiver):
    claims = {"order_reference": "SANDBOX-UNKNOWN", "state": "Paid", "amount": 1}

    for _ in range(2):
        simulator.send_callback(receiver.url, claims=claims)

    assert [verified(receiver.get(timeout=5)) for _ in range(2)] == [claims, claims]


def test_a_callback_to_no_http_address_is_refused(simulator):
    with pytest.raises(ControlError, match="begins with http"):
        simulator.send_callback("file:///etc/passwd", "@1")
