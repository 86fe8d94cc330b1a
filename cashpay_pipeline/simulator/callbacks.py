"""Callbacks: tell a merchant's server that a bill changed (cashpay-api, section 12).

Sent from a thread of their own, so that a slow receiver holds up nobody.
"""

import http.client
import json
import queue
import threading
import urllib.error
import urllib.request
from collections import deque
from datetime import datetime
from typing import Any

from cashpay_pipeline.simulator.account import Account
from cashpay_pipeline.simulator.bills import Bill
from cashpay_pipeline.simulator.signing import signed_token

KINDS = ("valid", "other_key", "unsigned", "altered")
"""Callbacks that can be sent on purpose; all but the first are forgeries."""

_PATIENCE = 10.0
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class CallbackSender:
    """Notices changes of bills that have a callback URL, and announces them."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[str, str, str] | None] = queue.SimpleQueue()
        self._told: dict[tuple[str, str], dict[str, Any]] = {}
        self._results: deque[dict[str, Any]] = deque(maxlen=1000)
        self._thread = threading.Thread(target=self._work, name="callbacks", daemon=True)
        self._thread.start()

    def watch(self, account: Account, bill: Bill, now: datetime) -> None:
        """Begin to watch a bill: its present content counts as known."""
        self._told[account.name, bill.reference] = claims_of(account, bill, now)

    def announce(self, account: Account, now: datetime) -> None:
        """Send a callback for each watched bill of an account that changed since it was last told."""
        for bill in account.world.announced():
            claims = claims_of(account, bill, now)
            if self._told.setdefault((account.name, bill.reference), claims) == claims:
                continue
            self._told[account.name, bill.reference] = claims
            self.send(str(bill.callback_url), account, claims)

    def send(self, url: str, account: Account, claims: dict[str, Any], kind: str = "valid") -> None:
        """Queue one callback.

        Args:
            url: Where to.
            account: Whose API key signs it.
            claims: What it says.
            kind: One of `KINDS`.

        Raises:
            ValueError: The address is not one of HTTP, or the kind is unknown.
        """
        if not url.startswith(("http://", "https://")):
            raise ValueError("a callback URL begins with http:// or https://")
        if kind not in KINDS:
            raise ValueError(f"unknown kind of callback {kind!r}; known are: {', '.join(KINDS)}")
        self._queue.put((url, _token(account.access.credentials.api_key, claims, kind), kind))

    def results(self) -> list[dict[str, Any]]:
        """Return what became of the callbacks sent so far, oldest first."""
        return list(self._results)

    def forget(self) -> None:
        """Start over: nothing watched, nothing sent."""
        self._told.clear()
        self._results.clear()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            url, token, kind = job
            self._results.append({"url": url, "kind": kind, "outcome": _post(url, token)})

    def stop(self) -> None:
        """Let the thread end after what it is doing."""
        self._queue.put(None)


def claims_of(account: Account, bill: Bill, now: datetime) -> dict[str, Any]:
    """Return what a callback says about a bill (the claims the official plugin reads, and two more)."""
    content = bill.content(now, account.world.gateways)
    names = ("merchant_reference", "state", "amount", "received_amount", "payments")
    claims = {"order_reference": bill.reference, **{name: content.get(name) for name in names}}
    client = content.get("client")
    return {**claims, "client": {"phone": client.get("phone")}} if isinstance(client, dict) else claims


def _token(key: str, claims: dict[str, Any], kind: str) -> str:
    if kind == "other_key":
        return signed_token(claims, "another-key-that-is-not-yours")
    if kind == "unsigned":
        return signed_token(claims, key, algorithm="none")
    if kind == "altered":
        head, _, signature = signed_token(claims, key).split(".")
        return f"{head}.{signed_token({**claims, 'state': 'Paid', 'altered': True}, key).split('.')[1]}.{signature}"
    return signed_token(claims, key)


def _post(url: str, token: str) -> str:
    body = json.dumps({"token": token}).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"}, method="POST")
    try:
        with _NO_PROXY.open(request, timeout=_PATIENCE) as answer:
            return f"HTTP {answer.status}"
    except urllib.error.HTTPError as error:
        with error:
            return f"HTTP {error.code}"
    except (OSError, http.client.HTTPException) as error:
        return f"not delivered: {type(error).__name__}"
