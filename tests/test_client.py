"""One call against the faults of the wire (N, X6), and what threads may do together."""

import gzip
import json
import logging
import socket
import ssl
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from test_auth import in_threads
from wire import SECRETS, FakeClock, Step, WireServer, client_of, reply, serving, settings_for, token

from cashpay_pipeline import client as client_module
from cashpay_pipeline.client import CashpayClient
from cashpay_pipeline.errors import (
    AccessDeniedError,
    BillNotFoundError,
    CashpayError,
    CredentialsRejectedError,
    RateLimitedError,
    ReplyTooLargeError,
    SettingsError,
    UnavailableError,
    UnexpectedReplyError,
    WrongAddressError,
)
from cashpay_pipeline.pacing import Pacer
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.simulator.process import SimulatorProcess

PAGE = {"items": [{"order_reference": "SANDBOX-EX0001"}], "total": 1}
WHOLE = json.dumps(PAGE).encode()
HTML = reply(200, b"<html><body>Log in to the hotel +22800000001 \x1b[31m</body></html>", content_type="text/html")


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real limits, divided: the network's time cannot be moved like a clock."""
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(client_module, "READ_SECONDS", 0.15)
    monkeypatch.setattr(client_module, "TOTAL_SECONDS", 0.4)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_N1_a_refused_connection_names_host_and_tries() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
    clock = FakeClock()
    client = CashpayClient(settings_for(f"http://{host}/api"), clock=clock)
    with pytest.raises(UnavailableError, match=f"{host} cannot be reached: it refuses the connection") as caught:
        client.fetch_bills_page(1, 20)
    assert "after 6 tries" in caught.value.where and f"http://{host}/api/auth" in caught.value.where
    assert client.stats.requests == 6 and 120 < clock.elapsed < 300


def test_N1_an_unknown_name_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    client = CashpayClient(settings_for("https://cashpay.example.test/api"), clock=FakeClock())
    with pytest.raises(UnavailableError, match=r"cashpay\.example\.test cannot be reached: its name is not known"):
        client.ping()


def test_N1_a_reset_connection_is_retried() -> None:
    with serving([reset, reset, reply(200, PAGE)]) as server:
        client = client_of(server)
        assert client.fetch_bills_page(3, 20).body == PAGE
        assert client.stats.retries == 2
    with serving([reset]) as server, pytest.raises(UnavailableError) as caught:
        client_of(server).fetch_bills_page(3, 20)
    assert "page 3, after 6 tries" in caught.value.where


def test_N2_a_silent_server_is_left_and_tried_again(short_timeouts: None) -> None:
    with serving() as server:
        server.data = [lambda connection: server.pause(5), reply(200, PAGE)]
        assert client_of(server).fetch_bills_page(1, 20).body == PAGE
        assert len(server.to("/orders")) == 2


def test_N2_the_timeouts_are_5_and_30_and_120_seconds() -> None:
    limits = (client_module.CONNECT_SECONDS, client_module.READ_SECONDS, client_module.TOTAL_SECONDS)
    assert limits == (5, 30, 120)


