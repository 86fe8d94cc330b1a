"""Every status of the documented table and its neighbours (H), one call at a time."""

import re
import socket
from datetime import timedelta
from email.utils import format_datetime
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from truth import query
from wire import SECRETS, Step, client_of, reply, serving

from cashpay_pipeline.errors import (
    AccessDeniedError,
    BillNotFoundError,
    CashpayError,
    CredentialsRejectedError,
    RateLimitedError,
    RequestRefusedError,
    UnavailableError,
    UnexpectedReplyError,
    WrongAddressError,
)
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.sync import Kind, SyncResult, run_sync
from cashpay_pipeline.warehouse import open_warehouse

PAGE = {"items": [{"order_reference": "SANDBOX-EX0001", "code": "404"}], "total": 1}
BILL = {"order_reference": "SANDBOX-EX0001", "state": "Paid", "amount": "1500"}
TEN_YEARS = "315360000"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"status": "error", "message": "Something"}, RequestRefusedError),
        ({"status": "ERROR"}, RequestRefusedError),
        ({"error": "invalid_request"}, RequestRefusedError),
        ({"message": "Something"}, RequestRefusedError),
        ({"code": 400, "message": "Something"}, RequestRefusedError),
        ({"code": 1001, "message": "Something"}, RequestRefusedError),
        ({"code": 422, "message": "Bad", "errors": ["limit"]}, RequestRefusedError),
        ({"status": "error", "message": "Something", "items": []}, RequestRefusedError),
        ({"code": 401, "message": "Unauthorized"}, CredentialsRejectedError),
        ({"code": 403, "message": "Forbidden"}, AccessDeniedError),
        ({"code": 404, "message": "Not found"}, WrongAddressError),
        ({"code": 429, "message": "Slow down"}, RateLimitedError),
        ({"code": 500, "message": "Boom"}, UnavailableError),
        ({"status": 503, "error": "Service Unavailable"}, UnavailableError),
    ],
)
def test_H1_an_error_under_200_is_the_error_it_names(body: Any, error: type[CashpayError]) -> None:
    with serving([reply(200, body)]) as server, pytest.raises(error) as caught:
        client_of(server).fetch_bills_page(1, 20)
    for word in ("Something", "Boom", "Slow down", "Bad"):
        assert (word in str(body)) == (word in str(caught.value))


def test_H1_an_error_that_names_no_status_is_tried_three_times() -> None:
    error = reply(200, {"status": "error", "message": "Internal error"})
    with serving([error, error, reply(200, PAGE)]) as server:
        assert client_of(server).fetch_bills_page(1, 20).body == PAGE
    with serving([error]) as server:
        with pytest.raises(RequestRefusedError, match="error under HTTP 200: Internal error") as caught:
            client_of(server).fetch_bills_page(1, 20)
        assert len(server.to("/orders")) == 3
    assert caught.value.status == 200


@pytest.mark.parametrize("code", [429, 500, 503])
def test_H1_a_passing_error_under_200_is_retried(code: int) -> None:
    with serving([reply(200, {"code": code, "message": "Busy"}), reply(200, PAGE)]) as server:
        assert client_of(server).fetch_bills_page(1, 20).body == PAGE


@pytest.mark.parametrize(
    "body",
    [
        PAGE,
        [],
        {"items": [], "total": 0},
        {"items": [], "message": "No orders"},
        {"message": "ok", "data": {"items": [{"order_reference": "a"}]}},
        {"status": "success", "message": "ok", "items": []},
        {"status": "error", "code": 500, "items": [{"order_reference": "a"}]},
    ],
)
def test_H1_a_list_is_no_error(body: Any) -> None:
    with serving([reply(200, body)]) as server:
        assert client_of(server).fetch_bills_page(1, 20).body == body


@pytest.mark.parametrize("body", [{}, {"rows": 5}, "text", 5, None, {"items": {"a": 1}}, [1], {"items": [[]]}])
def test_H2_gateways_of_unknown_shape_are_never_an_empty_list(body: Any) -> None:
    with serving([reply(200, body)]) as server, pytest.raises(UnexpectedReplyError, match=r"Expected .* got"):
        client_of(server).fetch_gateways() if body is not None else client_of(server).fetch_bill("x")


def test_H2_an_envelope_that_names_its_list_twice_is_refused() -> None:
    raw = b'{"items": [{"order_reference": "a"}], "items": []}'
    with serving([reply(200, raw)]) as server, pytest.raises(UnexpectedReplyError, match="same field twice"):
        client_of(server).fetch_bills_page(1, 20)


