"""Reconciliation at its edges: orders that cost nothing or tell no time, the calendar's last day, huge amounts."""

import shutil
from pathlib import Path

import pytest
from rows import at, bill, sync_row
from truth import query

from cashpay_pipeline.errors import OrdersError
from cashpay_pipeline.reconcile import Mapping, Reconciliation, reconcile
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.warehouse import open_warehouse

HUGE = 10**16 - 1


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


@pytest.mark.parametrize("amount", [str(5 * 10**18), str(HUGE + 1), str(-(2**63)), "100000000000000.00 EUR"])
def test_M9_orders_of_more_than_sixteen_digits_are_refused_before_anything_is_stored(
    settings: Settings, amount: str
) -> None:
    """Two of the largest in one class have no sum."""
    with open_warehouse(settings) as warehouse:
        bill(warehouse, "B", "Paid", 1000, merchant_reference="A")
    with pytest.raises(OrdersError, match=r"is too large.*\n.*line 2, column “montant”"):
        run(settings, f"A;{amount};oui;2026-03-01", f"C;{amount};oui;2026-03-01")
    assert query(settings.warehouse_path, "select count(*) as runs from marts.reconciliation") == [{"runs": 0}]


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
