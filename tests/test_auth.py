import base64
import hashlib
import hmac
import html
import json
import logging
import multiprocessing
import threading
import traceback
from collections.abc import Callable
from itertools import pairwise
from time import perf_counter
from typing import Any
from urllib.parse import quote, quote_plus

import jwt
import pytest
from wire import (
    SECRETS,
    SIGNATURE,
    TOKEN,
    Step,
    client_of,
    reply,
    serving,
    settings_for,
    signed_settings_for,
    token,
)

from cashpay_pipeline.auth import MAX_CALLBACK_BYTES, SignatureAuth, decode_callback, sign
from cashpay_pipeline.client import CashpayClient
from cashpay_pipeline.errors import (
    AccessDeniedError,
    CashpayError,
    CredentialsRejectedError,
    RateLimitedError,
    UnavailableError,
    UnexpectedReplyError,
)
from cashpay_pipeline.redaction import Redactor

PAGE = {"items": [{"order_reference": "SANDBOX-EX0001"}], "total": 1}
KEY = "EXAMPLE-API-KEY-NOT-REAL"
EXPIRED: list[Step] = [
    reply(401, {"message": "Unauthorized"}),
    reply(400, {"code": 400, "message": "Expired token"}),
    reply(400, {"code": 400, "message": "Invalid token"}),
    reply(403, {"message": "expired token"}),
    reply(200, {"code": 400, "message": "Expired token"}),
    reply(200, {"code": 401, "message": "Unauthorized"}),
    reply(200, {"message": "Invalid token"}),
]
EXPIRED_IDS = ["401", "400-expired", "400-invalid", "403-expired", "200-inner-400", "200-inner-401", "200-message"]


def bearer(request: Any) -> str:
    return str(request.headers["authorization"]).removeprefix("Bearer ")


def test_login_sends_json_with_the_four_fields() -> None:
    with serving([reply(200, PAGE)]) as server:
        client_of(server).fetch_bills_page(1, 20)
        login, data = server.requests
    assert (login.method, login.target, json.loads(login.body)) == ("POST", "/api/auth", SECRETS)
    assert login.headers["content-type"] == "application/json" and "authorization" not in login.headers
    assert (data.method, data.target, bearer(data)) == ("GET", "/api/orders?page=1&limit=20", TOKEN)


def test_A1_token_is_renewed_at_80_percent_of_its_life() -> None:
    with serving([reply(200, PAGE)], [token("first", 1000), token("second", 1000)]) as server:
        client = client_of(server)
        for moment in (0, 790, 801):
            server.clock.elapsed = moment
            client.fetch_bills_page(1, 20)
        assert [bearer(r) for r in server.to("/orders")] == ["first", "first", "second"]
        assert client.stats.logins == 2


@pytest.mark.parametrize("refusal", EXPIRED, ids=EXPIRED_IDS)
def test_A1_A15_a_dead_token_is_replaced_and_the_same_page_replayed(refusal: Step) -> None:
    with serving([refusal, reply(200, PAGE)], [token("first"), token("second")]) as server:
        client = client_of(server)
        assert client.fetch_bills_page(7, 20).body == PAGE
        pages = server.to("/orders")
    assert [(r.target, bearer(r)) for r in pages] == [
        ("/api/orders?page=7&limit=20", "first"),
        ("/api/orders?page=7&limit=20", "second"),
    ]
    assert (client.stats.logins, client.stats.retries, client.stats.requests) == (2, 1, 4)


@pytest.mark.parametrize("refusal", EXPIRED, ids=EXPIRED_IDS)
def test_H6_a_second_refusal_is_credentials_rejected(refusal: Step) -> None:
    with serving([refusal]) as server:
        with pytest.raises(CredentialsRejectedError) as caught:
            client_of(server).fetch_bills_page(3, 20)
        assert len(server.to("/orders")) == len(server.to("/auth")) == 2
    assert "page 3" in caught.value.where


