"""Table M of the failure cases: sums of money are whole numbers of the smallest unit, exact, received before billed."""

import re
from decimal import Decimal

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop import Shop
from truth import assert_warehouse_equals_truth

from cashpay_pipeline.decoding import decode_json
from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.normalize import BILL_DTYPES, GATEWAY_DTYPES, PAYMENT_DTYPES, Issue, normalize_bills
from cashpay_pipeline.sqlfiles import sql_folder
from cashpay_pipeline.values import BadRecordError, parse_amount
from cashpay_pipeline.warehouse import open_warehouse
from cashpay_pipeline.warehouse.issues import ISSUE_DTYPES
from cashpay_pipeline.warehouse.store import HISTORY_DTYPES, SEEN_DTYPES, VERSION_DTYPES

exact = settings(derandomize=True, database=None, deadline=None, max_examples=80)
BIGINT = 2**63


@pytest.fixture
def shop(simulator, settings):
    return Shop(simulator, settings)


def refused(value, currency="XOF"):
    with pytest.raises(BadRecordError) as caught:
        parse_amount(value, currency, "amount")
    assert caught.value.field == "amount"
    return caught.value.reason


def money_of(**fields):
    """state, amount, received_amount as normalized."""
    normalized = normalize_bills([{"order_reference": "A", "currency": "XOF", "amount": 1500} | fields])
    assert normalized.issues == []
    bill = dict(zip(BILL_DTYPES, normalized.contents[0][0], strict=True))
    return bill["state"], bill["amount"], bill["received_amount"]


@pytest.mark.parametrize(
    ("value", "francs"),
    [
        ("200", 200),
        ("1500", 1500),
        ("1500.0", 1500),
        ("1500.00", 1500),
        ("0200", 200),
        (1500, 1500),
        (Decimal("1500.0"), 1500),
        (Decimal("1.2E+7"), 12_000_000),
        ("9999999999999999", 10**16 - 1),
    ],
    ids=repr,
)
def test_M1_the_forms_an_amount_may_have(value, francs):
    amount = parse_amount(value, "XOF", "amount")
    assert (amount, type(amount)) == (francs, int)


NOT_AMOUNTS = [
    *("12 000", "12\u00a0000", "12\u202f000", "1 500,50", "1,500", "1.500,00", "1.500.000", "1'500", "1_000"),
    *("1e3", "1E3", "１５００", "١٥٠٠", "NaN", "nan", "Infinity", "-inf", "0x10", "1500 ", " 1500", "1500\n", "+1500"),
    *("--5", "-", ".", "1.", ".5", "1500 XOF", "FCFA 1500", "1500F", "½", "²", "one", "\0", "1" * 31),
]


@pytest.mark.parametrize("text", NOT_AMOUNTS, ids=repr)
def test_M2_no_separator_and_no_digit_is_guessed(text):
    assert refused(text) == "not_a_number"


@pytest.mark.parametrize(
    "value", [True, False, [], {}, [1500], {"amount": 1500}, 1500.0, float("nan"), b"1500"], ids=repr
)
def test_M2_what_is_no_number_is_refused(value):
    assert refused(value) == "not_a_number"


@pytest.mark.parametrize("value", [None, ""], ids=repr)
def test_M2_nothing_is_not_zero(value):
    assert refused(value) == "missing"


@exact
@given(st.text(alphabet="0123456789.,eE+-_ \u00a0'１٣NaInf", max_size=12))
def test_M2_whatever_is_read_is_what_is_written(text):
    """Only digits with at most one point are read, and then as exactly that number."""
    try:
        francs = parse_amount(text, "XOF", "amount")
    except BadRecordError:
        return
    assert re.fullmatch(r"-?[0-9]+(\.0+)?", text)
    assert Decimal(text) == francs


