"""A raw loopback server for faults of the wire that no HTTP framework would send, and a clock that only moves."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cashpay_pipeline.client import CashpayClient
from cashpay_pipeline.settings import Settings

SECRETS = {
    "username": "api_cashpay.example",
    "password": "not-a-real-password",
    "client_id": "example-client",
    "client_secret": "not/a+real=secret",
}
SIGNATURE = {"login": "demo.merchant", "api_key": "EXAMPLE-API-KEY-NOT-REAL", "api_reference": "17"}
START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@dataclass
class Request:
    """What came over the wire, and when by the test's clock."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def path(self) -> str:
        return urlsplit(self.target).path.removeprefix("/api")


class FakeClock:
    """Time that moves only when somebody sleeps."""

    def __init__(self, start: datetime = START) -> None:
        self._lock = threading.Lock()
        self._start = start
        self.elapsed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.elapsed += seconds
            self.slept.append(seconds)


Step = bytes | Callable[[socket.socket], None]


def reply(
    status: int = 200,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
    length: bool = True,
) -> bytes:
    """One whole answer; `body` is JSON unless it is bytes already."""
    raw = body if isinstance(body, bytes) else b"" if status == 204 else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Type: {content_type}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if length and status != 204:
        lines.append(f"Content-Length: {len(raw)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + raw


TOKEN = "eyJhbGciOiJSUzI1NiJ9.ZXhhbXBsZQ.c2ln"


def token(value: str = TOKEN, expires_in: Any = 3600) -> bytes:
    return reply(200, {"access_token": value, "expires_in": expires_in, "token_type": "bearer"})


@dataclass
class WireServer:
    """Answers each connection with the next step of a script; the last step answers all that follow.

    `/auth` has a script of its own, so that a test about data need not speak of logins.
    """

    clock: FakeClock
    data: list[Step] = field(default_factory=list)
    auth: list[Step] = field(default_factory=lambda: [token()])
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"

    def to(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def close(self) -> None:
        self._closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        for thread in self._threads:
            thread.join(5)

    def pause(self, seconds: float) -> None:
        """Let real time pass, but not beyond the end of the test."""
        self._closing.wait(seconds)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):
            connection.settimeout(10)
            request = self._read(connection)
            if request is None:
                return
            with self._lock:
                self.requests.append(request)
                script = self.auth if request.path == "/auth" else self.data
                step = script.pop(0) if len(script) > 1 else script[0]
            if callable(step):
                step(connection)
            else:
                connection.sendall(step)

    def _read(self, connection: socket.socket) -> Request | None:
        received = b""
        while b"\r\n\r\n" not in received:
            chunk = connection.recv(65536)
            if not chunk:
                return None
            received += chunk
            if received[0] == 0x16:  # a TLS handshake: this server speaks plain HTTP
                connection.sendall(reply(400, {}))
                return None
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, value in (re.split(r":\s*", line, maxsplit=1) for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
        return Request(method, target, headers, body, self.clock.monotonic())


@contextmanager
def serving(data: list[Step] | None = None, auth: list[Step] | None = None) -> Iterator[WireServer]:
    server = WireServer(FakeClock(), data or [reply(200, [])], auth or [token()])
    try:
        yield server
    finally:
        server.close()


def settings_for(url: str, **changes: Any) -> Settings:
    values: dict[str, Any] = {"base_url": url, "requests_per_second": 1000, **SECRETS}
    return Settings(_env_file=None, **{**values, **changes})


def signed_settings_for(url: str, **changes: Any) -> Settings:
    return Settings(_env_file=None, base_url=url, requests_per_second=1000, **{**SIGNATURE, **changes})


def client_of(server: WireServer, **changes: Any) -> CashpayClient:
    return CashpayClient(settings_for(server.url, **changes), clock=server.clock)