def test_H7_403_is_access_denied_after_one_new_login_never_bad_password() -> None:
    with serving([reply(403, {"message": "Forbidden"})]) as server:
        with pytest.raises(AccessDeniedError, match="valid, but this is not allowed, or the path or stage is wrong"):
            client_of(server).fetch_bills_page(1, 20)
        assert len(server.to("/orders")) == len(server.to("/auth")) == 2


def test_H7_what_is_denied_to_a_fresh_login_too_costs_no_login_more() -> None:
    forbidden = reply(403, {"message": "Forbidden"})
    answers = [*[forbidden] * 4, reply(200, PAGE), reply(401, {"message": "expired token"}), reply(200, PAGE)]
    with serving(answers, [token("first"), token("second"), token("third")]) as server:
        client = client_of(server)
        for number in range(3):
            with pytest.raises(AccessDeniedError):
                client.fetch_bill(f"SANDBOX-{number}")
        client.fetch_bills_page(1, 20)
        client.fetch_bills_page(2, 20)
        assert [bearer(r) for r in server.requests if r.path != "/auth"] == ["first", *["second"] * 5, "third"]


def test_A2_token_that_dies_during_a_wait_is_renewed_before_the_next_attempt() -> None:
    wait = reply(429, {}, headers={"Retry-After": "600"})
    with serving([wait, reply(200, PAGE)], [token("first", 300), token("second", 300)]) as server:
        client_of(server).fetch_bills_page(1, 20)
        assert [bearer(r) for r in server.to("/orders")] == ["first", "second"]


def test_A3_threads_that_need_a_token_log_in_once() -> None:
    with serving([reply(200, PAGE)]) as server:
        server.auth = [lambda connection: (server.pause(0.1), connection.sendall(token()))[0]]
        client = client_of(server, max_in_flight=8)
        in_threads(8, lambda: client.fetch_bills_page(1, 20))
        assert (len(server.to("/auth")), len(server.to("/orders"))) == (1, 8)


def test_A3_threads_that_are_refused_together_log_in_once() -> None:
    both_there = threading.Barrier(2)

    def refuse(connection: Any) -> None:
        both_there.wait(5)
        connection.sendall(reply(401, {}))

    with serving([refuse, refuse, reply(200, PAGE)], [token("first"), token("second"), token("third")]) as server:
        client = client_of(server, max_in_flight=2)
        in_threads(2, lambda: client.fetch_bills_page(1, 20))
        assert [bearer(r) for r in server.to("/orders")] == ["first", "first", "second", "second"]
        assert client.stats.logins == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "no JSON",
        None,
        5,
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 5},
        {"access_token": "two words"},
        {"access_token": "line\r\nInjected: header"},
        {"message": "Invalid client credentials"},
        {"status": "error", "message": "Invalid client credentials"},
        {"error": "invalid_grant", "error_description": "Invalid client credentials"},
    ],
)
def test_A4_no_token_is_credentials_rejected(body: Any) -> None:
    with serving(auth=[reply(200, body)]) as server:
        with pytest.raises(CredentialsRejectedError) as caught:
            client_of(server).ping()
        assert [r.path for r in server.requests] == ["/auth"]
    if "Invalid" in str(body):
        assert "Invalid client credentials" in str(caught.value)


def test_A4_token_in_json_text_within_json_and_status_201() -> None:
    answer = reply(201, json.dumps({"access_token": "inner", "expires_in": "3600"}))
    with serving([reply(200, PAGE)], [answer]) as server:
        client_of(server).fetch_bills_page(1, 20)
        assert bearer(server.to("/orders")[0]) == "inner"


