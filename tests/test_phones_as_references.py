"""A shop that uses its customers' phones as references: tables and files keep its key, no screen or log shows it."""

import csv
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rows import at, bill, insert, sync_row
from truth import query

from cashpay_pipeline.catalog import catalog
from cashpay_pipeline.defs.metadata import rows_as_table, table_facts
from cashpay_pipeline.errors import OrdersError
from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.phones import hide_phones
from cashpay_pipeline.reconcile import Mapping, reconcile, result_lines, result_table
from cashpay_pipeline.report.page import write_report
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.warehouse import open_warehouse, publish

PHONES = ["90123456", "+22891234567", "22892345678", "CMD-93 45 67 89", "+228 94 56 78 90"]
HIDDEN = ["******56", "******67", "******78", "CMD-******89", "******90"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "data"


@pytest.fixture
def settings(tmp_path: Path, kept: Path) -> Settings:
    """Each bill paid in part, so that every mart has it: made for the first test, copied for the others."""
    made = load_settings(data_dir=tmp_path / "data")
    if kept.exists():
        shutil.copytree(kept, made.data_folder)
        return made
    with open_warehouse(made) as warehouse:
        for number, phone in enumerate(PHONES):
            bill(warehouse, f"CP-{number}", "Partial", 400, merchant_reference=phone)
        sync_row(warehouse, "s1", "refresh", at(4), "complete")
        for mart in all_marts():
            build_mart(warehouse, mart)
    publish(made)
    shutil.copytree(made.data_folder, kept)
    return made


def told(text: str) -> list[str]:
    """Phones that a text gives away."""
    return [phone for phone in PHONES if phone in text or phone[-8:] in text]


@pytest.mark.parametrize(("phone", "hidden"), [*zip(PHONES, HIDDEN, strict=True)])
def test_of_a_phone_two_digits_are_shown(phone: str, hidden: str) -> None:
    assert hide_phones(phone) == hidden


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        ("90123456_1712345678", "******56_1712345678"),
        ("CMD_90123456", "CMD_******56"),
        ("CMD90123456", "CMD******56"),
        ("TXN22890123456", "TXN******56"),
        ("90123456_1", "******56_1"),
    ],
)
def test_a_phone_that_touches_a_letter_or_an_underscore_is_hidden_too(reference: str, shown: str) -> None:
    assert hide_phones(reference) == shown


@pytest.mark.parametrize("reference", ["CMD-2026-0042", "0042", "20260302", "#1234567", "10023456", "20260302001", ""])
def test_other_references_are_shown_as_they_are(reference: str) -> None:
    assert hide_phones(reference) == reference


def test_the_interface_shows_none(settings: Settings) -> None:
    with open_warehouse(settings) as warehouse:
        facts = {table: table_facts(warehouse, table) for table in catalog().tables}
        stored = warehouse.rows(
            "select count(*) as n from marts.unpaid_bills where merchant_reference = ?", [PHONES[0]]
        )
    shown = [record.data for record in facts["marts", "unpaid_bills"]["preview"].records]
    assert sorted(str(row["merchant_reference"]) for row in shown) == sorted(HIDDEN)
    assert told(str(facts)) == [] and stored == [{"n": 1}]


def test_the_interface_shows_no_phone_that_an_operator_has_as_its_reference(settings: Settings) -> None:
    """The tables keep it; `cashpay forget` removes it there."""
    with open_warehouse(settings) as warehouse:
        for number, phone in enumerate(PHONES):
            insert(
                warehouse, "core.payments", account="main", order_reference=f"CP-{number}", payment_number=1,
                thirdparty_reference=phone,
            )  # fmt: skip
        facts = table_facts(warehouse, ("core", "payments"))
    shown = [str(record.data["thirdparty_reference"]) for record in facts["preview"].records]
    assert sorted(shown) == sorted(HIDDEN) and told(str(facts)) == []


def test_only_keys_of_cashpays_own_making_are_shown_as_they_are() -> None:
    """CashPay's references and days may look like a phone."""
    row: dict[str, Any] = {"order_reference": "90123456", "business_date": date(2026, 3, 2), "reference": "90123456"}
    assert rows_as_table([row]).records[0].data == {
        "order_reference": "90123456",
        "business_date": "2026-03-02",
        "reference": "******56",
    }


@pytest.mark.parametrize(("pii", "shown"), [("mask", HIDDEN), ("drop", HIDDEN), ("keep", PHONES)])
def test_the_report(settings: Settings, tmp_path: Path, pii: str, shown: list[str]) -> None:
    write_report(settings.model_copy(update={"pii": pii}), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8").replace("&#43;", "+")
    assert [reference for reference in shown if f">{reference}</th>" not in text] == []
    assert bool(told(text)) == (pii == "keep")


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        ("reference;montant;paye\n90123456;;oui\n", {}),
        ("reference;montant;paye\n90123456;-5;oui\n", {}),
        ("reference;montant;paye\n90123456;5;\n", {}),
        ("reference;montant;paye\n90123456;5;oui\n90123456;6;oui\n", {}),
        ("reference;montant;paye\n90123456;5;oui\n90123456;6;oui\n", {"repeated": "total"}),
        ("reference;montant;paye\n90123456;5;oui\n#90123456;5;oui\n", {"loose": True}),
        ("reference;montant;tel\nA;5;90123456\n", {"paid": "tel"}),
        ("90123456\n", {}),
        ("90123456;5;oui;Kossi\n", {}),
        ("90123456;5;oui;Kossi\n", {"reference": "client"}),
    ],
)
def test_messages_show_none_and_the_place(
    settings: Settings, tmp_path: Path, text: str, mapping: dict[str, Any]
) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(text)
    with pytest.raises(OrdersError) as caught:
        reconcile(settings, str(path), Mapping(**mapping))
    assert told(str(caught.value)) == [] and "Kossi" not in str(caught.value)
    assert mapping.get("loose") or "orders.csv, line " in str(caught.value)


def test_a_reconciliation_keeps_the_key_and_its_screen_shows_none(settings: Settings, tmp_path: Path) -> None:
    path, details = tmp_path / "orders.csv", tmp_path / "details.csv"
    path.write_text("reference;montant;paye;date\n" + "".join(f"{phone};1000;non;2026-03-01\n" for phone in PHONES))
    found = reconcile(settings, str(path), Mapping(), details=details)
    stored = query(settings.published_path, "select reference, bill_created_at from marts.reconciliation")
    assert {row["reference"]: row["bill_created_at"] for row in stored} == dict.fromkeys(PHONES, at(1, 1))
    with details.open(encoding="utf-8-sig", newline="") as handle:
        assert {row["reference"].lstrip("'") for row in csv.DictReader(handle, delimiter=";")} == set(PHONES)
    assert told(str([*result_lines(found), *result_table(found)])) == []
    with open_warehouse(settings) as warehouse:
        assert told(str(table_facts(warehouse, ("marts", "reconciliation")))) == []
