"""CashPay's six resources, one method each, and the exchange with CashPay: the only module that uses `requests`.

How often and when a call is tried is decided in `attempts.py`, what an answer means in `verdicts.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter

from cashpay_pipeline.attempts import Attempts, ClientStats, Reply
from cashpay_pipeline.clock import Clock, SystemClock
from cashpay_pipeline.connection import WATCHED_POOLS, Deadline, TLSFailedError, reason
from cashpay_pipeline.errors import (
    ReplyTooLargeError,
    SettingsError,
    UnavailableError,
    WrongAddressError,
)
from cashpay_pipeline.redaction import Redactor
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.shapes import KEY_FIELDS, only_bill, only_list
from cashpay_pipeline.verdicts import MAX_TRIES, TOOL, Again, Answer, Call

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
TOTAL_SECONDS = 120.0
MAX_WIRE_BYTES = 32 * 1024 * 1024
MAX_DECODED_BYTES = 128 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
HEADERS = {
    "User-Agent": TOOL.replace(" ", "/"),
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "keep-alive",
}


class CashpayClient:
    """Reads one merchant account. Several threads may use it at once.

    Whatever CashPay or the line to it does, a method returns data or raises a `CashpayError` that is named for what to
    do next.

    Args:
        settings: which account, where, and how politely.
        clock: what time is measured and waited by.
        on_wait: told of each wait that is worth telling a person: seconds and reason.
        reload: reads the settings again, for credentials rotated during a run (A13); by default they stay.
        max_tries: how many tries any call gets at most, for a caller who would rather know soon.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        on_wait: Callable[[float, str], None] | None = None,
        reload: Callable[[], Settings] | None = None,
        max_tries: int = MAX_TRIES,
    ) -> None:
        if settings.base_url is None:
            raise SettingsError("CASHPAY_BASE_URL is not set.")
        self._settings = settings
        self._base_url = settings.base_url
        self._redactor = Redactor(settings.secrets())
        self._adapter = _adapter(settings)
        proxy = settings.proxy.get_secret_value() if settings.proxy else None
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._exchanges: set[Deadline] = set()
        self._attempts = Attempts(
            settings,
            clock or SystemClock(),
            on_wait=on_wait or (lambda seconds, reason: None),
            source=reload or (lambda: settings),
            exchange=self._exchange,
            redactor=self._redactor,
            max_tries=max_tries,
        )

    def __repr__(self) -> str:
        return f"CashpayClient(account={self._settings.account!r}, environment={self._settings.environment!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop(self) -> None:
        """End what is in flight and start nothing more, in whatever thread; for a signal handler (R8)."""
        self._attempts.pacer.stop()
        for exchange in list(self._exchanges):
            exchange.cut()

    def close(self) -> None:
        """Close the connections."""
        self._adapter.close()

    @property
    def stats(self) -> ClientStats:
        """What this client has cost so far."""
        return self._attempts.stats

    @property
    def skew(self) -> timedelta | None:
        """How far CashPay's clock is ahead of ours; None before the first answer that tells."""
        return self._attempts.skew

    @property
    def in_flight_limit(self) -> int:
        """How many requests may be in flight just now."""
        return self._attempts.pacer.in_flight_limit

    def clean(self, text: str) -> str:
        """A text of CashPay's as it may be shown: without secrets, phones and addresses, on one short line."""
        return self._redactor.clean(text)

    @property
    def resume_at(self) -> datetime | None:
        """Until when CashPay wants no request, by our clock, if that is longer than a run may wait."""
        return self._attempts.pacer.resume_at

    def pause_until(self, moment: datetime) -> None:
        """Send nothing before the `resume_at` of an earlier client: wait, or raise where that is too long (H14)."""
        self._attempts.pause_until(moment)

    def now(self) -> datetime:
        """The time in UTC: by CashPay's clock, which stamps the bills, where ours is more than 2 minutes off."""
        return self._attempts.now()

    def ping(self) -> Reply:
        """Ask whether the credentials are good [1 public]."""
        return self._attempts.call(Call("POST", "/ping", json={"action": "ping"}))

    def create_bill(self, bill: Mapping[str, Any]) -> dict[str, Any]:
        """Create a bill: one request, never repeated, because CashPay knows no idempotency key [S4]."""
        return self._bill(Call("POST", "/orders", json=dict(bill), tries=1))

    def fetch_bill(self, order_reference: str, *, tries: int = MAX_TRIES) -> dict[str, Any]:
        """One bill's details [3 public].

        Raises:
            BillNotFoundError: there is no such bill.
            UnexpectedReplyError: another bill came back, or several, or nothing that can be recognised.
        """
        path = f"/orders/{quote(order_reference, safe='')}"
        return self._bill(Call("GET", path, bill=order_reference, tries=tries))

    def fetch_bill_status(self, order_reference: str) -> dict[str, Any]:
        """One bill's state, with fewer other fields than its details [3 public]; raises like `fetch_bill`."""
        path = f"/orders/{quote(order_reference, safe='')}/status"
        return self._bill(Call("GET", path, bill=order_reference), fields=["state"])

    def fetch_bills_page(self, page: int, size: int, *, tries: int = MAX_TRIES) -> Reply:
        """One page of the bill list, as it came.

        Raises:
            WrongAddressError: the first page is not there (404).
            RequestRefusedError: with `status` 404, a later page is not there, which ends a list; with 400, 413 or
                422, the size may be too large.
        """
        params = {self._settings.page_param: page, self._settings.size_param: size}
        ends_list = page > self._settings.first_page
        return self._attempts.call(Call("GET", "/orders", params=params, page=page, ends_list=ends_list, tries=tries))

    def fetch_gateways(self) -> tuple[list[dict[str, Any]], int | None]:
        """The payment gateways of the account, and how many there are, if CashPay says so."""
        call = Call("GET", "/gateways")
        body = self._attempts.call(call).body
        with self._attempts.placing(call):
            return only_list(body, self._redactor.clean)

    def _bill(self, call: Call, fields: Sequence[str] = KEY_FIELDS) -> dict[str, Any]:
        body = self._attempts.call(call).body
        with self._attempts.placing(call):
            return only_bill(body, self._redactor.clean, asked=call.bill, fields=fields)

    def _exchange(self, call: Call, headers: Mapping[str, str]) -> Answer:
        """Send once, with no help from the environment, no redirect, and no resending by the library (N6, N8)."""
        deadline = Deadline(TOTAL_SECONDS)
        broken: Exception | None = None
        self._exchanges.add(deadline)
        try:
            self._attempts.pacer.go_on()  # after the line above, so that `stop` meets either the one or the other
            request = requests.Request(
                call.method,
                self._base_url + call.path,
                headers={**HEADERS, **headers},
                params=call.params,
                json=call.json,
            ).prepare()
            timeout = (CONNECT_SECONDS, READ_SECONDS)
            with deadline, self._adapter.send(request, stream=True, timeout=timeout, proxies=self._proxies) as response:
                raw = _read(response)
        except requests.RequestException as error:
            broken = self._broken(error)
        finally:
            self._exchanges.discard(deadline)
        # Raised out here, so that the library's error, which holds the request, is not even its context (S2).
        self._attempts.pacer.go_on()
        if deadline.passed:
            host = urlsplit(self._base_url).netloc
            raise Again(UnavailableError(f"{host} took more than {TOTAL_SECONDS:g} seconds for one answer."))
        if broken is not None:
            raise broken
        return Answer(response.status_code, response.headers, raw, response.url, self._attempts.now())

    def _broken(self, error: Exception) -> Exception:
        """What to do about an exchange that did not come to its end."""
        host = urlsplit(self._base_url).netloc
        if isinstance(error, ValueError):  # such as requests.exceptions.InvalidURL
            return WrongAddressError(f"{host} cannot be called: the address or the proxy is not well formed.")
        try:
            return Again(UnavailableError(f"{host} cannot be reached: {reason(error)}."))
        except TLSFailedError as failed:
            return WrongAddressError(
                f"{host} has no trustworthy TLS connection: {self._redactor.clean(str(failed))}",
                next_step="Check CASHPAY_BASE_URL, the proxy and this machine's clock; ask CashPay if it stays. "
                "There is no switch to turn the check off.",
            )


def _adapter(settings: Settings) -> HTTPAdapter:
    """Connections without the session around them: no .netrc, no proxy variables, no cookie, no redirect (N6, N8)."""
    adapter = HTTPAdapter(pool_maxsize=settings.max_in_flight + 1, max_retries=0)
    adapter.poolmanager.pool_classes_by_scheme = WATCHED_POOLS
    if settings.proxy is not None:
        adapter.proxy_manager_for(settings.proxy.get_secret_value()).pool_classes_by_scheme = WATCHED_POOLS
    return adapter


def _read(response: requests.Response) -> bytes:
    """The body, decompressed, within the limits: looked at while it comes, for 10 kB can become 10 MB (X6)."""
    body = bytearray()
    compressed = "Content-Encoding" in response.headers
    for chunk in response.iter_content(CHUNK_BYTES):
        body += chunk
        wire = response.raw.tell() if compressed else len(body)
        if wire > MAX_WIRE_BYTES or len(body) > MAX_DECODED_BYTES:
            raise ReplyTooLargeError(
                f"An answer is larger than {MAX_WIRE_BYTES >> 20} MB, or {MAX_DECODED_BYTES >> 20} MB decompressed."
            )
    return bytes(body)
