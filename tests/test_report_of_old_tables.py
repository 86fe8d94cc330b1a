"""A report of tables that were not built after the sync says so, whoever published them: its figures lack the night."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from rows import at, bill, sync_row

from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.reconcile import Mapping, reconcile
from cashpay_pipeline.report.page import write_report
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.warehouse import open_warehouse, publish

OLD = "The tables of this report were not made anew after the latest sync"


class Morning:
    def now(self) -> datetime:
        return at(3, 7)

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("a report waits for nothing")


def by_reconcile(settings: Settings) -> None:
    path = settings.data_folder / "orders.csv"
    path.write_text("reference;montant;paye\nA;1000;oui\n")
    reconcile(settings, str(path), Mapping())


def by_publish(settings: Settings) -> None:
    publish(settings)


@pytest.mark.parametrize("published", [by_publish, pytest.param(by_reconcile, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("brought", "read", "is_old"),
    [(1, 60, True), (0, 60, True), (0, 0, False)],
    ids=["a bill came", "a bill is missing", "nothing was read"],
)
def test_tables_that_a_sync_did_not_reach_are_told(
    tmp_path: Path, published: Callable[[Settings], None], brought: int, read: int, is_old: bool
) -> None:
    """The sync was complete, a check that blocks was red or the disk full, and nobody is to think that nothing came."""
    settings = load_settings(data_dir=tmp_path)
    with open_warehouse(settings) as warehouse:
        bill(warehouse, "first", "Paid", 70)
        sync_row(warehouse, "s1", "full_refresh", at(2), "complete")
        for mart in all_marts():
            build_mart(warehouse, mart)
        if brought:
            seen = at(3) + timedelta(seconds=1)
            bill(warehouse, "second", "Paid", 1000, created_at=at(2, 12), first_seen_at=seen, changed_at=seen)
        elif read:
            warehouse.execute("update core.bills set missing_since = ?", [at(3)])
        sync_row(warehouse, "s2", "refresh", at(3), "complete", bills_new=brought, bills_changed=0, rows_read=read)
        warehouse.execute(
            "insert into core.accounts (account, environment, pii_key_check, first_seen_at, full_walk_finished_at) "
            "values ('main', 'example.com/api', 'k', ?, ?)",
            [at(2), at(2)],
        )
    published(settings)
    write_report(settings, tmp_path / "report.html", clock=Morning())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (OLD in page) == is_old
    assert ("The data is complete up to the end of Monday 2 March 2026." in page) != is_old
    with open_warehouse(settings) as warehouse:
        for mart in all_marts():
            build_mart(warehouse, mart)
    publish(settings)
    write_report(settings, tmp_path / "report.html", clock=Morning())
    assert OLD not in (tmp_path / "report.html").read_text(encoding="utf-8")
