"""A bill list that answers faster than any client can read it, to measure clients with.

    python benchmarks/server.py [--port P] [--bills N] [--per-day N] [--new K] [--changed K] [--latency-ms L] ...

`GET /orders?page=&limit=` (`{total, items}`, newest first, bills of about 700 bytes, no date filter, no update time),
`GET /orders/{reference}`, `GET /gateways`, `POST /auth`, and `GET /stats` (`?reset=1` begins to count anew).

A bill is a function of its number: 10 M bills need no memory. Up to 200,000 are serialized beforehand. With `--new` or
`--changed` it is the night after: so many new bills have come, and of the newest bills that were open so many are paid.
The `Date` header tells the same made-up time, so a client that goes by the server's clock is a day older as well.
"""

import argparse
import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

FIRST_EVENING = datetime(2026, 3, 2, 2, 15, tzinfo=UTC)
DAY, NIGHT = timedelta(days=1), timedelta(hours=24, minutes=5)
YOUNG_DAYS = 7
OPEN_YOUNG, OPEN_OLD = 25, 2  # per cent
AMOUNTS = 400
FIRST_NUMBER = 50_000_000  # of the first bill after the first evening; a multiple of AMOUNTS
SPREAD, UNSPREAD = 0x9E3779B97F4A7C15, pow(0x9E3779B97F4A7C15, -1, 2**64)
PRELOADED = 200_000
GATEWAYS = [("6513270e-269e-4d37-b2a7-4de452e6b438", "Flooz-Example"), ("d23f0824-128b-4f33-8c5c-7fd0a6a3a450", "Mixx")]
CLOSED = ["Paid"] * 8 + ["Excess", "Canceled", "Expired", "Error"]

BILL = (
    b'{"order_reference":"SANDBOX-%016X","merchant_reference":"CMD-%09d","code":"%06d","state":"%s",'
    b'"date_create":"%s","amount":"%d","received_amount":%d,"currency":"XOF",'
    b'"description":"Commande %d, deux articles, livraison \xc3\xa0 domicile",'
    b'"bill_url":"https://bills.example.test/f/%016X",'
    b'"long_bill_url":"https://bills.example.test/facture/SANDBOX-%016X",'
    b'"client":{"phone":"+2289%07d","lastname":"EXEMPLE","firstname":"Client %d"},'
    b'"gateway":{"reference":"%s","libelle":"%s"},"payments":[%s]}'
)
PAYMENT = (
    b'{"thirdparty_reference":"TP-EX-%012d","amount":%d,"gateway":{"reference":"%s","libelle":"%s","methode":"PUSH"}}'
)


