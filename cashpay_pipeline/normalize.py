"""Turn CashPay's records into frames with declared dtypes; set bad ones aside with a reason. No I/O, no clock.

A record is one JSON object as it came, already masked (`privacy.py`). Field names are those of the bill object and the
gateway object as far as they are known; the forms of their values are the matter of `values.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pandas as pd

from cashpay_pipeline.clock import BUSINESS_TIMEZONE
from cashpay_pipeline.shapes import KEY_FIELDS
from cashpay_pipeline.values import (
    CURRENCY_DECIMALS,
    BadRecordError,
    business_date,
    clean_text,
    key_text,
    parse_amount,
    parse_state,
    parse_time,
    storable,
)

Record = Mapping[str, Any]
Source = Literal["list", "details", "callback"]

TEXT = "object"
TIME = "datetime64[us, UTC]"
DAY = "datetime64[s]"

BILL_DTYPES = {
    "order_reference": TEXT,
    "merchant_reference": TEXT,
    "code": TEXT,
    "state": TEXT,
    "state_raw": TEXT,
    "amount": "Int64",
    "received_amount": "Int64",
    "currency": TEXT,
    "created_at": TIME,
    "business_date": DAY,
    "description": TEXT,
    "client_key": TEXT,
    "client_phone_masked": TEXT,
    "gateway_reference": TEXT,
    "gateway_name": TEXT,
    "payment_count": "Int64",
    "bill_url": TEXT,
}
PAYMENT_DTYPES = {
    "order_reference": TEXT,
    "payment_number": "Int64",
    "thirdparty_reference": TEXT,
    "gateway_reference": TEXT,
    "gateway_name": TEXT,
    "amount": "Int64",
}
GATEWAY_DTYPES = {
    "gateway_reference": TEXT,
    "gateway_id": TEXT,
    "name": TEXT,
    "method": TEXT,
    "psp_name": TEXT,
    "logo_url": TEXT,
    "currency": TEXT,
}


@dataclass(frozen=True)
class Issue:
    """A record set aside: its position in what was given, and why."""

    index: int
    field: str
    reason: str


Content = tuple[tuple[Any, ...], tuple[tuple[Any, ...], ...]]
"""The typed values of a bill, in the order of `BILL_DTYPES`, and of its payments, in that of `PAYMENT_DTYPES`."""


Gateway = tuple[str | None, str | None]
"""Reference and name."""


@dataclass(frozen=True)
class NormalizedBills:
    """What `normalize_bills` gives.

    Attributes:
        contents: the typed values of each good record, by its position in the input.
        issues: the other records.
    """

    contents: dict[int, Content]
    issues: list[Issue]

    def bills(self, positions: Iterable[int] | None = None) -> pd.DataFrame:
        """One row a good record, dtypes `BILL_DTYPES`; all of them, or those at the positions given."""
        return frame([self.contents[p][0] for p in self._chosen(positions)], BILL_DTYPES)

    def payments(self, positions: Iterable[int] | None = None) -> pd.DataFrame:
        """One row a payment, dtypes `PAYMENT_DTYPES`."""
        return frame([row for p in self._chosen(positions) for row in self.contents[p][1]], PAYMENT_DTYPES)

    def _chosen(self, positions: Iterable[int] | None) -> Iterable[int]:
        return self.contents if positions is None else positions


def normalize_bills(records: Sequence[Record], *, source_timezone: str = BUSINESS_TIMEZONE) -> NormalizedBills:
    """Type bill records and their payments.

    Amounts are whole numbers of the currency's smallest unit (francs for XOF). Times are UTC; a time without
    an offset is read in `source_timezone`. `business_date` is the day in Africa/Lome.
    """
    zone = ZoneInfo(source_timezone)
    contents: dict[int, Content] = {}
    issues: list[Issue] = []
    for position, record in enumerate(records):
        try:
            contents[position] = _bill(record, zone)
        except BadRecordError as bad:
            issues.append(Issue(position, bad.field, bad.reason))
    return NormalizedBills(contents, issues)


def normalize_gateways(records: Iterable[Any]) -> tuple[pd.DataFrame, list[Issue]]:
    """Turn gateway records into one row a gateway, the last of its reference counting; bad ones become issues."""
    rows: dict[str, tuple[Any, ...]] = {}
    issues: list[Issue] = []
    for position, record in enumerate(records):
        if not isinstance(record, Mapping):
            issues.append(Issue(position, "gateway", "not_an_object"))
            continue
        try:
            reference = key_text(record.get("reference"), "reference")
        except BadRecordError as bad:
            issues.append(Issue(position, bad.field, bad.reason))
            continue
        psp = _object(record.get("psp"))
        rows[reference] = (
            reference,
            clean_text(record.get("id")),
            clean_text(record.get("libelle") or record.get("name")),
            clean_text(record.get("methode") or record.get("method")),
            clean_text(psp.get("libelle")),
            clean_text(record.get("logo_url") or psp.get("logo_url")),
            clean_text(record.get("currency")),
        )
    return frame(list(rows.values()), GATEWAY_DTYPES), issues


def order_reference(record: Any) -> str:
    """A bill's key: text, verbatim.

    Raises:
        BadRecordError: there is none, or it is blank.
    """
    if not isinstance(record, dict):
        raise BadRecordError("record", "not_an_object")
    field = KEY_FIELDS[0] if KEY_FIELDS[0] in record else KEY_FIELDS[1]
    return key_text(record.get(field), "order_reference")


def created_at(record: Any, zone: ZoneInfo) -> datetime | None:
    """When a bill was created, or None where that cannot be told."""
    try:
        return parse_time(record.get("date_create"), zone) if isinstance(record, dict) else None
    except BadRecordError:
        return None


def _bill(record: Record, zone: ZoneInfo) -> Content:
    key = order_reference(record)
    state_raw, state = parse_state(record.get("state"))
    currency = record.get("currency")
    if not isinstance(currency, str) or currency.strip().upper() not in CURRENCY_DECIMALS:
        raise BadRecordError("currency", "missing" if currency in (None, "") else "unknown_currency")
    currency = currency.strip().upper()
    amount = parse_amount(record.get("amount"), currency, "amount")
    created = parse_time(record.get("date_create"), zone)
    chosen = _gateway(record.get("gateway"))
    payments = [
        _payment(key, number, payment, currency, chosen)
        for number, payment in enumerate(_list(record.get("payments"), "payments"), start=1)
    ]
    received = _received(record, state, amount, currency, [p[-1] for p in payments])
    client = _object(record.get("client"))
    gateway_reference, gateway_name = _bill_gateway(chosen, payments)
    bill = (
        key,
        clean_text(record.get("merchant_reference")),
        clean_text(record.get("code")),
        state,
        state_raw,
        amount,
        received,
        currency,
        created,
        business_date(created),
        clean_text(record.get("description")),
        clean_text(client.get("client_key")),
        clean_text(client.get("phone")),
        gateway_reference,
        gateway_name,
        len(payments),
        clean_text(record.get("bill_url")),
    )
    return bill, tuple(payments)


def _payment(key: str, number: int, payment: Any, currency: str, chosen: Gateway) -> tuple[Any, ...]:
    """One payment. All that is evidenced of its gateway is the name; the bill's own of that name has the reference."""
    if not isinstance(payment, dict):
        raise BadRecordError("payments", "not_an_object")
    reference, name = _gateway(payment.get("gateway"))
    if reference is None and name is not None and name == chosen[1]:
        reference = chosen[0]
    amount = payment.get("amount")
    return (
        key,
        number,
        clean_text(payment.get("thirdparty_reference")),
        reference,
        name,
        None if amount is None else parse_amount(amount, currency, "payments.amount"),
    )


