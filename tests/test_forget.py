"""Row S12: a customer who asks to be forgotten is gone from every table and every byte; amounts stay."""

import json
import os
import re
import subprocess
import sys

import pytest
from shop import Shop
from typer.testing import CliRunner

from cashpay_pipeline import privacy
from cashpay_pipeline.cli import app
from cashpay_pipeline.errors import GuardError, OrdersError, SettingsError, TooManyBadRowsError, WarehouseError
from cashpay_pipeline.export import export_table
from cashpay_pipeline.forget import forget
from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.privacy import Masker
from cashpay_pipeline.reconcile import Mapping, reconcile
from cashpay_pipeline.sync.rebuild import rebuild
from cashpay_pipeline.warehouse import open_warehouse, publish, read_published
from cashpay_pipeline.warehouse.backup import backup

PHONE, OTHER = "+22800004242", "+22800007171"
TRACES = [b"CANARYLAST", b"Canaryfirst", b"00004242", b"00 00 42 42", b"Rue Canari"]


@pytest.fixture
def shop(simulator, settings):
    return Shop(simulator, settings)


def her_bill(shop, reference, **fields):
    client = {"phone": PHONE, "lastname": "CANARYLAST", "firstname": "Canaryfirst", "address1": "Rue Canari 1"}
    shop.bill(reference, client=client, description="call +228 00 00 42 42", **fields)


def three_bills_and_one_set_aside(shop, **overrides):
    her_bill(shop, "HERS", state="Pending", amount=1500)
    her_bill(shop, "BAD")
    shop.bill("HIS", client={"phone": OTHER, "lastname": "AUTRE"}, description="call 00007171", amount=700)
    shop.spoil("BAD", set={"amount": "12 000"})
    shop.sync(**overrides)
    her_bill(shop, "HERS", state="Paid", amount=1500, received_amount=1500)
    shop.sync(**overrides)


def settings_of(shop, **overrides):
    return shop.settings.model_copy(update=overrides)


def bytes_stored(shop):
    return b"".join(f.read_bytes() for f in shop.settings.data_folder.iterdir() if f.suffix == ".duckdb")


@pytest.mark.parametrize("pii", ["mask", "keep"])
def test_S12_a_forgotten_customer_is_in_no_table_and_no_byte(shop, pii):
    three_bills_and_one_set_aside(shop, pii=pii)
    publish(settings_of(shop))
    settings = settings_of(shop, pii=pii)
    key = Masker(pii, (settings.data_folder / "pii.key").read_bytes()).client_key(PHONE).encode()
    if pii == "keep":
        assert all(trace in bytes_stored(shop) for trace in TRACES if trace != b"00004242")
    money = "amount", "received_amount", "state", "created_at", "version"
    before = shop.bills("order_reference", *money)

    assert forget(settings, "00 00 42 42").bills == 1
    publish(settings)

    assert shop.bills("order_reference", *money) == before
    assert shop.bills("order_reference", "client_key", "client_phone_masked", "description")[0] == (
        "HERS",
        None,
        None,
        "***",
    )
    assert [json.loads(p)["client"] for (p,) in shop.rows("select payload from core.bill_versions order by all")][
        :2
    ] == [{}, {}]
    assert [json.loads(p)["client"] for (p,) in shop.rows("select payload from core.data_issues")] == [{}]
    stored = bytes_stored(shop)
    assert [trace for trace in [*TRACES, b"*42"] if trace in stored] == []
    assert shop.rows("select count(*) from core.bills where client_key = ?", key.decode()) == [(0,)]
    assert shop.rows("select client_key from core.forgotten_clients") == [(key.decode(),)]
    # Another customer is untouched.
    ((his_key, description),) = shop.rows("select client_key, description from core.bills where order_reference='HIS'")
    assert his_key and "71" in description


