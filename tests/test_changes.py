"""What is a change of a bill and what is only another way to show it (rows D1, D3, D6, Y7, M10 and M11)."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cashpay_pipeline.changes import (
    MODELLED_FIELDS,
    digest,
    is_paid,
    leaves_money_open,
    other_content,
    overlay,
    payload,
    read,
    record_of,
)
from cashpay_pipeline.decoding import decode_json

MOMENT = datetime(2026, 3, 2, 10, tzinfo=UTC)
EARLIER = MOMENT - timedelta(seconds=1)
derandomized = settings(derandomize=True, database=None, deadline=None, max_examples=80)

PAYMENTS = [{"amount": 500, "gateway": {"libelle": "Flooz-Example"}}]
KNOWN = {
    "order_reference": "A",
    "state": "Partial",
    "amount": "1500",
    "received_amount": 500,
    "payments": PAYMENTS,
    "client": {"phone": "******01", "lastname": "***"},
    "fees": 15,
}


def reading(source="list", **record):
    return read("A", {"order_reference": "A"} | record, source, EARLIER, MOMENT)


def laid_over(known=KNOWN, source="list", **record):
    return overlay(known, reading(source, **record))


def leaves_open(known=KNOWN, source="list", **record):
    one = reading(source, **record)
    return leaves_money_open(known, overlay(known, one), one)


def stored(record):
    """As it comes back from the warehouse."""
    return record_of(payload(record))


def test_a_reading_tells_what_was_read():
    record = {"order_reference": "A", "state": "paid "}
    one = read("A", record, "details", EARLIER, MOMENT)
    assert (one.order_reference, one.record, one.source, one.observed_at, one.state) == (
        *("A", record, "details", MOMENT, "Paid"),
    )
    assert one.digest == digest('{"order_reference":"A","state":"paid "}')


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"b": 1, "a": [None, True, "é"]}, '{"a":[null,true,"\\u00e9"],"b":1}'),
        ({"a": Decimal("1500.00")}, '{"a":"1500.00"}'),
        ({"a": Decimal("1.2E+7")}, '{"a":"12000000"}'),
        ({"a": Decimal("1E-7")}, '{"a":"0.0000001"}'),
        ({"a": 9007199254740993}, '{"a":9007199254740993}'),
        ({"a": "x\0\ud800"}, '{"a":"x\\u0000\\ud800"}'),
        ({"a": '\x7f\x1f\b\f\n\r\t"\\/'}, r'{"a":"\u007f\u001f\b\f\n\r\t\"\\/"}'),
        ({"a": '\x1f\b\f\n\r\t"\\/'}, r'{"a":"\u001f\b\f\n\r\t\"\\/"}'),
        ({"é": "Lomé \U0001f600à\uffee"}, r'{"\u00e9":"Lom\u00e9 \ud83d\ude00\u00e0\uffee"}'),
        (["not", "an object"], '["not","an object"]'),
    ],
    ids=lambda v: ascii(v)[:40],
)
def test_a_payload_is_sorted_ascii_and_loses_no_digit(record, text):
    assert payload(record) == text
    assert payload(json.loads(text)) == text


@derandomized
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.decimals(allow_nan=False, allow_infinity=False, places=3),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=15,
    )
)
def test_a_payload_is_what_pythons_encoder_writes_and_read_back_the_same(value):
    """Digests of it are in files that earlier versions have made."""
    assert payload(value) == json.dumps(value, sort_keys=True, separators=(",", ":"), default="{:f}".format)
    assert payload(stored(value)) == payload(value)


def test_D6_the_order_of_keys_is_no_change():
    assert payload(dict(reversed(KNOWN.items()))) == payload(KNOWN)


def test_digests_tell_texts_apart_and_are_short():
    assert digest("a") == digest("a") != digest("b")
    assert len(digest("x" * 1_000_000)) == 32


def test_what_a_poorer_reading_does_not_mention_stays():
    assert laid_over(state="Partial", amount=1500) == KNOWN | {"amount": 1500}


def test_D1_a_new_field_is_added():
    assert laid_over(state="Partial", channel="USSD") == KNOWN | {"channel": "USSD"}


def test_objects_are_laid_over_field_by_field_lists_as_a_whole():
    merged = laid_over(state="Partial", client={"phone": "******02"}, payments=[{"amount": "500.0"}])
    assert merged == KNOWN | {"client": {"phone": "******02", "lastname": "***"}, "payments": [{"amount": "500.0"}]}


@pytest.mark.parametrize(
    ("known", "told", "stays"),
    [
        ({}, {"payments": [{"amount": 700}]}, False),
        ({}, {"received_amount": 700}, False),
        ({}, {"payments": [{"amount": "500"}]}, True),
        ({}, {"payments": [{"reference": "no amount"}]}, True),
        ({}, {"payments": ["no object"]}, True),
        ({"payments": None}, {"payments": [{"amount": 500}]}, True),
        ({"received_amount": None}, {"received_amount": "500.00"}, True),
        ({"received_amount": 300}, {"received_amount": 300}, True),  # given back in part: told together, before
        ({"received_amount": 300}, {"payments": [{"amount": 500}, {"amount": 200}]}, False),
    ],
)
@pytest.mark.parametrize("source", ["list", "details"])
def test_M10_of_a_sum_and_its_payments_one_that_is_new_and_does_not_fit_replaces_both(source, known, told, stays):
    known = {k: v for k, v in (KNOWN | known).items() if v is not None}
    (other,) = {"received_amount", "payments"} - told.keys()
    expected = known | told | {"state": "Partial"}
    if not stays:
        del expected[other]
    assert laid_over(known, source, state="Partial", **told) == expected
    assert leaves_open(known, source, state="Partial", **told) == (source == "list" and not stays)


@pytest.mark.parametrize("source", ["list", "details"])
def test_what_is_null_and_known_is_not_mentioned(source):
    known = KNOWN | {"merchant_reference": "CMD-1", "gateway": {"libelle": "Flooz-Example"}}
    nulls = {"merchant_reference": None, "gateway": None}
    assert laid_over(known, source, state="Partial", **nulls) == known


def test_Y16_the_name_of_one_gateway_is_not_that_of_another():
    known = KNOWN | {"gateway": {"reference": "R-1", "libelle": "Flooz-Example"}}
    assert laid_over(known, gateway={"reference": "R-2"})["gateway"] == {"reference": "R-2"}
    assert laid_over(known, gateway={"reference": "R-1", "id": 5})["gateway"] == known["gateway"] | {"id": 5}
    assert laid_over(known, gateway={"libelle": "Other"})["gateway"] == {"libelle": "Other"}, "whose reference that is?"
    assert laid_over(known, gateway={"libelle": "Flooz-Example"})["gateway"] == known["gateway"]
    assert laid_over(known, gateway={"libelle": " "})["gateway"]["reference"] == "R-1"


def test_one_unknown_state_after_another_says_nothing_about_money():
    known = KNOWN | {"state": "Settled"}
    assert "received_amount" not in laid_over(known, state="Refunded")
    assert leaves_open(known, state="Refunded")
    assert laid_over(known, state="Settled") == known


def test_neither_side_is_touched():
    known, record = json.loads(json.dumps(KNOWN)), {"order_reference": "A", "state": "Paid", "client": {"phone": "x"}}
    one = read("A", record, "list", EARLIER, MOMENT)
    overlay(known, one)
    assert known == KNOWN
    assert one.record == {"order_reference": "A", "state": "Paid", "client": {"phone": "x"}}


def test_a_bill_never_seen_is_what_was_read():
    assert laid_over({}, state="Paid", amount=1) == {"order_reference": "A", "state": "Paid", "amount": 1}


@pytest.mark.parametrize("state", ["Paid", "Excess", "Pending", "Refunded"])
def test_M10_sums_of_before_say_nothing_about_a_new_state(state):
    merged = laid_over(state=state)
    assert merged == {k: v for k, v in KNOWN.items() if k not in ("received_amount", "payments")} | {"state": state}
    assert leaves_open(state=state)


@pytest.mark.parametrize("state", ["Canceled", "Cancelled", "EXPIRED", "Error"])
def test_M10_a_bill_given_up_keeps_what_it_had_received_until_its_details_tell(state):
    assert laid_over(state=state) == KNOWN | {"state": state}
    assert leaves_open(state=state), "more may have come in before it was given up"
    assert not leaves_open(state=state, received_amount=500)
    assert not leaves_open(KNOWN | {"state": state}, state=state)


@pytest.mark.parametrize("state", ["Pending", "Canceled"])
def test_Y7_a_bill_that_goes_back_from_paid_has_received_nothing_that_is_told(state):
    paid = KNOWN | {"state": "Paid", "received_amount": 1500}
    assert "received_amount" not in laid_over(paid, state=state)
    assert laid_over(paid, state=state, received_amount=1500)["received_amount"] == 1500


def test_Y6_another_spelling_of_the_state_is_no_new_state():
    paid = KNOWN | {"state": "Paid"}
    assert laid_over(paid, state="PAID ") == paid | {"state": "PAID "}


def test_M10_a_reading_without_a_state_changes_no_state_and_takes_no_sum_away():
    assert laid_over(amount=1500) == KNOWN | {"amount": 1500}


def test_M10_a_sum_that_is_null_is_not_told():
    assert laid_over(state="Partial", received_amount=None, payments=None) == KNOWN
    assert "received_amount" not in laid_over(state="Paid", received_amount=None, payments=None)


@pytest.mark.parametrize("nothing", [0, "0", "0.00", Decimal("0.0"), ""], ids=repr)
def test_M10_nothing_in_the_list_where_something_is_known_is_for_the_details_to_tell(nothing):
    told = {"state": "Partial", "received_amount": nothing, "payments": []}
    assert laid_over(**told) == KNOWN
    assert leaves_open(**told)
    assert laid_over(source="details", **told) == KNOWN | {"received_amount": nothing, "payments": []}
    assert not leaves_open(source="details", **told)
    nothing_known = KNOWN | {"received_amount": 0, "payments": []}
    assert not leaves_open(nothing_known, **told)


@pytest.mark.parametrize(
    ("state", "told", "tells"),
    [
        ("Pending", {}, True),
        ("Paid", {}, True),
        ("Canceled", {}, True),
        ("Partial", {}, False),
        ("Excess", {"received_amount": 0, "payments": []}, False),
        ("Refunded", {}, False),
        ("Partial", {"received_amount": "700"}, True),
        ("Excess", {"payments": [{"amount": 700}]}, True),
    ],
)
def test_what_a_row_of_the_list_tells_of_the_money(state, told, tells):
    assert reading(state=state, **told).tells_money is tells
    assert reading("details", state=state, **told).tells_money


@pytest.mark.parametrize(
    ("state", "told", "tells"),
    [
        ("Pending", {}, True),
        ("Paid", {}, False),
        ("Paid", {"received_amount": 0, "payments": []}, False),
        ("Paid", {"received_amount": "1500"}, True),
        ("Canceled", {}, False),
        ("Canceled", {"received_amount": 0}, True),
        ("Partial", {}, False),
        ("Excess", {"payments": [{"amount": 700}]}, True),
    ],
)
def test_what_a_row_of_the_list_tells_of_the_money_of_a_bill_that_was_in_this_state_before(state, told, tells):
    assert reading(state=state, **told).tells_again is tells
    assert reading("details", state=state, **told).tells_again


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (15, "15"),
        (15, Decimal("15.0")),
        ("15.00", 15),
        (Decimal("1.5E+3"), 1500),
        ({"ref": [1, {"n": "2"}]}, {"ref": ["1", {"n": Decimal("2.0")}]}),
    ],
    ids=str,
)
def test_D3_another_form_of_a_number_is_no_change(one, other):
    assert other_content({"fees": one}) == other_content({"fees": other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (15, 16),
        ("0012", "12"),
        ("12 ", "12"),
        ("1_000", "1000"),
        ("1e3", "1000"),
        ("12E345", "12E0345"),
        ("１２", "12"),
        ("NaN", "nan"),
        (True, 1),
        (None, 0),
        ("", None),
        ([], {}),
        ("a", "A"),
        ("123456789012345678901234567890", "123456789012345678901234567891"),
        (Decimal("0.12345678901234567890123456789"), Decimal("0.12345678901234567890123456780")),
    ],
    ids=str,
)
def test_Y2_D3_what_only_looks_like_the_same_number_is_a_change(one, other):
    assert other_content({"fees": one}) != other_content({"fees": other})


def test_D1_other_content_is_what_has_no_column():
    columns = dict.fromkeys(MODELLED_FIELDS, "x")
    assert other_content(columns | {"fees": 15}) == other_content({"fees": 15}) == '{"fees":"15"}'


@derandomized
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(alphabet="0123456789.-e a", max_size=40),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=10,
    )
)
def test_other_content_survives_the_warehouse(value):
    assert other_content(stored({"x": value})) == other_content({"x": value})


@derandomized
@given(st.text(alphabet="0123456789.eE-+_ ", min_size=1, max_size=34))
def test_any_json_number_survives_the_warehouse(text):
    try:
        record = {"x": decode_json(text.encode())}
    except ValueError:
        return
    except Exception as error:
        assert type(error).__name__ == "NotJSONError"
        return
    assert other_content(stored(record)) == other_content(record)


@pytest.mark.parametrize(
    ("state", "paid"),
    [
        *(("Paid", True), ("Excess", True), ("Partial", False), ("Pending", False)),
        *(("Error", False), ("Canceled", False), ("Expired", False), ("Unknown", False)),
    ],
)
def test_what_counts_as_paid(state, paid):
    assert is_paid(state) is paid