def _received(record: Record, state: str, amount: int, currency: str, paid: Sequence[int | None]) -> int | None:
    """What came in: as stated; else the sum of the payments; else what the state itself says; else unknown.

    List rows may well lack `received_amount` (it is evidenced for the callback only). Then `Paid`, "settled in full",
    means the amount billed, and `Pending`, unpaid, means nothing. The others say nothing: part of a bill can have been
    paid before it failed, lapsed or was canceled. They stay null until the details are read.
    """
    stated = record.get("received_amount")
    if stated is not None:
        return parse_amount(stated, currency, "received_amount")
    if paid and None not in paid:
        return storable(sum(p for p in paid if p is not None), "received_amount")
    if state == "Paid":
        return amount
    return 0 if state == "Pending" else None


def _gateway(value: Any) -> Gateway:
    gateway = _object(value)
    return clean_text(gateway.get("reference")), clean_text(gateway.get("libelle"))


def _bill_gateway(chosen: Gateway, payments: Sequence[tuple[Any, ...]]) -> Gateway:
    """The gateway of the last payment, else the one chosen for the bill; the name as of that reading (Y16)."""
    for payment in reversed(payments):
        if payment[3] or payment[4]:
            return payment[3], payment[4]
    return chosen


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any, field: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRecordError(field, "not_a_list")
    return value


def frame(rows: Sequence[tuple[Any, ...]], dtypes: Mapping[str, str]) -> pd.DataFrame:
    """A frame from rows, with the dtypes declared and none guessed, also when it is empty."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(dtypes)
    return pd.DataFrame(
        {
            name: pd.Series(list(values), dtype=dtype)
            for (name, dtype), values in zip(dtypes.items(), columns, strict=True)
        }
    )
