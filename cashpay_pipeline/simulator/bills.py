"""A bill and everything that ever happens to it.

A bill holds its first content and a list of dated events. What it looks like at a moment is the first
content with the events up to then laid over it: a pure function of the clock.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from cashpay_pipeline.simulator.gateways import GatewayBook


class Payment(NamedTuple):
    """Money that reached a bill through a gateway."""

    at: datetime
    thirdparty_reference: str
    amount: int
    gateway_reference: str


class Event(NamedTuple):
    """From `at` on the bill has these fields."""

    at: datetime
    fields: dict[str, Any]


@dataclass(slots=True, eq=False)
class Bill:
    """One bill of the simulated shop.

    Attributes:
        reference: `order_reference`, the only key (cashpay-api, section 4.2).
        created_at: What `date_create` says.
        first: Content at creation, by wire field name, values in canonical form.
        events: What happens later, oldest first.
        visible_from: When the list begins to show it; later than `created_at` for a late arrival.
        deleted_at: When it disappears, if ever.
        terminal: The terminal it was made on, for the list's `terminal` parameter.
        callback_url: Where changes are announced, if anywhere.
    """

    reference: str
    created_at: datetime
    first: dict[str, Any]
    events: list[Event]
    visible_from: datetime
    deleted_at: datetime | None = None
    terminal: str | None = None
    callback_url: str | None = None
    sort_key: tuple[datetime, str] = field(init=False)

    def __post_init__(self) -> None:
        self.redate(self.created_at)

    def redate(self, created_at: datetime) -> None:
        """Give the bill another creation date."""
        self.created_at = created_at
        self.sort_key = (created_at, self.reference)

    def is_listed(self, now: datetime) -> bool:
        """Whether the API shows the bill at a moment."""
        return self.visible_from <= now and (self.deleted_at is None or now < self.deleted_at)

    def updated_at(self, now: datetime) -> datetime:
        """Return the time of the last change up to a moment."""
        return max((event.at for event in self.events if event.at <= now), default=self.created_at)

    def fields_at(self, now: datetime) -> dict[str, Any]:
        """Return the raw content at a moment; payments are still `Payment` values."""
        content = dict(self.first)
        for event in self.events:
            if event.at > now:
                break
            content.update(event.fields)
        return content

    def content(self, now: datetime, gateways: GatewayBook) -> dict[str, Any]:
        """Return the full record at a moment in canonical form: whole amounts, ISO dates in UTC."""
        content = self.fields_at(now)
        content["payments"] = _shown(content["payments"], gateways)
        return {"order_reference": self.reference, "date_create": self.created_at.isoformat(), **content}

    def add_event(self, at: datetime, fields: dict[str, Any]) -> None:
        """Record a change, keeping events in order of time."""
        self.events.append(Event(at, fields))
        self.events.sort(key=lambda event: event.at)

    def history(self, now: datetime) -> list[dict[str, Any]]:
        """Return each change of state or money up to a moment, the creation first; two at the same moment are two."""
        rows: list[dict[str, Any]] = []
        content: dict[str, Any] = {}
        for at, fields in ((self.created_at, self.first), *((e.at, e.fields) for e in self.events if e.at <= now)):
            content = {**content, **fields}
            row = {name: content.get(name) for name in ("state", "amount", "received_amount")}
            if not rows or any(rows[-1][name] != value for name, value in row.items()):
                rows.append({"at": at.isoformat(), **row})
        if self.deleted_at is not None and self.deleted_at <= now:
            rows.append({**rows[-1], "at": self.deleted_at.isoformat(), "state": "(deleted)"})
        return rows


def _shown(payments: Any, gateways: GatewayBook) -> Any:
    if not isinstance(payments, tuple):
        return payments  # set by hand through the control API: served as it is
    return [
        {
            "thirdparty_reference": one.thirdparty_reference,
            "amount": one.amount,
            "gateway": {
                "reference": one.gateway_reference,
                "libelle": gateways.label(one.gateway_reference, one.at),
            },
        }
        for one in payments
    ]


def bill_as_json(bill: Bill) -> dict[str, Any]:
    """Return a bill for the state file."""
    return {
        "reference": bill.reference,
        "created_at": bill.created_at.isoformat(),
        "visible_from": bill.visible_from.isoformat(),
        "deleted_at": bill.deleted_at.isoformat() if bill.deleted_at else None,
        "terminal": bill.terminal,
        "callback_url": bill.callback_url,
        "first": _saved_fields(bill.first),
        "events": [[event.at.isoformat(), _saved_fields(event.fields)] for event in bill.events],
    }


def bill_from_json(saved: dict[str, Any]) -> Bill:
    """Return the bill that `bill_as_json` described."""
    moment = datetime.fromisoformat
    return Bill(
        reference=saved["reference"],
        created_at=moment(saved["created_at"]),
        first=_loaded_fields(saved["first"]),
        events=[Event(moment(at), _loaded_fields(fields)) for at, fields in saved["events"]],
        visible_from=moment(saved["visible_from"]),
        deleted_at=moment(saved["deleted_at"]) if saved["deleted_at"] else None,
        terminal=saved["terminal"],
        callback_url=saved["callback_url"],
    )


def _saved_fields(fields: dict[str, Any]) -> dict[str, Any]:
    payments = fields.get("payments")
    if not isinstance(payments, tuple):
        return fields
    return {**fields, "payments": {"paid": [[one.at.isoformat(), *one[1:]] for one in payments]}}


def _loaded_fields(fields: dict[str, Any]) -> dict[str, Any]:
    payments = fields.get("payments")
    if not isinstance(payments, dict) or list(payments) != ["paid"]:
        return fields
    paid = tuple(Payment(datetime.fromisoformat(at), *rest) for at, *rest in payments["paid"])
    return {**fields, "payments": paid}
