"""Read one value of CashPay's: an amount, a state, a time, a text, a key. Exactly, or not at all, with the reason.

What is known of each is read in all its likely forms; what fits none of them, or two, is refused, never guessed.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import MAX_PREC, Context, Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from cashpay_pipeline.clock import BUSINESS_TIMEZONE

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


MOST_UNITS = 10**16
"""No amount has more than sixteen digits (M9): nobody pays so much, and hundreds of such bills still have a sum that a
BIGINT holds, so that one damaged amount cannot keep every table from being built."""


class BadRecordError(ValueError):
    """A record, or one field of it, that must not be counted; `reason` is a stable word."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


_WHOLE = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?", re.ASCII)
_EXACT = Context(prec=MAX_PREC)
"""Python's usual context keeps 28 digits, and would round the smallest fraction of a franc away."""


def parse_amount(value: Any, currency: str, field: str) -> int:
    """A sum of money in the currency's smallest unit.

    Takes `1500`, `"1500"`, `"1500.00"` and the JSON number `1500.0`. Everything else is refused: separators,
    exponents and other digits in a text, a fraction of the smallest unit, more than sixteen digits (M1-M9).

    Raises:
        BadRecordError: with the reason.
    """
    if type(value) is str and len(value) <= 15 and value.isascii() and value.isdigit():
        value = int(value)
    if type(value) is int and abs(value) < 10**14:  # nearly all there are, without a Decimal
        return int(value * 10 ** CURRENCY_DECIMALS[currency])
    if value is None or value == "":
        raise BadRecordError(field, "missing")
    is_number = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and _WHOLE.fullmatch(value)):
        raise BadRecordError(field, "not_a_number")
    number = Decimal(value)
    if not number.is_finite() or number.adjusted() > 18:
        raise BadRecordError(field, "too_large")
    smallest = number.scaleb(CURRENCY_DECIMALS[currency], _EXACT)
    if smallest != smallest.to_integral_value():
        raise BadRecordError(field, "fraction_of_smallest_unit")
    return storable(int(smallest), field)


def storable(units: int, field: str) -> int:
    """The same amount, where it is one that can be.

    Raises:
        BadRecordError: it has more than sixteen digits (M9).
    """
    if abs(units) >= MOST_UNITS:
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
    except BadRecordError:
        raise
    except (ValueError, OverflowError, KeyError, ArithmeticError, OSError):
        raise BadRecordError("date_create", "unreadable_time") from None
    raise BadRecordError("date_create", "unreadable_time")


def _text_time(text: str, zone: ZoneInfo) -> datetime:
    if text[4:5] != "-":  # which only ISO 8601 has there
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
    try:
        local = moment.astimezone(_LOME)
    except OverflowError:  # in the first and last hours of the calendar (T6)
        local = moment
    return datetime(local.year, local.month, local.day)  # noqa: DTZ001 - a day has no zone


def clean_text(value: Any) -> str | None:
    """Text for a column, None where it is blank: what is not told is no reference that bills could have in common.

    What DuckDB and spreadsheets cannot hold is replaced; the payload keeps the original.
    """
    if isinstance(value, str):
        if not value or value.isspace():
            return None
        if value.isascii() and "\0" not in value:
            return value
        # A lone half of a pair is spelled out: as "?" it would make two keys of bills the same.
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")  # as it is in the payload
    return str(value) if isinstance(value, int) else None


def key_text(value: Any, field: str) -> str:
    """A key: text, verbatim; a whole number is taken as its digits.

    Raises:
        BadRecordError: there is none, or it is blank.
    """
    text = clean_text(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
    if text is None:
        raise BadRecordError(field, "missing" if value is None or isinstance(value, str) else "not_text")
    return text