def test_S12_later_readings_leave_the_customer_out_and_are_no_change(shop):
    three_bills_and_one_set_aside(shop)
    forget(shop.settings, PHONE)
    digests = "select list_digest, details_digest from core.bills where order_reference = 'HERS'"
    assert shop.rows(digests) == [(None, None)], "whoever tries all numbers would find hers"
    again = shop.sync()
    assert (again.bills_new, again.bills_changed) == (0, 0)
    her_bill(shop, "NEW")
    her_bill(shop, "HERS", state="Paid", amount=1500, received_amount=1600)
    result = shop.sync("refresh")
    assert (result.bills_new, result.bills_changed) == (1, 1)
    assert shop.rows(
        "select distinct client_key, client_phone_masked from core.bills where order_reference <> 'HIS'"
    ) == [(None, None)]
    assert not shop.rows("select 1 from core.bill_versions where contains(payload, '*42')")


WAYS = [PHONE, "22800004242", "0022800004242", "00004242", "CMD-228 00 00 42 42", "+228-00-00-42-42", "T_00004242/2"]
GONE = ["***", "***", "***", "***", "CMD-***", "***", "T_***/2"]


def paid_under_her_number(shop, way, **fields):
    """The shop uses its customers' numbers as references, and so does the operator."""
    payment = {"thirdparty_reference": way, "amount": 22800004242, "gateway": {"libelle": "Flooz"}}
    paid = {"state": "Paid", "amount": 22800004242, "received_amount": 22800004242, "payments": [payment]}
    her_bill(shop, f"{WAYS.index(way)}-00004242", **(paid | {"merchant_reference": way} | fields))


def test_S12_orders_of_customers_forgotten_stay_apart_and_attempts_at_one_together(shop):
    orders = {"HERS": ("90123456", "Paid"), "HERS-2": ("90123456", "Pending"), "HIS": ("91234567", "Paid"),
              "THEIRS": ("92345678", "Pending")}  # fmt: skip
    for reference, (phone, state) in orders.items():
        client = {"phone": f"+228{phone}", "lastname": "L"}
        received = 1000 if state == "Paid" else 0
        shop.bill(
            reference, client=client, merchant_reference=f"CMD-{phone}", state=state, amount=1000,
            received_amount=received,
        )  # fmt: skip
    shop.sync()

    def figures():
        with open_warehouse(shop.settings) as warehouse:
            for mart in all_marts():
                build_mart(warehouse, mart)
            return [
                warehouse.rows("select sum(difference_amount) as n from marts.payment_differences"),
                warehouse.rows("select sum(still_owed_amount) as n from marts.unpaid_aging"),
                warehouse.rows("select status, attempt_count from marts.orders order by all"),
            ]

    before = figures()
    for phone in ("90123456", "91234567", "92345678"):
        forget(shop.settings, f"+228{phone}")
    assert figures() == before
    assert not [reference for (reference,) in shop.bills("merchant_reference") if re.search(r"9\d{7}", reference)]


@pytest.mark.parametrize("pii", ["mask", "keep"])
def test_S12_her_number_is_gone_from_references_and_later_readings_do_not_bring_it_back(shop, pii, tmp_path):
    for way in WAYS:
        paid_under_her_number(shop, way)
    his = {"lastname": "AUTRE", "phone": OTHER}
    shop.bill("HIS", client=his, merchant_reference=OTHER, state="Paid", amount=5, received_amount=5)
    shop.spoil(f"{len(WAYS) - 1}-00004242", set={"shop": {"name": "00004242", "number": 22800004242}})
    shop.sync(pii=pii)
    publish(shop.settings)
    orders = tmp_path / "orders.csv"
    orders.write_text("reference;montant;paye\n" + "".join(f"{way};1;oui\n" for way in [*WAYS[:4], OTHER]))
    reconcile(shop.settings, str(orders), Mapping())
    money = "select order_reference, amount, received_amount, state, version from core.bills order by all"
    paid = "select order_reference, amount from core.payments order by all"
    before = shop.rows(money), shop.rows(paid)

    assert forget(settings_of(shop, pii=pii), "00 00 42 42").bills == len(WAYS)

    assert (shop.rows(money), shop.rows(paid)) == before
    mark = Masker("mask", privacy.load_key(None, shop.settings.data_folder)).check_of("forgotten", "22800004242")[:4]
    marked = [gone.replace("***", f"***{mark}") for gone in GONE]
    assert shop.bills("merchant_reference") == [*((gone,) for gone in marked), (OTHER,)]
    assert shop.rows(
        "select thirdparty_reference from core.payments where order_reference <> 'HIS' order by order_reference"
    ) == [(gone,) for gone in GONE]
    assert shop.payload(f"{len(WAYS) - 1}-00004242")["shop"] == {"name": "***", "number": "***"}
    references = shop.rows("select distinct reference from marts.reconciliation order by all")
    assert references == [(f"***{mark}",), (OTHER,), (f"CMD-***{mark}",), (f"T_***{mark}/2",)]
    again = shop.sync(pii=pii)
    assert (again.bills_new, again.bills_changed) == (0, 0)
    paid_under_her_number(shop, WAYS[1], state="Canceled", merchant_reference="NEW 00004242")
    assert shop.sync(pii=pii).bills_changed == 1
    assert shop.payload("1-00004242")["merchant_reference"] == f"NEW ***{mark}"
    rebuilt = shop.bills("*"), shop.rows("select * from core.payments order by all")
    rebuild(settings_of(shop, pii=pii))
    assert (shop.bills("*"), shop.rows("select * from core.payments order by all")) == rebuilt