class Bills:
    """The bills of a shop; number 0 is the oldest. What a bill is depends on how many of the first evening are newer.

    So the newest 100,000 bills of a large shop are those of a small one.
    """

    def __init__(self, bills: int, per_day: int, new: int, changed: int) -> None:
        self.before, self.new, self.per_day = bills, new, per_day
        self.total = bills + new
        self.now = FIRST_EVENING + (NIGHT if new or changed else timedelta())
        self.first_young = bills - YOUNG_DAYS * per_day
        self.first_changed, left = bills, changed
        while left and self.first_changed > 0:
            self.first_changed -= 1
            left -= self._was_open(self.first_changed)
        self.changed = changed - left
        self._rows = [self.row(i) for i in range(self.total)] if self.total <= PRELOADED else []

    def page(self, offset: int, limit: int) -> bytes:
        """The rows of one page, newest first."""
        last = self.total - offset
        numbers = range(last - 1, max(0, last - limit) - 1, -1) if last > 0 else range(0)
        rows = [self._rows[i] for i in numbers] if self._rows else map(self.row, numbers)
        return b'{"total":%d,"items":[%s]}' % (self.total, b",".join(rows))

    def find(self, reference: str) -> bytes | None:
        """One bill by its reference."""
        try:
            number = int(reference.removeprefix("SANDBOX-"), 16) * UNSPREAD % 2**64 - FIRST_NUMBER + self.before
        except ValueError:
            return None
        return self.row(number) if 0 <= number < self.total else None

    def row(self, i: int) -> bytes:
        """One bill, serialized."""
        if i >= self.before:
            created = FIRST_EVENING + DAY * ((i - self.before + 1) / (self.new + 1))
        else:
            created = FIRST_EVENING - timedelta(seconds=(self.before - i) * 86400 // self.per_day)
        number = i - self.before + FIRST_NUMBER
        spread = number * SPREAD % 2**64
        amount = 500 + 25 * (number * 7919 % AMOUNTS)
        if self.is_open(i):
            state, received = ("Partial", amount // 2) if spread >> 60 == 0 else ("Pending", 0)
        else:
            state = "Paid" if self._was_open(i) else CLOSED[(spread >> 20) % len(CLOSED)]
            received = {"Paid": amount, "Excess": amount + 100}.get(state, 0)
        gateway = [text.encode() for text in GATEWAYS[number & 1]]
        payment = PAYMENT % (number, received, *gateway) if received else b""
        when = created.strftime("%Y-%m-%dT%H:%M:%S+00:00").encode()
        customer = (spread >> 30) % 150_000
        names = (spread, number, number % 1_000_000, state.encode(), when, amount, received, number, spread, spread)
        return BILL % (*names, customer, customer, *gateway, payment)

    def is_open(self, i: int) -> bool:
        """Whether a bill can still be paid."""
        return self._was_open(i) and not self.first_changed <= i < self.before

    def _was_open(self, i: int) -> bool:
        return ((i - self.before + FIRST_NUMBER) * SPREAD % 2**64 >> 40) % 100 < (
            OPEN_YOUNG if i >= self.first_young else OPEN_OLD
        )

    def truth(self) -> dict[str, int]:
        """What a right copy must agree with."""
        cycles, rest = divmod(self.total, AMOUNTS)
        amounts = [25 * ((i - self.before) * 7919 % AMOUNTS) for i in range(AMOUNTS)]
        return {
            "bills": self.total,
            "open": sum(map(self.is_open, range(self.total))),
            "amount": 500 * self.total + cycles * sum(amounts) + sum(amounts[:rest]),
            "changed": self.changed,
        }


class Counts:
    """What was asked so far."""

    def __init__(self) -> None:
        self.requests = self.pages = self.details = self.refused = self.inside_retry_after = 0
        self.in_flight = self.most_in_flight = 0
        self.first_at = self.last_at = 0.0


class Bucket:
    """So many requests a second, and a little burst; who comes too soon is told to wait a second."""

    def __init__(self, per_second: float) -> None:
        self.rate, self.tokens, self.filled_at, self.closed_until = per_second, 2.0, time.monotonic(), 0.0

    def take(self, counts: Counts) -> bool:
        now = time.monotonic()
        if now < self.closed_until:
            counts.inside_retry_after += 1
            return False
        self.tokens = min(2.0, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return True
        self.closed_until = now + 1
        return False


class Shop:
    """Answers requests."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.bills = Bills(options.bills, options.per_day, options.new, options.changed)
        self.cap, self.latency = options.page_cap, options.latency_ms / 1000
        self.counts = Counts()
        self.bucket = Bucket(options.rate_limit) if options.rate_limit else None
        self._started = time.monotonic()
        self._gateways = json.dumps(
            [
                {"id": n, "reference": r, "libelle": name, "methode": "PUSH_USSD", "currency": "XOF", "logo_url": None}
                for n, (r, name) in enumerate(GATEWAYS)
            ]
        ).encode()

    @property
    def date(self) -> bytes:
        """The made-up time, which passes as fast as any."""
        return format_datetime(
            self.bills.now + timedelta(seconds=time.monotonic() - self._started), usegmt=True
        ).encode()

    def answer(self, method: str, target: str) -> tuple[int, bytes]:
        """Status and body."""
        url = urlsplit(target)
        counts = self.counts
        if url.path == "/stats":
            stats = {**vars(counts), **self.bills.truth()}
            if url.query:
                self.counts = Counts()
            return 200, json.dumps(stats).encode()
        counts.requests += 1
        counts.last_at = time.monotonic()
        counts.first_at = counts.first_at or counts.last_at
        if self.bucket and not self.bucket.take(counts):
            counts.refused += 1
            return 429, b'{"code":429,"message":"Too many requests"}'
        if url.path == "/auth":
            return 200, b'{"access_token":"made-up-token","expires_in":3600,"token_type":"bearer"}'
        if url.path == "/gateways":
            return 200, self._gateways
        if url.path == "/orders":
            counts.pages += 1
            asked = parse_qs(url.query)
            limit = min(int(asked.get("limit", ["20"])[0]), self.cap)
            return 200, self.bills.page(max(0, int(asked.get("page", ["1"])[0]) - 1) * limit, limit)
        counts.details += 1
        bill = self.bills.find(unquote(url.path.removeprefix("/orders/")))
        return (200, bill) if bill else (404, b'{"code":404,"message":"Order not found"}')


class Connection(asyncio.Protocol):
    """One client connection, kept open."""

    def __init__(self, shop: Shop) -> None:
        self._shop, self._received = shop, b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            at = head.lower().find(b"content-length:")
            body = int(head[at + 15 :].split(b"\r\n")[0]) if at >= 0 else 0
            if len(self._received) < end + 4 + body:
                return
            self._received = self._received[end + 4 + body :]
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            self._reply(*self._shop.answer(method, target))

    def _reply(self, status: int, body: bytes) -> None:
        wait = b"Retry-After: 1\r\n" if status == 429 else b""
        head = b"HTTP/1.1 %d OK\r\nDate: %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
        reply = head % (status, self._shop.date, wait, len(body)) + body
        counts = self._shop.counts
        if not self._shop.latency:
            self._transport.write(reply)
            return
        counts.in_flight += 1
        counts.most_in_flight = max(counts.most_in_flight, counts.in_flight)
        asyncio.get_running_loop().call_later(self._shop.latency, self._send_late, reply, counts)

    def _send_late(self, reply: bytes, counts: Counts) -> None:
        counts.in_flight -= 1
        self._transport.write(reply)


def options(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free; it is printed")
    parser.add_argument("--bills", type=int, default=100_000)
    parser.add_argument("--per-day", type=int, default=1_370, help="bills a day: how far back they reach")
    parser.add_argument("--new", type=int, default=0, help="bills that came since the first evening")
    parser.add_argument("--changed", type=int, default=0, help="open bills of then that are paid now, the newest")
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--rate-limit", type=float, default=0, help="requests a second; more get a 429")
    parser.add_argument("--page-cap", type=int, default=10_000, help="rows a page at most")
    return parser.parse_args(words)


async def serve(shop: Shop, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(shop), "127.0.0.1", port)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    chosen = options()
    asyncio.run(serve(Shop(chosen), chosen.port))