@pytest.mark.parametrize(
    ("life", "seconds"),
    [
        (3600, 3600),
        ("3600", 3600),
        (600.5, 600.5),
        ("missing", 300),
        (None, 300),
        (0, 300),
        (-5, 300),
        (True, 300),
        ("soon", 300),
        (float("nan"), 300),
        (float("inf"), 300),
        ({}, 300),
        ("1e400", 300),
    ],
)
def test_A4_odd_token_life_is_five_minutes(life: Any, seconds: float) -> None:
    fields = {"access_token": "t"} if life == "missing" else {"access_token": "t", "expires_in": life}
    with serving([reply(200, PAGE)], [reply(200, fields)]) as server:
        client = client_of(server)
        for moment, logins in ((0, 1), (0.8 * seconds - 1, 1), (0.8 * seconds + 1, 2)):
            server.clock.elapsed = moment
            client.fetch_bills_page(1, 20)
            assert client.stats.logins == logins


@pytest.mark.parametrize("status", [400, 401, 403])
def test_A5_wrong_password_is_sent_once_even_with_many_threads(status: int) -> None:
    said = {"message": "Authentication failed: Login incorrect or disabled"}
    with serving(auth=[reply(status, said)]) as server:
        client = client_of(server, max_in_flight=4)
        errors = in_threads(4, client.ping)
        with pytest.raises(CredentialsRejectedError):
            client.fetch_gateways()
        assert [r.path for r in server.requests] == ["/auth"]
    assert [type(error) for error in errors] == [CredentialsRejectedError] * 4
    assert any("Login incorrect or disabled" in str(error) for error in errors)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_A6_trouble_at_the_login_is_retried_like_any_other(status: int) -> None:
    with serving([reply(200, PAGE)], [reply(status, b"<html>"), reply(status, {}), token()]) as server:
        client = client_of(server)
        client.fetch_bills_page(1, 20)
        assert (len(server.to("/auth")), client.stats.retries) == (3, 2)


def test_A6_the_login_waits_out_retry_after_and_gives_up_after_six_tries() -> None:
    with serving(auth=[reply(429, {}, headers={"Retry-After": "60"})]) as server:
        with pytest.raises(RateLimitedError):
            client_of(server).ping()
        times = [r.at for r in server.to("/auth")]
    assert len(times) == 6 and all(b - a >= 60 for a, b in pairwise(times))
    with serving(auth=[reply(500, {})]) as server, pytest.raises(UnavailableError) as caught:
        client_of(server).ping()
    assert caught.value.status == 500 and "/auth" in caught.value.where


def test_A7_the_dates_in_the_token_and_the_wall_clock_are_not_looked_at() -> None:
    past = jwt.encode({"exp": 1, "iat": 0}, "x" * 32, algorithm="HS256")
    with serving([reply(200, PAGE)], [token(past, 3600)]) as server:
        client = client_of(server)
        client.fetch_bills_page(1, 20)
        client.fetch_bills_page(2, 20)
        assert client.stats.logins == 1 and bearer(server.to("/orders")[1]) == past


def test_A8_each_attempt_has_its_own_salt_and_a_right_signature() -> None:
    steps: list[Step] = [reply(500, {}), reply(503, {}), reply(403, {}), reply(200, PAGE)]
    with serving(steps) as server:
        CashpayClient(signed_settings_for(server.url), clock=server.clock).fetch_bills_page(1, 20)
        sent = [r.headers for r in server.requests]
    assert len({headers["salt"] for headers in sent}) == 4
    for headers in sent:
        text = f"{SIGNATURE['login']}{SIGNATURE['api_key']}{headers['salt']}"
        assert headers["apisecure"] == hashlib.sha256(text.encode()).hexdigest()
        assert (headers["login"], headers["apireference"]) == (SIGNATURE["login"], SIGNATURE["api_reference"])
        assert "authorization" not in headers


def salts(count: int) -> set[str]:
    auth = SignatureAuth(lambda: signed_settings_for("http://127.0.0.1/api"))
    return {auth.headers()["salt"] for _ in range(count)}


def test_A8_salts_do_not_repeat_across_processes_and_restarts() -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        drawn = pool.map(salts, [20_000] * 4)
    assert len(set().union(*drawn)) == 80_000


