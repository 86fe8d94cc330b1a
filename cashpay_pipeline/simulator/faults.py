"""Faults on demand: which requests go wrong, and how.

A list of rules is set at runtime through the control API. Each rule says which requests it is for, how
many it lets pass first, how often it strikes, and what then happens. The first rule that fits a request
strikes; rules of kind `mutate` all apply and leave the request to the others.
"""

import gzip
import json
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any

from cashpay_pipeline.simulator.mutations import Mutation
from cashpay_pipeline.simulator.wire import Reply

WHOLE_REPLIES = ("reply", "error_200", "html", "empty_body", "redirect")
"""Kinds that answer in place of the API."""
SPOILT_REPLIES = (
    *("close", "hang", "drip", "truncated", "short_body", "slow"),
    *("latin1", "bom", "nan", "duplicate_key", "deep_nesting", "gzip_bomb"),
)
"""Kinds that spoil the API's own reply."""
KINDS = (*WHOLE_REPLIES, *SPOILT_REPLIES, "mutate", "pass")
"""Every kind; `pass` changes nothing but can move the clock with `advance`."""


@dataclass(frozen=True)
class Place:
    """What a rule is compared with: where a request goes and who makes it."""

    method: str
    path: str
    template: str
    page: int | None
    account: str | None
    references: frozenset[str] = frozenset()


@dataclass
class Rule:
    """One fault rule, as given to `POST /_simulator/faults`.

    Attributes:
        path: `/orders`, `/orders/{ref}`, `/orders/{ref}/status`, `/auth`, `/ping`, `/gateways`, an exact
            path such as `/orders/SANDBOX-1`, or `*`.
        kind: One of `KINDS`.
        method: HTTP method, if it matters.
        page: Page number of a list request, if it matters.
        account: Account, if it matters.
        contains: Order reference that the reply would hold, if it matters: a bill that breaks its page (H16).
        after: Lets so many fitting requests pass first.
        times: Strikes so often; None is for ever.
        probability: Chance of striking, decided by a seeded source.
        seed: Seed of that source.
        status: Status of the reply.
        headers: Further headers.
        body: Text, or a value to be sent as JSON.
        retry_after: Seconds for a `Retry-After` header, or `{"date_in": seconds}` for its date form.
        location: Target of a redirect.
        seconds: Real seconds that a `slow` reply waits, or between two bytes of a `drip`.
        megabytes: Size of an unpacked `gzip_bomb`.
        depth: Levels of `deep_nesting`.
        advance: Simulated seconds to move the clock by before the request is answered.
        mutate: Fields of `Mutation`, for kind `mutate`.
    """

    path: str = "*"
    kind: str = "reply"
    method: str | None = None
    page: int | None = None
    account: str | None = None
    contains: str | None = None
    after: int = 0
    times: int | None = 1
    probability: float = 1.0
    seed: int = 0
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    retry_after: Any = None
    location: str = "https://elsewhere.example.test/api/orders"
    seconds: float | None = None
    megabytes: int = 10
    depth: int = 10_000
    advance: float = 0.0
    mutate: dict[str, Any] = field(default_factory=dict)
    seen: int = field(default=0, init=False)
    struck: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of fault {self.kind!r}; known are: {', '.join(KINDS)}")
        self._random = Random(self.seed)
        wanted: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in self.mutate.items()
        }
        self.mutation = Mutation(**wanted)

    def is_due(self, place: Place) -> bool:
        """Count a request, and return whether the rule is due to strike it."""
        if not self._fits(place):
            return False
        self.seen += 1
        is_due = self.seen > self.after and (self.times is None or self.struck < self.times)
        return is_due and self._random.random() < self.probability

    def _fits(self, place: Place) -> bool:
        return (
            self.path in ("*", place.template, place.path)
            and self.method in (None, place.method)
            and self.page in (None, place.page)
            and self.account in (None, place.account)
            and (self.contains is None or self.contains in place.references)
        )


