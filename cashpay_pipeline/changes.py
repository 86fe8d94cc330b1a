"""Tell whether a reading says anything new about a bill. Pure functions over records; no I/O, no clock.

Lists and details may show the same bill in different fullness and different forms ("1500" here, 1500 there). A
reading is therefore laid over what is known, and only a difference in content makes a new version.
"""

import codecs
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

import orjson

from cashpay_pipeline.forms import Form, form_of
from cashpay_pipeline.normalize import Record, Source
from cashpay_pipeline.values import parse_state

MODELLED_FIELDS = frozenset(
    {"order_reference", "merchant_reference", "code", "state", "amount", "received_amount", "currency"}
    | {"date_create", "description", "client", "gateway", "payments", "bill_url"}
)
"""Fields with a typed column: compared by their typed values, so that a change of form is no change."""

PAYMENT_FIELDS = ("received_amount", "payments")
OPTIONAL_FIELDS = ("merchant_reference", "code", "date_create", "description", "client", "gateway", "bill_url")
"""Where one of these is blank, and known, it is not mentioned."""
OUTDATED = "outdated:"
"""Before the fingerprint of what a source showed last, once the other has told something new."""
PAID_STATES = ("Paid", "Excess")
GIVEN_UP = ("Canceled", "Expired", "Error")
MOVING_STATES = ("Partial", "Excess", "Unknown")
"""In these, money comes and goes without another state: a row of the list without sums says nothing about it."""


class Reading(NamedTuple):
    """One bill as it was read once.

    Attributes:
        order_reference: the key.
        record: the masked record.
        source: where it was read.
        asked_at: when CashPay was asked for it, UTC: it is known as it stood then or later.
        observed_at: when it came, UTC.
        state: our word for its state.
        tells_money: whether it says what the bill has received, even if only by its state.
        tells_content: whether it says both, a state that we know and the money, itself.
        payload: the record exactly as read, as text.
        digest: fingerprint of that text.
        form: the form it came in, and how many customers in it were given a key: records alike in both have one form.
    """

    order_reference: str
    record: Record
    source: Source
    asked_at: datetime
    observed_at: datetime
    state: str
    tells_money: bool
    tells_content: bool
    payload: str
    digest: str
    form: tuple[Form, int]

    @property
    def tells_again(self) -> bool:
        """Whether it tells the money also of a bill that was in this state before.

        Of a settled one only a sum does, for money can have gone back meanwhile.
        """
        if self.source != "list" or self.state == "Pending":
            return True
        return _names_sums(self.record) if self.state in GIVEN_UP else tells_sums(self.record)


def read(
    order_reference: str,
    record: Record,
    source: Source,
    asked_at: datetime,
    observed_at: datetime,
    form: Form | None = None,
) -> Reading:
    """Make a reading of a masked record; `form` is the one it had before masking, where the caller knows it."""
    text = payload(record)
    state = parse_state(record.get("state"))[1]
    names_money = state not in MOVING_STATES or tells_sums(record)
    return Reading(
        order_reference,
        record,
        source,
        asked_at,
        observed_at,
        state,
        tells_money=source != "list" or names_money,
        tells_content=names_money and state != "Unknown",
        payload=text,
        digest=digest(text),
        form=(form or form_of(record), text.count('"client_key":')),
    )


