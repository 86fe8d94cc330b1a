"""An order that costs nothing, as with a voucher: both say the same, and no money has to come in."""

import shutil
from pathlib import Path

import pytest
from rows import bill
from truth import query

from cashpay_pipeline.reconcile import Mapping, reconcile
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.warehouse import open_warehouse


@pytest.fixture
def settings(tmp_path: Path, new_file: Path) -> Settings:
    settings = load_settings(data_dir=tmp_path / "data")
    settings.data_folder.mkdir(parents=True)
    shutil.copyfile(new_file, settings.warehouse_path)
    return settings


@pytest.mark.parametrize(
    ("ordered", "paid", "billed", "state", "expected"),
    [
        (0, "oui", 0, "Paid", "matched"),
        (0, "non", 0, "Pending", "matched"),
        (0, "oui", 500, "Pending", "paid_in_shop_only"),
        (500, "oui", 0, "Paid", "paid_in_shop_only"),
    ],
)
def test_an_order_that_costs_nothing(
    settings: Settings, tmp_path: Path, ordered: int, paid: str, billed: int, state: str, expected: str
) -> None:
    with open_warehouse(settings) as warehouse:
        bill(warehouse, "B", state, 0, amount=billed, merchant_reference="A")
    (tmp_path / "orders.csv").write_text(f"reference;montant;paye;date\nA;{ordered};{paid};2026-03-01\n")
    reconcile(settings, str(tmp_path / "orders.csv"), Mapping())
    found = query(settings.published_path, "select class, difference_amount from marts.reconciliation")
    assert found == [{"class": expected, "difference_amount": -ordered if paid == "oui" else 0}]