@pytest.mark.parametrize("bits", [24, 31, 63])
def test_A9_salt_width_is_a_setting(bits: int) -> None:
    auth = SignatureAuth(lambda: signed_settings_for("http://127.0.0.1/api", salt_bits=bits))
    drawn = [int(auth.headers()["salt"]) for _ in range(2000)]
    assert min(drawn) >= 1 and 2 ** (bits - 2) < max(drawn) < 2**bits


def test_A10_golden_vector_and_trimmed_key() -> None:
    digest = "2a12da596bc26f579abbde37efff6496afb5eb5f2b8fc5e0c43c47418bf77466"
    assert sign("demo.merchant", KEY, "1700000001") == digest
    auth = SignatureAuth(lambda: signed_settings_for("http://127.0.0.1/api", api_key=f" {KEY}\n"))
    headers = auth.headers()
    assert headers["apisecure"] == sign("demo.merchant", KEY, headers["salt"])


def test_A13_password_rotated_during_a_run_is_read_once_more() -> None:
    with serving([reply(401, {}), reply(200, PAGE)], [token("old"), token("new")]) as server:
        current = settings_for(server.url)
        client = CashpayClient(current, clock=server.clock, reload=lambda: current)
        reloaded = settings_for(server.url, password="another-made-up-password")

        def refuse(connection: Any) -> None:
            nonlocal current
            current = reloaded
            connection.sendall(reply(401, {}))

        server.data[0] = refuse
        client.fetch_bills_page(1, 20)
        sent = [json.loads(r.body)["password"] for r in server.to("/auth")]
    assert sent == [SECRETS["password"], "another-made-up-password"]


def test_A13_key_rotated_during_a_run_is_read_once_more() -> None:
    keys = iter([KEY, "ROTATED-KEY-NOT-REAL"])
    with serving([reply(401, {}), reply(200, PAGE)]) as server:
        client = CashpayClient(
            signed_settings_for(server.url),
            clock=server.clock,
            reload=lambda: signed_settings_for(server.url, api_key=next(keys)),
        )
        client.fetch_bills_page(1, 20)
        first, second = (r.headers for r in server.requests)
    assert first["apisecure"] == sign("demo.merchant", KEY, first["salt"])
    assert second["apisecure"] == sign("demo.merchant", "ROTATED-KEY-NOT-REAL", second["salt"])


def echoes(text: str) -> list[bytes]:
    """Answers in which a rude server sends back what it was told."""
    return [
        reply(400, {"message": text}),
        reply(422, {"message": "x", "errors": {"field": [text]}}),
        reply(500, {"code": 500, "message": text}),
        reply(200, {"status": "error", "message": text}),
        reply(401, {"message": text}),
        reply(403, {"message": text}),
        reply(200, text.encode(), content_type="text/html"),
        reply(301, {}, headers={"Location": f"https://other.example.test/{text.strip()}?token={text.strip()}"}),
        reply(200, {"unknown": text, text: 1}),
        reply(429, {"message": text}),
    ]


def forms(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        raw.hex(),
        hashlib.sha256(raw).hexdigest(),
        hashlib.sha256(raw).hexdigest().upper(),
        secret.upper(),
        "".join(f"%{b:02X}" if not chr(b).isalnum() and chr(b) not in "-._~" else chr(b) for b in raw),
    ]


CANARIES = [*SECRETS.values(), TOKEN]


