"""The API as documented: what each resource answers when nothing is switched and nothing fails."""

import urllib.request
from itertools import chain

import pytest
from simulated_merchant import START, Merchant

NEW_BILL = {
    "amount": 2500,
    "merchant_reference": "CMD-1",
    "description": "Essai",
    "client": {"phone": "+22800000042", "lastname": "EXEMPLE"},
}


def test_auth_answers_in_keycloaks_shape(merchant):
    answer = merchant.post("/auth", {**merchant.login_body(), "grant_type": "password"})

    assert answer.status == 200
    assert {name: answer.json[name] for name in ("expires_in", "refresh_expires_in", "token_type")} == {
        "expires_in": 3600,
        "refresh_expires_in": 2592000,
        "token_type": "bearer",
    }
    assert sorted(answer.json) == [
        *("access_token", "expires_in", "not-before-policy", "refresh_expires_in"),
        *("refresh_token", "scope", "session_state", "token_type"),
    ]


def test_a_wrong_password_is_refused(merchant):
    answer = merchant.post("/auth", {**merchant.login_body(), "password": "wrong"})

    assert (answer.status, answer.json) == (
        401,
        {"error": "invalid_grant", "error_description": "Invalid user credentials"},
    )


def test_every_resource_needs_credentials(simulator):
    stranger = Merchant(simulator.base_url)

    answers = [stranger.get(path) for path in ("/orders", "/orders/X", "/orders/X/status", "/gateways")]
    answers.append(stranger.post("/ping", {"action": "ping"}))

    assert [(one.status, one.json) for one in answers] == [
        (401, {"status": "error", "message": "Authentication required"})
    ] * 5


def test_ping_says_pong(merchant):
    answer = merchant.post("/ping", {"action": "ping"})

    assert (answer.status, answer.json) == (200, {"status": "success", "message": "pong"})


def test_gateways_are_a_bare_array(merchant, simulator):
    assert merchant.get("/gateways").json == simulator.truth()["gateways"]
    assert merchant.get("/gateways").json[0] == {
        "id": 3,
        "reference": "5b0f6a52-1d7e-4c8a-9a11-000000000003",
        "libelle": "Flooz (exemple)",
        "psp": {"libelle": "FLOOZ", "logo_url": "https://cdn.example.test/flooz.png"},
        "methode": "PUSH_USSD",
        "currency": "XOF",
        "logo_url": None,
    }


def test_pages_together_are_the_whole_list_newest_first(merchant, simulator):
    truth = simulator.truth()["bills"]

    pages = [merchant.references(page=number, limit=25) for number in range(1, 5)]

    assert [len(page) for page in pages] == [25, 25, len(truth) - 50, 0]
    assert list(chain(*pages)) == [bill["order_reference"] for bill in reversed(truth)]
    assert merchant.get("/orders").json["total"] == len(truth)


def test_without_parameters_the_list_has_twenty_rows(merchant):
    assert merchant.references() == merchant.references(page=1, limit=20)


def test_list_row_and_details_are_the_truth_in_documented_forms(merchant, simulator):
    bill = next(one for one in simulator.truth()["bills"] if one["state"] == "Partial")

    details = merchant.get(f"/orders/{bill['order_reference']}").json

    assert details == {**bill, "amount": str(bill["amount"])}
    assert details in merchant.get("/orders", limit=500).json["items"]
    assert merchant.get(f"/orders/{bill['order_reference']}/status").json == {
        name: details[name] for name in ("order_reference", "state", "amount", "currency")
    }


def test_terminal_selects_bills(merchant, simulator):
    simulator.put_bill(terminal="TPE-99", amount=700)

    assert merchant.references(terminal="TPE-99") == ["SANDBOX-NEW000001"]


def test_an_unknown_bill_is_404(merchant):
    for path in ("/orders/does%2Fnot%20exist", "/orders/no/status"):
        answer = merchant.get(path)
        assert (answer.status, answer.json) == (404, {"status": "error", "message": "Order not found"})


def test_a_reference_with_a_slash_is_found_when_encoded(merchant, simulator):
    simulator.put_bill("SANDBOX-A/B é", amount=100)

    assert merchant.get("/orders/SANDBOX-A%2FB%20%C3%A9").json["order_reference"] == "SANDBOX-A/B é"


def test_a_created_bill_is_answered_201_and_listed_first(merchant):
    answer = merchant.post("/orders", NEW_BILL)

    expected = {
        "order_reference": "SANDBOX-NEW000001",
        "merchant_reference": "CMD-1",
        "state": "Pending",
        "date_create": START,
        "amount": "2500",
        "received_amount": 0,
        "currency": "XOF",
        "description": "Essai",
        "client": {"phone": "+22800000042", "lastname": "EXEMPLE"},
        "payments": [],
    }
    assert answer.status == 201
    assert {name: answer.json[name] for name in ("status", "message")} == {
        "status": "success",
        "message": "Bill created",
    }
    assert {name: answer.json[name] for name in expected} == expected
    assert merchant.get("/orders", limit=1).json["items"] == [
        {name: value for name, value in answer.json.items() if name not in ("status", "message", "payments_method")}
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"amount": "2500"}, "amount must be a whole number above 0"),
        ({"amount": 0}, "amount must be a whole number above 0"),
        ({"client": {}}, "client.phone must be a number such as +22800000001"),
        ({"currency": "EUR"}, "currency must be XOF"),
        ({"description": 7}, "description must be a text of at most 255 characters"),
        ({"callback_url": "file:///etc/passwd"}, "callback_url must begin with http:// or https://"),
        ({"gateway": {"reference": "none"}}, "gateway.reference is not one of the gateways"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_new_bill_is_422(merchant, wrong, message):
    answer = merchant.post("/orders", {**NEW_BILL, **wrong})

    assert (answer.status, answer.json) == (422, {"status": "error", "message": message})


def test_other_refusals_of_the_status_table(merchant):
    no_json = merchant.post("/orders", NEW_BILL, {"Content-Type": "text/plain"})

    assert no_json.status == 415
    assert merchant.post("/orders", [1]).status == 400
    assert merchant.call("DELETE", "/orders").status == 405
    assert merchant.get("/bills").status == 404
    assert merchant.get("/orders", page="x").status == 400


def test_the_date_header_is_simulated_time(merchant, simulator):
    simulator.advance(days=1)

    assert merchant.get("/gateways").headers["Date"] == "Wed, 25 Nov 2026 09:00:00 GMT"


def test_a_bill_can_be_paid_on_its_page(merchant):
    bill = merchant.post("/orders", NEW_BILL).json
    page = Merchant(bill["bill_url"])

    assert b"Pay in full" in page.get("").body
    with urllib.request.urlopen(bill["bill_url"], data=b"state=Paid") as reply:
        assert b"State: <b>Paid</b>, received: 2500" in reply.read()
    paid = merchant.get(f"/orders/{bill['order_reference']}").json
    assert (paid["state"], paid["received_amount"], paid["payments"][0]["amount"]) == ("Paid", 2500, 2500)


def test_the_help_page_and_the_help_describe_everything(simulator):
    page = Merchant(simulator.root).get("/").body.decode()
    told = Merchant(simulator.root).get("/_simulator/help").json

    assert all(one["name"] in page and one["question"] for one in told["switches"])
    assert "CASHPAY_API_KEY=SIMULATOR-API-KEY-NOT-REAL-0123456789" in page
    assert all(kind in page for kind in told["fault_kinds"])
