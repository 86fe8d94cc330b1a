"""The weeks of the interface's chart end where those of the report do: with the last complete sync."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from rows import bill, sync_row

from cashpay_pipeline.defs.charts import CHARTS, CONVERSION
from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.warehouse import Warehouse, open_warehouse

SUNDAY = datetime(2026, 3, 15, 2, 15, tzinfo=UTC)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with open_warehouse(load_settings(data_dir=tmp_path)) as opened:
        bill(opened, "paid", "Paid", 1000, created_at=SUNDAY - timedelta(days=2))
        for mart in all_marts():
            build_mart(opened, mart)
        sync_row(opened, "s1", "refresh", SUNDAY, "complete")
        yield opened


def weeks(warehouse: Warehouse) -> list[tuple[date, bool]]:
    _, _, sql, parameters = CHARTS[CONVERSION]
    return [(row["week_start"], row["is_unfinished"]) for row in warehouse.rows(sql, parameters)]


@pytest.mark.parametrize("later", [timedelta(days=1), timedelta(days=400)], ids=["a night", "a wrong clock"])
@pytest.mark.parametrize("status", ["failed", "incomplete"])
def test_a_sync_that_is_not_complete_ends_no_week(warehouse: Warehouse, later: timedelta, status: str) -> None:
    before = weeks(warehouse)
    assert before == [(date(2026, 3, 9), True)]
    sync_row(warehouse, "s2", "refresh", SUNDAY + later, status)
    assert weeks(warehouse) == before


def test_a_night_by_a_clock_that_was_a_year_ahead_leaves_the_chart_of_those_after_it(warehouse: Warehouse) -> None:
    sync_row(warehouse, "s2", "refresh", SUNDAY + timedelta(days=366), "complete")
    sync_row(warehouse, "s3", "refresh", SUNDAY + timedelta(days=1), "complete")
    assert weeks(warehouse) == [(date(2026, 3, 9), False)]
