"""The shapes that CashPay's data comes in, where one call means one thing. The list of bills is `pagination.py`'s."""

from collections.abc import Callable
from typing import Any

from cashpay_pipeline.decoding import JSON
from cashpay_pipeline.errors import BillNotFoundError, UnexpectedReplyError

GATEWAY_ENVELOPES = ("items", "data", "gateways", "results", "records")

Clean = Callable[[str], str]


def only_bill(body: JSON, clean: Clean, *, asked: str | None = None, key: str = "order_reference") -> dict[str, Any]:
    """The one bill of a reply, which may come as `{"items": [bill]}` [1 public] (Y19).

    Raises:
        BillNotFoundError: the reply holds no bill.
        UnexpectedReplyError: it holds several, or another one, or something else.
    """
    if isinstance(body, dict) and key not in body and isinstance(body.get("items"), list):
        match body["items"]:
            case []:
                raise BillNotFoundError("CashPay has no such bill.")
            case [only]:
                body = only
            case several:
                raise UnexpectedReplyError(f"Expected one bill, got {len(several)}.")
    if not isinstance(body, dict) or key not in body:
        raise UnexpectedReplyError(f"Expected a bill with {key}, got {shape(body, clean)}.")
    if asked is not None and str(body.get("order_reference", asked)) != asked:
        raise UnexpectedReplyError("CashPay sent another bill than the one asked for.")
    return body


def only_list(body: JSON, clean: Clean) -> list[dict[str, Any]]:
    """The objects of a bare array [5 public] or of a known envelope; an unknown shape is never an empty list (H2)."""
    found = body
    if isinstance(body, dict):
        found = next((body[name] for name in GATEWAY_ENVELOPES if isinstance(body.get(name), list)), body)
    if body is None:
        found = []
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise UnexpectedReplyError(f"Expected a list of payment gateways, got {shape(body, clean)}.")
    return found


def shape(body: JSON, clean: Clean) -> str:
    """What a reply looks like, without its values."""
    match body:
        case None:
            return "nothing"
        case dict():
            return f"an object with {clean(', '.join(body)) or 'no fields'}"
        case list():
            return f"a list of {len(body)}"
        case bool():
            return "a truth value"
        case str():
            return "a text"
    return "a number"
