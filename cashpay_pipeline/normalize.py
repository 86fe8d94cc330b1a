"""Turn CashPay's records into frames with declared dtypes; set bad ones aside with a reason. No I/O, no clock.

A record is one JSON object as it came, already masked (`privacy.py`). Field names and forms are those of
the bill object and the gateway object as far as they are known; everything that is not known is read in all its
likely forms, and what fits none of them is an issue, never a guess.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import MAX_PREC, Context, Decimal
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pandas as pd

from cashpay_pipeline.clock import BUSINESS_TIMEZONE

Record = Mapping[str, Any]
Source = Literal["list", "details", "callback"]

OPEN_STATES = ("Pending", "Partial", "Unknown")
PAID_STATES = ("Paid", "Excess")
STATES = {
    "pending": "Pending",
    "partial": "Partial",
    "paid": "Paid",
    "excess": "Excess",
    "error": "Error",
    "canceled": "Canceled",
    "cancelled": "Canceled",
    "expired": "Expired",
}
"""The vendor's states (`Expired` is one public v3 integration's) and the one spelling that varies."""

CURRENCY_DECIMALS = {
    "XOF": 0,
    "XAF": 0,
    "GNF": 0,
    "EUR": 2,
    "USD": 2,
    "GHS": 2,
    "NGN": 2,
    "GBP": 2,
    "CHF": 2,
    "CAD": 2,
    "MAD": 2,
}
"""ISO 4217 exponents; CashPay's own plug-in knows XOF only."""

KEY_FIELD, OTHER_KEY_FIELD = "order_reference", "orderNum"
"""The other is the name that one public adapter uses."""

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


class BadRecordError(ValueError):
    """A record, or one field of it, that must not be counted; `reason` is a stable word."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True)
class Issue:
    """A record set aside: its position in what was given, and why."""

    index: int
    field: str
    reason: str


Content = tuple[tuple[Any, ...], tuple[tuple[Any, ...], ...]]
"""The typed values of a bill, in the order of `BILL_DTYPES`, and of its payments, in that of `PAYMENT_DTYPES`."""


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
            reference = _key(record.get("reference"), "reference")
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
    field = KEY_FIELD if KEY_FIELD in record else OTHER_KEY_FIELD
    return _key(record.get(field), "order_reference")


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
    payments = [
        _payment(key, number, payment, currency)
        for number, payment in enumerate(_list(record.get("payments"), "payments"), start=1)
    ]
    received = _received(record, state, amount, currency, [p[-1] for p in payments])
    client = _object(record.get("client"))
    gateway_reference, gateway_name = _bill_gateway(record, payments)
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


def _payment(key: str, number: int, payment: Any, currency: str) -> tuple[Any, ...]:
    if not isinstance(payment, dict):
        raise BadRecordError("payments", "not_an_object")
    gateway = _object(payment.get("gateway"))
    amount = payment.get("amount")
    return (
        key,
        number,
        clean_text(payment.get("thirdparty_reference")),
        clean_text(gateway.get("reference")),
        clean_text(gateway.get("libelle")),
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
        return sum(p for p in paid if p is not None)
    if state == "Paid":
        return amount
    return 0 if state == "Pending" else None


def _bill_gateway(record: Record, payments: Sequence[tuple[Any, ...]]) -> tuple[str | None, str | None]:
    """The gateway of the last payment, else the one chosen for the bill; the name as of that reading (Y16)."""
    for payment in reversed(payments):
        if payment[3] or payment[4]:
            return payment[3], payment[4]
    gateway = _object(record.get("gateway"))
    return clean_text(gateway.get("reference")), clean_text(gateway.get("libelle"))


_WHOLE = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?", re.ASCII)
_EXACT = Context(prec=MAX_PREC)
"""Python's usual context keeps 28 digits, and would round the smallest fraction of a franc away."""


def parse_amount(value: Any, currency: str, field: str) -> int:
    """A sum of money in the currency's smallest unit.

    Takes `1500`, `"1500"`, `"1500.00"` and the JSON number `1500.0`. Everything else is refused: separators,
    exponents and other digits in a text, a fraction of the smallest unit, more than BIGINT holds (M1-M9).

    Raises:
        BadRecordError: with the reason.
    """
    if type(value) is str and len(value) <= 15 and value.isascii() and value.isdigit():
        value = int(value)
    if type(value) is int and abs(value) < 10**15:  # nearly all there are, without a Decimal
        return int(value * 10 ** CURRENCY_DECIMALS[currency])
    if isinstance(value, bool) or value is None or value == "":
        raise BadRecordError(field, "missing" if value is None or value == "" else "not_a_number")
    if isinstance(value, int):
        number = Decimal(value)
    elif isinstance(value, Decimal):
        number = value
    elif isinstance(value, str) and _WHOLE.fullmatch(value):
        number = Decimal(value)
    else:
        raise BadRecordError(field, "not_a_number")
    if not number.is_finite() or number.adjusted() > 18:
        raise BadRecordError(field, "too_large")
    smallest = number.scaleb(CURRENCY_DECIMALS[currency], _EXACT)
    if smallest != smallest.to_integral_value():
        raise BadRecordError(field, "fraction_of_smallest_unit")
    units = int(smallest)
    if not -(2**63) <= units < 2**63:
        raise BadRecordError(field, "too_large")
    return units