@exact
@given(st.integers(1 - 10**16, 10**16 - 1))
def test_M1_every_franc_survives_every_form(francs):
    forms = [francs, str(francs), f"{francs}.00", Decimal(francs), Decimal(f"{francs}.0")]
    assert [parse_amount(form, "XOF", "amount") for form in forms] == [francs] * len(forms)


@exact
@given(st.integers(1 - 10**16, 10**16 - 1), st.sampled_from(["EUR", "USD", "GHS", "NGN"]))
def test_M7_every_cent_survives(cents, currency):
    text = f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
    assert parse_amount(text, currency, "amount") == parse_amount(Decimal(text), currency, "amount") == cents


def test_M3_a_json_number_with_a_point_is_exact():
    (amount, large) = decode_json(b"[1234567.10, 9007199254740993.0]")
    assert parse_amount(amount, "EUR", "amount") == 123_456_710
    assert parse_amount(large, "XOF", "amount") == 9_007_199_254_740_993


FRAMES = {
    "bills": BILL_DTYPES,
    "payments": PAYMENT_DTYPES,
    "gateways": GATEWAY_DTYPES,
    "versions": VERSION_DTYPES,
    "history": HISTORY_DTYPES,
    "seen": SEEN_DTYPES,
    "issues": ISSUE_DTYPES,
}


@pytest.mark.parametrize("dtypes", FRAMES.values(), ids=FRAMES)
def test_M4_no_frame_has_a_float(dtypes):
    assert {n: t for n, t in dtypes.items() if pd.api.types.is_float_dtype(pd.api.types.pandas_dtype(t))} == {}
    assert {t for n, t in dtypes.items() if "amount" in n} <= {"Int64"}


def test_M4_no_table_has_a_float_of_money():
    """The one float is a time that was waited."""
    with duckdb.connect() as connection:
        for step in sorted((sql_folder() / "core").glob("*.sql")):
            connection.execute(step.read_text(encoding="utf-8"))
        columns = connection.execute(
            "select table_schema || '.' || table_name, column_name, data_type from information_schema.columns"
        ).fetchall()
    floats = [c for c in columns if re.search(r"FLOAT|DOUBLE|REAL|DECIMAL|NUMERIC|HUGEINT", c[2])]
    assert floats == [("core.syncs", "waited_seconds", "DOUBLE")]
    money = {(t, c): kind for t, c, kind in columns if "amount" in c}
    assert set(money.values()) == {"BIGINT"}
    assert set(money) >= {
        *(("core.bills", c) for c in ("amount", "received_amount")),
        *(("core.bill_versions", c) for c in ("amount", "received_amount")),
        ("core.payments", "amount"),
    }


def test_M4_no_sql_of_ours_casts_to_a_float():
    floats = re.compile(r"\b(float\d?|double|real|decimal|numeric)\b", re.IGNORECASE)
    found = [
        (path.name, line.strip())
        for path in sorted(sql_folder().rglob("*.sql"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if floats.search(line.split("--")[0])
        and "comment on" not in line
        and not re.search(r"_(share|seconds)\b", line)  # these are no money
    ]
    assert not found


def test_M5_a_large_number_beside_a_null_keeps_its_last_digit():
    rows = [
        {
            "order_reference": "A",
            "state": "Partial",
            "currency": "XOF",
            "amount": 2**53 + 1,
            "received_amount": 2**53 + 1,
        },
        {"order_reference": "B", "state": "Partial", "currency": "XOF", "amount": 1},
    ]
    bills = normalize_bills(rows).bills()
    assert bills["received_amount"].dtype == "Int64"
    assert bills["received_amount"].tolist() == [2**53 + 1, pd.NA]
    with duckdb.connect() as connection:
        connection.register("bills", bills)
        assert connection.execute("select received_amount, typeof(received_amount) from bills").fetchall() == [
            (2**53 + 1, "BIGINT"),
            (None, "BIGINT"),
        ]


@pytest.mark.parametrize(
    ("value", "francs"),
    [("0", 0), (0, 0), ("-0", 0), (Decimal("-0.00"), 0), ("-1500", -1500), (-1, -1), ("-1500.00", -1500)],
    ids=repr,
)
def test_M6_zero_and_negative_are_kept(value, francs):
    assert parse_amount(value, "XOF", "amount") == francs
    assert money_of(state="Pending", amount=value) == ("Pending", francs, 0)


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        ("1500.50", "XOF"),
        (Decimal("1500.5"), "XOF"),
        (Decimal("1E-399"), "XOF"),
        ("0.01", "XAF"),
        ("15.001", "EUR"),
        ("1500.00000000000000000000000001", "XOF"),
        (Decimal("1500.00000000000000000000000000001"), "XOF"),
        (Decimal("15.00000000000000000000000000001"), "EUR"),
    ],
    ids=str,
)
def test_M7_a_fraction_of_the_smallest_unit_is_refused_never_rounded(value, currency):
    assert refused(value, currency) == "fraction_of_smallest_unit"