@pytest.mark.parametrize("canary", CANARIES)
def test_S2_S3_S9_no_secret_comes_back_in_an_error_or_a_log(canary: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    text = " ".join(forms(canary)) + " phone +228 90 00 00 01 or 90000001 end"
    for step in echoes(text):
        with serving([step]) as server:
            client = client_of(server)
            for path in ("one bill", "gateways"):
                with pytest.raises(CashpayError) as caught:
                    client.fetch_bill("SANDBOX-EX0001") if path == "one bill" else client.fetch_gateways()
                shown = [str(caught.value), repr(caught.value), repr(client), *traceback.format_exception(caught.value)]
                shown += [caught.value.where, caught.value.next_step]
                for leak in [*forms(canary), "90000001", "90 00 00 01"]:
                    assert leak.casefold() not in "\n".join(shown).casefold(), (step, leak)
                assert_no_request_in(caught.value)
    for secret in [*CANARIES, "Bearer", "90000001"]:
        assert secret not in caplog.text


def test_S9_secrets_echoed_by_the_login_are_masked() -> None:
    text = f"user {SECRETS['username']} with {SECRETS['password']} of {SECRETS['client_secret']}"
    refusal = reply(401, {"error": "invalid_grant", "error_description": text})
    with serving(auth=[refusal]) as server, pytest.raises(CredentialsRejectedError) as caught:
        client_of(server).ping()
    assert "user *** with *** of ***" in str(caught.value)
    assert_no_request_in(caught.value)


def test_S7_overlapping_secrets_leave_nothing_standing() -> None:
    redactor = Redactor(["abcd", "abcd-efgh", "17"])
    redactor.learn(["xxabcd-efghyy"])
    text = "xxabcd-efghyy abcd-efgh abcd key 17 of 2017, mail someone@shop.example.test"
    assert redactor.clean(text) == "*** *** *** key *** of 2017, mail ***"


@pytest.mark.parametrize("secret", ["CANARY/pass/word", "it's d'été/😀", '<a href="x&y=1">', r"\\server\x", "100% + 1"])
@pytest.mark.parametrize("outer", ["{}", '{{"echo": "{}"}}'])
def test_S9_no_way_of_quoting_brings_a_secret_back(secret: str, outer: str) -> None:
    """`/` as `\\/` is PHP's; `&#039;` is its HTML; JSON in JSON, and JSON in an address, double the escapes."""

    def in_json(text: str) -> str:
        return json.dumps(text)[1:-1]

    php = in_json(secret).replace("/", r"\/")
    go = in_json(secret).replace("<", r"\u003C").replace("&", r"\u0026").replace("'", r"\u0027")
    ways = [php, go, json.dumps(secret, ensure_ascii=False)[1:-1], in_json(php), in_json(in_json(php)), quote(php)]
    ways += [html.escape(secret), html.escape(secret).replace("&#x27;", "&#039;"), in_json(html.escape(secret))]
    ways += [quote(quote(secret)), quote_plus(secret), repr(secret)[1:-1]]
    redactor = Redactor([secret])
    for way in ways:
        text = outer.format(way)
        assert redactor.clean(text).replace("\\", "") == outer.format("***"), way


@pytest.mark.parametrize("between", ["\u00a0", "\u202f", "\t", "\r\n", "\u200b", "\u2013", " \u2013 ", "_", " - "])
def test_S10_a_phone_is_masked_whatever_stands_between_its_digits(between: str) -> None:
    """What cannot be printed becomes a blank: as it is shown it must be no phone either."""
    phone = between.join(["+228", "90", "12", "34", "56"])
    assert Redactor().clean(f"call {phone} now") == "call *** now"


def test_a_text_that_is_only_masked_keeps_its_lines_and_its_phones() -> None:
    assert Redactor(["CANARY/x"]).mask("a\n\tCANARY\\/x 90123456") == "a\n\t*** 90123456"


def test_S9_masking_is_quick_whatever_the_text() -> None:
    redactor = Redactor(SECRETS.values())
    started = perf_counter()
    for text in (
        "x" * 50_000,
        "1 " * 50_000,
        "\\" * 50_000,
        "a@" * 50_000,
        "eyJ" * 50_000,
        "f" * 31 + " ",
        "\0" * 50_000,
    ):
        assert len(redactor.clean(text)) <= 301
    assert perf_counter() - started < 1


def test_S2_a_broken_connection_carries_no_request() -> None:
    with serving([lambda connection: connection.close()]) as server, pytest.raises(UnavailableError) as caught:
        client_of(server).fetch_bills_page(1, 20)
    assert_no_request_in(caught.value)


def test_S1_reprs_hold_no_secret() -> None:
    settings = settings_for("http://127.0.0.1/api", proxy="http://me:proxy-password@127.0.0.1:9", pii_key="pii-canary")
    with CashpayClient(settings) as client:
        things = (client, settings, client._attempts, client._attempts._auth, settings.proxy)
        shown = " ".join([*map(repr, things), *map(str, things)])
    for secret in [*SECRETS.values(), "proxy-password", "pii-canary"]:
        assert secret not in shown


def assert_no_request_in(error: BaseException | None) -> None:
    while error is not None:
        assert not hasattr(error, "request") and not hasattr(error, "response"), error
        error = error.__cause__ or error.__context__


CLAIMS = {
    "order_reference": "SANDBOX-EX0001",
    "merchant_reference": "CMD-0001",
    "state": "Paid",
    "amount": 1500,
    "received_amount": 1500,
}
GOLDEN = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9."
    "eyJvcmRlcl9yZWZlcmVuY2UiOiJTQU5EQk9YLUVYMDAwMSIsIm1lcmNoYW50X3JlZmVyZW5jZSI6IkNNRC0wMDAxIiwic3RhdGUiOiJQYWlkIiwi"
    "YW1vdW50IjoxNTAwLCJyZWNlaXZlZF9hbW91bnQiOjE1MDB9.occA1Y6sm61QJiuQXaLpoAi32zCSKAIAxKW6Xii_oqw"
)


