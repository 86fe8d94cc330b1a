"""Changes to bills from outside: made by hand, by a script, or by a customer on the pay page."""

import zlib
from datetime import datetime, timedelta
from random import Random
from typing import Any

from cashpay_pipeline.simulator.account import Account
from cashpay_pipeline.simulator.bills import Bill, Payment
from cashpay_pipeline.simulator.options import parse_moment
from cashpay_pipeline.simulator.outcomes import pick_gateway
from cashpay_pipeline.simulator.shop import LINK_BASE, bill_links

_NOT_CONTENT = ("order_reference", "date_create", "at", "visible_from", "callback_url", "terminal")


def put_bill(account: Account, now: datetime, fields: dict[str, Any], link_base: str = LINK_BASE) -> Bill:
    """Create a bill, or merge fields into one from now on.

    A state that means money (Paid, Partial, Excess) brings a payment with it, unless the fields
    say otherwise. A deleted bill comes back. Values are taken as they are, so that bad ones can be served too.

    Args:
        account: The account whose bill it is.
        now: The simulated time.
        fields: Wire fields in canonical form. Special: `order_reference` (which bill; a new one if absent
            or unknown), `date_create` (gives it this creation date), `at` (when the change happens, also
            in the future), `visible_from` (a new bill appears in the list only then).
        link_base: Where the bill's links lead.

    Raises:
        ValueError: A moment that cannot be read, or a bill that is still to come.
    """
    world = account.world
    at = _moment(fields.get("at"), now)
    bill = world.find(str(fields.get("order_reference")))
    if bill is not None and bill.deleted_at is not None and bill.deleted_at <= now:
        world.restore(bill)
    elif bill is not None and not bill.is_listed(now):
        raise ValueError(f"bill {bill.reference!r} is still to come")
    if bill is None:
        bill = _new_bill(account, now, fields, link_base)
        world.add(bill)
        changes = {"state": fields["state"]} if fields.get("state", "Pending") != "Pending" else {}
    else:
        if "date_create" in fields:
            world.redate(bill, _moment(fields["date_create"], now))
        changes = _content(fields)
    bill.callback_url = fields.get("callback_url", bill.callback_url)
    bill.terminal = fields.get("terminal", bill.terminal)
    if changes:
        bill.add_event(at, _with_payment(bill, at, changes, fields))
    world.touch(bill)
    return bill


def _new_bill(account: Account, now: datetime, fields: dict[str, Any], link_base: str) -> Bill:
    reference = str(fields.get("order_reference") or account.new_reference())
    created = _moment(fields.get("date_create"), now.replace(microsecond=0))
    first = {
        "merchant_reference": None,
        "code": str(140_000 + zlib.crc32(reference.encode()) % 60_000),
        "state": "Pending",
        "amount": 1500,
        "received_amount": 0,
        "currency": "XOF",
        "description": None,
        **bill_links(reference, link_base),
        "client": {"phone": "+22800000001", "lastname": "EXEMPLE", "firstname": "Client"},
        "payments": (),
        **{name: value for name, value in _content(fields).items() if name != "state"},
    }
    visible_from = _moment(fields.get("visible_from"), now)
    return Bill(reference, created, first, [], visible_from=visible_from)


def _with_payment(bill: Bill, at: datetime, changes: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """Return the changes with the payment that a paid state implies."""
    if changes.get("state") not in ("Paid", "Partial", "Excess") or "payments" in fields:
        return changes
    before = {**bill.fields_at(at), **changes}
    amount, payments = before["amount"], bill.fields_at(at)["payments"]
    if not isinstance(amount, int) or not isinstance(payments, tuple):
        return changes
    had = sum(payment.amount for payment in payments)
    whole = {"Paid": amount, "Excess": amount + 500, "Partial": had + (amount - had) // 2}
    received = fields.get("received_amount", whole[str(changes["state"])])
    if not isinstance(received, int) or received <= had:
        return {**changes, "received_amount": received}
    number = zlib.crc32(f"{bill.reference} {len(payments)}".encode())
    payment = Payment(at, f"TP-{number:012d}", received - had, pick_gateway(Random(number)))
    return {**changes, "received_amount": received, "payments": (*payments, payment)}


def _content(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in _NOT_CONTENT}


def _moment(value: Any, default: datetime) -> datetime:
    return default if value is None else parse_moment(str(value))


def pay_after(bill: Bill, at: datetime, seconds: int) -> None:
    """Let a bill be paid in full some time after it was made."""
    due = at + timedelta(seconds=seconds)
    bill.add_event(due, _with_payment(bill, due, {"state": "Paid"}, {}))