@pytest.mark.parametrize(
    ("currency", "units"),
    [("XOF", 1500), ("XAF", 1500), ("GNF", 1500), ("EUR", 150_000), ("GHS", 150_000), ("NGN", 150_000)],
)
def test_M7_francs_are_never_multiplied_by_a_hundred(currency, units):
    assert [parse_amount(v, currency, "amount") for v in ("1500", "1500.00", 1500)] == [units] * 3


@pytest.mark.parametrize(
    ("currency", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        ("CFA", "unknown_currency"),
        ("FCFA", "unknown_currency"),
        ("952", "unknown_currency"),
        (952, "unknown_currency"),
        (" ", "unknown_currency"),
    ],
    ids=repr,
)
def test_M8_without_a_currency_that_is_known_a_sum_means_nothing(currency, reason):
    bill = {"order_reference": "A", "state": "Paid", "amount": 1500, "currency": currency}
    assert normalize_bills([bill]).issues == [Issue(0, "currency", reason)]


def test_M8_a_currency_is_read_whatever_its_case():
    bills = normalize_bills([{"order_reference": "A", "state": "Paid", "amount": "15.00", "currency": " eur "}]).bills()
    assert bills[["currency", "amount", "received_amount"]].values.tolist() == [["EUR", 1500, 1500]]


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        (10**16, "XOF"),
        (str(-(10**16)), "XOF"),
        ("100000000000000", "EUR"),
        (10**14, "EUR"),
        (str(BIGINT), "XOF"),
        (BIGINT, "XOF"),
        (-BIGINT - 1, "XOF"),
        ("1" * 30, "XOF"),
        (10**400, "XOF"),
        (Decimal("1E+399"), "XOF"),
        (Decimal("Infinity"), "XOF"),
        (Decimal("NaN"), "XOF"),
        (str(BIGINT // 100 + 1), "EUR"),
    ],
    ids=lambda v: str(v)[:24],
)
def test_M9_what_no_column_can_hold_is_refused(value, currency):
    assert refused(value, currency) == "too_large"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"state": "Paid", "received_amount": 1500}, ("Paid", 1500, 1500), id="stated"),
        pytest.param({"state": "Paid"}, ("Paid", 1500, 1500), id="paid in full, not stated"),
        pytest.param({"state": "Paid", "received_amount": 0}, ("Paid", 1500, 0), id="stated as nothing"),
        pytest.param({"state": "Partial", "received_amount": "500"}, ("Partial", 1500, 500), id="partial"),
        pytest.param({"state": "Partial"}, ("Partial", 1500, None), id="partial, how much is not told"),
        pytest.param({"state": "Partial", "payments": []}, ("Partial", 1500, None), id="partial without payments"),
        pytest.param(
            {"state": "Partial", "payments": [{"amount": 700}]}, ("Partial", 1500, 700), id="partial, payments"
        ),
        pytest.param({"state": "Excess", "received_amount": 2000}, ("Excess", 1500, 2000), id="excess"),
        pytest.param({"state": "Excess"}, ("Excess", 1500, None), id="excess, how much is not told"),
        pytest.param({"state": "Refunded"}, ("Unknown", 1500, None), id="unknown state"),
        pytest.param({"state": "Pending"}, ("Pending", 1500, 0), id="pending"),
        pytest.param({"state": "Canceled"}, ("Canceled", 1500, None), id="canceled, not told what came in before"),
        pytest.param({"state": "Canceled", "received_amount": 500}, ("Canceled", 1500, 500), id="canceled half paid"),
        pytest.param({"state": "Expired"}, ("Expired", 1500, None), id="expired, not told what came in before"),
        pytest.param({"state": "Error"}, ("Error", 1500, None), id="error, not told what came in before"),
        pytest.param(
            {"state": "Excess", "payments": [{"amount": 1500}, {"amount": "1500.00"}]},
            ("Excess", 1500, 3000),
            id="twice",
        ),
    ],
)
def test_M10_received_is_not_billed(fields, expected):
    assert money_of(**fields) == expected