def forged(header: dict[str, Any], payload: bytes, key: str | None, digest: Callable[..., Any] = hashlib.sha256) -> str:
    def part(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    body = f"{part(json.dumps(header).encode())}.{part(payload)}"
    return f"{body}." + (part(hmac.new(key.encode(), body.encode(), digest).digest()) if key is not None else "")


def test_X7_a_signed_callback_is_read() -> None:
    assert decode_callback(GOLDEN, KEY) == CLAIMS
    assert decode_callback(forged({"alg": "HS256"}, b'{"exp": 1}', KEY), KEY) == {"exp": 1}


@pytest.mark.parametrize(
    "bad",
    [
        forged({"alg": "none"}, b"{}", None),
        forged({"alg": "None"}, b"{}", None),
        forged({"alg": "HS256"}, b"{}", None),
        forged({"alg": "HS256"}, b"{}", "other-key"),
        forged({"alg": "HS256"}, b"{}", ""),
        forged({"alg": "HS512"}, b"{}", KEY, hashlib.sha512),
        forged({"alg": "RS256"}, b"{}", KEY),
        forged({}, b"{}", KEY),
        GOLDEN[:-2],
        GOLDEN.replace("ZmVyZW5j", "ZmVyZW5k", 1),
        "",
        "a.b.c",
        "no token",
        "…",
        "." * 100,
        forged({"alg": "HS256"}, b"[1]", KEY),
        forged({"alg": "HS256"}, b"not json", KEY),
        forged({"alg": "HS256"}, b'"' + b"x" * MAX_CALLBACK_BYTES + b'"', KEY),
    ],
)
def test_X7_a_forged_callback_is_refused(bad: str) -> None:
    with pytest.raises(UnexpectedReplyError) as caught:
        decode_callback(bad, KEY)
    assert KEY not in str(caught.value)


def test_X7_an_empty_key_verifies_nothing() -> None:
    with pytest.raises(CredentialsRejectedError):
        decode_callback(forged({"alg": "HS256"}, b"{}", ""), "")


def in_threads(count: int, call: Callable[[], Any]) -> list[CashpayError]:
    errors: list[CashpayError] = []

    def run() -> None:
        try:
            call()
        except CashpayError as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return errors