POOR_LISTS = pytest.mark.parametrize(
    ("pii", "listed"),
    [
        pytest.param("mask", {"delete": ["client", "payments"]}, id="mask"),
        pytest.param("mask", {"delete": ["client"]}, id="mask, with payments", marks=pytest.mark.long),
        pytest.param("drop", {"delete": ["client"]}, id="later drop", marks=pytest.mark.long),
        pytest.param("keep", {"set": {"client": {"lastname": "CANARYLAST"}}}, id="keep"),
    ],
)
"""Only the details tell her phone."""


def her_partly_paid_bill(shop, received):
    payment = {"thirdparty_reference": "T-22800004242", "amount": received, "gateway": {"libelle": "Flooz"}}
    money = {"amount": 1000, "received_amount": received, "payments": [payment]}
    her_bill(shop, "HERS", state="Partial", merchant_reference="00 00 42 42-7", **money)


def check_no_trace_of_her(shop):
    stored = str([*shop.rows("from core.bill_versions"), *shop.rows("from core.data_issues"), *shop.bills("*")])
    stored += str(shop.rows("from core.payments"))
    assert [trace for trace in [*TRACES, b"******42"] if trace.decode() in stored] == []


@POOR_LISTS
def test_S12_a_list_without_her_phone_does_not_bring_the_customer_back(shop, pii, listed):
    shop.spoil("HERS", path="/orders", **listed)
    her_partly_paid_bill(shop, 100)
    known = "mask" if pii == "drop" else pii
    shop.sync("refresh", pii=known)
    shop.sync("recheck", pii=known)
    before = shop.bills("order_reference", "received_amount", "version")

    assert forget(settings_of(shop, pii=known), PHONE).bills == 1

    for kind in ("refresh", "full_refresh", "recheck"):
        assert shop.sync(kind, pii=pii).bills_changed == 0
    assert shop.bills("order_reference", "received_amount", "version") == before
    ((marked,),) = shop.bills("merchant_reference")
    assert re.fullmatch(r"\*{3}[0-9a-f]{4}-7", marked)
    for kind, received in (("full_refresh", 200), ("recheck", 300)):
        her_partly_paid_bill(shop, received)
        shop.simulator.advance(hours=200)  # the details are due again
        assert shop.sync(kind, pii=pii).bills_changed
        check_no_trace_of_her(shop)
    assert shop.rows(
        "select merchant_reference, received_amount, client_key, thirdparty_reference "
        "from core.bills join core.payments using (order_reference) where order_reference = 'HERS'"
    ) == [(marked, 300, None, "T-***")]
    rebuilt = shop.bills("*")
    rebuild(settings_of(shop, pii=pii))
    assert shop.bills("*") == rebuilt


