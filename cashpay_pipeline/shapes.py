"""The shapes that CashPay's data comes in; an unknown one is an error, never an empty answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cashpay_pipeline.decoding import JSON
from cashpay_pipeline.errors import BillNotFoundError, UnexpectedReplyError

KEY_FIELDS = ("order_reference", "orderNum")
"""What a bill's key is called; the other name is that of one public adapter (D4)."""
LIST_ENVELOPES = ("items", "data", "orders", "bills", "results", "records", "content", "hydra:member", "member")
TOTAL_FIELDS = ("total", "count", "totalRecords", "totalElements", "hydra:totalItems", "totalItems", "total_count")
GATEWAY_ENVELOPES = ("items", "data", "gateways", "results", "records")

Clean = Callable[[str], str]


def find_records(body: Any, clean: Clean, *, where: str = "") -> tuple[str, list[Any], int | None]:
    """The rows of a list reply, whatever its envelope: the shape's name, the rows, and the total if it is usable.

    Args:
        body: the reply.
        clean: masks a text of the server's.
        where: the place, for an error.

    Raises:
        UnexpectedReplyError: there is no list that we know; never read as an empty one.
    """
    if isinstance(body, list):
        return "[...]", _rows(body, where), None
    if isinstance(body, Mapping):
        embedded = body.get("_embedded")
        for holder, prefix in ((body, ""), (embedded if isinstance(embedded, Mapping) else {}, "_embedded.")):
            for name in LIST_ENVELOPES:
                if isinstance(holder.get(name), list):
                    rows = _rows(holder[name], where)
                    return f"{{{prefix}{name}: [...]}}", rows, _total(body, rows)
    raise UnexpectedReplyError(f"Expected a list of bills, got {shape(body, clean)}.", where=where)


def _rows(rows: list[Any], where: str) -> list[Any]:
    if rows and not any(isinstance(r, Mapping) for r in rows):
        raise UnexpectedReplyError(f"Expected bills, got a list of {type(rows[0]).__name__}.", where=where)
    return rows


def _total(body: Mapping[str, Any], rows: list[Any]) -> int | None:
    """A total that can be used: a whole number, also as text; null, other text, and fewer than the rows are not."""
    meta = body.get("meta")
    for holder in (body, meta if isinstance(meta, Mapping) else {}):
        value = next((holder[f] for f in TOTAL_FIELDS if holder.get(f) is not None), None)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= len(rows):
            return value
    return None


def only_bill(body: JSON, clean: Clean, *, asked: str | None, fields: Sequence[str]) -> dict[str, Any]:
    """The one bill of a reply, which may come as `{"items": [bill]}` [1 public] (Y19).

    Args:
        body: the reply.
        clean: masks a text of the server's.
        asked: the key of the bill that was asked for, if one was.
        fields: by any of these a bill is recognised.

    Raises:
        BillNotFoundError: the reply holds no bill.
        UnexpectedReplyError: it holds several, or another one, or something else.
    """
    if isinstance(body, dict) and not {*fields} & body.keys() and isinstance(body.get("items"), list):
        match body["items"]:
            case []:
                raise BillNotFoundError("CashPay has no such bill.")
            case [only]:
                body = only
            case several:
                raise UnexpectedReplyError(f"Expected one bill, got {len(several)}.")
    if not isinstance(body, dict) or not {*fields} & body.keys():
        raise UnexpectedReplyError(f"Expected a bill with {fields[0]}, got {shape(body, clean)}.")
    told = next((body[name] for name in KEY_FIELDS if name in body), asked)
    if asked is not None and str(told) != asked:
        raise UnexpectedReplyError("CashPay sent another bill than the one asked for.")
    return body


def only_list(body: JSON, clean: Clean) -> tuple[list[dict[str, Any]], int | None]:
    """The objects of a bare array [5 public] or of a known envelope, and the total that it names, if it is usable.

    Raises:
        UnexpectedReplyError: an unknown shape, which is never an empty list (H2).
    """
    found = body
    if isinstance(body, dict):
        found = next((body[name] for name in GATEWAY_ENVELOPES if isinstance(body.get(name), list)), body)
    if body is None:
        found = []
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise UnexpectedReplyError(f"Expected a list of payment gateways, got {shape(body, clean)}.")
    return found, _total(body, found) if isinstance(body, dict) else None


def shape(body: JSON, clean: Clean) -> str:
    """What a reply looks like, without its values: an object by its first fields."""
    match body:
        case None:
            return "nothing"
        case dict():
            return f"an object with {clean(', '.join([*body][:8])) or 'no fields'}"
        case list():
            return f"a list of {len(body)}"
        case bool():
            return "a truth value"
        case str():
            return "a text"
    return "a number"
