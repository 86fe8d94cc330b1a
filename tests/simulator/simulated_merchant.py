"""A client as simple as can be, for the simulator's own tests: one request, one answer."""

import hashlib
import json
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from cashpay_pipeline.simulator.credentials import credentials_for

START = "2026-11-24T09:00:00+00:00"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Merchant:
    base_url: str
    account: str = "main"
    headers: dict[str, str] = field(default_factory=dict)
    salts: int = 0

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: Any
    ) -> Answer:
        address = self.base_url + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data=data, method=method)
        for name, value in {"Content-Type": "application/json", **self.headers, **(headers or {})}.items():
            request.add_header(name, value)
        try:
            with _OPENER.open(request, timeout=5) as reply:
                return Answer(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def get(self, path: str, **query: Any) -> Answer:
        return self.call("GET", path, **query)

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
        return self.call("POST", path, body, headers)

    def login_body(self) -> dict[str, str]:
        credentials = credentials_for(self.account)
        return {name: getattr(credentials, name) for name in ("username", "password", "client_id", "client_secret")}

    def log_in(self) -> "Merchant":
        token = self.post("/auth", self.login_body()).json["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}
        return self

    def signed(self, salt: str | None = None) -> dict[str, str]:
        self.salts += 1
        salt = salt or str(10**17 + self.salts)
        mine = credentials_for(self.account)
        digest = hashlib.sha256(f"{mine.login}{mine.api_key}{salt}".encode()).hexdigest()
        return {"login": mine.login, "apireference": mine.api_reference, "salt": salt, "apisecure": digest}

    def references(self, **query: Any) -> list[str]:
        return [row["order_reference"] for row in self.get("/orders", **query).json["items"]]

    def raw(self, path: str) -> bytes:
        """Return all bytes that a GET brings, until the server closes."""
        address = urlsplit(self.base_url)
        lines = [f"GET /api{path} HTTP/1.1", "Host: localhost", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)