@POOR_LISTS
def test_S12_a_new_bill_is_cleaned_once_its_details_tell_whose_it_is(shop, pii, listed):
    shop.bill("OTHER", merchant_reference="CMD-1")
    shop.sync("refresh", pii=pii)
    forget(settings_of(shop, pii=pii), PHONE)
    unmarked = {
        "delete": [*listed.get("delete", []), "payments", "merchant_reference"],
        "set": {**listed.get("set", {}), "description": "for CANARYLAST"},
    }
    shop.spoil("HERS", path="/orders", **unmarked)
    her_partly_paid_bill(shop, 100)
    shop.sync("full_refresh", pii="mask" if pii == "drop" else pii)
    assert any(trace.decode() in str(shop.payload("HERS")) for trace in TRACES)
    shop.sync("recheck", pii="mask" if pii == "drop" else pii)
    check_no_trace_of_her(shop)
    her_partly_paid_bill(shop, 200)
    assert shop.sync("full_refresh", pii=pii).bills_changed
    check_no_trace_of_her(shop)
    assert shop.rows("from core.forgotten_bills") == [(shop.settings.account, "HERS")]
    assert shop.payload("OTHER")["merchant_reference"] == "CMD-1"


@pytest.mark.parametrize("pii", ["mask", "drop", "keep"])
def test_S12_a_customer_named_in_a_free_text_is_gone_from_it_too(shop, pii):
    client = {"phone": PHONE, "lastname": "CANARYLAST", "firstname": "Canaryfirst", "email": "c.mail@example.test"}
    text = "Commande 12 - Canaryfirst CANARYLAST (c.mail@example.test) tel 00 00 42 42"
    shop.bill("HERS", client=client, description=text, amount=1500)
    shop.bill("BAD", client=client, description=text)
    shop.spoil("BAD", set={"amount": "12 000"})
    shop.sync(pii=pii)
    traces = [b"CANARYLAST", b"Canaryfirst", b"00 00 42 42", b"c.mail@example"]
    assert [trace for trace in traces if trace in bytes_stored(shop)] == (traces if pii == "keep" else [])
    forget(settings_of(shop, pii=pii), PHONE)
    assert [trace for trace in traces if trace in bytes_stored(shop)] == []
    assert shop.sync(pii=pii).bills_changed == 0


TELLING = [
    {"client": None, "merchant_reference": "CMD-00004242"},
    {"client": None, "merchant_reference": "00/00/42/42"},
    {"client": None, "merchant_reference": "+228 (00) 00 42 42"},
    {"client": {"phone": OTHER}, "payments": [{"amount": 1500, "thirdparty_reference": "T-22800004242"}]},
    {"client": PHONE},
    {"client": [PHONE]},
    {"client_phone": PHONE, "client_name": "CANARYLAST"},
    {"payments": [{"amount": 1500, "phone": PHONE}]},
    {"contacts": {"00004242": {"amount": 5}}},
]


@pytest.mark.parametrize("pii", ["mask", "keep"])
def test_S12_a_bill_that_tells_her_phone_anywhere_is_hers(shop, pii):
    for number in range(len(TELLING)):
        shop.bill(f"HERS-{number}", state="Paid", amount=1500, received_amount=1500)
    shop.bill("HIS", client={"phone": OTHER}, merchant_reference="00004243", amount=700)
    shop.simulator.faults(
        [
            {"path": "*", "kind": "mutate", "times": None, "mutate": {"references": [f"HERS-{number}"], "set": fields}}
            for number, fields in enumerate(TELLING)
        ]
    )
    shop.sync(pii=pii)
    forget(settings_of(shop, pii=pii), PHONE)
    shop.sync("refresh", pii=pii)
    stored = bytes_stored(shop)
    written = [*TRACES, b"00/00/42/42", b"(00) 00 42 42"]
    assert [trace for trace in written if trace in stored] == []
    assert shop.bills("received_amount") == [(1500,)] * len(TELLING) + [(0,)]
    assert shop.bills("merchant_reference")[-1] == ("00004243",)


def test_S12_a_new_bill_with_her_phone_as_its_reference_alone_is_hers_too(shop):
    shop.bill("OTHER")
    shop.sync()
    forget(shop.settings, PHONE)
    shop.bill("NEW", merchant_reference="CMD-00004242-3", client={"lastname": "CANARYLAST"})
    shop.sync("refresh")
    check_no_trace_of_her(shop)
    assert shop.rows("from core.forgotten_bills") == [(shop.settings.account, "NEW")]