def test_M9_huge_amounts_keep_no_table_from_being_built(shop):
    """Two of five quintillions had no sum that a column holds, and nothing was published until somebody mended that."""
    for reference in "ABC":
        shop.bill(reference, state="Paid", amount=1000)
    shop.spoil("A", "B", set={"amount": str(5 * 10**18), "received_amount": str(5 * 10**18)})
    shop.sync()
    with open_warehouse(shop.settings) as warehouse:
        for mart in all_marts():
            build_mart(warehouse, mart)
        (row,) = warehouse.rows("select sum(net_amount) as net from marts.daily_collections")
    assert row["net"] == 1000
    assert {issue[2] for issue in shop.issues()} == {"too_large"}


def test_M9_payments_that_add_up_to_more_than_a_column_holds_set_one_bill_aside(shop):
    shop.bill("A", state="Paid", amount=1000)
    shop.bill("B", state="Paid", amount=1000)
    payments = [{"amount": str(6 * 10**15), "gateway": {"reference": "g"}}] * 2
    shop.spoil("B", set={"payments": payments}, delete=["received_amount"])
    shop.sync()
    assert shop.bills("order_reference", "received_amount") == [("A", 1000)]
    assert shop.issues() == [("B", "received_amount", "too_large")]


@pytest.mark.parametrize("currency", ["XAF", "EUR"])
def test_M8_a_bill_that_changes_its_currency_is_set_aside_and_keeps_its_past(currency, shop):
    """What came in before was not in the other currency, and no history could say so."""
    shop.bill("A", state="Paid", amount=1000)
    shop.bill("B", state="Paid", amount=500)
    shop.sync()
    shop.spoil("A", set={"currency": currency, "state": "Excess"})
    shop.sync()
    assert shop.bills("order_reference", "state", "currency", "received_amount") == [
        ("A", "Paid", "XOF", 1000),
        ("B", "Paid", "XOF", 500),
    ]
    assert set(shop.issues()) == {("A", "currency", "changed")}, "of the list, and of its details"
    shop.spoil()
    shop.sync()
    assert shop.issues() == []


def test_M10_partial_excess_and_paid_reach_the_warehouse(shop):
    shop.bill("A", amount=1000)
    shop.bill("B", amount=1000, state="Partial", received_amount=400)
    shop.bill("C", amount=1000, state="Paid")
    shop.bill("D", amount=1000, state="Excess", received_amount=1700)
    assert shop.sync().complete
    rows = [("A", 1000, 0), ("B", 1000, 400), ("C", 1000, 1000), ("D", 1000, 1700)]
    assert shop.bills("order_reference", "amount", "received_amount") == rows
    assert shop.rows("select order_reference, amount from core.payments order by all") == [
        ("B", 400),
        ("C", 1000),
        ("D", 1700),
    ]
    assert_warehouse_equals_truth(shop.settings.data_dir, shop.simulator.truth())


