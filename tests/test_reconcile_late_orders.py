"""Orders of the day on which CashPay was last read can be newer than that reading, also where they tell no time."""

import shutil
from pathlib import Path

import pytest
from rows import at, bill, sync_row

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
    ("dates", "late"),
    [
        (["2026-03-03", "2026-03-03"], 2),
        (["2026-03-02", "2026-03-04"], 1),
        (["2026-03-02", "2026-03-02"], 0),
        (["2026-03-03 02:14:59", "2026-03-03 02:15"], 1),
    ],
)
def test_orders_that_the_last_reading_cannot_have_seen_are_told(
    settings: Settings, tmp_path: Path, dates: list[str], late: int
) -> None:
    with open_warehouse(settings) as warehouse:
        bill(warehouse, "B", "Paid", 1000, merchant_reference="A")
        sync_row(warehouse, "s", "refresh", at(3), "complete")
    lines = "\n".join(f"NEW-{number};1000;oui;{date}" for number, date in enumerate(dates))
    (tmp_path / "orders.csv").write_text(f"reference;montant;paye;date\nA;1000;oui;2026-03-01\n{lines}\n")
    result = reconcile(settings, str(tmp_path / "orders.csv"), Mapping())
    told = [text.split()[0] for text in result.assumed if "newer than the last complete reading" in text]
    assert told == ([str(late)] if late else [])
