"""Each kind of fault shown once, as it really is on the wire."""

import gzip
import http.client
import json
import socket

import pytest

from cashpay_pipeline.simulator.control_client import ControlError


def rule(kind: str, **more):
    return {"path": "/orders", "kind": kind, **more}


def test_a_rule_waits_strikes_and_ends(merchant, simulator):
    simulator.faults([rule("reply", status=503, after=1, times=2)])

    statuses = [merchant.get("/orders").status for _ in range(5)]

    assert statuses == [200, 503, 503, 200, 200]
    before = simulator.faults([])
    assert [(one["seen"], one["struck"]) for one in before] == [(5, 2)]


def test_rules_are_for_a_path_a_page_a_method_and_an_account(merchant, simulator):
    ref = merchant.references(limit=1)[0]
    simulator.faults(
        [
            {"path": "/orders", "page": 2, "status": 500, "times": None},
            {"path": "/orders/{ref}/status", "status": 502, "times": None},
            {"path": f"/orders/{ref}", "status": 404, "times": None},
            {"path": "/gateways", "account": "other", "status": 500, "times": None},
            {"path": "/ping", "method": "GET", "status": 500, "times": None},
        ]
    )

    paths = ("/orders?page=1", "/orders?page=2", f"/orders/{ref}/status", f"/orders/{ref}", "/gateways")
    assert [merchant.get(path).status for path in paths] == [200, 500, 502, 404, 200]
    assert merchant.post("/ping", {}).status == 200


def test_a_bill_can_break_every_page_that_holds_it(merchant, simulator):
    bad = merchant.references(limit=30)[12]
    simulator.faults([{"contains": bad, "status": 500, "times": None}])

    calls = [{"page": 1, "limit": 10}, {"page": 2, "limit": 10}, {"page": 13, "limit": 1}, {"page": 14, "limit": 1}]

    assert [merchant.get("/orders", **call).status for call in calls] == [200, 500, 500, 200]
    assert merchant.get(f"/orders/{bad}").status == 500


def test_probability_is_seeded(merchant, simulator):
    def statuses() -> list[int]:
        simulator.faults([rule("reply", status=500, times=None, probability=0.5, seed=3)])
        return [merchant.get("/orders", limit=1).status for _ in range(20)]

    first = statuses()

    assert first == statuses()
    assert set(first) == {200, 500}


def test_reply_with_headers_body_and_retry_after(merchant, simulator):
    simulator.faults(
        [
            rule("reply", status=429, retry_after=120, headers={"X-RateLimit-Remaining": "0"}),
            rule("reply", status=429, retry_after={"date_in": 60}, after=1, body="slow down"),
            rule("reply", status=429, retry_after="soon", after=2, body={"code": 429, "message": "no"}),
        ]
    )

    first, second, third = (merchant.get("/orders") for _ in range(3))

    assert (first.status, first.headers["Retry-After"], first.headers["X-RateLimit-Remaining"]) == (429, "120", "0")
    assert first.json == {"status": "error", "message": "Simulated 429"}
    assert (second.body, second.headers["Retry-After"]) == (b"slow down", "Tue, 24 Nov 2026 09:01:00 GMT")
    assert (third.json, third.headers["Retry-After"]) == ({"code": 429, "message": "no"}, "soon")


