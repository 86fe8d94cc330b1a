"""A word that we do not know, between two states that we do, hides no odd change from the checks."""

from pathlib import Path

import pytest
from rows import at, history, sync_row

from cashpay_pipeline.checks import all_checks, run_check
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.warehouse import open_warehouse
from cashpay_pipeline.warehouse.syncs import note_checked

CHECKS = {check.name: check for check in all_checks()}


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        (("Expired", 0), ("Paid", 1000), "paid_after_closing"),
        (("Paid", 1000), ("Pending", 0), "state_went_back"),
        (("Paid", 1000), ("Paid", 1000), None),
        (("Pending", 0), ("Paid", 1000), None),
    ],
)
def test_a_state_that_nobody_knows_hides_no_change(
    tmp_path: Path, before: tuple[str, int], after: tuple[str, int], name: str | None
) -> None:
    with open_warehouse(load_settings(data_dir=tmp_path)) as warehouse:
        history(
            warehouse, "odd", (*before, at(1), None), ("Unknown", None, at(2), at(1)), (*after, at(3), at(2)),
            created_at=at(1, 1),
        )  # fmt: skip
        for day in (1, 2, 3):
            note_checked(warehouse)
            sync_row(warehouse, f"sync-030{day}", "refresh", at(day), "complete")
        red = {
            found for found in ("paid_after_closing", "state_went_back") if run_check(warehouse, CHECKS[found]).bad_rows
        }
    assert red == ({name} if name else set())
