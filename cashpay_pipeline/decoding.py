"""Bytes to JSON, exactly: no float, no silently dropped key, no destroyed letter. Knows nothing of HTTP or of bills.

What Python's own parser would accept in silence is marked instead, so that one bad bill can be set aside (Y10, Y11)
while its page goes on: `forms.py` tells what is wrong with a record.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import orjson

from cashpay_pipeline.errors import UnexpectedReplyError
from cashpay_pipeline.forms import DuplicateKeys, NonFinite

JSON = dict[str, Any] | list[Any] | str | int | Decimal | bool | None

DEEPEST_NESTING = 100
MOST_DIGITS = 400  # 1e308 is the largest number other JSON readers can hold
LATIN_1_WARNING = "a reply was not UTF-8 and was read as Latin-1"


class NotJSONError(UnexpectedReplyError):
    """The bytes are not JSON: cut off, or something else altogether."""


def decode_json(raw: bytes, warnings: list[str] | None = None) -> JSON:
    """Read a reply's bytes.

    UTF-8, with or without a byte order mark (Y13). Anything else is read as Latin-1, which loses no byte, and adds
    a line to `warnings` (Y12). Whole numbers become `int`, others `Decimal`.

    Raises:
        NotJSONError: it is no JSON.
        UnexpectedReplyError: it is nested too deeply to be a reply of CashPay's (Y15).
    """
    plain = _plain(raw)
    if plain is not None:
        return plain
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
        if warnings is not None:
            warnings.append(LATIN_1_WARNING)
    try:
        value: JSON = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotJSONError(f"Not JSON: {error.msg} at character {error.pos} of {len(text)}.") from None
    except RecursionError:
        _refuse_depth()
    except ValueError:  # Python reads no integer of more than 4,300 digits
        value = _DECODER_OF_LONG_NUMBERS.decode(text)
    if _depth_exceeds(value, DEEPEST_NESTING):
        _refuse_depth()
    return value


def _plain(raw: bytes) -> JSON:
    """What `orjson` reads, in a third of the time; None where it may have lost a digit or a key, or refuses the bytes.

    It would round a number with a point, or with more than 64 bits, to a float: then there is one. Of two equal keys it
    keeps one: then there are fewer keys than `":` in the bytes, which, without blanks, have one for each key at least.
    """
    try:
        value: JSON = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    keys = 0
    level: list[Any] = [[value]]
    for _ in range(DEEPEST_NESTING + 1):
        keys += sum([len(box) for box in level if type(box) is dict])
        level = [
            child
            for box in level
            for child in (box.values() if type(box) is dict else box)
            if type(child) in _NOT_PLAIN
        ]
        if float in map(type, level):
            return None
        if not level:
            return value if keys == raw.translate(None, b" \t\r\n").count(b'":') else None
    return None


_NOT_PLAIN = frozenset({dict, list, float})


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Costs 0.1 ms on a page of 100 bills: cheap enough to look at every object."""
    record = dict(pairs)
    return record if len(record) == len(pairs) else DuplicateKeys(record)


def _fraction(text: str) -> Decimal | NonFinite:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return NonFinite(text)
    # An exponent is short to write: int() of 1e999999999 would take all memory.
    return number if abs(number.adjusted()) < MOST_DIGITS else NonFinite(text)


def _integer(text: str) -> int | NonFinite:
    return int(text) if len(text) < MOST_DIGITS else NonFinite(text)


_BOXES = (dict, list)  # a tuple: for each value of each bill, a union type would take twice as long


def _depth_exceeds(value: JSON, limit: int) -> bool:
    """Looked at here, because the depth at which Python's parser gives up differs between its versions."""
    level: list[Any] = [value] if isinstance(value, _BOXES) else []
    for _ in range(limit):
        level = [
            child
            for box in level
            for child in (box.values() if isinstance(box, dict) else box)
            if isinstance(child, _BOXES)
        ]
        if not level:
            return False
    return True


def _refuse_depth() -> NoReturn:
    raise UnexpectedReplyError(f"A reply is nested more than {DEEPEST_NESTING} levels deep.") from None


_DECODER = json.JSONDecoder(parse_float=_fraction, parse_constant=NonFinite, object_pairs_hook=_object)
_DECODER_OF_LONG_NUMBERS = json.JSONDecoder(
    parse_float=_fraction, parse_int=_integer, parse_constant=NonFinite, object_pairs_hook=_object
)