def test_H3_201_on_a_read_is_kept_with_a_warning() -> None:
    with serving([reply(201, PAGE)]) as server:
        page = client_of(server).fetch_bills_page(1, 20)
    assert (page.status, page.body) == (201, PAGE)
    assert page.warnings == ("CashPay answered a read with 201 instead of 200",)


def test_H4_204_has_no_body() -> None:
    with serving([reply(204)]) as server:
        page = client_of(server).fetch_bills_page(2, 20)
        assert (page.status, page.body, page.warnings) == (204, None, ())
        assert client_of(server).fetch_gateways() == ([], None)
        with pytest.raises(UnexpectedReplyError):
            client_of(server).fetch_bill("SANDBOX-EX0001")


@pytest.mark.parametrize("status", [400, 402, 409, 413, 418, 422])
def test_H5_H11_H13_H18_a_refused_request_is_not_repeated(status: int) -> None:
    message = f"Client +22800000001 of {SECRETS['client_id']} is not welcome"
    with serving([reply(status, {"message": message})]) as server:
        with pytest.raises(RequestRefusedError, match=r"Client \*\*\* of \*\*\* is not welcome") as caught:
            client_of(server).fetch_bills_page(4, 20)
        assert len(server.to("/orders")) == 1
    assert caught.value.status == status and "page 4" in caught.value.where


def test_H13_422_shows_the_fields_it_complains_of() -> None:
    body = {"message": "Invalid", "errors": {"client.phone": ["+228 90 00 00 01 is not a number"]}}
    with serving([reply(422, body)]) as server, pytest.raises(RequestRefusedError) as caught:
        client_of(server).fetch_bill("SANDBOX-EX0001")
    assert "client.phone" in str(caught.value) and "90 00" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"<html>gone</html>", b"[]", b'"text"', b"null", b'{"message": {"a": 1}}'])
def test_a_refusal_needs_no_json(body: bytes) -> None:
    with serving([reply(400, body)]) as server, pytest.raises(RequestRefusedError):
        client_of(server).fetch_bills_page(1, 20)


def test_H8_404_on_the_list_is_a_wrong_address_with_the_url() -> None:
    with serving([reply(404, b"<html>", content_type="text/html")]) as server:
        with pytest.raises(WrongAddressError) as caught:
            client_of(server).fetch_bills_page(1, 20)
        assert f"{server.url}/orders" in str(caught.value) and "?" not in str(caught.value)
        assert len(server.to("/orders")) == 1
        later = RequestRefusedError
        for first_page, page, error in ((0, 0, WrongAddressError), (0, 1, later), (1, 2, later)):
            with pytest.raises(error) as caught:
                client_of(server, first_page=first_page).fetch_bills_page(page, 20)
        assert isinstance(caught.value, RequestRefusedError) and caught.value.status == 404
        for call in (client_of(server).ping, client_of(server).fetch_gateways):
            with pytest.raises(WrongAddressError):
                call()


@pytest.mark.parametrize("status", [404, 405])
def test_H8_404_at_the_login_is_a_wrong_address(status: int) -> None:
    """So is 405, with which a web server that has files only answers any POST."""
    refusal = reply(status, {"message": "URL not found"})
    with serving(auth=[refusal]) as server, pytest.raises(WrongAddressError, match=f"status {status}"):
        client_of(server).ping()
    with serving([refusal]) as server, pytest.raises(WrongAddressError, match=f"status {status}"):
        client_of(server).ping()


def test_H9_404_on_one_bill_is_that_bill() -> None:
    with serving([reply(404, {"status": "error", "message": "Order not found"})]) as server:
        for call in (client_of(server).fetch_bill, client_of(server).fetch_bill_status):
            with pytest.raises(BillNotFoundError) as caught:
                call("SANDBOX-EX0001")
            assert "SANDBOX-EX0001" in caught.value.where
        assert len(server.requests) == 4


@pytest.mark.parametrize("status", [405, 415])
def test_H10_H12_a_defect_of_ours_shows_the_version(status: int) -> None:
    with serving([reply(status, {})]) as server:
        with pytest.raises(RequestRefusedError, match=r"defect in this tool, cashpay_pipeline \d+\.\d+") as caught:
            client_of(server).fetch_bills_page(1, 20)
        assert len(server.to("/orders")) == 1
    assert caught.value.status == status


