"""T6: a bill paid at a time that means "none" is on the day that core.bills says, and no page fails for it."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from rows import at, bill, published, sync_row

from cashpay_pipeline.report.page import write_report
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.values import business_date
from cashpay_pipeline.warehouse import read_published

DAYS = [date(1, 1, 1), date(1900, 1, 1), date(1912, 1, 1), date(1970, 1, 1), date(9999, 12, 31)]


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_T6_money_of_odd_years_is_on_the_day_of_its_bill(tmp_path: Path, day: date) -> None:
    settings = load_settings(data_dir=tmp_path)
    created = datetime(day.year, day.month, day.day, tzinfo=UTC)
    told = business_date(created)
    assert told and told.date() == day
    counted = min(day, date(2026, 3, 1))
    with published(tmp_path) as warehouse:
        bill(warehouse, "odd", "Paid", 1000, created_at=created, business_date=day)
        bill(warehouse, "usual", "Paid", 70)
        sync_row(warehouse, "s", "full_refresh", at(4), "complete")
    days = "select received_date, received_amount from marts.daily_collections order by 1"
    expected = [(counted, 1070)] if counted == date(2026, 3, 1) else [(counted, 1000), (date(2026, 3, 1), 70)]
    assert read_published(settings, days)[1] == expected
    months = "select month_start, bill_count, received_amount from marts.monthly_summary order by 1"
    assert [row for row in read_published(settings, months)[1] if row[0].year == counted.year != 2026] == (
        [(counted.replace(day=1), 1, 1000)] if counted.year != 2026 else []
    )
    write_report(settings, tmp_path / "report.html")
