"""Both login schemes, and how they refuse."""

import pytest
from simulated_merchant import Merchant

from cashpay_pipeline.simulator.signing import api_secure, signed_token


def test_signature_agrees_with_the_documented_vector():
    digest = api_secure("demo.merchant", "EXAMPLE-API-KEY-NOT-REAL", "1700000001")

    assert digest == "2a12da596bc26f579abbde37efff6496afb5eb5f2b8fc5e0c43c47418bf77466"


def test_callback_token_agrees_with_the_documented_vector():
    claims = {
        "order_reference": "SANDBOX-EX0001",
        "merchant_reference": "CMD-0001",
        "state": "Paid",
        "amount": 1500,
        "received_amount": 1500,
    }

    token = signed_token(claims, "EXAMPLE-API-KEY-NOT-REAL")

    assert token.endswith(".occA1Y6sm61QJiuQXaLpoAi32zCSKAIAxKW6Xii_oqw")
    assert token.startswith("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJvcmRlcl9yZWZlcmVuY2UiOiJTQU5EQk9YLUVYMDAwMSIs")


def test_four_headers_alone_or_with_a_token_are_accepted(merchant, simulator):
    stranger = Merchant(simulator.base_url)

    assert stranger.call("GET", "/gateways", headers=stranger.signed()).status == 200
    assert merchant.call("GET", "/gateways", headers=merchant.signed()).status == 401  # the same salt again
    assert merchant.call("GET", "/gateways", headers=merchant.signed()).status == 200


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"apisecure": "0" * 64}, "Authentication failed: Login incorrect or disabled"),
        ({"login": "nobody"}, "Authentication failed: Login incorrect or disabled"),
        ({"apireference": "1"}, "Authentication failed: Login incorrect or disabled"),
        ({"salt": ""}, "Authentication failed: salt is missing"),
    ],
    ids=["digest", "login", "apireference", "salt"],
)
def test_wrong_headers_are_refused(simulator, wrong, message):
    stranger = Merchant(simulator.base_url)

    answer = stranger.call("GET", "/gateways", headers={**stranger.signed(), **wrong})

    assert (answer.status, answer.json) == (401, {"status": "error", "message": message})


def test_a_salt_is_accepted_once(simulator):
    stranger = Merchant(simulator.base_url)

    answers = [stranger.call("GET", "/gateways", headers=stranger.signed("77")) for _ in range(2)]

    assert [one.status for one in answers] == [200, 401]
    assert answers[1].json == {"status": "error", "message": "Authentication failed: salt already used"}
    assert len({entry["salt_hash"] for entry in simulator.log()}) == 1


def test_a_salt_counts_as_used_though_a_fault_answered(simulator):
    stranger = Merchant(simulator.base_url)
    simulator.faults([{"path": "/gateways", "status": 503}])

    answers = [stranger.call("GET", "/gateways", headers=stranger.signed("78")) for _ in range(2)]

    assert [one.status for one in answers] == [503, 401]


def test_salt_switches(simulator):
    stranger = Merchant(simulator.base_url)
    simulator.set(salt_check=False, salt_max_digits=10)

    answers = [stranger.call("GET", "/gateways", headers=stranger.signed(salt)) for salt in ("5", "5", "12345678901")]

    assert [one.status for one in answers] == [200, 200, 401]


@pytest.mark.parametrize(
    ("switch", "status", "body"),
    [
        ("401", 401, {"status": "error", "message": "Expired token"}),
        ("400_expired", 400, {"code": 400, "message": "Expired token"}),
        ("403", 403, {"status": "error", "message": "Expired token"}),
    ],
)
def test_a_token_expires_on_the_simulated_clock(merchant, simulator, switch, status, body):
    simulator.set(token_expiry=switch)
    simulator.advance(seconds=3599)
    assert merchant.get("/gateways").status == 200

    simulator.advance(seconds=1)

    answer = merchant.get("/gateways")
    assert (answer.status, answer.json) == (status, body)
    assert merchant.log_in().get("/gateways").status == 200


def test_an_unknown_token_is_invalid(merchant, simulator):
    simulator.forget_tokens()

    answer = merchant.get("/gateways")

    assert (answer.status, answer.json) == (401, {"status": "error", "message": "Invalid token"})


def test_auth_reply_switch(merchant, simulator):
    def reply(value: str):
        simulator.set(auth_reply=value)
        return merchant.post("/auth", merchant.login_body())

    assert reply("201").status == 201
    assert reply("no_token").json == {"status": "error", "message": "Invalid client credentials"}
    assert isinstance(reply("json_string").json, str)
    assert "expires_in" not in reply("no_expires_in").json
    assert reply("strings").json["expires_in"] == "3600"


def test_auth_error_and_error_shape_switches(merchant, simulator):
    simulator.set(auth_error="message", error_shape="code_message")

    answer = merchant.post("/auth", {})

    assert (answer.status, answer.json) == (401, {"code": 401, "message": "Invalid client credentials"})


def test_token_life_switch(merchant, simulator):
    simulator.set(token_life=60)

    assert merchant.post("/auth", merchant.login_body()).json["expires_in"] == 60


def test_auth_schemes_switch(merchant, simulator):
    stranger = Merchant(simulator.base_url)

    def statuses(value: str) -> list[int]:
        simulator.set(auth_schemes=value)
        calls = [merchant.get("/gateways"), stranger.call("GET", "/gateways", headers=stranger.signed())]
        return [one.status for one in calls]

    assert [statuses(value) for value in ("both", "oauth2", "cashpay")] == [[200, 200], [200, 401], [401, 200]]


def test_accounts_have_their_own_credentials_and_bills(simulator):
    simulator.reset(accounts=["second"])
    first, second = (Merchant(simulator.base_url, name).log_in() for name in ("main", "second"))

    shared = set(first.references(limit=500)) & set(second.references(limit=500))

    assert len(shared) > 30
    for account, merchant in (("main", first), ("second", second)):
        truth = {bill["order_reference"]: bill for bill in simulator.truth(account)["bills"]}
        assert {ref: merchant.get(f"/orders/{ref}").json["amount"] for ref in sorted(shared)[:5]} == {
            ref: str(truth[ref]["amount"]) for ref in sorted(shared)[:5]
        }
    assert simulator.truth("main")["bills"] != simulator.truth("second")["bills"]


def test_the_log_holds_no_secret(merchant, simulator):
    merchant.call("GET", "/orders", headers=merchant.signed("123456789"), page=1)
    text = str(simulator.log())

    secrets = [*merchant.login_body().values(), *merchant.headers.values(), *merchant.signed("123456789").values()]
    assert [secret for secret in secrets if secret != "4207" and secret in text] == []