@pytest.mark.parametrize("status", [429, 502, 503, 504, 520])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "900"}, 900),
        ({"Retry-After": "2.5"}, 2.5),
        ({"Retry-After": "Tue, 24 Nov 2026 09:05:00 GMT"}, 300),
        ({"Retry-After": "Tue, 24 Nov 2026 09:05:00 GMT", "Date": "Tue, 24 Nov 2026 09:04:30 GMT"}, 30),
        ({"Retry-After": "Mon, 01 Jan 2024 00:00:40 GMT", "Date": "Mon, 01 Jan 2024 00:00:00 GMT"}, 40),
    ],
)
def test_H14_H17_waits_out_retry_after(status: int, headers: dict[str, str], seconds: float) -> None:
    with serving([reply(status, b"<html>busy</html>", headers=headers), reply(200, PAGE)]) as server:
        client = client_of(server)
        client.fetch_bills_page(1, 20)
        first, second = (request.at for request in server.to("/orders"))
    assert seconds - 0.01 <= second - first < seconds + 0.1
    assert client.stats.waited_seconds == pytest.approx(seconds, abs=0.01)
    assert client.stats.retries == 1


@pytest.mark.parametrize("value", ["901", "7200", "86400", "Tue, 24 Nov 2026 10:00:00 GMT"])
def test_H14_a_longer_pause_stops_with_the_time_to_come_back(value: str) -> None:
    with serving([reply(429, {}, headers={"Retry-After": value})]) as server:
        client = client_of(server)
        with pytest.raises(RateLimitedError) as caught:
            client.fetch_bills_page(1, 20)
        assert len(server.to("/orders")) == 1
        with pytest.raises(RateLimitedError):  # by any other call: nothing is sent inside the pause
            client.fetch_gateways()
        assert len(server.requests) == 2
        expected = 3600 if value.startswith("Tue") else int(value)
        assert caught.value.resume_at is not None
        assert abs((caught.value.resume_at - server.clock.now()).total_seconds() - expected) < 1
        assert f"{caught.value.resume_at:%Y-%m-%d %H:%M}" in str(caught.value)
        assert client.stats.waited_seconds == 0


def test_H14_a_longer_pause_holds_for_later_runs(settings: Settings, simulator: SimulatorProcess) -> None:
    """The next run is that of a schedule, a quarter of an hour later."""

    def run(kind: Kind) -> SyncResult:
        return run_sync(settings, kind=kind, clock=SimulatedClock(simulator.base_url))

    simulator.faults([{"path": "/orders", "status": 429, "retry_after": 3600, "times": 1}])
    begun = simulator.now()
    with pytest.raises(RateLimitedError, match="a pause of 60 minutes"):
        run("refresh")
    simulator.clear_log()
    kinds: list[Kind] = ["recheck", "full_refresh"]
    for kind in kinds:
        simulator.advance(minutes=15)
        with pytest.raises(RateLimitedError, match=r"a pause of (45|30) minutes") as caught:
            run(kind)
        assert caught.value.resume_at is not None
        assert abs(caught.value.resume_at - begun - timedelta(hours=1)) < timedelta(seconds=10)
    assert simulator.log() == []
    ended = query(settings.warehouse_path, "select status, error_code, requests from core.syncs order by rowid")
    assert [tuple(row.values()) for row in ended[1:]] == [("failed", "rate_limited", 0)] * 2
    simulator.advance(minutes=20)
    waiting: list[str] = []
    clock = SimulatedClock(simulator.base_url)
    assert run_sync(settings, clock=clock, progress=lambda p: waiting.append(p.waiting)).status == "complete"
    assert [text for text in waiting if re.fullmatch(r"CashPay has asked for a pause, (59\d|600) s", text)]
    assert simulator.now() - begun >= timedelta(hours=1)


@pytest.mark.parametrize("ahead", [timedelta(hours=25), timedelta(days=3650), -timedelta(seconds=1)])
def test_H15_a_pause_that_cannot_be_meant_holds_up_no_later_run(
    ahead: timedelta, settings: Settings, simulator: SimulatorProcess
) -> None:
    """It is no wish of CashPay's, but of a clock that was wrong then, or is now; or it is over."""
    clock = SimulatedClock(simulator.base_url)
    run_sync(settings, clock=clock)
    with open_warehouse(settings) as warehouse:
        warehouse.execute("update core.accounts set resume_at = ?", [simulator.now() + ahead])
    result = run_sync(settings, clock=clock)
    assert (result.status, result.waited_seconds) == ("complete", 0)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "0",
        "-5",
        "soon",
        "1e9",
        "NaN",
        "99999999999999999999",
        TEN_YEARS,
        "Tue, 24 Nov 2020 09:00:00 GMT",
        "Fri, 24 Nov 2036 09:00:00 GMT",
        "99 Foo 9999 99:99:99",
        "١٢",
    ],
)
def test_H15_without_a_usable_value_backs_off_with_growing_waits(value: str | None) -> None:
    headers = {} if value is None else {"Retry-After": value if value.isascii() else value.encode().decode("latin-1")}
    with serving([reply(429, {}, headers=headers)]) as server:
        with pytest.raises(RateLimitedError):
            client_of(server).fetch_bills_page(1, 20)
        times = [request.at for request in server.to("/orders")]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert len(waits) == 5 and waits == sorted(waits)
    assert 1 <= waits[0] <= 4.1 and waits[-1] <= 300 and sum(waits) < 300


