"""Orders against bills at the ends of what can be stored: the calendar's last day, and amounts as large as a column."""

import shutil
from pathlib import Path

import pytest
from rows import bill
from truth import query

from cashpay_pipeline.reconcile import Mapping, Reconciliation, reconcile
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.warehouse import open_warehouse

HUGE = 5 * 10**18


@pytest.fixture
def settings(tmp_path: Path, new_file: Path) -> Settings:
    settings = load_settings(data_dir=tmp_path / "data")
    settings.data_folder.mkdir(parents=True)
    shutil.copyfile(new_file, settings.warehouse_path)
    return settings


def run(settings: Settings, *lines: str) -> Reconciliation:
    path = settings.data_folder.parent / "orders.csv"
    path.write_text("reference;montant;paye;date\n" + "\n".join(lines))
    return reconcile(settings, str(path), Mapping())


def classes(settings: Settings) -> dict[str, str]:
    found = query(settings.published_path, "select class, reference from marts.reconciliation")
    return {row["reference"]: row["class"] for row in found}


@pytest.mark.parametrize("day", ["9999-12-31", "31/12/9999", "9999-12-31 23:59:59.999999", "0001-01-01"])
def test_an_order_on_the_first_or_last_day_of_the_calendar(settings: Settings, day: str) -> None:
    with open_warehouse(settings) as warehouse:
        bill(warehouse, "B", "Paid", 1000, merchant_reference="A")
    result = run(settings, f"A;1000;oui;{day}")
    assert [(total.name, total.difference) for total in result.totals] == [("matched", 0)]


@pytest.mark.parametrize(
    ("amount", "received", "expected"),
    [(HUGE, HUGE, "matched"), (3, 7, "paid_twice"), (3, 6, "paid_twice"), (3, 5, "amount_differs")],
)
def test_a_bill_of_any_amount_is_paid_twice_from_twice_its_amount_on(
    settings: Settings, amount: int, received: int, expected: str
) -> None:
    with open_warehouse(settings) as warehouse:
        bill(warehouse, "B", "Paid", received, amount=amount, merchant_reference="A", payment_count=2)
    run(settings, f"A;{amount};oui;2026-03-01")
    assert classes(settings) == {"A": expected}
