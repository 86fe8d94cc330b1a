"""Tables Y and D of the failure cases through the whole flow: a real server, a real file, all that was served."""

from datetime import timedelta

import duckdb
import pytest
from shop import Shop
from truth import assert_warehouse_equals_truth

from cashpay_pipeline.errors import CashpayError, GuardError, TooManyBadRowsError, UnexpectedReplyError
from cashpay_pipeline.simulator.gateways import FLOOZ
from cashpay_pipeline.sqlfiles import sql_folder


@pytest.fixture
def shop(simulator, settings):
    return Shop(simulator, settings)


def assert_all_is_true(shop):
    assert shop.issues() == []
    assert_warehouse_equals_truth(shop.settings.data_dir, shop.simulator.truth())


def versions(shop, reference="SANDBOX-1"):
    return shop.rows(
        "select version, state, state_raw, amount, received_amount from core.bill_versions "
        "where order_reference = ? order by version",
        reference,
    )


def is_red(shop, check):
    return bool(shop.rows((sql_folder() / "checks" / f"{check}.sql").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("mutation", "reference", "field", "reason"),
    [
        pytest.param({"delete": ["order_reference"]}, None, "order_reference", "missing", id="Y1 no key"),
        pytest.param({"set": {"order_reference": None}}, None, "order_reference", "missing", id="Y1 null"),
        pytest.param({"set": {"order_reference": " "}}, None, "order_reference", "missing", id="Y1 blank"),
        pytest.param({"set_raw": {"amount": "NaN"}}, "BAD", "record", "not_a_number", id="Y10 NaN"),
        pytest.param({"set_raw": {"amount": "1e400"}}, "BAD", "record", "not_a_number", id="Y10 1e400"),
        pytest.param({"duplicate_keys": {"amount": '"1"'}}, "BAD", "record", "duplicate_key", id="Y11 key twice"),
        pytest.param({"set": {"Amount": "1"}}, "BAD", "record", "ambiguous_key", id="D7 Amount and amount"),
        pytest.param({"set": {"amount": {"value": 1}}}, "BAD", "amount", "not_a_number", id="D3 type change"),
    ],
)
def test_Y1_Y10_Y11_D3_D7_a_bad_row_is_set_aside_and_the_others_load(mutation, reference, field, reason, shop):
    shop.bill("BAD", amount=7000, state="Paid")
    shop.bill("GOOD", amount=500, state="Paid")
    shop.spoil("BAD", **mutation)
    shop.sync()
    assert shop.bills("order_reference", "received_amount") == [("GOOD", 500)]
    assert shop.issues() == [(reference, field, reason)]
    assert is_red(shop, "no_open_data_issues")
    ((payload,),) = shop.rows("select payload from core.data_issues")
    assert '"merchant_reference"' in payload and "EXEMPLE" not in payload
    shop.spoil()
    shop.sync()
    assert_all_is_true(shop)
    assert not is_red(shop, "no_open_data_issues")


def test_Y1_a_bill_known_before_keeps_its_content_when_a_reading_is_bad(shop):
    shop.bill("A", amount=7000, state="Paid")
    shop.sync()
    shop.spoil("A", set={"amount": "7 000"})
    shop.sync()
    assert shop.bills("order_reference", "amount", "version") == [("A", 7000, 1)]
    assert set(shop.issues()) == {("A", "amount", "not_a_number")}  # from the list, and from the details


def test_Y2_keys_stay_as_they_are(shop):
    keys = ["00123", "123", "12E345", "1e3", "1000", "a", "A"]
    for amount, key in enumerate(keys, start=1):
        shop.bill(key, amount=amount)
    shop.sync()
    assert dict(shop.bills("order_reference", "amount")) == {key: n for n, key in enumerate(keys, start=1)}
    assert shop.sync("refresh").bills_changed == 0
    assert_all_is_true(shop)


def test_Y3_a_short_code_used_twice_is_two_bills(shop):
    shop.bill("A", code="4815", amount=100, state="Paid")
    shop.bill("B", code="4815", amount=200)
    shop.sync()
    assert shop.bills("order_reference", "code", "amount") == [("A", "4815", 100), ("B", "4815", 200)]
    assert_all_is_true(shop)


def test_Y4_several_bills_of_one_order_are_attempts_that_all_stay(shop):
    for reference, state in (("A", "Error"), ("B", "Canceled"), ("C", "Paid")):
        shop.bill(reference, merchant_reference="CMD-7", state=state)
    shop.sync()
    rows = [("A", "CMD-7", "Error", 0), ("B", "CMD-7", "Canceled", 0), ("C", "CMD-7", "Paid", 1500)]
    assert shop.bills("order_reference", "merchant_reference", "state", "received_amount") == rows
    assert_all_is_true(shop)


def test_Y5_an_unknown_state_is_kept_and_asked_for_again(shop):
    shop.bill(state="Refunded", received_amount=0)
    shop.sync()
    assert shop.bills("state", "state_raw") == [("Unknown", "Refunded")]
    shop.simulator.clear_log()
    shop.sync("recheck")
    assert [e["path"] for e in shop.simulator.log() if e["template"] == "/orders/{ref}"] == ["/orders/SANDBOX-1"]
    shop.bill(state="Paid")
    shop.sync("recheck")
    assert versions(shop) == [(1, "Unknown", "Refunded", 1500, 0), (2, "Paid", "Paid", 1500, 1500)]


@pytest.mark.parametrize("raw", ["Cancelled", " CANCÉLED "])
def test_Y6_the_word_on_the_wire_is_kept(raw, shop):
    shop.bill(state=raw)
    shop.sync()
    assert shop.bills("state", "state_raw") == [("Canceled", raw)]


def test_Y7_a_state_that_goes_back_is_history_never_overwritten(shop):
    shop.bill()
    shop.sync()
    shop.bill(state="Paid")
    shop.sync()
    shop.bill(state="Pending", payments=[], received_amount=0)
    shop.sync()
    shop.bill(state="Paid")
    shop.sync()
    assert versions(shop) == [
        (1, "Pending", "Pending", 1500, 0),
        (2, "Paid", "Paid", 1500, 1500),
        (3, "Pending", "Pending", 1500, 0),
        (4, "Paid", "Paid", 1500, shop.bills("received_amount")[0][0]),
    ]
    ((after, before),) = shop.bills("paid_after", "paid_before")
    assert timedelta(minutes=14) < before - after < timedelta(minutes=16)


@pytest.mark.parametrize("client", [None, "+22800004242", ["+22800004242"]], ids=str)
def test_Y8_whatever_the_client_is_the_bill_counts(client, shop):
    shop.bill(state="Paid")
    shop.spoil("SANDBOX-1", set={"client": client})
    assert shop.sync().complete
    row = shop.bills("state", "received_amount", "client_key", "client_phone_masked")
    assert (row, shop.issues()) == ([("Paid", 1500, None, None)], [])
    assert "4242" not in str(shop.payload())


def test_Y9_the_payments_of_now_replace_those_of_before(shop):
    one = {"thirdparty_reference": "TP-1", "amount": 500, "gateway": {"libelle": "Flooz-Example"}}
    two = one | {"thirdparty_reference": "TP-2", "amount": 1000}
    for state, payments in (("Pending", []), ("Partial", [one]), ("Paid", [one, two])):
        shop.bill(state=state, payments=payments, received_amount=sum(p["amount"] for p in payments))
        shop.sync()
        stored = shop.rows("select thirdparty_reference, amount from core.payments order by payment_number")
        assert stored == [(p["thirdparty_reference"], p["amount"]) for p in payments]
        assert shop.bills("payment_count", "received_amount") == [(len(payments), sum(p[1] for p in stored))]


@pytest.mark.parametrize("kind", ["latin1", "bom"])
def test_Y12_Y13_another_encoding_loses_no_letter(kind, shop):
    shop.bill(description="Pâté à emporter, Kégué")
    shop.simulator.faults([{"path": "/orders", "kind": kind, "times": None}])
    result = shop.sync()
    assert (result.complete, any("Latin-1" in w for w in result.warnings)) == (True, kind == "latin1")
    assert shop.bills("description") == [("Pâté à emporter, Kégué",)]
    assert_all_is_true(shop)


@pytest.mark.parametrize(
    ("raw", "shown", "kept"),
    [
        (r'"a\u0000b"', "a\N{REPLACEMENT CHARACTER}b", "a\0b"),
        (r'"a\ud800b"', "a\\ud800b", "a\ud800b"),
        ('"\N{GRINNING FACE}"', "\N{GRINNING FACE}", "\N{GRINNING FACE}"),
        ('"\u202eabc"', "\u202eabc", "\u202eabc"),
        (f'"{"x" * 1_000_000}"', "x" * 1_000_000, "x" * 1_000_000),
    ],
    ids=["NUL", "lone surrogate", "emoji", "right to left", "1 MB"],
)
def test_Y14_odd_characters_are_whole_in_the_payload(raw, shown, kept, shop):
    shop.bill(state="Paid")
    shop.spoil("SANDBOX-1", set_raw={"description": raw})
    assert shop.sync().complete
    assert shop.bills("description", "received_amount") == [(shown, 1500)]
    assert shop.payload()["description"] == kept
    assert shop.sync().bills_changed == 0


def test_Y14_a_row_set_aside_may_have_an_odd_key(shop):
    shop.bill("FINE")
    shop.bill("ODD")
    shop.spoil("ODD", set_raw={"order_reference": r'"a\ud800"', "amount": "NaN"})
    assert shop.sync().rows_set_aside >= 1
    assert (shop.bills("order_reference"), shop.issues()) == ([("FINE",)], [("a\\ud800", "record", "not_a_number")])


def test_Y15_a_page_nested_without_end_stops_and_changes_nothing(shop):
    shop.bill()
    shop.sync()
    shop.simulator.faults([{"path": "/orders", "kind": "deep_nesting", "times": None}])
    with pytest.raises(UnexpectedReplyError, match="nested") as caught:
        shop.sync()
    assert "page 1" in str(caught.value.where)
    assert shop.bills("order_reference", "missing_since") == [("SANDBOX-1", None)]


def gateway_history(shop):
    return shop.rows(
        "select name, valid_to is null from core.gateway_versions where gateway_reference = ? order by valid_from",
        FLOOZ,
    )


def flooz_payment(name):
    return [{"thirdparty_reference": "TP", "amount": 1500, "gateway": {"reference": FLOOZ, "libelle": name}}]


def test_Y16_a_renamed_gateway_has_a_history_and_its_bills_keep_the_name_of_their_day(shop):
    shop.bill("A", state="Paid", payments=flooz_payment("Flooz (exemple)"), received_amount=1500)
    shop.sync()
    shop.simulator.put_gateway(FLOOZ, libelle="Flooz 2")
    shop.bill("B", state="Paid", payments=flooz_payment("Flooz 2"), received_amount=1500)
    shop.sync()
    shop.sync()
    assert gateway_history(shop) == [("Flooz (exemple)", False), ("Flooz 2", True)]
    assert shop.bills("gateway_name", "version") == [("Flooz (exemple)", 1), ("Flooz 2", 1)]


def test_Y16_a_gateway_that_goes_and_comes_back(shop):
    shop.sync()
    shop.simulator.put_gateway(FLOOZ, removed=True)
    shop.sync()
    gone = "select missing_since is not null from core.gateways where gateway_reference = ?"
    assert (gateway_history(shop), shop.rows(gone, FLOOZ)) == ([("Flooz (exemple)", False)], [(True,)])
    shop.simulator.put_gateway(FLOOZ, libelle="Flooz (exemple)", id=3, psp={"libelle": "FLOOZ", "logo_url": None})
    shop.sync()
    assert [known for _, known in gateway_history(shop)] == [False, True]
    assert shop.rows(gone, FLOOZ) == [(False,)]


@pytest.mark.parametrize("fault", [{"status": 204}, {"status": 200, "body": []}], ids=["204", "empty"])
def test_H4_an_answer_without_gateways_marks_none_as_gone(fault, shop):
    shop.sync()
    shop.simulator.faults([{"path": "/gateways", "times": None, **fault}])
    result = shop.sync()
    assert result.status == "incomplete"
    assert "CashPay shows no gateway, " in result.warnings[0]
    assert gateway_history(shop) == [("Flooz (exemple)", True)]
    assert shop.rows("select count(*) from core.gateways where missing_since is not null") == [(0,)]


@pytest.mark.parametrize("total", [{"total": 6}, {"meta": {"total": "6"}}], ids=["number", "text"])
def test_Y16_a_part_of_the_gateways_marks_none_as_gone(total, shop):
    shop.sync()
    before = shop.rows("select * from core.gateways order by all")
    some = shop.simulator.truth()["gateways"][:2]
    shop.simulator.faults([{"path": "/gateways", "status": 200, "times": 1, "body": {"items": some, **total}}])
    result = shop.sync()
    assert (result.status, result.warnings) == (
        "incomplete",
        [f"CashPay shows 2 gateways and says there are 6; {len(before)} were known: they were kept as they are."],
    )
    assert shop.rows("select * from core.gateways order by all") == before
    assert shop.sync().status == "complete"


def test_Y16_a_gateway_listed_twice_is_one(shop):
    (first, *rest) = shop.simulator.truth()["gateways"]
    shop.simulator.faults([{"path": "/gateways", "status": 200, "times": None, "body": [first, *rest, first]}])
    shop.sync()
    shop.sync()
    references = [g for (g,) in shop.rows("select gateway_reference from core.gateways order by 1")]
    assert references == sorted(g["reference"] for g in (first, *rest))
    assert shop.rows("select count(*) from core.gateway_versions") == [(len(references),)]


def test_Y17_a_tenth_of_the_rows_is_too_much_and_nothing_of_them_is_stored(shop):
    for n in range(60):
        shop.bill(f"B{n:02}")
    shop.spoil(*(f"B{n:02}" for n in range(6)), set={"amount": "x"})
    with pytest.raises(TooManyBadRowsError, match=r"6 of 60 rows cannot be read \(amount: not_a_number\)"):
        shop.sync()
    assert shop.bills("order_reference") == []
    assert shop.issues() == [(f"B{n:02}", "amount", "not_a_number") for n in range(6)]
    assert is_red(shop, "last_sync_complete")
    shop.spoil()
    assert shop.sync().complete
    assert_all_is_true(shop)


def test_Y17_a_few_bad_rows_do_not_stop_the_others(shop):
    for n in range(60):
        shop.bill(f"B{n:02}", state="Paid")
    shop.spoil("B07", "B33", set={"amount": "x"})
    shop.sync()
    assert [r for (r,) in shop.bills("order_reference")] == [f"B{n:02}" for n in range(60) if n not in (7, 33)]
    assert shop.issues() == [(r, "amount", "not_a_number") for r in ("B07", "B33")]


def test_Y17_rows_that_are_bad_in_the_list_each_night_stop_no_night_though_their_details_are_good(shop):
    """Their details close what is open of them, and it opens again with the same rows: they are not new for that."""
    for n in range(140):
        shop.bill(f"B{n:03}", state="Paid")
    shop.spoil(*(f"B{n:03}" for n in range(130, 136)), path="/orders", set={"amount": "x"})
    for _ in range(4):
        shop.simulator.advance(days=1)
        result = shop.sync("refresh", page_size=20)
        assert (result.status, result.warnings) == ("complete", [])
    assert len(shop.rows("from core.bills where order_reference like 'B%'")) == 140


@pytest.mark.parametrize("code", ['"404"', "404", "271828"])
def test_Y18_a_code_that_looks_like_an_error_is_still_a_bill(code, shop):
    shop.bill()
    shop.spoil("SANDBOX-1", set_raw={"code": code})
    shop.sync()
    shop.bill(state="Paid")
    assert shop.sync("recheck").complete
    assert shop.bills("code", "state", "received_amount") == [(code.strip('"'), "Paid", 1500)]


def test_Y18_an_error_with_a_code_is_no_bill(shop):
    shop.bill()
    shop.simulator.faults(
        [{"path": "/orders", "status": 200, "times": None, "body": {"code": 404, "message": "Order not found"}}]
    )
    with pytest.raises(CashpayError):
        shop.sync()
    assert (shop.bills("order_reference"), shop.issues()) == ([], [])


@pytest.mark.parametrize(
    "switches",
    [
        {"details_wrapped": True, "gateways_wrapped": True},
        {"payments_method": "nested_everywhere"},
        {"envelope": "bare", "details_wrapped": True},
    ],
    ids=str,
)
def test_Y19_known_wrappings_are_unwrapped(switches, shop):
    shop.simulator.set(**switches)
    shop.bill("A")
    shop.sync()
    shop.bill("A", state="Paid")
    shop.sync("recheck")
    assert len(shop.rows("select 1 from core.gateways")) == len(shop.simulator.truth()["gateways"])
    assert_all_is_true(shop)


def test_Y19_two_bills_in_one_details_reply_are_set_aside(shop):
    shop.bill("A")
    shop.sync()
    two = {"items": [{"order_reference": r, "state": "Paid", "amount": 1, "currency": "XOF"} for r in "AB"]}
    shop.simulator.faults([{"path": "/orders/{ref}", "status": 200, "times": None, "body": two}])
    shop.sync("recheck")
    assert shop.bills("order_reference", "state") == [("A", "Pending")]
    assert shop.issues() == [("A", "order_reference", "details_unreadable")]


def test_D1_a_new_field_is_kept_from_its_first_day(shop):
    shop.bill(state="Paid")
    shop.sync()
    shop.spoil("SANDBOX-1", set={"fees": {"operator": 15, "vat": "2.70"}})
    shop.sync()
    assert shop.payload()["fees"] == {"operator": 15, "vat": "2.70"}
    assert versions(shop) == [(n, "Paid", "Paid", 1500, 1500) for n in (1, 2)]
    shop.spoil("SANDBOX-1", set={"fees": {"operator": "15", "vat": 2.7}})
    assert shop.sync().bills_changed == 0
    assert_all_is_true(shop)


def test_D2_optional_fields_that_are_gone_are_empty(shop):
    shop.simulator.set(missing_optional="all")
    shop.bill("A", state="Paid", merchant_reference="CMD-1", description="x")
    assert shop.sync().complete
    columns = ("received_amount", "merchant_reference", "code", "description", "bill_url")
    assert shop.bills(*columns) == [(1500, None, None, None, None)]


@pytest.mark.parametrize("field", ["amount", "currency", "order_reference"])
def test_D2_a_required_field_missing_everywhere_stops(field, shop):
    for n in range(6):
        shop.bill(f"B{n}", amount=100 + n)
    shop.spoil(delete=[field])
    with pytest.raises(TooManyBadRowsError, match=rf"6 of 6 rows cannot be read \({field}: missing\)"):
        shop.sync()
    assert shop.bills("order_reference") == []
    assert [issue[1:] for issue in shop.issues()] == [(field, "missing")] * 6


@pytest.mark.parametrize("field", ["amount", "currency", "state"])
def test_D2_a_required_field_that_the_list_no_longer_shows_stays_as_it_was(field, shop):
    shop.bill("A", amount=7000, state="Partial", received_amount=100)
    shop.sync()
    shop.spoil(path="/orders", delete=[field])
    assert shop.sync().bills_changed == 0
    assert_all_is_true(shop)


@pytest.mark.parametrize("form", ["int", "float", "decimal_string"])
def test_D3_a_lossless_change_of_type_is_no_change(form, shop):
    shop.bill("A", state="Paid")
    shop.bill("B", state="Partial", received_amount=700)
    shop.sync()
    shop.simulator.set(amount_form=form, received_form=form)
    assert shop.sync().bills_changed == 0
    assert_all_is_true(shop)


def test_D4_the_other_name_of_the_key_is_understood(shop):
    shop.bill("A", state="Paid")
    shop.sync()
    shop.spoil("A", path="/orders", delete=["order_reference"], set={"orderNum": "A"})
    assert shop.sync().complete
    assert (shop.bills("order_reference", "received_amount"), shop.issues()) == ([("A", 1500)], [])


def test_D5_an_unknown_envelope_is_never_an_empty_list(shop):
    shop.bill("A")
    shop.sync()
    shop.simulator.set(envelope="unknown")
    with pytest.raises(UnexpectedReplyError):
        shop.sync()
    assert shop.bills("order_reference", "missing_since") == [("A", None)]
    assert is_red(shop, "last_sync_complete")


def test_D6_the_order_of_keys_moves_no_value(shop):
    for n in range(5):
        shop.bill(f"B{n}", amount=100 + n, state="Paid", merchant_reference=f"CMD-{n}")
    shop.sync()
    shop.simulator.set(shuffled_keys=True)
    assert shop.sync().bills_changed == 0
    assert_all_is_true(shop)


def test_D8_a_file_of_a_newer_version_is_left_alone(shop):
    shop.bill("A")
    shop.sync()
    with duckdb.connect(str(shop.settings.warehouse_path)) as connection:
        connection.execute("insert into core.migrations values (9999, now())")
    with pytest.raises(GuardError, match="newer version"):
        shop.sync()
    assert shop.bills("order_reference") == [("A",)]


def test_D9_columns_that_are_empty_on_day_one_have_their_types(shop):
    types = "select column_name, data_type from information_schema.columns where table_schema = 'core' order by all"
    shop.simulator.set(missing_optional="all")
    shop.bill("A")
    shop.sync()
    before = shop.rows(types)
    assert {kind for _, kind in before} == {
        *("VARCHAR", "BIGINT", "TIMESTAMP WITH TIME ZONE", "DATE", "BOOLEAN", "DOUBLE", "VARCHAR[]"),
    }
    shop.simulator.set(missing_optional="none")
    shop.bill("A", state="Paid", merchant_reference="00123", description="1e3")
    shop.sync()
    assert shop.rows(types) == before
    assert shop.bills("merchant_reference", "description", "received_amount") == [("00123", "1e3", 1500)]
