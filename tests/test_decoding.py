import json
from decimal import Decimal
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cashpay_pipeline.decoding import NotJSONError, decode_json
from cashpay_pipeline.errors import UnexpectedReplyError
from cashpay_pipeline.forms import DuplicateKeys, NonFinite, form_of


@pytest.mark.parametrize(
    "text",
    ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "1e999999999", "1e99999999999999999999", "9" * 5000],
)
def test_Y10_a_number_that_is_none_marks_only_its_bill(text: str) -> None:
    page = decode_json(f'[{{"amount": {text}}}, {{"amount": 1}}]'.encode())
    assert isinstance(page, list)
    assert [form_of(record).defect for record in page] == ["not_a_number", None]
    assert page[0]["amount"] == text and isinstance(page[0]["amount"], NonFinite)


def test_numbers_are_exact() -> None:
    assert decode_json(b"[9007199254740993, 0.1, 1500.00, 1E2, -0]") == [
        9007199254740993,
        Decimal("0.1"),
        Decimal("1500.00"),
        Decimal("100"),
        0,
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"amount": 1, "amount": 2}', "duplicate_key"),
        ('{"client": {"phone": 1, "phone": 1}}', "duplicate_key"),
        ('{"payments": [{"amount": 1}, {"amount": 1, "amount": 2}]}', "duplicate_key"),
        ('{"Amount": 1, "amount": 2}', "ambiguous_key"),
        ('{"client": {"Straße": 1, "STRASSE": 2}}', "ambiguous_key"),
        ('{"payments": [[{"amount": NaN}]]}', "not_a_number"),
        ('{"amount": 1, "client": {"amount": 1}, "payments": [{"amount": 1}]}', None),
    ],
)
def test_Y11_duplicate_keys_are_found_at_every_level(text: str, expected: str | None) -> None:
    assert form_of(decode_json(text.encode())).defect == expected


def test_Y11_a_mark_stays_on_its_own_object() -> None:
    record = decode_json(b'{"client": {"a": 1, "a": 2}, "other": {"a": 1}}')
    assert isinstance(record, dict)
    assert [type(value) for value in (record, record["client"], record["other"])] == [dict, DuplicateKeys, dict]


def test_Y12_latin_1_is_read_with_a_warning() -> None:
    warnings: list[str] = []
    assert decode_json('{"lastname": "Kégné"}'.encode("latin-1"), warnings) == {"lastname": "Kégné"}
    assert len(warnings) == 1 and "Latin-1" in warnings[0]
    assert decode_json('{"lastname": "Kégné"}'.encode(), warnings) == {"lastname": "Kégné"}
    assert len(warnings) == 1


def test_Y13_a_byte_order_mark_is_no_error() -> None:
    assert decode_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_Y14_odd_characters_pass_through() -> None:
    assert decode_json(b'["a\\u0000b", "\\ud800", "\xf0\x9f\x98\x80"]') == ["a\0b", "\ud800", "😀"]


@pytest.mark.parametrize("depth", [101, 10_000, 200_000])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_Y15_deep_nesting_is_refused(depth: int, start: str, end: str) -> None:
    with pytest.raises(UnexpectedReplyError, match="nested"):
        decode_json((start * depth + "1" + end * depth).encode())


def test_Y15_nesting_within_reason_is_read() -> None:
    assert form_of(decode_json(b"[" * 99 + b"]" * 99)).defect is None


@pytest.mark.parametrize("raw", [b"", b"<html>", b'{"a": 1', b'{"a": 1}x', b"\xff\xfe", b"[1,]"])
def test_N5_what_is_not_json_is_told_apart(raw: bytes) -> None:
    with pytest.raises(NotJSONError):
        decode_json(raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_decoding_returns_what_was_encoded(value: object) -> None:
    assert decode_json(json.dumps(value).encode()) == value


def written(value: object, colon: str) -> str:
    """JSON text of a value in which a tuple of pairs is an object, so that keys can be there twice."""
    if isinstance(value, tuple):
        return "{" + ", ".join(f"{json.dumps(k)}{colon}{written(v, colon)}" for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ",\n".join(written(inner, colon) for inner in value) + "]"
    return value if isinstance(value, str) and value.startswith("number ") else json.dumps(value)


def marked(value: object) -> object:
    """What is read, with the type of each value beside it."""
    if isinstance(value, dict):
        return type(value).__name__, [(k, marked(v)) for k, v in value.items()]
    return [marked(v) for v in value] if isinstance(value, list) else (type(value).__name__, value)


KEYS = st.sampled_from(["a", "b", 'c":', "d :", "\u00e9", "client"])
NUMBERS = st.sampled_from(["0", "-0", "1500.00", "1E2", "0.1", "18446744073709551615", "18446744073709551616", "1e999"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.text('a": \\,') | NUMBERS.map("number ".__add__),
        lambda inner: st.lists(inner) | st.lists(st.tuples(KEYS, inner), max_size=4).map(tuple),
    ),
    st.sampled_from([":", ": ", " :", "\n:\t"]),
)
def test_Y10_Y11_what_is_read_fast_is_what_is_read_exactly(value: object, colon: str) -> None:
    text = written(value, colon).replace("number ", "")
    exactly = json.loads(
        text,
        parse_float=lambda number: NonFinite(number) if number == "1e999" else Decimal(number),
        object_pairs_hook=lambda pairs: (dict if len(dict(pairs)) == len(pairs) else DuplicateKeys)(pairs),
    )
    assert marked(decode_json(text.encode())) == marked(exactly)


def test_a_page_of_100_bills_takes_a_few_milliseconds() -> None:
    bill = {
        "order_reference": "SANDBOX-EX0002",
        "amount": "1500",
        "received_amount": 1500.0,
        "state": "Paid",
        "description": "x" * 350,
        "client": {"phone": "+22800000001", "lastname": "EXEMPLE"},
        "payments": [{"thirdparty_reference": "TP-EX-0002", "gateway": {"libelle": "Flooz-Example"}}],
    }
    raw = json.dumps({"total": 100, "items": [bill] * 100}).encode()
    assert len(raw) > 60_000
    started = perf_counter()
    page = decode_json(raw)
    assert isinstance(page, dict)
    assert not any(form_of(record).defect for record in page["items"])
    assert perf_counter() - started < 0.05