def test_whole_replies(merchant, simulator):
    def answer(kind: str, **more):
        simulator.faults([rule(kind, **more)])
        return merchant.get("/orders")

    assert answer("error_200").json == {"status": "error", "message": "Internal error"}
    html = answer("html", status=503)
    assert (html.status, html.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert (answer("empty_body").status, answer("empty_body").body) == (200, b"")
    away = answer("redirect")
    assert (away.status, away.headers["Location"]) == (302, "https://elsewhere.example.test/api/orders")
    assert (answer("reply", status=204).status, answer("reply", status=599).status) == (204, 599)


def test_close_resets_the_connection(merchant, simulator):
    simulator.faults([rule("close")])

    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        merchant.get("/orders")


def test_hang_never_answers(merchant, simulator):
    simulator.faults([rule("hang")])

    with socket.create_connection(tuple(simulator.root[7:].split(":")), timeout=0.2) as connection:
        connection.sendall(b"GET /api/orders HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_short_body_and_truncated(merchant, simulator):
    whole = merchant.get("/orders", limit=3).body
    simulator.faults([rule("short_body"), rule("truncated", after=1)])

    with pytest.raises(http.client.IncompleteRead):
        merchant.get("/orders", limit=3)
    head, _, body = merchant.raw("/orders?limit=3").partition(b"\r\n\r\n")

    assert body == whole[: len(whole) // 2]
    assert b"content-length" not in head.lower()


def test_drip_sends_one_byte_at_a_time(merchant, simulator):
    whole = merchant.get("/orders", limit=1).body
    simulator.faults([rule("drip", seconds=0.0)])

    assert merchant.get("/orders", limit=1).body == whole


def test_slow_delays(merchant, simulator):
    simulator.faults([rule("slow", seconds=0.05)])

    assert merchant.get("/orders", limit=1).status == 200
    first, second = simulator.log()[-2:]
    assert [first["fault"], second["fault"]] == [None, "slow"]


def test_advance_lets_a_token_die_before_the_answer(merchant, simulator):
    simulator.faults([rule("pass", advance=3600)])

    assert merchant.get("/orders").json == {"status": "error", "message": "Expired token"}


def test_spoilt_bodies(merchant, simulator):
    simulator.put_bill(client={"phone": "+22800000001", "lastname": "MODÈLE"}, amount=1234)
    whole = merchant.get("/orders", limit=1).body

    def body(kind: str, **more) -> bytes:
        simulator.faults([rule(kind, **more)])
        return merchant.get("/orders", limit=1).body

    assert body("latin1") == whole.decode().encode("latin-1")
    assert body("bom") == b"\xef\xbb\xbf" + whole
    assert b'"amount":NaN' in body("nan")
    assert b'"amount":"1"' in body("duplicate_key") and b'"amount":"1234"' in body("duplicate_key")
    assert body("deep_nesting", depth=50) == b'{"items":' + b"[" * 50 + b"]" * 50 + b',"total":1}'
    bomb = body("gzip_bomb")
    assert (len(bomb) < 20_000, len(gzip.decompress(bomb)) > 10_000_000) == (True, True)


def test_mutated_rows(merchant, simulator):
    rows = merchant.get("/orders", limit=6).json["items"]

    def served(**mutate):
        simulator.faults([rule("mutate", times=None, mutate=mutate)])
        return merchant.get("/orders", limit=6).json["items"]

    third = rows[2]["order_reference"]
    assert served(references=[third], set={"amount": "1 500,50", "new": {"a": 1}}) == [
        {**row, "amount": "1 500,50", "new": {"a": 1}} if row is rows[2] else row for row in rows
    ]
    assert served(every=2, delete=["order_reference"]) == [
        {name: value for name, value in row.items() if number % 2 or name != "order_reference"}
        for number, row in enumerate(rows)
    ]
    assert served(references=[third], drop=True) == [row for row in rows if row is not rows[2]]
    assert served(references=[third], twice=True) == [*rows[:3], *rows[2:]]


def test_raw_json_and_duplicate_keys_by_row(merchant, simulator):
    ref = merchant.references(limit=1)[0]
    mutate = {
        "references": [ref],
        "set_raw": {"amount": "1e400", "description": '"a\\ud800"'},
        "duplicate_keys": {"state": '"Error"'},
    }
    simulator.faults([{"path": "/orders/{ref}", "kind": "mutate", "mutate": mutate}])

    body = merchant.get(f"/orders/{ref}").body

    assert b'"amount":1e400' in body and b'"description":"a\\ud800"' in body
    pairs = json.loads(body, object_pairs_hook=list)
    assert [value for name, value in pairs if name == "state"][1] == "Error"


def test_a_mutation_leaves_the_request_to_other_rules(merchant, simulator):
    simulator.faults([rule("mutate", times=None, mutate={"set": {"x": 1}}), rule("reply", status=500)])

    assert [merchant.get("/orders").status for _ in range(2)] == [500, 200]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"kind": "flood"}, "unknown kind of fault 'flood'"), ({"colour": 1}, "unknown field 'colour' in a fault rule")],
    ids=["kind", "field"],
)
def test_a_wrong_rule_is_refused_in_plain_words(simulator, wrong, message):
    with pytest.raises(ControlError, match=message):
        simulator.faults([wrong])


def test_a_request_that_is_not_http_is_400(simulator):
    with socket.create_connection(tuple(simulator.root[7:].split(":")), timeout=2) as connection:
        connection.sendall(b"hello\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