def parse_rules(rules: list[dict[str, Any]]) -> list[Rule]:
    """Return rules from their JSON form.

    Raises:
        ValueError: An unknown field or kind.
    """
    known = {one.name for one in fields(Rule) if one.init}
    for rule in rules:
        unknown = sorted(set(rule) - known)
        if unknown:
            raise ValueError(f"unknown field {unknown[0]!r} in a fault rule; known are: {', '.join(sorted(known))}")
    return [Rule(**rule) for rule in rules]


def choose(rules: list[Rule], place: Place) -> tuple[Rule | None, list[Mutation]]:
    """Return the rule that strikes a request, if any, and the changes to its rows.

    Every fitting rule counts the request, also those that come after the one that strikes.
    """
    due = [rule for rule in rules if rule.is_due(place)]
    changing = [rule for rule in due if rule.kind == "mutate"]
    striking = [rule for rule in due if rule.kind != "mutate"][:1]
    for rule in changing + striking:
        rule.struck += 1
    mutations = [mutation for rule in changing + striking if (mutation := _row_mutation(rule))]
    return (striking[0] if striking else None), mutations


def replacing_reply(rule: Rule, now: datetime) -> Reply:
    """Return the reply that a rule gives in place of the API's."""
    json_type = {"Content-Type": "application/json"}
    if rule.kind == "html":
        page = rule.body or "<!DOCTYPE html><html><body><h1>Service unavailable</h1></body></html>"
        reply = Reply(rule.status or 200, str(page).encode(), {"Content-Type": "text/html; charset=utf-8"})
    elif rule.kind == "error_200":
        body = rule.body or {"status": "error", "message": "Internal error"}
        reply = Reply(rule.status or 200, _encoded(body), json_type)
    elif rule.kind == "empty_body":
        reply = Reply(rule.status or 200, b"", json_type)
    elif rule.kind == "redirect":
        reply = Reply(rule.status or 302, b"", {"Location": rule.location})
    else:
        status = rule.status or 500
        body = {"status": "error", "message": f"Simulated {status}"} if rule.body is None else rule.body
        reply = Reply(status, b"" if status == 204 else _encoded(body), json_type)
    reply.headers |= rule.headers
    if rule.retry_after is not None:
        reply.headers["Retry-After"] = _retry_after(rule.retry_after, now)
    return reply


def spoil(rule: Rule, reply: Reply) -> Reply:
    """Return the API's own reply, spoilt as the rule says."""
    if rule.kind in ("close", "hang", "drip", "truncated", "short_body"):
        reply.manner = rule.kind
        reply.pace = reply.pace if rule.seconds is None else rule.seconds
    elif rule.kind == "slow":
        reply.delay = 1.0 if rule.seconds is None else rule.seconds
    elif rule.kind == "latin1":
        reply.body = reply.body.decode().encode("latin-1", errors="replace")
    elif rule.kind == "bom":
        reply.body = b"\xef\xbb\xbf" + reply.body
    elif rule.kind == "deep_nesting":
        reply.body = b'{"items":' + b"[" * rule.depth + b"]" * rule.depth + b',"total":1}'
    elif rule.kind == "gzip_bomb":
        reply.body = gzip.compress(b'{"items":[' + b" " * (rule.megabytes * 1_000_000) + b"]}", mtime=0)
        reply.headers["Content-Encoding"] = "gzip"
    reply.headers |= rule.headers
    reply.status = rule.status or reply.status
    return reply


def _row_mutation(rule: Rule) -> Mutation | None:
    """Return what a rule changes in the rows of a reply, if anything."""
    if rule.kind == "mutate":
        return rule.mutation
    if rule.kind == "nan":
        return Mutation(every=1_000_000, set_raw={"amount": "NaN"})
    if rule.kind == "duplicate_key":
        return Mutation(every=1_000_000, duplicate_keys={"amount": '"1"'})
    return None


def _encoded(body: Any) -> bytes:
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def _retry_after(wanted: Any, now: datetime) -> str:
    if isinstance(wanted, dict):
        return format_datetime(now + timedelta(seconds=wanted["date_in"]), usegmt=True)
    return str(wanted)