def test_S12_a_later_reconciliation_does_not_bring_her_phone_back(shop, tmp_path):
    for key, reference in {"A": "00004242", "B": "00007171"}.items():
        shop.bill(key, merchant_reference=reference, state="Paid", amount=5, received_amount=5)
    shop.sync()
    for phone in (PHONE, OTHER):
        forget(shop.settings, phone)
    orders = tmp_path / "orders.csv"
    orders.write_text("reference;montant;paye\n00004242;5;oui\n00007171;5;oui\n00009999;5;oui\n")
    details = tmp_path / "details.csv"
    reconcile(shop.settings, str(orders), Mapping(), details=details)
    found = shop.rows("select class, reference from marts.reconciliation order by all")
    assert [name for name, _ in found] == ["matched", "matched", "order_without_bill"]
    assert len({reference for _, reference in found}) == 3, "two who are forgotten are still two orders"
    assert [trace for trace in (b"4242", b"7171") if trace in bytes_stored(shop) + details.read_bytes()] == []
    orders.write_text("reference;montant;paye\n00004242;5;oui\n00 00 42 42;5;oui\n")
    with pytest.raises(OrdersError, match="the same phone"):
        reconcile(shop.settings, str(orders), Mapping())


def test_S12_what_killed_runs_left_is_removed(shop):
    three_bills_and_one_set_aside(shop)
    left = [shop.settings.data_folder / folder / ".cashpay-making-x" for folder in ("", "backups", "exports")]
    for folder in left:
        (folder / "20260302T100000Z").mkdir(parents=True)
        (folder / "lock").touch()
        (folder / "20260302T100000Z" / "warehouse.duckdb").write_bytes(b"CANARYLAST")
    forget(shop.settings, PHONE)
    assert not [folder for folder in left if folder.exists()]


def test_S12_a_bill_that_was_only_ever_set_aside_is_remembered_as_well(shop):
    her_bill(shop, "BAD", merchant_reference="00004242")
    shop.spoil("BAD", set={"amount": "12 000"})
    shop.sync()
    forget(shop.settings, PHONE)
    shop.spoil("BAD", delete=["client"])
    assert shop.sync().bills_new == 1
    check_no_trace_of_her(shop)


def test_S12_bills_forgotten_before_bills_were_noted_are_known_where_a_phone_was_replaced(shop):
    payment = {"thirdparty_reference": "T-00004242", "amount": 1500, "gateway": {"libelle": "Flooz"}}
    her_bill(shop, "SHOPS", merchant_reference="00004242")
    her_bill(shop, "OPERATORS", state="Paid", amount=1500, payments=[payment])
    her_bill(shop, "NEITHER")
    shop.bill("HIS", client={"phone": OTHER}, merchant_reference="***abcd")
    shop.sync()
    forget(shop.settings, PHONE)
    with open_warehouse(shop.settings) as warehouse:
        warehouse.execute("drop table core.forgotten_bills")
        warehouse.execute("delete from core.migrations where step = 13")
    noted = "select order_reference from core.forgotten_bills order by all"
    with open_warehouse(shop.settings) as warehouse:
        assert [row["order_reference"] for row in warehouse.rows(noted)] == ["OPERATORS", "SHOPS"]
    assert shop.sync().bills_changed == 0
    assert shop.rows(noted) == [("NEITHER",), ("OPERATORS",), ("SHOPS",)]


def test_S12_a_rebuild_does_not_bring_the_customer_back(shop):
    three_bills_and_one_set_aside(shop)
    forget(shop.settings, PHONE)
    before = shop.bills("*")
    rebuild(shop.settings)
    assert shop.bills("*") == before


def test_S12_the_file_keeps_comments_macros_and_steps(shop):
    three_bills_and_one_set_aside(shop)
    facts = (
        "select table_name, comment from duckdb_tables() order by all",
        "select table_name, column_name, comment, is_nullable from duckdb_columns() "
        "where schema_name = 'core' order by all",
        "select function_name from duckdb_functions() where schema_name = 'core' order by all",
        "select step from core.migrations order by all",
        "select * from core.bills_as_of(timestamptz '2027-01-01 00:00:00+00') order by all",
    )
    with open_warehouse(shop.settings) as warehouse:
        before = [warehouse.rows(sql) for sql in facts[1:]]
    forget(shop.settings, OTHER)
    with open_warehouse(shop.settings) as warehouse:
        assert [warehouse.rows(sql) for sql in facts[1:]] == before
        assert {row["comment"] is None for row in warehouse.rows(facts[0]) if row["table_name"] != "migrations"} == {
            False
        }