def drip(server: WireServer, answer: bytes, first: int) -> Callable[[socket.socket], None]:
    """Send `first` bytes, and then one byte at a time, each within the read timeout; the last one never comes."""

    def step(connection: socket.socket) -> None:
        connection.sendall(answer[:first])
        for byte in answer[first:-1]:
            server.pause(0.05)
            connection.sendall(bytes([byte]))
        server.pause(60)

    return step


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("where", ["headers", "body"])
def test_N3_a_slow_drip_ends_at_the_deadline(where: str, length: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short one for the answer that drips alone: a busy machine can take long over those around it."""
    answer = reply(200, PAGE, headers={"X-Long": "x" * 100}, length=length)
    first = 20 if where == "headers" else answer.index(b"\r\n\r\n") + 4
    waits: list[str] = []
    with serving() as server:
        dripping, usual = drip(server, answer, first), client_module.TOTAL_SECONDS

        def log_in(connection: socket.socket) -> None:
            monkeypatch.setattr(client_module, "TOTAL_SECONDS", 0.4)
            connection.sendall(token())

        def step(connection: socket.socket) -> None:
            monkeypatch.setattr(client_module, "TOTAL_SECONDS", usual)
            dripping(connection)

        server.auth, server.data = [log_in], [step, reply(200, PAGE)]
        client = CashpayClient(settings_for(server.url), clock=server.clock, on_wait=lambda _, why: waits.append(why))
        started = time.monotonic()
        assert client.fetch_bills_page(1, 20).body == PAGE
        assert time.monotonic() - started < 20, "nothing else would end it before 30 s"
        assert len(server.to("/orders")) == 2 and "took more than " in waits[0]


def test_N3_for_ever_is_unavailable(short_timeouts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "TOTAL_SECONDS", 0.1)
    with serving() as server:
        server.data = [drip(server, reply(200, PAGE), 20)]
        with pytest.raises(UnavailableError, match=r"took more than 0\.1 seconds"):
            client_of(server).fetch_bills_page(1, 20)
        assert len(server.to("/orders")) == 6


CONNECTED = b"HTTP/1.1 200 Connection established\r\nX-Long: " + b"x" * 100 + b"\r\n\r\n"


def through(proxy: WireServer) -> CashpayClient:
    """A client that asks this proxy for a tunnel."""
    settings = settings_for("https://127.0.0.1:9/api", proxy=proxy.url.removesuffix("/api"))
    return CashpayClient(settings, clock=proxy.clock)


def test_N3_a_proxy_that_drips_ends_at_the_deadline(short_timeouts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "TOTAL_SECONDS", 0.1)
    with serving() as proxy:
        proxy.data = [drip(proxy, CONNECTED, 20)]
        started = time.monotonic()
        with pytest.raises(UnavailableError, match=r"took more than 0\.1 seconds"):
            through(proxy).ping()
        assert time.monotonic() - started < 3
        assert [request.method for request in proxy.requests] == ["CONNECT"] * 6


def test_R8_a_proxy_that_drips_is_cut_off_by_the_end_of_the_run() -> None:
    with serving() as proxy:
        client = through(proxy)
        dripping = drip(proxy, CONNECTED, 20)

        def step(connection: socket.socket) -> None:
            threading.Timer(0.2, client.stop).start()
            dripping(connection)

        proxy.data = [step]
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="told to stop"):
            client.ping()
        assert time.monotonic() - started < 2


def test_N4_a_body_shorter_than_its_length_is_retried() -> None:
    short = reply(200, PAGE)[:-5]
    with serving([short, reply(200, PAGE)]) as server:
        assert client_of(server).fetch_bills_page(1, 20).body == PAGE
    with serving([short]) as server, pytest.raises(UnavailableError, match="cut off"):
        client_of(server).fetch_bills_page(1, 20)


@pytest.mark.parametrize("raw", [WHOLE[:-5], WHOLE[:1], b"", b"[", WHOLE + b","])
def test_N5_a_body_cut_off_without_a_length_is_retried_three_times_and_never_an_end(raw: bytes) -> None:
    cut = reply(200, raw, length=False)
    with serving([cut, cut, cut, reply(200, PAGE)]) as server:
        assert client_of(server).fetch_bills_page(5, 20).body == PAGE
    with serving([cut]) as server:
        with pytest.raises(UnavailableError, match="cut off") as caught:
            client_of(server).fetch_bills_page(5, 20)
        assert len(server.to("/orders")) == 4
    assert "page 5" in caught.value.where


def test_N5_a_cut_chunked_or_compressed_body_is_retried() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % len(WHOLE) + WHOLE[:10]
    zipped = gzip.compress(WHOLE)
    for broken in (
        chunked,
        reply(200, zipped[:-12], headers={"Content-Encoding": "gzip"}, length=False),
        reply(200, b"no gzip at all", headers={"Content-Encoding": "gzip"}),
    ):
        with serving([broken, reply(200, zipped, headers={"Content-Encoding": "gzip"})]) as server:
            assert client_of(server).fetch_bills_page(1, 20).body == PAGE


def test_N6_signature_headers_do_not_reach_another_host() -> None:
    with serving() as other, serving([reply(307, {}, headers={"Location": f"{other.url}/orders"})]) as server:
        with pytest.raises(WrongAddressError) as caught:
            client_of(server).fetch_bills_page(1, 20)
        assert other.connections == 0
        assert all(url.removesuffix("/api") in str(caught.value) for url in (other.url, server.url))


def test_N6_the_body_of_a_redirect_is_within_the_limits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_WIRE_BYTES", 1000)
    moved = reply(302, b"x" * 2000, headers={"Location": "https://other.example.test/"})
    with serving([moved]) as server, pytest.raises(ReplyTooLargeError):
        client_of(server).fetch_bills_page(1, 20)


def test_N7_what_is_no_tls_stops_at_once() -> None:
    with serving() as server:
        client = CashpayClient(settings_for(server.url.replace("http:", "https:")), clock=server.clock)
        with pytest.raises(WrongAddressError, match="no trustworthy TLS"):
            client.ping()
        assert client.stats.requests == 1 and server.clock.elapsed == 0


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    pem = tmp_path / "self-signed.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
        "-keyout",
        str(pem),
        "-out",
        str(tmp_path / "certificate"),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    pem.write_text(pem.read_text() + (tmp_path / "certificate").read_text())
    return pem


def test_N7_an_untrusted_certificate_stops_at_once_before_anything_is_sent(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    received: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, pytest.raises(ssl.SSLError), context.wrap_socket(connection, server_side=True) as secure:
            received.append(secure.recv(1000))

    thread = threading.Thread(target=serve)
    thread.start()
    address = f"https://127.0.0.1:{listener.getsockname()[1]}/api"
    client = CashpayClient(settings_for(address), clock=FakeClock())
    with pytest.raises(WrongAddressError, match="self-signed certificate") as caught:
        client.ping()
    thread.join(5)
    listener.close()
    assert client.stats.requests == 1 and received == []
    assert "no switch" in caught.value.next_step


def test_N7_a_line_that_breaks_during_the_handshake_is_only_a_bad_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                connection, _ = listener.accept()
                with connection:
                    connection.recv(5000)

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"https://127.0.0.1:{listener.getsockname()[1]}/api"
        client = CashpayClient(settings_for(address), clock=FakeClock())
        with pytest.raises(UnavailableError):
            client.ping()
        stop.set()
        socket.create_connection(listener.getsockname()).close()
        thread.join(5)
    assert client.stats.requests == 6


def test_N8_netrc_and_proxy_variables_change_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving([reply(200, PAGE)]) as server:
        client_of(server).fetch_bills_page(1, 20)
        assert server.requests[1].headers["authorization"].startswith("Bearer ")


def test_N8_a_proxy_is_used_where_it_is_set() -> None:
    with serving([reply(200, PAGE)]) as proxy:
        settings = settings_for("http://localhost:1/api", proxy=proxy.url.removesuffix("/api"))
        CashpayClient(settings, clock=proxy.clock).fetch_bills_page(1, 20)
        assert proxy.requests[1].target == "http://localhost:1/api/orders?page=1&limit=20"


def test_N8_cookies_are_not_kept() -> None:
    with serving([reply(200, PAGE, headers={"Set-Cookie": "session=1; Path=/"})]) as server:
        client = client_of(server)
        client.fetch_bills_page(1, 20)
        client.fetch_bills_page(2, 20)
        assert all("cookie" not in request.headers for request in server.requests)


def test_N9_a_captive_portal_is_tried_three_times_and_then_described() -> None:
    with serving([HTML, HTML, reply(200, PAGE)]) as server:
        assert client_of(server).fetch_bills_page(1, 20).body == PAGE
    with serving([HTML]) as server:
        with pytest.raises(UnexpectedReplyError) as caught:
            client_of(server).fetch_bills_page(2, 20)
        assert len(server.to("/orders")) == 3
    length = len(HTML.split(b"\r\n\r\n")[1])
    begin = "<html><body>Log in to the hotel ***"
    assert caught.value.message == f"Expected JSON, got text/html, {length} bytes, beginning: {begin}"
    assert "page 2" in caught.value.where


RECORD = '{"order_reference": "B", "client": {"lastname": "CANARYLAST", "phone": "+22890123456"}}'


@pytest.mark.parametrize(
    ("body", "begin"),
    [
        (f"<br /><b>Notice</b>: Undefined index<br />[{RECORD}]", "<br /><b>Notice</b>: Undefined index<br />"),
        (f")]}}'\n{RECORD}", ")]}'"),
        (f"callback({RECORD})", "callback("),
        (f"\u00a0{RECORD}", ""),
        ("<bill><client><lastname>CANARYLAST</lastname></client></bill>", "<bill><"),
        ("order_reference;client_lastname\nB;CANARYLAST\n", "order_reference;"),
        ("reference;nom\nB;CANARYLAST\n", "reference;"),
    ],
)
def test_S10_of_a_reply_that_is_no_json_only_what_stands_before_its_data_is_shown(body: str, begin: str) -> None:
    page = reply(200, body.encode(), content_type="text/html")
    with serving([page]) as server, pytest.raises(UnexpectedReplyError) as caught:
        client_of(server).fetch_bills_page(2, 20)
    assert caught.value.message.endswith(f", beginning: {begin}")


def test_S10_an_error_that_repeats_a_record_is_shown_without_its_customer() -> None:
    """Quoted as JSON, not as Python: that is how the secrets in it are known."""
    client = {"lastname": "CANARYLAST", "phone": "+22890123456", "id": 17}
    errors = [{"client": client, "city": "Canaryville", "amount": 1.5}, "said to " + client["phone"]]
    refusal = {"message": "é", "errors": errors, "error": {"password": 'made"up\\ / password'}}
    with serving([reply(422, json.dumps(refusal).encode())]) as server, pytest.raises(CashpayError) as caught:
        client_of(server, password='made"up\\ / password').fetch_bills_page(2, 20)
    said = 'é; {"password": "***"}; [{"client": {}, "amount": "1.5"}, "said to ***"]'
    assert caught.value.message == f"CashPay refuses this request (status 422): {said}"


def test_N9_no_more_than_80_characters_are_shown() -> None:
    long = reply(200, b"<p>" + b"x y " * 1000, content_type="text/html" + "z" * 500)
    with serving([long]) as server, pytest.raises(UnexpectedReplyError) as caught:
        client_of(server).fetch_bills_page(2, 20)
    assert len(caught.value.message) < 250


def test_Y12_Y13_odd_bytes_reach_the_reply_with_a_warning() -> None:
    steps: list[Step] = [reply(200, '["Kégné"]'.encode("latin-1")), reply(200, b"\xef\xbb\xbf[]")]
    with serving(steps) as server:
        client = client_of(server)
        first, second = client.fetch_bills_page(1, 20), client.fetch_bills_page(2, 20)
    assert (first.body, first.warnings) == (["Kégné"], ("a reply was not UTF-8 and was read as Latin-1",))
    assert (second.body, second.warnings) == ([], ())


def test_Y15_deep_nesting_stops_on_that_page() -> None:
    with serving([reply(200, b"[" * 10_000 + b"]" * 10_000)]) as server:
        with pytest.raises(UnexpectedReplyError) as caught:
            client_of(server).fetch_bills_page(6, 20)
        assert len(server.to("/orders")) == 1
    assert "page 6" in caught.value.where


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_X6_a_compression_bomb_is_stopped_while_it_is_read(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_DECODED_BYTES", 4 << 20)
    packed = (gzip.compress if encoding == "gzip" else zlib.compress)(b'"' + b" " * (64 << 20) + b'"')
    bomb = reply(200, packed, headers={"Content-Encoding": encoding})
    with serving([bomb]) as server:
        with pytest.raises(ReplyTooLargeError) as caught:
            client_of(server).fetch_bills_page(2, 1000)
        assert len(server.to("/orders")) == 1
    assert len(bomb) < 100_000 and "page 2" in caught.value.where


@pytest.mark.parametrize("chunked", [True, False])
def test_X6_P16_the_wire_is_limited_too(chunked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_WIRE_BYTES", 1 << 20)
    big = b'"' + b"x" * (2 << 20) + b'"'
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    step = head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(big), big) if chunked else reply(200, big)
    with serving([step]) as server, pytest.raises(ReplyTooLargeError):
        client_of(server).fetch_bills_page(1, 1000)


def test_X6_the_limits_are_32_and_128_megabytes() -> None:
    assert (client_module.MAX_WIRE_BYTES, client_module.MAX_DECODED_BYTES) == (32 << 20, 128 << 20)


CREATE_TROUBLE: list[tuple[Step, type[CashpayError]]] = [
    (reset, UnavailableError),
    (reply(500, {}), UnavailableError),
    (reply(429, {}), RateLimitedError),
    (reply(503, {}, headers={"Retry-After": "1"}), UnavailableError),
    (reply(201, b"{"), UnavailableError),
    (HTML, UnexpectedReplyError),
    (reply(401, {}), CredentialsRejectedError),
    (reply(403, {}), AccessDeniedError),
]


@pytest.mark.parametrize(("step", "error"), CREATE_TROUBLE)
def test_a_creation_is_sent_once_whatever_happens(step: Step, error: type[CashpayError]) -> None:
    with serving([step]) as server:
        with pytest.raises(error) as caught:
            client_of(server).create_bill({"amount": 500})
        assert len(server.to("/orders")) == 1
    assert ("may exist" in caught.value.next_step) == (error in (UnavailableError, UnexpectedReplyError))


def test_a_creation_returns_the_bill() -> None:
    created = {"status": "success", "order_reference": "SANDBOX-EX0009", "code": "500", "amount": "500"}
    with serving([reply(201, created)]) as server:
        assert client_of(server).create_bill({"amount": 500}) == created
        request = server.to("/orders")[0]
    assert (request.method, json.loads(request.body)) == ("POST", {"amount": 500})


@pytest.mark.parametrize("body", [{"message": "pong"}, {"status": "success"}, {}, [], "pong"])
def test_ping_takes_any_answer(body: Any) -> None:
    with serving([reply(200, body)]) as server:
        assert client_of(server).ping().body == body
        request = server.to("/ping")[0]
    assert (request.method, json.loads(request.body)) == ("POST", {"action": "ping"})


def test_order_references_are_encoded_in_the_path() -> None:
    reference = "a/../b?c=d#e é%2F"
    with serving([reply(200, {"order_reference": reference, "state": "Paid"})]) as server:
        client = client_of(server)
        client.fetch_bill(reference)
        client.fetch_bill_status(reference)
        encoded = "a%2F..%2Fb%3Fc%3Dd%23e%20%C3%A9%252F"
        assert [r.target for r in server.requests[1:]] == [f"/api/orders/{encoded}", f"/api/orders/{encoded}/status"]


def test_page_parameters_are_settings() -> None:
    with serving([reply(200, PAGE)]) as server:
        client_of(server, page_param="p", size_param="per_page", first_page=0).fetch_bills_page(0, 50)
        assert server.to("/orders")[0].target == "/api/orders?p=0&per_page=50"


def test_without_an_address_there_is_no_client() -> None:
    with pytest.raises(SettingsError):
        CashpayClient(Settings(_env_file=None))


def test_I13_requests_start_no_faster_than_asked() -> None:
    with serving([reply(200, PAGE)]) as server:
        client = client_of(server, requests_per_second=2)
        for page in range(5):
            client.fetch_bills_page(page, 20)
        times = [request.at for request in server.requests]
    assert all(later - earlier >= 0.5 for earlier, later in pairwise(times))
    assert client.stats.waited_seconds == 0


def test_I13_no_thread_sends_inside_a_pause() -> None:
    wait = reply(429, {}, headers={"Retry-After": "120"})
    with serving([reply(200, PAGE), wait, reply(200, PAGE)]) as server:
        client = client_of(server, max_in_flight=4)
        client.ping()
        with pytest.raises(CashpayError):
            client.create_bill({"amount": 1})  # meets the 429 and does not wait
        pause_began = server.clock.elapsed
        assert in_threads(6, lambda: client.fetch_bills_page(1, 20)) == []
        assert min(request.at for request in server.requests[3:]) >= pause_began + 120
        assert client.stats.waited_seconds == pytest.approx(120)


def test_max_in_flight_holds_and_adapts() -> None:
    busy, most, lock, four = 0, 0, threading.Lock(), threading.Barrier(4)

    def together(connection: socket.socket) -> None:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        four.wait(timeout=30)
        with lock:
            busy -= 1
        connection.sendall(reply(200, PAGE))

    with serving([reply(200, PAGE)]) as server:
        client = client_of(server, max_in_flight=4)
        client.ping()
        server.data[:] = [together]
        in_threads(12, lambda: client.fetch_bills_page(1, 20))
        assert most == 4
        server.data[:] = [reply(429, {}), reply(503, {}), reply(200, PAGE)]
        client.fetch_bills_page(1, 20)
        assert client.in_flight_limit == 1
        limits = []
        for _ in range(40):
            client.fetch_bills_page(1, 20)
            limits.append(client.in_flight_limit)
        assert limits == sorted(limits) and set(limits) == {1, 2, 3, 4}
        server.data[:] = [together]
        most = 0
        in_threads(12, lambda: client.fetch_bills_page(1, 20))
        assert most == 4


def test_a_pause_that_grows_while_threads_wait_is_respected() -> None:
    clock = FakeClock()
    pacer = Pacer(clock, clock.now, per_second=1000, max_in_flight=1)
    assert pacer.hold(100) == 100
    assert pacer.hold(50) == 0
    assert pacer.hold(160) == pytest.approx(60)
    pacer.wait_for_turn()
    assert clock.elapsed == pytest.approx(160) and pacer.waited_seconds == pytest.approx(160)
    pacer.hold(7200)
    with pytest.raises(RateLimitedError) as caught:
        pacer.wait_for_turn()
    assert caught.value.resume_at == pytest.approx(clock.now() + timedelta(hours=2), abs=timedelta(seconds=1))
    assert clock.elapsed == pytest.approx(160)


def test_a_refusal_slows_the_requests_down_and_answers_slowly_quicken_them_again() -> None:
    clock = FakeClock()
    pacer = Pacer(clock, clock.now, per_second=10, max_in_flight=1)

    def interval() -> float:
        pacer.wait_for_turn()
        before = clock.elapsed
        pacer.wait_for_turn()
        return clock.elapsed - before

    assert interval() == pytest.approx(0.1)
    pacer.slow_down()
    pacer.slow_down()
    assert interval() == pytest.approx(0.15625)
    for _ in range(20):
        pacer.went_well()
    assert interval() == pytest.approx(0.1546875)
    for _ in range(2000):
        pacer.went_well()
    assert interval() == pytest.approx(0.1)  # never faster than the setting
    for _ in range(1000):
        pacer.slow_down()
    assert interval() == pytest.approx(10)


def test_requests_keep_below_a_limit_that_is_not_known() -> None:
    clock = FakeClock()
    pacer = Pacer(clock, clock.now, per_second=20, max_in_flight=1)
    tokens, filled_at, answered, refused = 2.0, 0.0, 0, 0
    while answered < 1000:
        pacer.wait_for_turn()
        tokens, filled_at = min(2.0, tokens + (clock.elapsed - filled_at) * 5), clock.elapsed
        if tokens >= 1:
            tokens -= 1
            answered += 1
            pacer.went_well()
        else:
            refused += 1
            pacer.slow_down()
            pacer.hold(1)
    assert refused < 20
    assert answered / clock.elapsed > 0.8 * 5


def test_a_clock_that_rounds_cannot_stop_the_pacer() -> None:
    class Rounding(FakeClock):
        def sleep(self, seconds: float) -> None:
            assert len(self.slept) < 100
            super().sleep(round(seconds, 3))

    clock = Rounding()
    pacer = Pacer(clock, clock.now, per_second=7, max_in_flight=1)
    for _ in range(10):
        pacer.wait_for_turn()
    assert 9 / 7 <= clock.elapsed < 9 / 7 + 0.1


def test_waits_are_told() -> None:
    told: list[tuple[float, str]] = []
    with serving([reply(429, {}, headers={"Retry-After": "30"}), reset, reply(200, PAGE)]) as server:
        client = CashpayClient(
            settings_for(server.url), clock=server.clock, on_wait=lambda seconds, why: told.append((seconds, why))
        )
        client.fetch_bills_page(1, 20)
    assert told[0] == (30, "CashPay is asked too often (status 429).")
    assert len(told) == 2 and "cannot be reached" in told[1][1]
    assert client.stats.waited_seconds == pytest.approx(sum(seconds for seconds, _ in told))


def test_S6_the_log_tells_path_page_status_and_try_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving([reset, reply(500, {"message": "x\nFAKE line"}), reply(200, PAGE)]) as server:
        client_of(server).fetch_bills_page(3, 20)
    ours = [record.getMessage() for record in caplog.records if record.name == "cashpay"]
    assert [line.split(" in ")[0] for line in ours] == [
        "POST /auth: 200",
        "GET /orders page 3: failed",
        "GET /orders page 3: 500",
        "GET /orders page 3: 200",
    ]
    assert ours[-1].endswith("try 3") and "FAKE" not in caplog.text
    for secret in [*SECRETS.values(), "Bearer"]:
        assert secret not in caplog.text


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(seed=7, days=3, bills_per_day=50, frozen=True) as process:
        yield process


def simulated(simulator: SimulatorProcess, auth: str) -> CashpayClient:
    settings = Settings(
        _env_file=None, base_url=simulator.base_url, auth=auth, requests_per_second=1000, **DEMO_CREDENTIALS
    )
    return CashpayClient(settings, clock=SimulatedClock(simulator.base_url))


@pytest.mark.parametrize("auth", ["oauth2", "cashpay"])
def test_all_six_resources_of_the_simulator(simulator: SimulatorProcess, auth: str) -> None:
    simulator.clear_log()
    with simulated(simulator, auth) as client:
        assert client.ping().status == 200
        created = client.create_bill({"amount": 500, "client": {"phone": "+22800000001"}})
        page = client.fetch_bills_page(1, 100)
        assert isinstance(page.body, dict) and page.warnings == ()
        assert page.body["items"][0]["order_reference"] == created["order_reference"]
        assert client.fetch_bill(created["order_reference"])["amount"] == "500"
        assert client.fetch_bill_status(created["order_reference"])["state"] == "Pending"
        assert len(client.fetch_gateways()[0]) > 2
        with pytest.raises(BillNotFoundError):
            client.fetch_bill("SANDBOX-NOWHERE")
        simulator.forget_tokens()
        client.fetch_bills_page(2, 20)
    assert client.stats.requests == len(simulator.log()) == (11 if auth == "oauth2" else 8)
    assert client.stats.logins == (2 if auth == "oauth2" else 0)


@pytest.mark.parametrize("auth", ["oauth2", "cashpay"])
@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "close"},
        {"kind": "truncated"},
        {"kind": "short_body"},
        {"kind": "empty_body"},
        {"kind": "html"},
        {"kind": "error_200"},
        {"kind": "bom"},
        {"kind": "latin1"},
        {"status": 401},
        {"status": 403},
        {"status": 429, "retry_after": 600},
        {"status": 429, "retry_after": {"date_in": 600}},
        {"status": 503, "retry_after": "soon"},
        {"status": 500, "times": 3},
    ],
    ids=str,
)
def test_N_H_A_a_passing_fault_costs_nothing_but_time(
    simulator: SimulatorProcess, auth: str, rule: dict[str, Any]
) -> None:
    with simulated(simulator, auth) as client:
        client.ping()
        simulator.faults([{"path": "/orders", **rule}])
        page = client.fetch_bills_page(1, 100).body
        assert page == client.fetch_bills_page(1, 100).body and isinstance(page, dict) and len(page["items"]) == 100
        assert simulator.faults()[0]["struck"] == rule.get("times", 1)
        if rule.get("retry_after") not in (None, "soon"):
            assert client.stats.waited_seconds == pytest.approx(600, abs=2)


@pytest.fixture(scope="module")
def keep_alive() -> Iterator[tuple[str, list[int]]]:
    """A server that keeps connections open, and counts them."""
    opened: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 64 * 1024

        def setup(self) -> None:
            super().setup()
            opened.append(1)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer({"access_token": "t", "expires_in": 3600})

        def do_GET(self) -> None:
            self.answer(PAGE)

        def answer(self, body: Any) -> None:
            raw = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api", opened
    server.shutdown()
    server.server_close()


def test_one_connection_serves_many_calls(keep_alive: tuple[str, list[int]]) -> None:
    url, opened = keep_alive
    with CashpayClient(settings_for(url, requests_per_second=10_000), clock=FakeClock()) as client:
        for page in range(1, 200):
            assert client.fetch_bills_page(page, 100).body == PAGE
    assert len(opened) == 1