def test_M10_a_poor_list_does_not_take_away_what_details_told(shop):
    """List rows without sums: what is not known is null until the details are read, and stays known afterwards."""
    shop.simulator.set(list_fields="poor")
    shop.bill("B", amount=1000, state="Partial", received_amount=400)
    shop.bill("D", amount=1000, state="Excess", received_amount=1700)
    shop.sync()
    assert shop.bills("order_reference", "received_amount") == [("B", None), ("D", None)]
    shop.sync("recheck")
    assert shop.bills("order_reference", "received_amount", "version") == [("B", 400, 2), ("D", 1700, 2)]
    shop.sync()
    assert shop.bills("order_reference", "received_amount", "version") == [("B", 400, 2), ("D", 1700, 2)]


def test_M11_a_changed_amount_is_a_new_version(shop):
    shop.bill("A", amount=1500)
    shop.sync()
    shop.bill("A", amount=2500)
    result = shop.sync()
    assert (result.bills_new, result.bills_changed) == (0, 1)
    assert shop.rows("select version, state, amount, received_amount from core.bill_versions order by version") == [
        (1, "Pending", 1500, 0),
        (2, "Pending", 2500, 0),
    ]
    assert shop.bills("amount", "version") == [(2500, 2)]


def test_M12_a_bill_paid_twice_shows_both_payments_and_all_that_came_in(shop):
    twice = [
        {"thirdparty_reference": f"TP-{n}", "amount": 1500, "gateway": {"libelle": "Flooz-Example"}} for n in (1, 2)
    ]
    shop.bill("A", amount=1500, state="Excess", payments=twice, received_amount=3000)
    shop.sync()
    assert shop.bills("state", "amount", "received_amount", "payment_count") == [("Excess", 1500, 3000, 2)]
    assert shop.rows("select payment_number, thirdparty_reference, amount from core.payments order by 1") == [
        (1, "TP-1", 1500),
        (2, "TP-2", 1500),
    ]


@pytest.mark.parametrize(
    ("mutation", "issue"),
    [
        pytest.param({"set": {"amount": "12 000"}}, ("BAD", "amount", "not_a_number"), id="M2 separator"),
        pytest.param({"set": {"amount": "1500.50"}}, ("BAD", "amount", "fraction_of_smallest_unit"), id="M7 fraction"),
        pytest.param({"delete": ["currency"]}, ("BAD", "currency", "missing"), id="M8 no currency"),
        pytest.param({"set": {"amount": str(BIGINT)}}, ("BAD", "amount", "too_large"), id="M9 overflow"),
        pytest.param(
            {"set_raw": {"received_amount": "1e30"}}, ("BAD", "received_amount", "too_large"), id="M9 received"
        ),
    ],
)
def test_M2_M7_M8_M9_bad_money_is_set_aside_and_counted_once_it_is_good(shop, mutation, issue):
    shop.bill("BAD", amount=7000, state="Paid")
    shop.bill("GOOD", amount=500, state="Paid")
    shop.spoil("BAD", **mutation)
    result = shop.sync()
    assert (shop.bills("order_reference", "received_amount"), shop.issues()) == ([("GOOD", 500)], [issue])
    assert result.rows_set_aside > 0
    shop.spoil()
    assert shop.sync().complete
    assert shop.issues() == []
    assert_warehouse_equals_truth(shop.settings.data_dir, shop.simulator.truth())


def test_M3_an_amount_with_an_exponent_stays_readable(shop):
    """Java writes a double of ten million as 1.2E7; what is stored of it must be an amount when it is read again."""
    shop.bill("A", amount=12_000_000)
    shop.spoil("A", path="/orders", set_raw={"amount": "1.2E7"})
    shop.sync()
    shop.spoil("A", path="/orders", delete=["amount", "payments", "received_amount"])
    result = shop.sync()
    assert (shop.bills("amount", "version"), shop.issues(), result.bills_changed) == ([(12_000_000, 1)], [], 0)