def test_S12_what_is_no_customer_is_refused(shop):
    with pytest.raises(WarehouseError, match="Nothing is stored"):
        forget(shop.settings, PHONE)
    shop.bill()
    shop.sync()
    for short in ("1234", "+228 00 00 02 4", "00228-0000024", "+228 000 000 243"):
        with pytest.raises(SettingsError, match="not a phone"):
            forget(shop.settings, short)
    with pytest.raises(GuardError, match="key"):
        forget(shop.settings.model_copy(update={"pii_key": type(shop.settings.password)("another")}), PHONE)
    assert forget(shop.settings, "+228 99 99 99 99").bills == 0


@pytest.fixture
def environment(shop, monkeypatch):
    settings = shop.settings
    for name in ("username", "password", "client_id", "client_secret"):
        monkeypatch.setenv(f"CASHPAY_{name.upper()}", getattr(settings, name).get_secret_value())
    monkeypatch.setenv("CASHPAY_BASE_URL", settings.base_url)
    monkeypatch.setenv("CASHPAY_DATA_DIR", str(settings.data_dir))
    return settings


def test_S12_the_command_publishes_and_names_copies_of_before(shop, environment):
    settings = environment
    three_bills_and_one_set_aside(shop)
    copies = [settings.data_folder / "warehouse.before-0002.backup", backup(settings) / "warehouse.duckdb"]
    copies[0].write_bytes(b"")
    publish(settings)
    export_table(settings, "core.bills", "csv", settings.data_folder / "exports")
    copies.append(settings.data_folder / "exports")
    copies.append(settings.data_folder / "rapport.html")
    copies[-1].write_text("CANARYLAST")
    copies.append(settings.data_folder / "backups" / "before-restore-20260302T100000Z" / "warehouse.duckdb.wal")
    copies[-1].parent.mkdir()
    copies[-1].write_bytes(b"of a run that was killed")
    result = CliRunner().invoke(app, ["forget", PHONE])
    assert result.exit_code == 0, result.output
    assert "gone from 1 bill;" in result.stdout and "4242" not in result.output
    named = {line.rpartition(": ")[2] for line in result.stdout.splitlines() if "may still hold" in line}
    assert named == {str(copy) for copy in copies}
    assert read_published(settings, "select client_key from core.bills where order_reference = 'HERS'")[1] == [(None,)]


@pytest.mark.parametrize("is_damaged", [False, True])
def test_S12_a_restore_does_not_bring_the_customer_back(shop, environment, is_damaged):
    three_bills_and_one_set_aside(shop)
    shop.bill("POOR", merchant_reference="CMD-1")
    shop.sync()
    money = shop.bills("order_reference", "amount", "received_amount", "state", "version")
    backup(environment)
    forget(environment, PHONE)
    if is_damaged:
        shop.settings.warehouse_path.write_bytes(b"no database")
    result = CliRunner().invoke(app, ["restore"])
    assert result.exit_code == 0, result.output
    assert shop.bills("order_reference", "amount", "received_amount", "state", "version") == money
    traces = [trace for trace in TRACES if trace in bytes_stored(shop)]
    if is_damaged:
        assert traces == [] and "cannot be told: `cashpay forget` them once more" in result.stdout
        assert shop.rows("from core.forgotten_clients") == []
        return
    assert "1 customer forgotten since that backup: forgotten in it as well." in result.stdout
    assert traces == [] and not shop.rows("select 1 from core.bill_versions where contains(payload, '*42')")
    assert shop.bills("client_key")[:1] == [(None,)]
    assert shop.sync().bills_changed == 0
    check_no_trace_of_her(shop)


def test_S12_a_number_that_no_bill_has_is_said_and_remembered(shop, environment):
    shop.bill()
    shop.sync()
    backup(environment)
    result = CliRunner().invoke(app, ["forget", PHONE])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("No bill of this number is known: check it. ")
    assert "every later reading" in result.stdout and "may still hold" not in result.stdout
    her_bill(shop, "NEW")
    shop.sync()
    assert shop.rows("select client_key from core.bills where order_reference = 'NEW'") == [(None,)]