def parse_state(value: Any) -> tuple[str | None, str]:
    """The wire's word and our state: spelling and accents are forgiven, a word we do not know is `Unknown`."""
    if value is None:
        return None, "Unknown"
    return _state(clean_text(value) or "")


@lru_cache(maxsize=1_000)
def _state(raw: str) -> tuple[str, str]:
    plain = "".join(c for c in unicodedata.normalize("NFKD", raw) if not unicodedata.combining(c))
    return raw, STATES.get(plain.strip().casefold(), "Unknown")


_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:[ T](\d{2}:\d{2}(?::\d{2})?))?", re.ASCII)
_DIGITS = re.compile(r"-?\d{1,16}(?:\.\d+)?", re.ASCII)
_ISO = re.compile(r"\d{4}(?:-\d{2}-\d{2}|\d{4}|-?W\d{2}(?:-?\d)?)(?:[Tt ].+)?", re.ASCII)
"""Python takes any character between day and time, also a digit: of 17 digits it would make some time or other."""
_COMPACT_FORMS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(value: Any, zone: ZoneInfo) -> datetime | None:
    """A moment, UTC, to the microsecond; None where there is none.

    Takes ISO 8601 with or without offset, blank for T, `Z`, PHP's date object, epoch seconds and milliseconds,
    and day/month/year where the day cannot be a month. No sample of `date_create` is known, hence all of them.

    Raises:
        BadRecordError: any other form, or one that can be read in two ways.
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            return _text_time(value, zone)
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            return _epoch_time(Decimal(value))
        if isinstance(value, Mapping) and isinstance(value.get("date"), str):
            return _php_time(value, zone)
    except (ValueError, OverflowError, KeyError, ArithmeticError, OSError) as error:
        if isinstance(error, BadRecordError):
            raise
        raise BadRecordError("date_create", "unreadable_time") from None
    raise BadRecordError("date_create", "unreadable_time")


def _text_time(text: str, zone: ZoneInfo) -> datetime:
    if text[4:5] == "-":  # as ISO 8601 has it, and no other form
        moment = _iso_time(text)
        return _utc(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    if _DIGITS.fullmatch(text):
        return _epoch_time(Decimal(text))
    if slashed := _SLASHED.fullmatch(text):
        day, month, year, clock = slashed.groups()
        if int(day) <= 12 and int(day) != int(month):
            raise BadRecordError("date_create", "ambiguous_time")
        text = f"{year}-{int(month):02}-{int(day):02}T{clock or '00:00:00'}"
    moment = _iso_time(text)
    return _utc(moment if moment.tzinfo else moment.replace(tzinfo=zone))


def _iso_time(text: str) -> datetime:
    if not _ISO.fullmatch(text):
        raise ValueError("not ISO 8601")
    return datetime.fromisoformat(text)


def _utc(moment: datetime) -> datetime:
    """The moment in UTC; the first and the last hours of the calendar, which mean "no time", stay as written (T6)."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment.replace(tzinfo=UTC)


def _epoch_time(number: Decimal) -> datetime:
    """Seconds have at most 11 digits until the year 5138; milliseconds have 12 to 14.

    20240305 is a second of 1970 or a day of 2024: refused, as are its longer forms.
    """
    if not number.is_finite() or number.adjusted() > 13:
        raise BadRecordError("date_create", "unreadable_time")
    if (form := _COMPACT_FORMS.get(number.adjusted() + 1)) and number > 0 and _is_date(str(int(number)), form):
        raise BadRecordError("date_create", "ambiguous_time")
    seconds = number if number.adjusted() <= 10 else number / 1000
    return _EPOCH + timedelta(microseconds=int(seconds * 1_000_000))


def _is_date(digits: str, form: str) -> bool:
    try:
        return 1990 <= datetime.strptime(digits, form).year < 2100  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False


def _php_time(value: Mapping[str, Any], zone: ZoneInfo) -> datetime:
    """`{"date": ..., "timezone_type": 1 offset | 2 abbreviation | 3 name, "timezone": ...}`."""
    name = value.get("timezone")
    moment = _iso_time(value["date"])
    if moment.tzinfo is not None:
        raise BadRecordError("date_create", "ambiguous_time")
    if isinstance(name, str) and re.fullmatch(r"[+-]\d{2}:?\d{2}", name):
        return _utc(moment.replace(tzinfo=datetime.fromisoformat(f"2000-01-01T00:00{name}").tzinfo))
    if isinstance(name, str) and name:
        zone = ZoneInfo("UTC" if name in ("Z", "UTC", "GMT") else name)
    return _utc(moment.replace(tzinfo=zone))


_LOME = ZoneInfo(BUSINESS_TIMEZONE)


def business_date(moment: datetime | None) -> datetime | None:
    """The day in Africa/Lome, as midnight without zone."""
    if moment is None:
        return None
    with suppress(OverflowError):  # in the first and last hours of the calendar (T6)
        moment = moment.astimezone(_LOME)
    return moment.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)


def clean_text(value: Any) -> str | None:
    """Text for a column: what DuckDB and spreadsheets cannot hold is replaced; the payload keeps the original."""
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:
            return value
        # A lone half of a pair is spelled out: as "?" it would make two keys of bills the same.
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, Decimal)) else None


def _key(value: Any, field: str) -> str:
    text = clean_text(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
    if text is None or not text.strip():
        raise BadRecordError(field, "missing" if value is None or isinstance(value, str) else "not_text")
    return text


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
