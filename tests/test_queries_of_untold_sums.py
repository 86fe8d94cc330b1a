"""What the queries of the last night say of a bill whose sum was told, then not told for a night, then told again."""

from datetime import date
from pathlib import Path

import pytest
from rows import ask, at, history, sync_row

from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.warehouse import open_warehouse, publish, read_published


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    settings = load_settings(data_dir=tmp_path)
    with open_warehouse(settings) as warehouse:
        told, untold = ("Partial", 400, at(2), None), ("Excess", None, at(3), at(2))
        history(warehouse, "told-again", told, untold, ("Excess", 1200, at(4), at(3)), created_at=at(1, 20))
        history(warehouse, "not-told", told, untold, ("Canceled", None, at(4), at(3)), created_at=at(1, 20))
        history(warehouse, "below-zero", ("Paid", -70, at(3), None), ("Paid", 0, at(4), at(3)), created_at=at(1, 20))
        sync_row(warehouse, "sync-0304", "refresh", at(4), "complete")
        for mart in all_marts():
            build_mart(warehouse, mart)
    publish(settings)
    return tmp_path


def test_what_was_told_before_does_not_come_in_again(folder: Path) -> None:
    """As in marts.daily_collections: 400 came in two nights before, and 800 last night, not 1,200."""
    settings = load_settings(data_dir=folder)
    days = "select received_date, received_amount from marts.daily_collections order by 1"
    assert read_published(settings, days)[1] == [(date(2026, 3, 1), 800), (date(2026, 3, 2), 800)]
    more = {row[2]: row[6] for row in ask(folder, "bills_changed_last_night")}
    assert more == {"told-again": 800, "not-told": None, "below-zero": 0}
    assert ask(folder, "changed_last_night") == [
        ("main", "XOF", "Excess", "Canceled", 1, None),
        ("main", "XOF", "Excess", "Excess", 1, 800),
        ("main", "XOF", "Paid", "Paid", 1, 0),
    ]