@pytest.mark.parametrize(("answer", "options", "gone"), [("n", [], False), ("y", [], True), ("", ["--yes"], True)])
def test_S12_on_a_terminal_it_asks_first(shop, environment, answer, options, gone):
    three_bills_and_one_set_aside(shop)
    ours, theirs = os.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        command = [sys.executable, "-m", "cashpay_pipeline", "forget", PHONE, *options]
        result = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False)
    finally:
        os.close(ours)
        os.close(theirs)
    assert result.returncode == (0 if gone else 1), result.stderr
    assert ("Remove the customer from 1 bill for good?" in result.stdout) == (not options)
    assert ("Nothing was changed." in result.stdout) == (not gone)
    assert (shop.rows("select 1 from core.forgotten_clients") == [(1,)]) == gone


def test_S12_a_row_set_aside_of_a_forgotten_customer_is_the_same_row_the_next_time(shop):
    """Its key is a fingerprint of what was read: with the customer, whoever tries all numbers would find hers."""
    for number in range(6):
        her_bill(shop, f"BAD-{number}")
    shop.bill("HIS", client={"phone": OTHER})
    shop.sync()
    shop.spoil(*(f"BAD-{number}" for number in range(6)), set={"amount": "12 000"})
    with pytest.raises(TooManyBadRowsError):
        shop.sync(pii="keep")
    shop.sync(pii="keep")
    keys = "select issue_id from core.data_issues order by all"
    before = shop.rows(keys)

    forget(settings_of(shop, pii="keep"), PHONE)

    after = shop.rows(keys)
    assert len(after) == 6 and not {*before} & {*after}
    assert shop.sync(pii="keep").status == "complete", "nothing is newly set aside"
    assert shop.rows(keys) == after


def test_S12_rows_set_aside_that_differ_in_the_customer_only_are_one_afterwards(shop):
    her_bill(shop, "BAD")
    shop.spoil("BAD", set={"amount": "12 000"})
    shop.sync()
    shop.bill("BAD", client={"phone": PHONE, "lastname": "", "firstname": None})
    shop.sync()
    seen = "select min(first_seen_at), max(last_seen_at), count(distinct issue_id), count(*) from core.data_issues"
    ((first, last, *_),) = shop.rows(seen)
    assert shop.rows(seen) == [(first, last, 2, 2)]
    forget(shop.settings, PHONE)
    assert shop.rows(seen) == [(first, last, 1, 1)]
    assert shop.rows("select reason from core.data_issues where resolved_at is null") == [("not_a_number",)]


def test_S12_a_bill_stored_without_its_customer_makes_no_field_of_the_others_missing(shop):
    others = {"client": {"lastname": "AUTRE"}}
    for number in range(6):
        shop.bill(f"OLD-{number}", **others)
    her_bill(shop, "HERS")
    shop.spoil("HERS", set={"amount": "12 000"})
    shop.sync()
    forget(shop.settings, PHONE)
    for number in range(6):
        shop.bill(f"NEW-{number}", date_create="2026-03-01T10:00:00+00:00", **others)
    shop.spoil("HERS", set={"client": {"lastname": "CANARYLAST"}, "description": None})
    assert shop.sync().bills_new == 7
    assert shop.rows("select field from core.api_fields where missing_since is not null") == []
    ((counted,),) = shop.rows("select bill_count from core.api_fields where field = 'client.lastname'")
    assert counted == 12


def test_S12_a_bill_that_only_a_row_set_aside_tells_to_be_hers_is_cleaned_as_well(shop):
    shop.spoil("HERS", path="/orders", delete=["client", "description"])
    her_partly_paid_bill(shop, 100)
    shop.bill("OTHER", merchant_reference="CMD-1")
    shop.sync()
    shop.simulator.faults(
        [
            {"path": "/orders", "kind": "mutate", "times": None,
             "mutate": {"references": ["HERS"], "delete": ["client", "description"]}},
            {"path": "/orders/HERS", "kind": "mutate", "times": None,
             "mutate": {"references": ["HERS"], "set": {"amount": "12 000"}}},
        ]
    )  # fmt: skip
    shop.sync("recheck")
    assert shop.issues() and shop.bills("client_key")[0] == (None,)
    assert forget(shop.settings, PHONE).bills == 1
    check_no_trace_of_her(shop)