def test_H15_the_waits_are_jittered() -> None:
    first_waits = set()
    for _ in range(5):
        with serving([reply(429, {}), reply(200, PAGE)]) as server:
            client_of(server).fetch_bills_page(1, 20)
            first_waits.add(max(server.clock.slept))
    assert len(first_waits) == 5


def test_H15_a_client_waits_an_hour_in_all_at_most() -> None:
    pause = reply(429, {}, headers={"Retry-After": "840"})
    with serving([pause, reply(200, PAGE)]) as server:
        client = client_of(server)
        for _ in range(4):
            server.data[:] = [pause, reply(200, PAGE)]
            client.fetch_bills_page(1, 20)
        server.data[:] = [pause, reply(200, PAGE)]
        with pytest.raises(RateLimitedError):
            client.fetch_bills_page(1, 20)
        assert server.clock.elapsed < 3600


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
def test_H16_H17_server_errors_are_retried(status: int) -> None:
    steps: list[Step] = [reply(status, b"<html>", content_type="text/html"), reply(status, b""), reply(200, PAGE)]
    with serving(steps) as server:
        assert client_of(server).fetch_bills_page(1, 20).body == PAGE
        assert len(server.to("/orders")) == 3


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
def test_H16_H17_a_page_that_fails_for_ever_is_unavailable_after_six_tries(status: int) -> None:
    with serving([reply(status, {"message": "Boom"})]) as server:
        with pytest.raises(UnavailableError, match="Boom") as caught:
            client_of(server).fetch_bills_page(9, 20)
        assert len(server.to("/orders")) == 6
        assert 120 < server.clock.elapsed < 300
    assert caught.value.status == status
    assert "page 9" in caught.value.where and "after 6 tries" in caught.value.where


@pytest.mark.parametrize("status", [501, 505, 511])
def test_H18_other_server_errors_stop_at_once(status: int) -> None:
    with serving([reply(status, {})]) as server:
        with pytest.raises(UnavailableError):
            client_of(server).fetch_bills_page(1, 20)
        assert len(server.to("/orders")) == 1


@pytest.mark.parametrize("status", [202, 203, 205, 206])
def test_H18_other_successes_are_not_taken_for_data(status: int) -> None:
    with serving([reply(status, PAGE if status != 205 else b"")]) as server, pytest.raises(UnexpectedReplyError):
        client_of(server).fetch_bills_page(1, 20)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_N6_H18_a_redirect_is_not_followed_and_both_hosts_are_shown(status: int) -> None:
    target = "https://evil.example.test/x?secret=1"
    with serving([reply(status, {}, headers={"Location": target})]) as server:
        with pytest.raises(WrongAddressError) as caught:
            client_of(server).fetch_bills_page(1, 20)
        assert len(server.to("/orders")) == 1
        assert server.url.removesuffix("/api") in str(caught.value)
    assert "https://evil.example.test" in str(caught.value) and "secret" not in str(caught.value)


@pytest.mark.parametrize("location", [None, "", "/login", "http://[bad", "//other.example.test/x", "\x1b[31m"])
def test_N6_odd_redirects_stop_as_well(location: str | None) -> None:
    headers = {} if location is None else {"Location": location}
    with serving([reply(302, {}, headers=headers)]) as server, pytest.raises(WrongAddressError) as caught:
        client_of(server).fetch_bills_page(1, 20)
    assert str(caught.value).replace("\n", "").isprintable()


@pytest.mark.parametrize("code", [404, "404", 271828, 500, "500", 401])
def test_Y18_the_code_of_a_bill_is_no_error(code: Any) -> None:
    bill = {**BILL, "code": code, "status": "success", "message": "Created"}
    status = {"state": "Paid", "code": code}
    with serving([reply(200, bill), reply(200, status), reply(200, {"items": [bill]})]) as server:
        client = client_of(server)
        assert client.fetch_bill("SANDBOX-EX0001") == bill
        assert client.fetch_bill_status("SANDBOX-EX0001") == status
        assert client.fetch_bills_page(1, 20).body == {"items": [bill]}
    bare = {"order_reference": "SANDBOX-EX0001", "code": code}
    with serving([reply(200, bare)]) as server:
        assert client_of(server).fetch_bill("SANDBOX-EX0001") == bare