def payload(record: Any) -> str:
    """The record as JSON text, keys sorted, ASCII; a number with a point becomes text, so that no digit is lost."""
    try:
        text = orjson.dumps(record, default=_digits, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:  # numbers of more than 64 bits, halves of letters
        return _ENCODER.encode(record)
    if "\x7f" in text:  # plain to Python's codec, and not to its encoder
        return _ENCODER.encode(record)
    return text if text.isascii() else text.encode("ascii", _ESCAPED).decode()


def record_of(text: str) -> Any:
    """The record of a payload, with all its digits."""
    return json.loads(text, parse_float=Decimal)


def _escape(letters: UnicodeError) -> tuple[str, int]:
    assert isinstance(letters, UnicodeEncodeError)
    return encode_basestring_ascii(letters.object[letters.start : letters.end])[1:-1], letters.end


_ESCAPED = "cashpay_pipeline.json"
codecs.register_error(_ESCAPED, _escape)


def digest(text: str) -> str:
    """Fingerprint of a text: 128 bits, in hex."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def overlay(known: Record, reading: Reading) -> dict[str, Any]:
    """The known content with the reading laid over it.

    What a poorer reading does not mention stays, and what is blank is not mentioned, nor are empty sums or payments in
    the list where some are known: whether they are gone or were never filled in, the details tell. With two exceptions:
    when the state has changed, sums and payments of before say nothing about now, unless the bill was given up with
    what it had received; and of the sum and its payments, the one that is not told goes where the other is new and does
    not agree with it.
    """
    untold = [f for f in PAYMENT_FIELDS if reading.record.get(f) is None or _is_doubtful(f, known, reading)]
    untold += [f for f in (*OPTIONAL_FIELDS, "state") if _is_blank(reading.record.get(f))]
    told = {k: v for k, v in reading.record.items() if k not in untold}
    if isinstance(client := told.get("client"), Mapping):
        told["client"] = {k: v for k, v in client.items() if not _is_blank(v)}
    merged = _laid_over(known, told)
    if _names_another(known.get("gateway"), told.get("gateway")):
        merged["gateway"] = told["gateway"]
    before, after = parse_state(known.get("state"))[1], parse_state(merged.get("state"))[1]
    is_another = _is_another_state(known, merged) and not (before == "Partial" and after in GIVEN_UP)
    is_news = any(f in told and _is_other_money(told[f], known.get(f)) for f in PAYMENT_FIELDS)
    if is_another or (is_news and not _adds_up(merged)):
        for field in PAYMENT_FIELDS:
            if field not in told:
                merged.pop(field, None)
    return merged


def leaves_money_open(known: Record, merged: Record, reading: Reading) -> bool:
    """Whether a row of the list leaves it to the details what the bill has received.

    It does where it lost or doubted what was known, or brought a new state that does not say it: a bill that was given
    up with nothing may have received a part since it was read last, where the list never fills in sums.
    """
    if reading.source != "list":
        return False
    if known and any(
        (not _is_nothing(known.get(f)) and f not in merged) or _is_doubtful(f, known, reading) for f in PAYMENT_FIELDS
    ):
        return True
    if reading.state in ("Pending", "Paid") or not _is_another_state(known, merged):
        return False
    return not (tells_sums(reading.record) if known else _names_sums(reading.record))


def tells_sums(record: Record) -> bool:
    """Whether a record names a sum received or a payment."""
    return not all(_is_nothing(record.get(f)) for f in PAYMENT_FIELDS)


def _names_sums(record: Record) -> bool:
    """The same, where nothing received is told, too."""
    return any(record.get(f) is not None for f in PAYMENT_FIELDS)


def _is_another_state(known: Record, merged: Record) -> bool:
    """By our word for it; of two that we do not know, by CashPay's."""
    (raw, before), (raw_now, now) = parse_state(known.get("state")), parse_state(merged.get("state"))
    return before != now or (now == "Unknown" and raw != raw_now)


def _money(value: Any) -> Any:
    """A sum, or the amounts of payments, in one form; None where that is not told."""
    if isinstance(value, list):
        amounts = [_one_form(p.get("amount")) if isinstance(p, Mapping) else None for p in value]
        return None if None in amounts else amounts
    return _one_form(value)


def _is_other_money(told: Any, known: Any) -> bool:
    """Whether a sum or payments are other ones than those known; no payments are no news where none were told."""
    money = _money(told)
    return money is not None and money != _money(known) and not (money == [] and known is None)


def _adds_up(record: Record) -> bool:
    """Whether the payments named make up the sum named."""
    payments, received = _money(record.get("payments")), _money(record.get("received_amount"))
    try:
        return sum(map(Decimal, payments)) == Decimal(received)
    except (TypeError, ArithmeticError):  # something is not told, or is no number
        return False


def _names_another(known: Any, told: Any) -> bool:
    """Whether two gateways have references that differ, or names where one has no reference: nothing is common then."""
    if not (isinstance(known, Mapping) and isinstance(told, Mapping)):
        return False
    by = "libelle" if _is_blank(told.get("reference")) else "reference"
    return not (_is_blank(told.get(by)) or _is_blank(known.get(by)) or told[by] == known[by])


def _is_doubtful(field: str, known: Record, reading: Reading) -> bool:
    told = reading.record.get(field)
    return reading.source == "list" and told is not None and _is_nothing(told) and not _is_nothing(known.get(field))


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_nothing(value: Any) -> bool:
    """No sum, no payment, or zero in any of its forms."""
    return not value or (isinstance(value, (str, Decimal)) and not str(value).strip("0. "))


def other_content(record: Record) -> str:
    """The fields without a typed column, in one form whatever the wire's."""
    return payload({k: _one_form(v) for k, v in record.items() if k not in MODELLED_FIELDS})


def is_paid(state: str) -> bool:
    """Whether the customer owes nothing more."""
    return state in PAID_STATES


def _laid_over(known: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(known)
    for name, value in new.items():
        old = merged.get(name)
        merged[name] = _laid_over(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _one_form(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _one_form(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_one_form(v) for v in value]
    if isinstance(value, (int, Decimal, str)) and not isinstance(value, bool):
        text = _digits(value) if isinstance(value, Decimal) else str(value)
        return format(Decimal(text).normalize(), "f") if _NUMBER.fullmatch(text) else text
    return value


_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,9})?", re.ASCII)
"""What is a number however it is written; "0012" is not "12", and 27 digits are what `normalize` keeps exactly."""


def _digits(value: Any) -> str:
    """All digits of a number, without an exponent: 1.2E+7, as Java writes it, must be readable as an amount again."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_digits)
