"""Tables Y and D of the failure cases, as far as one record tells: bills, payments and gateways to typed frames."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from cashpay_pipeline.changes import payload
from cashpay_pipeline.decoding import decode_json
from cashpay_pipeline.normalize import (
    BILL_DTYPES,
    GATEWAY_DTYPES,
    PAYMENT_DTYPES,
    Issue,
    normalize_bills,
    normalize_gateways,
    order_reference,
)
from cashpay_pipeline.values import BadRecordError, clean_text, parse_state

FLOOZ = {"reference": "6513270e-269e-4d37-b2a7-4de452e6b438", "libelle": "Flooz-Example"}
MIXX = {"reference": "d23f0824-128b-4f33-8c5c-7fd0a6a3a450", "libelle": "Mixx-Example"}
BILL = {
    "order_reference": "SANDBOX-EX0002",
    "merchant_reference": "CMD-0002",
    "code": "481516",
    "state": "Paid",
    "date_create": "2024-03-05T09:30:00+00:00",
    "amount": "1500",
    "received_amount": 1500,
    "currency": "XOF",
    "description": "Example order",
    "bill_url": "https://bills.example.test/f/EX0002",
    "client": {"phone": "******01", "client_key": "0123456789abcdef", "lastname": "***"},
    "payments": [{"thirdparty_reference": "TP-EX-0002", "amount": 1500, "gateway": FLOOZ}],
}
BILL_ROW = {
    "order_reference": "SANDBOX-EX0002",
    "merchant_reference": "CMD-0002",
    "code": "481516",
    "state": "Paid",
    "state_raw": "Paid",
    "amount": 1500,
    "received_amount": 1500,
    "currency": "XOF",
    "created_at": pd.Timestamp("2024-03-05 09:30", tz="UTC"),
    "business_date": pd.Timestamp("2024-03-05"),
    "description": "Example order",
    "client_key": "0123456789abcdef",
    "client_phone_masked": "******01",
    "gateway_reference": FLOOZ["reference"],
    "gateway_name": "Flooz-Example",
    "payment_count": 1,
    "bill_url": "https://bills.example.test/f/EX0002",
}
PAYMENT_ROW = {
    "order_reference": "SANDBOX-EX0002",
    "payment_number": 1,
    "thirdparty_reference": "TP-EX-0002",
    "gateway_reference": FLOOZ["reference"],
    "gateway_name": "Flooz-Example",
    "amount": 1500,
}


def frame_of(rows, dtypes):
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=dtype) for name, dtype in dtypes.items()})


def without(*fields):
    return {k: v for k, v in BILL.items() if k not in fields}


def bill_row(record):
    normalized = normalize_bills([record])
    assert normalized.issues == []
    (values, payments) = normalized.contents[0]
    return dict(zip(BILL_DTYPES, values, strict=True)), [dict(zip(PAYMENT_DTYPES, p, strict=True)) for p in payments]


def columns_changed(record):
    """What differs from the typed row of `BILL`."""
    row, expected = bill_row(record)[0], bill_row(BILL)[0]
    return {k: v for k, v in row.items() if v != expected[k]}


def test_a_whole_bill():
    normalized = normalize_bills([BILL])
    assert_frame_equal(normalized.bills(), frame_of([BILL_ROW], BILL_DTYPES))
    assert_frame_equal(normalized.payments(), frame_of([PAYMENT_ROW], PAYMENT_DTYPES))
    assert normalized.issues == []


def test_the_least_a_bill_can_be():
    row, payments = bill_row({"order_reference": "A", "state": "Pending", "amount": 200, "currency": "XOF"})
    told = {"order_reference": "A", "state": "Pending", "state_raw": "Pending", "amount": 200, "currency": "XOF"}
    assert row == dict.fromkeys(BILL_DTYPES) | told | {"received_amount": 0, "payment_count": 0}
    assert payments == []


def test_D9_an_empty_frame_has_every_dtype():
    empty = normalize_bills([])
    assert empty.bills().dtypes.astype(str).to_dict() == BILL_DTYPES
    assert empty.payments().dtypes.astype(str).to_dict() == PAYMENT_DTYPES
    assert normalize_gateways([])[0].dtypes.astype(str).to_dict() == GATEWAY_DTYPES


def test_D9_a_column_without_values_keeps_its_dtype():
    bare = {"order_reference": "A", "state": "Partial", "amount": 200, "currency": "XOF"}
    bills = normalize_bills([bare]).bills()
    assert bills.dtypes.astype(str).to_dict() == BILL_DTYPES
    assert bills["received_amount"].isna().all() and bills["created_at"].isna().all()


def test_D6_the_order_of_keys_means_nothing():
    shuffled = dict(reversed(BILL.items()))
    both = normalize_bills([BILL, shuffled])
    assert both.contents[0] == both.contents[1]
    assert list(both.bills().columns) == list(BILL_DTYPES)


def test_positions_choose_rows():
    records = [BILL | {"order_reference": r} for r in "ABC"]
    normalized = normalize_bills(records)
    assert list(normalized.bills([2, 0])["order_reference"]) == ["C", "A"]
    assert list(normalized.payments([1])["order_reference"]) == ["B"]
    assert normalized.bills([]).empty and normalized.payments([]).empty


@pytest.mark.parametrize(
    ("record", "issue"),
    [
        pytest.param(without("order_reference"), Issue(0, "order_reference", "missing"), id="no key"),
        pytest.param(BILL | {"order_reference": None}, Issue(0, "order_reference", "missing"), id="null"),
        pytest.param(BILL | {"order_reference": ""}, Issue(0, "order_reference", "missing"), id="empty"),
        pytest.param(BILL | {"order_reference": " \t"}, Issue(0, "order_reference", "missing"), id="blank"),
        pytest.param(BILL | {"order_reference": "\u00a0"}, Issue(0, "order_reference", "missing"), id="no-break space"),
        pytest.param(BILL | {"order_reference": True}, Issue(0, "order_reference", "not_text"), id="true"),
        pytest.param(BILL | {"order_reference": ["A"]}, Issue(0, "order_reference", "not_text"), id="list"),
        pytest.param(BILL | {"order_reference": {}}, Issue(0, "order_reference", "not_text"), id="object"),
        pytest.param(
            BILL | {"order_reference": Decimal("1.5")}, Issue(0, "order_reference", "not_text"), id="fraction"
        ),
        pytest.param("SANDBOX-1", Issue(0, "record", "not_an_object"), id="text for a record"),
        pytest.param(None, Issue(0, "record", "not_an_object"), id="null for a record"),
    ],
)
def test_Y1_a_bill_without_a_key_is_set_aside(record, issue):
    normalized = normalize_bills([record, BILL])
    assert normalized.issues == [issue]
    assert_frame_equal(normalized.bills(), frame_of([BILL_ROW], BILL_DTYPES))


@pytest.mark.parametrize(
    "key", ["00123", "123", "12E345", "1e5", " A ", "a", "A", "0x10", "NaN", "null", "Ünï-1", "A/B?c=d"]
)
def test_Y2_a_key_is_text_verbatim(key):
    (json_bill,) = decode_json(f'[{{"order_reference": "{key}"}}]'.encode())
    assert order_reference(json_bill) == key


def test_Y2_a_whole_number_is_its_digits():
    (bill,) = decode_json(b'[{"order_reference": 9007199254740993}]')
    assert order_reference(bill) == "9007199254740993"


def test_Y2_keys_that_differ_stay_different():
    keys = ["123", "0123", "123 ", "a", "A", "a\ud800", "a\ud801", "a?", "1e3", "1000"]
    assert len({order_reference({"order_reference": k}) for k in keys}) == len(keys)


@pytest.mark.parametrize("code", ["404", "481516", 404, 271828, None, ""], ids=repr)
def test_Y3_Y18_a_short_code_is_only_text(code):
    first, second = BILL | {"code": code}, BILL | {"code": code, "order_reference": "B"}
    bills = normalize_bills([first, second]).bills()
    assert list(bills["code"]) == [str(code) if code else None] * 2
    assert list(bills["order_reference"]) == ["SANDBOX-EX0002", "B"]


@pytest.mark.parametrize("state", ["Refunded", "En attente", "0", "", "Paid!", "PaidPartial"], ids=repr)
def test_Y5_an_unknown_state_is_kept_and_marked(state):
    changed = columns_changed(BILL | {"state": state})
    assert changed == {"state": "Unknown", "state_raw": state}


def test_Y5_without_a_state_nothing_is_assumed():
    assert columns_changed(without("state", "received_amount", "payments")) == {
        "state": "Unknown",
        "state_raw": None,
        "received_amount": None,
        "gateway_reference": None,
        "gateway_name": None,
        "payment_count": 0,
    }


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("Pending", "Pending"),
        ("Partial", "Partial"),
        ("Paid", "Paid"),
        ("Excess", "Excess"),
        ("Error", "Error"),
        ("Canceled", "Canceled"),
        ("Cancelled", "Canceled"),
        ("Expired", "Expired"),
        ("CANCELLED", "Canceled"),
        ("cancelled", "Canceled"),
        ("PAID ", "Paid"),
        (" paid", "Paid"),
        ("paid\u00a0", "Paid"),
        ("Pàid", "Paid"),
        ("Cance\u0301led", "Canceled"),
        ("ＰＡＩＤ", "Paid"),
    ],
    ids=repr,
)
def test_Y6_spellings_of_a_state(raw, state):
    assert parse_state(raw) == (raw, state)


@pytest.mark.parametrize("state", [["Paid"], {"state": "Paid"}], ids=["list", "object"])
def test_Y6_a_state_that_is_no_word_is_unknown(state):
    assert parse_state(state)[1] == "Unknown"


@pytest.mark.parametrize("client", [None, "***", [], ["***"], 7, True, {}], ids=repr)
def test_Y8_whatever_the_client_is_the_bill_counts(client):
    assert columns_changed(BILL | {"client": client}) == {"client_key": None, "client_phone_masked": None}


def payment(**fields):
    return {"thirdparty_reference": "TP-EX", "amount": 500, "gateway": FLOOZ} | fields


@pytest.mark.parametrize(
    ("payments", "received", "gateway", "rows"),
    [
        pytest.param(None, 1500, None, [], id="none told"),
        pytest.param([], 1500, None, [], id="no payment"),
        pytest.param([payment()], 500, "Flooz-Example", [(1, "TP-EX", "Flooz-Example", 500)], id="one"),
        pytest.param(
            [payment(), payment(amount="1000.00", gateway=MIXX, thirdparty_reference="TP-2")],
            1500,
            "Mixx-Example",
            [(1, "TP-EX", "Flooz-Example", 500), (2, "TP-2", "Mixx-Example", 1000)],
            id="two, the last names the gateway",
        ),
        pytest.param(
            [payment(), payment(amount=None)],
            1500,
            "Flooz-Example",
            [(1, "TP-EX", "Flooz-Example", 500), (2, "TP-EX", "Flooz-Example", None)],
            id="one without an amount: no sum of halves",
        ),
        pytest.param(
            [payment(), payment(gateway=None)],
            1000,
            "Flooz-Example",
            [(1, "TP-EX", "Flooz-Example", 500), (2, "TP-EX", None, 500)],
            id="the last without a gateway",
        ),
        pytest.param([payment(amount=10)] * 150, 1500, "Flooz-Example", None, id="many"),
    ],
)
def test_Y9_payments_are_rows_and_add_up(payments, received, gateway, rows):
    row, found = bill_row(without("received_amount") | {"payments": payments})
    assert (row["received_amount"], row["gateway_name"], row["payment_count"]) == (received, gateway, len(found))
    shown = [(p["payment_number"], p["thirdparty_reference"], p["gateway_name"], p["amount"]) for p in found]
    assert shown == rows if rows is not None else [p[0] for p in shown] == list(range(1, 151))


@pytest.mark.parametrize(
    ("payments", "issue"),
    [
        pytest.param({"amount": 500}, Issue(0, "payments", "not_a_list"), id="an object"),
        pytest.param("500", Issue(0, "payments", "not_a_list"), id="text"),
        pytest.param(["500"], Issue(0, "payments", "not_an_object"), id="list of text"),
        pytest.param([[payment()]], Issue(0, "payments", "not_an_object"), id="list of lists"),
        pytest.param([payment(amount="5,00")], Issue(0, "payments.amount", "not_a_number"), id="a bad amount"),
    ],
)
def test_Y9_payments_that_cannot_be_read_set_the_bill_aside(payments, issue):
    normalized = normalize_bills([BILL | {"payments": payments}])
    assert (normalized.contents, normalized.issues) == ({}, [issue])


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\ud800b", "a\\ud800b"),
        ("\N{GRINNING FACE} abc", "\N{GRINNING FACE} abc"),
        ("\u202eabc\u202c", "\u202eabc\u202c"),
        ("x" * 1_000_000, "x" * 1_000_000),
    ],
    ids=["NUL", "lone surrogate", "emoji", "right to left", "1 MB"],
)
def test_Y14_odd_characters_are_kept_or_made_storable(text, clean):
    assert clean_text(text) == clean
    assert columns_changed(BILL | {"description": text}) == {"description": clean}
    clean.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, None), (7, "7"), (Decimal("1.50"), "1.50"), (True, "true"), (False, "false"), ([], None), ({"a": 1}, None)],
    ids=repr,
)
def test_D3_a_text_column_takes_what_loses_nothing(value, text):
    assert clean_text(value) == text


def test_a_text_that_comes_as_a_number_is_what_its_payload_says():
    record = BILL | {"merchant_reference": Decimal("1.234567E7")}
    assert bill_row(record)[0]["merchant_reference"] == "12345670" == json.loads(payload(record))["merchant_reference"]


@pytest.mark.parametrize("blank", ["", " ", "\u00a0\t"], ids=repr)
def test_a_blank_text_tells_nothing(blank):
    """As a reference it would make one order of all bills that have none."""
    gateway = {"reference": blank, "libelle": blank}
    payment = {"thirdparty_reference": blank, "amount": 1500, "gateway": gateway}
    told = {"merchant_reference": blank, "code": blank, "description": blank, "bill_url": blank}
    normalized = normalize_bills([BILL | told | {"gateway": gateway, "payments": [payment]}])
    fields = [*told, "gateway_reference", "gateway_name"]
    assert normalized.bills()[fields].isna().all(axis=None)
    assert normalized.payments()[["thirdparty_reference", "gateway_reference", "gateway_name"]].isna().all(axis=None)
    gateways, _ = normalize_gateways([{"reference": "g", "libelle": blank, "methode": blank, "currency": blank}])
    assert gateways[["name", "method", "currency"]].isna().all(axis=None)


@pytest.mark.parametrize("amount", [1500, "1500", "1500.00", Decimal("1500.0"), Decimal("1.5E+3")], ids=repr)
def test_D3_a_lossless_change_of_type_is_no_change(amount):
    assert columns_changed(BILL | {"amount": amount, "received_amount": amount}) == {}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("amount", {"value": 1500}, "not_a_number"),
        ("amount", [1500], "not_a_number"),
        ("currency", ["XOF"], "unknown_currency"),
        ("date_create", [2024, 3, 5], "unreadable_time"),
        ("payments", 3, "not_a_list"),
    ],
    ids=repr,
)
def test_D3_a_change_of_type_that_loses_something_sets_aside(field, value, reason):
    normalized = normalize_bills([BILL | {field: value}])
    assert (normalized.contents, normalized.issues) == ({}, [Issue(0, field, reason)])


def test_D4_the_one_known_other_name_of_the_key():
    renamed = without("order_reference") | {"orderNum": "SANDBOX-EX0002"}
    assert columns_changed(renamed) == {}
    assert order_reference({"orderNum": "B", "order_reference": "A"}) == "A"
    with pytest.raises(BadRecordError, match="order_reference: missing"):
        order_reference(without("order_reference") | {"reference": "A"})


def test_D1_a_new_field_changes_no_column():
    assert columns_changed(BILL | {"fees": 15, "payer": {"operator": "X"}, "amount_due": "0"}) == {}


def test_D2_optional_fields_may_be_gone():
    optional = ("merchant_reference", "code", "description", "bill_url", "client", "payments", "date_create")
    changed = columns_changed(without(*optional))
    expected = (*optional[:4], "client_key", "client_phone_masked", "created_at", "business_date")
    assert changed == dict.fromkeys((*expected, "gateway_reference", "gateway_name")) | {"payment_count": 0}


@pytest.mark.parametrize(
    ("field", "reason"), [("order_reference", "missing"), ("amount", "missing"), ("currency", "missing")]
)
def test_D2_without_a_required_field_a_bill_is_set_aside(field, reason):
    assert normalize_bills([without(field)]).issues == [Issue(0, field, reason)]


def test_Y16_a_bill_has_the_name_that_its_payment_gives():
    renamed = payment(gateway={**FLOOZ, "libelle": "Flooz (new name)"})
    bills = normalize_bills([BILL, BILL | {"payments": [renamed]}]).bills()
    assert list(bills["gateway_name"]) == ["Flooz-Example", "Flooz (new name)"]
    assert list(bills["gateway_reference"]) == [FLOOZ["reference"]] * 2


def test_Y16_a_payment_that_names_the_gateway_of_its_bill_has_its_reference():
    """Only the name is evidenced for payments; bills that failed are counted by the reference."""
    of_payments = [
        {"libelle": FLOOZ["libelle"]},
        {"libelle": "Another-Example"},
        FLOOZ | {"reference": "of-the-payment"},
        {"reference": "of-the-payment"},
    ]
    named = [payment(gateway=gateway) for gateway in of_payments]
    bills = normalize_bills([BILL | {"gateway": FLOOZ, "payments": [p]} for p in named])
    gateways = [
        (FLOOZ["reference"], "Flooz-Example"),
        (None, "Another-Example"),
        ("of-the-payment", "Flooz-Example"),
        ("of-the-payment", None),
    ]
    assert [tuple(row) for row in bills.payments()[["gateway_reference", "gateway_name"]].values] == gateways
    assert [tuple(row) for row in bills.bills()[["gateway_reference", "gateway_name"]].values] == gateways


def test_Y16_without_a_payment_the_gateway_chosen_counts():
    row, _ = bill_row(without("payments") | {"gateway": MIXX, "state": "Pending"})
    assert (row["gateway_reference"], row["gateway_name"]) == (MIXX["reference"], "Mixx-Example")


def test_Y17_good_rows_go_on_bad_ones_are_named_by_position():
    records = [BILL | {"order_reference": f"B{n}", "amount": "x" if n % 10 == 3 else "1500"} for n in range(30)]
    normalized = normalize_bills(records)
    assert normalized.issues == [Issue(n, "amount", "not_a_number") for n in (3, 13, 23)]
    assert list(normalized.contents) == [n for n in range(30) if n % 10 != 3]
    assert list(normalized.bills()["order_reference"]) == [f"B{n}" for n in range(30) if n % 10 != 3]


GATEWAY = {
    "id": 1,
    "reference": FLOOZ["reference"],
    "libelle": "Flooz-Example",
    "psp": {"libelle": "FLOOZ", "logo_url": "https://cdn.example.test/flooz.png"},
    "methode": "PUSH_USSD",
    "currency": "XOF",
    "logo_url": None,
}
GATEWAY_ROW = {
    "gateway_reference": FLOOZ["reference"],
    "gateway_id": "1",
    "name": "Flooz-Example",
    "method": "PUSH_USSD",
    "psp_name": "FLOOZ",
    "logo_url": "https://cdn.example.test/flooz.png",
    "currency": "XOF",
}


def test_gateways_are_typed_whatever_is_missing():
    bare = {"reference": "B"}
    english = {"reference": "C", "name": "Card", "method": "DIRECT_URL", "psp": None, "logo_url": "https://l.test"}
    gateways, issues = normalize_gateways([GATEWAY, bare, english])
    empty = dict.fromkeys(GATEWAY_DTYPES)
    rows = [
        GATEWAY_ROW,
        empty | {"gateway_reference": "B"},
        empty | {"gateway_reference": "C", "name": "Card", "method": "DIRECT_URL", "logo_url": "https://l.test"},
    ]
    assert issues == []
    assert_frame_equal(gateways, frame_of(rows, GATEWAY_DTYPES))


def test_Y16_a_gateway_listed_twice_is_one_row():
    gateways, issues = normalize_gateways([GATEWAY, GATEWAY | {"libelle": "Flooz (new name)"}])
    assert issues == []
    assert_frame_equal(gateways, frame_of([GATEWAY_ROW | {"name": "Flooz (new name)"}], GATEWAY_DTYPES))


def test_bad_gateways_become_issues():
    gateways, issues = normalize_gateways(["FLOOZ", GATEWAY, {"libelle": "no key"}, {"reference": " "}])
    assert issues == [
        Issue(0, "gateway", "not_an_object"),
        Issue(2, "reference", "missing"),
        Issue(3, "reference", "missing"),
    ]
    assert_frame_equal(gateways, frame_of([GATEWAY_ROW], GATEWAY_DTYPES))


def test_times_are_python_moments_until_they_are_framed():
    row, _ = bill_row(BILL)
    assert row["created_at"] == datetime(2024, 3, 5, 9, 30, tzinfo=UTC)
    assert row["business_date"] == datetime(2024, 3, 5)  # noqa: DTZ001 - a day has no zone