def test_Y19_details_wrapped_in_items_are_unwrapped() -> None:
    other = {**BILL, "order_reference": "SANDBOX-EX0002"}
    bodies: list[Any] = [{"items": [BILL]}, {"items": [BILL, other]}, {"items": []}, {"items": [5]}, other, [BILL]]
    with serving([reply(200, body) for body in bodies]) as server:
        client = client_of(server)
        assert client.fetch_bill("SANDBOX-EX0001") == BILL
        for error in (UnexpectedReplyError, BillNotFoundError, *[UnexpectedReplyError] * 3):
            with pytest.raises(error):
                client.fetch_bill("SANDBOX-EX0001")


@pytest.mark.parametrize("name", [None, "items", "data", "gateways", "results", "records"])
def test_Y19_gateways_are_a_bare_list_or_in_a_known_envelope(name: str | None) -> None:
    gateways = [{"id": 1, "reference": "6513270e-269e-4d37-b2a7-4de452e6b438", "libelle": "Flooz-Example"}]
    body: Any = gateways if name is None else {name: gateways, "total": 1}
    with serving([reply(200, body)]) as server:
        assert client_of(server).fetch_gateways() == (gateways, None if name is None else 1)


@pytest.mark.parametrize("status", [100, 102, 103])
def test_H18_what_only_announces_an_answer_is_passed_over(status: int) -> None:
    early = f"HTTP/1.1 {status} Early\r\nLink: </style.css>\r\n\r\n".encode()
    with serving([early + early + reply(200, PAGE)]) as server:
        assert client_of(server).fetch_bills_page(1, 20).body == PAGE
        assert len(server.to("/orders")) == 1


def test_H18_another_protocol_is_no_answer() -> None:
    with serving([b"HTTP/1.1 101 Switching Protocols\r\n\r\n"]) as server:
        with pytest.raises(UnexpectedReplyError, match="HTTP 101"):
            client_of(server).fetch_bills_page(1, 20)
        assert len(server.to("/orders")) == 1


def test_server_clock_counts_where_ours_is_wrong() -> None:
    for date, seconds in (("Tue, 24 Nov 2026 09:01:30 GMT", 0), ("Tue, 24 Nov 2026 11:00:00 GMT", 7200), ("junk", 0)):
        with serving([reply(200, PAGE, headers={"Date": date})]) as server:
            client = client_of(server)
            page = client.fetch_bills_page(1, 20)
            assert abs((page.received_at - server.clock.now()).total_seconds() - seconds) < 1
            assert client.now() == page.received_at
            assert (client.skew is None) == (date == "junk")


@pytest.mark.parametrize(("age", "is_believed"), [("86400", False), ("1", False), ("0", True), (None, True)])
def test_T8_an_answer_out_of_a_cache_says_nothing_of_the_clock(age: str | None, is_believed: bool) -> None:
    headers = {"Date": "Mon, 23 Nov 2026 09:00:00 GMT"} | ({"Age": age} if age else {})
    with serving([reply(200, [], headers=headers)]) as server:
        client = client_of(server)
        client.fetch_gateways()
        assert (client.skew is not None) == is_believed


@pytest.mark.parametrize("off", [0, 7200, -7200])
@pytest.mark.parametrize("stamped", [0, 200, 400])
def test_T8_an_answer_that_was_long_on_its_way_says_nothing_of_the_clock(off: int, stamped: int) -> None:
    """CashPay stamps it after it was asked for and before it came: a laptop slept meanwhile, or the line did."""
    wide = timedelta(seconds=off)

    def answer(connection: socket.socket, stamped: int, took: int) -> None:
        date = format_datetime(server.clock.now() + wide + timedelta(seconds=stamped), usegmt=True)
        server.clock.sleep(took)
        connection.sendall(reply(200, PAGE, headers={"Date": date}))

    slow, quick = partial(answer, stamped=stamped, took=400), partial(answer, stamped=0, took=0)
    with serving([slow, quick] if off == 0 else [quick, slow]) as server:
        client = client_of(server)
        for _ in range(2):
            asked_at = server.clock.now()
            page = client.fetch_bills_page(1, 20)
            assert abs(page.asked_at - wide - asked_at) < timedelta(seconds=1)
            assert abs(page.received_at - wide - server.clock.now()) < timedelta(seconds=1)
