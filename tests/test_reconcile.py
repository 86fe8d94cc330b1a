"""Orders against bills: each class on literal rows, 500 planted faults, and exports as shops really make them."""

import csv
import errno
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from rows import insert, sync_row
from truth import query
from typer.testing import CliRunner

from cashpay_pipeline.cli import app
from cashpay_pipeline.defs.names import Names
from cashpay_pipeline.defs.reconciliation import reconciliation_asset
from cashpay_pipeline.defs.resources import WarehouseResource
from cashpay_pipeline.errors import CashpayError, OrdersError, SettingsError, WarehouseError
from cashpay_pipeline.reconcile import CLASSES, Mapping, Reconciliation, load_mapping, reconcile, save_mapping, store
from cashpay_pipeline.reconcile.orders import read_orders
from cashpay_pipeline.reconcile.text import read_csv
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.warehouse import database, open_warehouse

HEADER = "reference;montant;paye;date\n"
NBSP, NARROW = "\u00a0", "\u202f"


def at(day: int, hour: int = 10, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data")


@pytest.fixture
def bills(settings: Settings, new_file: Path) -> Callable[..., None]:
    """Store bills: `bills(("CP-1", "A-1", "Paid", 1000, 1000), ...)`, further columns by name in a dict at the end."""

    def store(*rows: tuple[Any, ...]) -> None:
        standard = {
            "account": "main", "currency": "XOF", "created_at": at(2), "payment_count": 0,
            "first_seen_at": at(2), "changed_at": at(2), "verified_at": at(2), "version": 1,
        }  # fmt: skip
        with open_warehouse(settings) as warehouse, warehouse.transaction():
            for row in rows:
                names = ("order_reference", "merchant_reference", "state", "amount", "received_amount")
                values = standard | dict(zip(names, row, strict=False)) | (row[5] if len(row) > 5 else {})
                columns, marks = ", ".join(values), ", ".join("?" * len(values))
                warehouse.connection.execute(
                    f"insert into core.bills ({columns}) values ({marks})", list(values.values())
                )

    settings.data_folder.mkdir(parents=True)
    shutil.copyfile(new_file, settings.warehouse_path)
    return store


@pytest.fixture
def shop(settings: Settings, tmp_path: Path) -> Callable[..., Reconciliation]:
    """Reconcile a text, or bytes, as the export."""

    def run(text: str | bytes, mapping: Mapping | None = None, **options: Any) -> Reconciliation:
        path = tmp_path / "orders.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return reconcile(settings, str(path), mapping or Mapping(), **options)

    return run


@pytest.fixture
def found(settings: Settings) -> Callable[..., list[tuple[Any, ...]]]:
    """Columns of what is stored in the published copy."""

    def rows(
        columns: str = "class, reference, ordered_amount, billed_amount, received_amount",
    ) -> list[tuple[Any, ...]]:
        sql = f"select {columns} from marts.reconciliation order by run_at, reference, currency, order_references"
        return [tuple(row.values()) for row in query(settings.published_path, sql)]

    return rows


Bills = Callable[..., None]
Shop = Callable[..., Reconciliation]
Found = Callable[..., list[tuple[Any, ...]]]


def test_each_class_whole(bills: Bills, shop: Shop, settings: Settings) -> None:
    bills(
        ("CP-1", "MATCHED", "Paid", 1000, 1000),
        ("CP-2", "UNPAID", "Pending", 1000, 0),
        ("CP-3", "SHOP-MISSED", "Paid", 1500, 1500),
        ("CP-4", "NOT-RECEIVED", "Expired", 700, 0),
        ("CP-5", "TOO-LITTLE", "Partial", 2000, 400, {"payment_count": 1}),
        ("CP-6", "TWICE", "Paid", 500, 500),
        ("CP-7", "TWICE", "Paid", 500, 500, {"created_at": at(3)}),
        ("CP-8", "NO-ORDER", "Paid", 900, 900),
        ("CP-9", None, "Pending", 50, 0),
    )
    result = shop(
        HEADER
        + "MATCHED;1000;oui;2026-03-02\nUNPAID;1000;non;2026-03-02\nSHOP-MISSED;1500;non;2026-03-02\n"
        + "NOT-RECEIVED;700;oui;2026-03-02\nTOO-LITTLE;2000;oui;2026-03-02\nTWICE;500;oui;2026-03-03\n"
        + "NO-BILL;300;oui;2026-03-02\n"
    )
    day = {"ordered_at": at(2, 0)}
    nothing = {
        "account": "main", "source": "orders.csv", "currency": "XOF", "order_count": 1, "is_paid_in_shop": True,
        "bill_count": 1, "paid_bill_count": 1, "bill_created_at": at(2), "is_paid_at_cashpay": True,
        "unknown_received_count": 0, "difference_amount": 0, **day,
    }  # fmt: skip
    unpaid = {"paid_bill_count": 0, "is_paid_at_cashpay": False}
    no_order = {"order_count": 0, "order_line": None, "ordered_at": None, "is_paid_in_shop": False}

    def row(name: str, reference: str | None, line: int | None, bill: str | None, *money: int, **more: Any) -> Any:
        amounts = dict(zip(("ordered_amount", "billed_amount", "received_amount"), money, strict=True))
        told = {"class": name, "reference": reference, "order_line": line, "order_references": bill}
        return nothing | told | amounts | more

    expected = [
        row("amount_differs", "TOO-LITTLE", 6, "CP-5", 2000, 2000, 400, difference_amount=-1600),
        row("bill_without_order", "NO-ORDER", None, "CP-8", 0, 900, 900, difference_amount=900, **no_order),
        row("bill_without_order", None, None, "CP-9", 0, 50, 0, **no_order, **unpaid),
        row("matched", "MATCHED", 2, "CP-1", 1000, 1000, 1000),
        row("matched", "UNPAID", 3, "CP-2", 1000, 1000, 0, is_paid_in_shop=False, **unpaid),
        row(
            "order_without_bill", "NO-BILL", 8, None, 300, 0, 0,
            bill_count=0, bill_created_at=None, difference_amount=-300, **unpaid,
        ),
        row("paid_at_cashpay_only", "SHOP-MISSED", 4, "CP-3", 1500, 1500, 1500, is_paid_in_shop=False,
            difference_amount=1500),
        row("paid_in_shop_only", "NOT-RECEIVED", 5, "CP-4", 700, 700, 0, difference_amount=-700, **unpaid),
        row("paid_twice", "TWICE", 7, "CP-6 CP-7", 500, 1000, 1000, bill_count=2, paid_bill_count=2,
            difference_amount=500, ordered_at=at(3, 0)),
    ]  # fmt: skip
    stored = query(settings.published_path, "from marts.reconciliation order by class, reference nulls last")
    assert [{k: v for k, v in row.items() if k not in ("run_id", "run_at")} for row in stored] == expected
    assert {row["run_id"] for row in stored} == {result.run_id}
    assert [
        (t.name, t.currency, t.references, t.ordered, t.billed, t.received, t.difference) for t in result.totals
    ] == [
        ("paid_twice", "XOF", 1, 500, 1000, 1000, 500),
        ("paid_at_cashpay_only", "XOF", 1, 1500, 1500, 1500, 1500),
        ("paid_in_shop_only", "XOF", 1, 700, 700, 0, -700),
        ("amount_differs", "XOF", 1, 2000, 2000, 400, -1600),
        ("bill_without_order", "XOF", 2, 0, 950, 900, 900),
        ("order_without_bill", "XOF", 1, 300, 0, 0, -300),
        ("matched", "XOF", 2, 2000, 2000, 1000, 0),
    ]
    (run,) = query(settings.published_path, "from marts.reconciliation_runs")
    assert run["assumptions"] == result.assumed and run["order_count"] == 7
    assert (run["period_start"], run["period_end"]) == (at(2, 0), at(4, 0))


@pytest.mark.parametrize(
    ("order", "stored", "expected"),
    [
        ("1000;oui", [("CP-1", "A", "Expired", 1000, 0), ("CP-2", "A", "Paid", 1000, 1000)], "matched"),
        ("1000;oui", [("CP-1", "A", "Paid", 400, 400), ("CP-2", "A", "Paid", 600, 600)], "matched"),
        ("1000;oui", [("CP-1", "A", "Paid", 400, 400), ("CP-2", "A", "Paid", 700, 700)], "paid_twice"),
        ("1000;non", [("CP-1", "A", "Paid", 1000, 1000), ("CP-2", "A", "Excess", 1000, 1200)], "paid_twice"),
        ("1000;oui", [("CP-1", "A", "Excess", 1000, 2000, {"payment_count": 2})], "paid_twice"),
        ("1000;oui", [("CP-1", "A", "Excess", 1000, 1200, {"payment_count": 2})], "amount_differs"),
        ("1000;non", [("CP-1", "A", "Partial", 1000, 10)], "paid_at_cashpay_only"),
        ("1000;non", [("CP-1", "A", "Expired", 1000, 10)], "paid_at_cashpay_only"),
        ("1000;non", [("CP-1", "A", "Pending", 1200, 0)], "amount_differs"),
        ("1000;non", [("CP-1", "A", "Expired", 1200, 0), ("CP-2", "A", "Pending", 1000, 0, {"created_at": at(3)})],
         "matched"),
        ("1000;oui", [("CP-1", "A", "Canceled", 1000, 0)], "paid_in_shop_only"),
        ("1000;oui", [("CP-1", "A", "Paid", 1000, None)], "matched"),
        ("1000;oui", [("CP-1", "A", "Excess", 1000, None)], "amount_differs"),
        ("1000;oui", [("CP-1", "A", "Error", 1000, None)], "paid_in_shop_only"),
        ("1000;oui", [("CP-1", "A", "Pending", 1000, 0, {"missing_since": at(4)})], "order_without_bill"),
        ("1000;oui", [("CP-1", "A", "Paid", 1000, 1000, {"missing_since": at(4)})], "matched"),
        ("1000;oui", [("CP-1", "A", "Paid", 1000, 1000, {"account": "other"}), ("CP-2", "B", "Paid", 1, 1)],
         "order_without_bill"),
        ("1000;oui", [("CP-1", "a", "Paid", 1000, 1000)], "order_without_bill"),
        ("1000;oui", [("CP-1", f" A{NBSP}", "Paid", 1000, 1000)], "matched"),
        ("1000;oui", [("CP-1", "A", "Paid", 1000, -1000)], "paid_in_shop_only"),
    ],
)  # fmt: skip
def test_class_of_an_order(
    bills: Bills, shop: Shop, found: Found, order: str, stored: list[Any], expected: str
) -> None:
    bills(*stored)
    shop("reference;montant;paye\nA;" + order + "\n")
    assert [name for name, reference in found("class, reference") if reference == "A"] == [expected]


def test_old_runs_leave_but_for_the_last_of_each_month(
    bills: Bills, shop: Shop, settings: Settings, found: Found
) -> None:
    """36 days ago is old, 401 days ago is gone; exports and accounts are looked at one by one."""
    shop("reference;montant;paye\nA;1;oui\n")
    now = datetime.now(UTC)
    months_ago = [(now.replace(day=15) - timedelta(days=30 * n)).replace(hour=12) for n in range(14)]
    old = {
        "yesterday": (now - timedelta(days=1), "orders.csv"),
        "34-days": (now - timedelta(days=34), "orders.csv"),
        "early": (months_ago[3].replace(day=3), "orders.csv"),
        "middle": (months_ago[3].replace(day=14), "orders.csv"),
        "last": (months_ago[3].replace(day=27), "orders.csv"),
        "other-export": (months_ago[3].replace(day=4), "other.csv"),
        "a-year": (months_ago[12], "orders.csv"),
        "too-old": (now - timedelta(days=401), "orders.csv"),
        "too-old-other-account": (now - timedelta(days=401), "orders.csv"),
    }
    with open_warehouse(settings) as warehouse:
        for name, (moment, source) in old.items():
            account = "second" if "account" in name else "main"
            run = {"run_id": f"{moment:%Y%m%dT%H%M%S}-{name}", "run_at": moment, "account": account, "source": source}
            for table in ("reconciliation_runs", "reconciliation"):
                warehouse.execute(
                    f"insert into marts.{table} by name select * replace (? as run_id, ? as run_at, ? as account, "
                    f"? as source) from marts.{table} limit 1",
                    list(run.values()),
                )
    newest = shop("reference;montant;paye\nA;1;oui\n")
    kept = {run_id.split("-", 1)[1] for (run_id,) in found("run_id")}
    expected = {"yesterday", "34-days", "last", "other-export", "a-year", "too-old-other-account"}
    assert kept >= expected and newest.run_id.split("-", 1)[1] in kept and len(kept) == len(expected) + 2
    runs = query(settings.published_path, "select run_id from marts.reconciliation_runs")
    assert {row["run_id"].split("-", 1)[1] for row in runs} == kept


def test_a_clock_that_is_years_ahead_removes_no_run(bills: Bills, shop: Shop, settings: Settings, found: Found) -> None:
    """One run by such a clock removed the whole history, as older than 400 days; CashPay's clock was right."""
    shop("reference;montant;paye\nA;1;oui\n")
    today = datetime.now(UTC) - timedelta(days=500)  # and the clock here is ahead by as much
    with open_warehouse(settings) as warehouse:
        sync_row(warehouse, "last-night", "refresh", today, "complete")
        for table in ("reconciliation_runs", "reconciliation"):
            warehouse.execute(
                f"insert into marts.{table} by name select * replace ('yesterday' as run_id, ? as run_at) "
                f"from marts.{table}",
                [today - timedelta(days=1)],
            )
    shop("reference;montant;paye\nA;1;oui\n")
    assert "yesterday" in [run_id for (run_id,) in found("run_id")]


def test_what_keeps_a_spreadsheet_from_changing_a_cell_is_no_part_of_it(bills: Bills, shop: Shop, found: Found) -> None:
    bills(("CP-1", "0042", "Paid", 1500, 1500))
    shop('reference;montant;paye;date\n"=""0042""";"=""1 500""";oui;"=""02/03/2026"""\n="0043";5;non;31/03/2026\n')
    assert found("class, reference, ordered_amount") == [
        ("matched", "0042", 1500),
        ("order_without_bill", "0043", 5),
    ]


def test_currencies_are_never_added_up(bills: Bills, shop: Shop, found: Found) -> None:
    bills(
        ("CP-1", "A", "Paid", 1250, 1250, {"currency": "EUR"}),
        ("CP-2", "B", "Paid", 500, 500, {"currency": "EUR"}),
    )
    result = shop("reference;montant;paye;devise\nA;12,50;oui;EUR\nB;500;oui;FCFA\n")
    assert found("class, reference, currency, ordered_amount, received_amount") == [
        ("matched", "A", "EUR", 1250, 1250),
        ("amount_differs", "B", "EUR", 0, 500),
        ("amount_differs", "B", "XOF", 500, 0),
    ]
    assert [(t.name, t.currency, t.ordered, t.received) for t in result.totals] == [
        ("amount_differs", "EUR", 0, 500),
        ("matched", "EUR", 1250, 1250),
        ("amount_differs", "XOF", 500, 0),
    ]


def test_bills_without_order_count_only_in_the_time_that_the_orders_span(
    bills: Bills, shop: Shop, found: Found
) -> None:
    bills(
        ("CP-1", "FEB", "Paid", 1, 1, {"created_at": at(28, month=2)}),
        ("CP-2", "MAR", "Paid", 1, 1, {"created_at": at(2, 12)}),
        ("CP-3", "AFTER", "Paid", 1, 1, {"created_at": at(3, 12)}),
        ("CP-4", "A", "Paid", 1, 1, {"created_at": at(9)}),
    )
    times = "reference;montant;paye;date\nA;1;oui;2026-03-01 08:00\nB;1;oui;2026-03-03 11:00\n"
    shop(times)
    assert {reference for (reference,) in found("reference")} == {"MAR", "A", "B"}


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["2026-03-01 10:00", "2026-03-02"], ["AFTER", "MORNING"]),
        (["2026-03-02 10:00", "2026-03-02"], ["AFTER", "MORNING"]),
        (["2026-03-02 00:00", "2026-03-02"], ["AFTER", "MORNING"]),
        (["2026-03-01", "2026-03-02 10:00"], ["MORNING"]),
        (["", "2026-03-02 10:00"], ["MORNING"]),
    ],
)
def test_a_day_without_a_time_counts_to_its_end(
    bills: Bills, shop: Shop, found: Found, dates: list[str], expected: list[str]
) -> None:
    """Whatever other orders have: the last moment that any of them can be of."""
    bills(
        ("CP-1", "MORNING", "Paid", 1, 1, {"created_at": at(2, 10)}),
        ("CP-2", "AFTER", "Paid", 1, 1, {"created_at": at(2, 23)}),
        ("CP-3", "NEXT", "Paid", 1, 1, {"created_at": at(3, 0)}),
    )
    shop(HEADER + "".join(f"{number};1;oui;{day}\n" for number, day in enumerate(dates)), first_day=date(2026, 3, 1))
    assert [row[1:] for row in found("class, reference") if row[0] == "bill_without_order"] == [
        (reference,) for reference in expected
    ]


def test_days_that_are_said_leave_orders_and_their_bills_out(bills: Bills, shop: Shop, found: Found) -> None:
    bills(
        ("CP-1", "OLD", "Paid", 1, 1, {"created_at": at(2)}),
        ("CP-2", "A", "Paid", 1, 1, {"created_at": at(3)}),
        ("CP-3", "LATE", "Paid", 1, 1, {"created_at": at(4, 0)}),
        ("CP-4", "UNKNOWN", "Paid", 1, 1, {"created_at": at(3, 23)}),
    )
    text = HEADER + "OLD;1;oui;2026-03-01\nA;1;oui;2026-03-02\nC;1;oui;2026-03-03\nD;1;oui;2026-03-04\n"
    result = shop(text, first_day=date(2026, 3, 2), last_day=date(2026, 3, 3))
    assert found("class, reference") == [
        ("matched", "A"), ("order_without_bill", "C"), ("bill_without_order", "UNKNOWN"),
    ]  # fmt: skip
    assert any("left out" in line for line in result.assumed)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (
            {},
            "from 2026-03-02 00:00:00 (the oldest order) to before 2026-03-04 00:00:00 (just after the newest order).",
        ),
        (
            {"first_day": date(2026, 3, 1)},
            "from 2026-03-01 00:00:00 (as was said) to before 2026-03-04 00:00:00 (just after the newest order).",
        ),
        (
            {"last_day": date(2026, 3, 3)},
            "from 2026-03-02 00:00:00 (the oldest order) to before 2026-03-04 00:00:00 (as was said).",
        ),
    ],
    ids=["nothing said", "the first day", "the last day"],
)
def test_of_each_end_of_the_time_it_is_told_where_it_comes_from(
    bills: Bills, shop: Shop, days: dict[str, date], expected: str
) -> None:
    result = shop(HEADER + "A;1;oui;2026-03-02\nB;1;oui;2026-03-03\n", **days)
    assert f"Bills without an order count if created {expected}" in result.assumed


def test_a_first_day_without_dates_of_orders_is_the_only_end(bills: Bills, shop: Shop) -> None:
    result = shop("reference;montant;paye\nA;1;oui\n", first_day=date(2026, 3, 1))
    assert "Bills without an order count if created from 2026-03-01 00:00:00 (as was said)." in result.assumed


def plant(seed: int) -> tuple[list[tuple[Any, ...]], list[str], dict[str, str]]:
    """A month of a shop and 500 faults in it: bills, lines of the export, and the class of each reference."""
    dice = random.Random(seed)
    faults = [name for name in CLASSES if name != "matched"]
    planted = [faults[i % len(faults)] for i in range(500)] + ["matched"] * 2500
    dice.shuffle(planted)
    bills: list[tuple[Any, ...]] = []
    lines: list[str] = []
    classes = {}
    for number, name in enumerate(planted):
        reference = f"{number:06}"
        classes[reference] = name
        amount = dice.randrange(1, 240000) * 25
        created = at(1, 0) + timedelta(minutes=dice.randrange(1, 30 * 24 * 60))
        order = {"reference": reference, "amount": amount, "paid": True, "at": created - timedelta(seconds=30)}
        attempts = [("Paid", amount, amount)]
        match name:
            case "paid_twice":
                attempts = [("Paid", amount, amount), (dice.choice(["Paid", "Excess"]), amount, amount)]
            case "paid_at_cashpay_only":
                order["paid"] = False
            case "paid_in_shop_only":
                attempts = [(dice.choice(["Pending", "Expired", "Canceled", "Error"]), amount, 0)]
            case "amount_differs":
                attempts = dice.choice(
                    [
                        [("Partial", amount, amount - 5)],
                        [("Excess", amount, amount + 5)],
                        [("Paid", amount + 5, amount + 5)],
                    ]
                )
            case "matched" if dice.random() < 0.3:
                order["paid"] = False
                attempts = [(dice.choice(["Pending", "Expired"]), amount, 0)]
            case "matched" if dice.random() < 0.2:
                attempts.insert(0, ("Expired", amount, 0))
        if name != "order_without_bill":
            for attempt, (state, billed, received) in enumerate(attempts):
                more = {"created_at": created + timedelta(minutes=attempt)}
                bills.append((f"CP-{number}-{attempt}", reference, state, billed, received, more))
        if name != "bill_without_order":
            sum_text = f"{amount:,}".replace(",", dice.choice([NBSP, NARROW, " "])) + dice.choice(["", " FCFA", " XOF"])
            word = dice.choice(["Payé", "PAYÉE", "oui"]) if order["paid"] else dice.choice(["en attente", "Impayé"])
            lines.append(f"{reference};{sum_text};{word};{order['at']:%d/%m/%Y %H:%M}")
    # The shop's own edges: two orders that span the month and agree.
    for reference, moment in (("FIRST", at(1, 0)), ("LAST", at(31, 23))):
        bills.append((f"CP-{reference}", reference, "Paid", 100, 100, {"created_at": moment}))
        lines.append(f"{reference};100;oui;{moment:%d/%m/%Y %H:%M}")
        classes[reference] = "matched"
    dice.shuffle(lines)
    return bills, lines, classes


def test_500_planted_faults_are_found_in_the_right_class_and_none_is_invented(
    bills: Bills, shop: Shop, found: Found
) -> None:
    stored, lines, classes = plant(seed=500)
    bills(*stored)
    result = shop("Référence;Montant TTC;Statut;Date commande\r\n" + "\r\n".join(lines))
    assert {reference: name for name, reference in found("class, reference")} == classes
    assert len(found("reference")) == len(classes)
    assert sum(t.references for t in result.totals if t.name != "matched") == 500
    assert sum(t.received for t in result.totals) == sum(bill[4] for bill in stored)


def test_days_without_any_order_stop_and_store_nothing(bills: Bills, shop: Shop, settings: Settings) -> None:
    bills(("CP-1", "A", "Paid", 5, 5))
    text = HEADER + "A;5;oui;2026-03-02\nB;5;oui;2026-03-03 10:00\nC;5;oui;2026-03-04\n"
    with pytest.raises(OrdersError, match=r"(?s)Of 3 orders none is of these days.*--from and --to"):
        shop(text, first_day=date(2027, 3, 1))
    with pytest.raises(OrdersError, match=r"Of 3 orders none is of these days"):
        shop(text, last_day=date(2026, 3, 1))
    assert not settings.published_path.exists()
    with open_warehouse(settings) as warehouse:
        assert not warehouse.rows("select * from marts.reconciliation_runs")
    assumed = shop(text, first_day=date(2026, 3, 3), last_day=date(2026, 3, 3)).assumed
    assert "2 of 3 orders lie outside these days: left out, with all of their bills." in assumed
    assert not [line for line in shop(text, first_day=date(2026, 3, 2)).assumed if "outside" in line]


def test_an_account_without_bills_stops_and_names_those_that_have_some(
    bills: Bills, shop: Shop, settings: Settings
) -> None:
    bills(("CP-1", "A", "Paid", 5, 5), ("CP-2", "B", "Paid", 5, 5, {"account": "second"}))
    path = settings.data_folder.parent / "export.csv"
    path.write_text(HEADER + "A;5;oui;2026-03-02\n")
    with pytest.raises(OrdersError, match=r"(?s)Account thrid has no bills.*those of main, second: .*CASHPAY_ACCOUNT"):
        reconcile(settings.model_copy(update={"account": "thrid"}), str(path), Mapping())
    with open_warehouse(settings) as warehouse:
        assert not warehouse.rows("select * from marts.reconciliation_runs")


def test_runs_are_kept_side_by_side(bills: Bills, shop: Shop, settings: Settings) -> None:
    bills(("CP-1", "A", "Paid", 10, 10))
    first = shop("reference;montant;paye\nA;10;oui\n")
    second = shop("reference;montant;paye\nA;11;oui\n")
    assert [
        (row["run_id"], row["class"])
        for row in query(settings.published_path, "from marts.reconciliation order by run_at")
    ] == [(first.run_id, "matched"), (second.run_id, "amount_differs")]


def test_of_two_runs_in_one_second_the_newer_sorts_last(
    bills: Bills, shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bills(("CP-1", "A", "Paid", 10, 10))
    moments, tokens = iter([at(2), at(2) + timedelta(microseconds=1)]), iter(["ffffffff", "00000000"])
    monkeypatch.setattr(store, "datetime", SimpleNamespace(now=lambda _: next(moments)))
    monkeypatch.setattr(store.secrets, "token_hex", lambda _: next(tokens))
    first, second = (shop("reference;montant;paye\nA;10;oui\n") for _ in range(2))
    assert first.run_id < second.run_id
    assert first.run_id > "20260302T100000-ffffffff", "as an earlier version wrote it, in the same second"


AMOUNTS = [
    ("plain", ["12500", "700"], [12500, 700]),
    ("blanks", ["12 500", f"1{NBSP}200{NARROW}300"], [12500, 1200300]),
    ("points prove themselves", ["12.500", "1.200.300"], [12500, 1200300]),
    ("12.750 cannot be francs with decimals", ["12.000", "12.750"], [12000, 12750]),
    ("500 is written without decimals", ["12.000", "500"], [12000, 500]),
    ("comma decimals make points groups", ["1.500,00", "12.000"], [1500, 12000]),
    ("comma decimals after blanks", ["1 500,00", f"12{NARROW}000,00"], [1500, 12000]),
    ("English", ["1,500.00", "12,000"], [1500, 12000]),
    ("units", ["12500 FCFA", "F CFA 700", "12 500 F", "XOF 1", "25 francs"], [12500, 700, 12500, 1, 25]),
    ("apostrophes", ["12'500", "1’200’300"], [12500, 1200300]),
    ("with zero", ["0", "0,00"], [0, 0]),
    ("units with points", ["F.CFA 500", "F. CFA 12 500", "CFA. 7", "F.C.F.A 9", "25 F.CFA."], [500, 12500, 7, 9, 25]),
]  # fmt: skip


@pytest.mark.parametrize(("written", "expected"), [case[1:] for case in AMOUNTS], ids=[case[0] for case in AMOUNTS])
def test_amounts(bills: Bills, shop: Shop, found: Found, written: list[str], expected: list[int]) -> None:
    shop("reference;montant;paye\n" + "".join(f"{i};{text};oui\n" for i, text in enumerate(written)))
    assert [row[0] for row in found("ordered_amount")] == expected


TIMES = [
    ("2026-03-02 10:00", at(2)),
    ("2026-03-02T10:00Z", at(2)),
    ("2026-03-02 10:00 UTC", at(2)),
    ("2026-03-02T10:00+01:00", at(2, 9)),
    ("2026-03-02 10:00-0530", at(2, 15) + timedelta(minutes=30)),
    ("2026-03-02 10:00 +01", at(2, 9)),
    ("2026-03-02 10:00:00 +0100", at(2, 9)),
    ("2026-03-02T10:00:00.5Z", at(2) + timedelta(seconds=0.5)),
    ("2026/3/2 9:05Z", at(2, 9) + timedelta(minutes=5)),
]


@pytest.mark.parametrize(("written", "expected"), TIMES, ids=[case[0] for case in TIMES])
def test_times_with_and_without_seconds_and_offset(
    bills: Bills, shop: Shop, found: Found, written: str, expected: datetime
) -> None:
    shop(f"{HEADER}A;5;oui;{written}\n")
    assert found("ordered_at") == [(expected,)]


REFUSED = [
    ("either", "reference;montant;paye\n1;12.000;oui\n2;5.000;oui\n", r"line 2, column “montant”.*--decimal-mark"),
    ("contradiction", "reference;montant;paye\n1;1.500,00;oui\n2;99.5;oui\n",
     r"“99\.5” and “1\.500,00” \(line 2\).*line 3"),
    ("cents of francs", "reference;montant;paye\n1;1500,50;oui\n", r"“1500,50” is not whole.*XOF.*line 2"),
    ("no amount", "reference;montant;paye\n1;12;oui\n\n3;gratuit;oui\n",
     r"“…” is not an amount.*line 4, column “montant”"),
    ("bad groups", "reference;montant;paye\n1;12 50;oui\n", r"“12 50” is not an amount"),
    ("a point first", "reference;montant;paye\n1;2,75 EUR;oui\n2;.50 EUR;oui\n",
     r"“\.50 EUR” is not an amount.*line 3"),
    ("a comma first", "reference;montant;paye\n1;EUR ,50;oui\n", r"“EUR ,50” is not an amount"),
    ("a point after a unit", "reference;montant;paye\n1;EUR.50;oui\n", r"“EUR\.50” is not an amount"),
    ("a lost point", "reference;montant;paye\n1;EUR . 50;oui\n", r"“EUR \. 50” is not an amount"),
    ("exponent", "reference;montant;paye\n1;1,2E+05;oui\n", r"“1,2E\+05” is not an amount"),
    ("negative", "reference;montant;paye\n1;-500;oui\n", r"negative.*line 2"),
    ("too large", "reference;montant;paye\n1;99999999999999999999;oui\n", r"too large.*line 2"),
    ("empty amount", "reference;montant;paye\n1;;oui\n", r"Order 1 has no amount.*line 2, column “montant”"),
    ("currency", "reference;montant;paye\n1;5 ZZZ;oui\n", r"“ZZZ” is not a currency.*line 2"),
    ("two currencies", "reference;montant;paye;devise\n1;5 EUR;oui;XOF\n", r"“5 EUR” is not in XOF"),
    ("unknown words", "reference;montant;paye\n1;5;peut-être\n2;5;oui\n3;5;refunded\n",
     r"“peut etre” \(1 row\), “refunded” \(1 row\).*line 2, column “paye”.*--paid-word"),
    ("no word", "reference;montant;paye\n1;5;\n", r"not said whether order 1 is paid.*line 2, column “paye”"),
    ("date form", HEADER + "1;5;oui;2 mars 2026\n", r"“…” is not a date.*line 2, column “date”"),
    ("no such day", HEADER + "1;5;oui;31/02/2026\n", r"“31/02/2026” is not a date.*line 2"),
    ("an offset without a time", HEADER + "1;5;oui;2026-03-02 -01:00\n", r"“2026-03-02 -01:00” is not a date.*line 2"),
    ("day or month", HEADER + "1;5;oui;02/03/2026\n", r"two ways.*line 2, column “date”.*--date-order"),
    ("day and month", HEADER + "1;5;oui;13/03/2026\n2;5;oui;03/13/2026\n", r"same form.*line 3"),
    ("two forms", HEADER + "1;5;oui;13/03/2026\n2;5;oui;2026-03-13\n", r"same form.*line 3, column “date”"),
    ("no reference", "reference;montant;paye\n1;5;oui\n;5;oui\n",
     r"1 row without a reference; .*line 3, column “reference”"),
    *((f"lost reference {lost}", f"reference;montant;paye\n{lost};5;oui\n", r"spreadsheet.*line 2, column “reference”")
      for lost in ("1,23457E+12", "1E+11", "1.5e+15")),
    ("repeated", "reference;montant;paye\n1;5;oui\n2;5;oui\n1;6;oui\n",
     r"Reference 1 has 2 rows.*lines 2 and 4.*--repeated"),
    ("columns", "nom;prix;statut\n1;5;oui\n",
     r"reference or the amount; the file has “nom”, “prix”, “statut”.*line 1"),
    ("unusual columns", "Acheteur;Somme;Cas\nAfi;5;oui\n",
     r"none of the 3 cells of its first line is a known name.*line 1"),
    ("no paid column", "reference;montant\n1;5\n", r"No column tells whether an order is paid.*--all-paid"),
    ("two amounts", "reference;montant;total;paye\n1;5;5;oui\n", r"could be the amount: “montant”, “total”.*--amount"),
    ("short row", "reference;montant;paye\n1;5;oui\n\n2;5\n", r"2 cells, the header 3.*line 4"),
    ("long row", "reference;montant;paye\n1;5;oui;x\n", r"4 cells, the header 3.*line 2"),
    ("open quote", 'reference;montant;paye\n1;5;oui\n"2;5;oui\n3;5;oui\n', r"cannot be read.*line 3"),
    ("one column", "reference\n1\n", r"one column only: “reference”.*line 1"),
    ("HTML", "<table><td>Afi</td></table>\n", r"one column only\..*line 1"),
    ("JSON", '[{"client": "Afi", "tel": "90123456"}]\n', r"its first line has values and no names of columns.*line 1"),
    ("no header", "A-1;1000;oui\n", r"its first line has values and no names of columns.*line 1"),
    ("a day as a number", HEADER + "1;5;oui;46083\n", r"“46083” is not a date.*line 2, column “date”"),
    ("no date", HEADER + "1;5;oui;2026-03-13\n" * 2 + "2;5;oui;hier\n", r"“…” is not a date.*line 4, column “date”"),
    ("empty", "", r"The file is empty"),
    ("only a mark", "\ufeff", r"The file is empty"),
    ("blank", "\n \n\n", r"The file is empty"),
    ("header only", "reference;montant;paye\n", r"no orders below the header"),
    ("binary", "reference\0;montant", r"not text"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_cannot_be_read_stops_with_line_and_column_and_changes_nothing(
    bills: Bills, shop: Shop, settings: Settings, tmp_path: Path, text: str, message: str
) -> None:
    before = settings.warehouse_path.read_bytes()
    with pytest.raises(OrdersError, match="(?s)" + message):
        shop(text, details=tmp_path / "details.csv")
    assert settings.warehouse_path.read_bytes() == before
    assert not settings.published_path.exists()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["orders.csv"]
    assert not list(settings.data_folder.glob(".cashpay*"))


CUSTOMER = "Kossi CANARY 90 12 34 56"
ORDER = {"reference": "A", "montant": "5", "paye": "oui", "date": "2026-03-02", "devise": "XOF"}


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("montant", "Kossi CANARY", "“…” is not an amount"),
        ("montant", CUSTOMER, "“…” is not a currency"),
        ("montant", "12 34 90123456", r"“12 34 \*{6}56” is not an amount"),
        ("date", CUSTOMER, "“…” is not a date"),
        ("date", "90 12 34 56", r"“\*{6}56” is not a date"),
        ("devise", CUSTOMER, "“…” is not a currency"),
        ("paye", f"payé par {CUSTOMER} de la maison d'à côté", r"mean paid: “…” \(1 row\)"),
        ("paye", "90123456", r"mean paid: “\*{6}56” \(1 row\)"),
    ],
)
def test_S10_a_customer_in_a_cell_that_cannot_be_read_is_not_repeated(
    bills: Bills, shop: Shop, column: str, cell: str, message: str
) -> None:
    row = ORDER | {column: cell}
    with pytest.raises(OrdersError, match=f"(?s){message}.*line 2, column “{column}”") as caught:
        shop(";".join(row) + "\n" + ";".join(row.values()) + "\n")
    assert "canary" not in str(caught.value).casefold()


@pytest.mark.parametrize(
    "text",
    [
        "CMD-1;Kossi CANARY;15 000 FCFA;payé\nCMD-2;Afi;5;payé\n",
        "Kossi CANARY;FCFA;payé\n",
        "Kossi CANARY\nAfi\n",
    ],
)
@pytest.mark.parametrize("mapping", [Mapping(), Mapping(reference="ref"), Mapping(only="moyen=cashpay", all_paid=True)])
def test_S10_a_first_line_that_is_an_order_is_not_repeated(
    bills: Bills, shop: Shop, text: str, mapping: Mapping
) -> None:
    with pytest.raises(OrdersError) as caught:
        shop(text, mapping)
    assert "canary" not in str(caught.value).casefold()


def test_S10_what_a_database_says_of_a_value_is_not_repeated(bills: Bills, settings: Settings, tmp_path: Path) -> None:
    """A cast in a query or a view that does not fit one row; a text of SQLite's that is no UTF-8."""
    stored = tmp_path / "shop.duckdb"
    with duckdb.connect(str(stored)) as connection:
        connection.execute("create table orders as select 'A' as reference, 'Kossi CANARY' as client, 5 as amount")
        connection.execute("create view odd as select client::integer as amount, reference from orders")
        connection.execute("create view small as select (amount * 1000)::utinyint as amount, reference from orders")
    lite = tmp_path / "shop.sqlite"
    with sqlite3.connect(lite) as made:
        made.execute("create table orders (reference text, amount integer, client text)")
        made.execute("insert into orders values ('A', 5, cast(x'4b6f7373e92043414e415259' as text))")
    made.close()
    for path, mapping, message in (
        (stored, Mapping(table="odd"), r"a value does not fit.*ConversionException.*try_cast"),
        (stored, Mapping(table="small"), r"a value does not fit.*ConversionException.*try_cast"),
        (stored, Mapping(query="select client::date as amount from orders"), "a value does not fit"),
        (stored, Mapping(query="select strptime(client, '%Y') as amount from orders"), "a value does not fit"),
        (lite, Mapping(), "Could not decode to UTF-8 column 'client'."),
    ):
        with pytest.raises(OrdersError, match="(?s)" + message) as caught:
            reconcile(settings, str(path), mapping.model_copy(update={"all_paid": True}))
        assert "canary" not in str(caught.value).casefold()


def test_messy_files_are_read_and_what_was_assumed_is_said(bills: Bills, shop: Shop, found: Found) -> None:
    bills(("CP-1", "0042", "Paid", 12500, 12500))
    text = (
        "N° Commande|Client|Montant|Statut|Date de création|\r\n"
        '"0042"|"Afi\r\nMawuli"|12.500 FCFA|Payé|14/03/2026 09:30|\n'
        "\n"
        '0043|5" de tissu|750|En attente|15/03/2026|\r\n'
        '0043|5" de tissu|750|En attente|15/03/2026|\r\n'
    )
    result = shop(text.encode("cp1252"), Mapping(reference="n° commande"))
    assert found("class, reference, ordered_amount, order_line, ordered_at") == [
        ("matched", "0042", 12500, 2, datetime(2026, 3, 14, 9, 30, tzinfo=UTC)),
        ("order_without_bill", "0043", 750, 5, datetime(2026, 3, 15, tzinfo=UTC)),
    ]
    for expected in (
        "not UTF-8 (line 1): read as Windows-1252", "separated by bars", "The amount is in column “Montant”",
        "The payment state is in column “Statut”", "1 row, the same as another in every cell",
        "“FCFA” in 1 amount is XOF",
        "1 amount without a currency",
        "A point in amounts groups thousands: “12.500 FCFA” (line 2)", "the day comes first: “14/03/2026 09:30”",
        "those of Africa/Lome", "Paid is: paye.", "Not paid is: en attente.", "(the oldest order)",
        "The bill list has never been read completely",
    ):  # fmt: skip
        assert any(expected in line for line in result.assumed), (expected, result.assumed)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_separator_character_set_and_line_end(tmp_path: Path, encoding: str, separator: str, end: str) -> None:
    rows = [["référence", "montant", "payé"], ["007", "12500", "payée"], ["008", "5", f"im{separator}payé"]]
    path = tmp_path / "orders.csv"
    lines = [separator.join(f'"{cell}"' if separator in cell else cell for cell in row) for row in rows]
    path.write_bytes((end.join(lines) + end).encode(encoding))
    header, found, _ = read_csv(path)
    assert [header, *(row for _, row in found)] == rows


def test_a_line_that_names_the_separator_is_obeyed(bills: Bills, shop: Shop, found: Found) -> None:
    shop("sep=;\nreference;montant;paye\n1;5;oui\n")
    assert found("reference, order_line") == [("1", 3)]


def test_references_keep_their_zeros_and_a_near_miss_is_said(bills: Bills, shop: Shop, found: Found) -> None:
    bills(("CP-1", "00123", "Paid", 5, 5))
    text = "reference;montant;paye\n123;5;oui\n"
    result = shop(text)
    assert {row[0] for row in found("class")} == {"order_without_bill", "bill_without_order"}
    assert any("1 order without a bill would find one" in line and "--loose" in line for line in result.assumed)
    shop(text, Mapping(loose=True))
    assert found("class, reference")[2:] == [("matched", "123")]


def test_records_set_aside_are_said(bills: Bills, shop: Shop, settings: Settings, found: Found) -> None:
    with open_warehouse(settings) as warehouse:
        sync_row(warehouse, "s", "full_refresh", at(9), "complete")
        for number, (account, source, resolved_at) in enumerate(
            [("main", "list", None), ("main", "details", None), ("main", "list", at(9)), ("main", "gateways", None),
             ("other", "list", None)]
        ):  # fmt: skip
            insert(
                warehouse, "core.data_issues", issue_id=str(number), account=account, sync_id="s", source=source,
                reason="not_a_number", field="amount", payload="{}", first_seen_at=at(9), last_seen_at=at(9),
                resolved_at=resolved_at,
            )  # fmt: skip
    text = HEADER + "A;1000;oui;2026-03-01\n"
    said = (
        "Set aside: 2 records of CashPay (core.data_issues); an order without a bill can have its bill among "
        "them, and a known bill its latest change."
    )
    result = shop(text)
    assert found("class, reference") == [("order_without_bill", "A")]
    assert [line for line in result.assumed if "core.data_issues" in line] == [said]
    with open_warehouse(settings) as warehouse:
        warehouse.connection.execute("update core.data_issues set resolved_at = now() where account = 'main'")
    assert not [line for line in shop(text).assumed if "core.data_issues" in line]


def test_loose_references_that_become_one_stop(bills: Bills, shop: Shop) -> None:
    with pytest.raises(OrdersError, match="“0123” and “123” are the same reference"):
        shop("reference;montant;paye\n0123;5;oui\n123;5;oui\n", Mapping(loose=True))


@pytest.mark.parametrize(
    ("repeated", "lines", "expected"),
    [
        ("total", ["1;900;oui", "1;900;oui", "1;;"], 900),
        ("parts", ["1;400;oui", "1;500;oui", "1;0;"], 900),
        ("last", ["1;800;non", "1;900;oui"], 900),
    ],
)
def test_several_rows_of_one_reference(
    bills: Bills, shop: Shop, found: Found, repeated: Any, lines: list[str], expected: int
) -> None:
    rows = "".join(f"{line};article {i}\n" for i, line in enumerate(lines))
    shop("reference;montant;paye;article\n" + rows, Mapping(repeated=repeated))
    assert found("ordered_amount, is_paid_in_shop") == [(expected, True)]


def test_parts_that_are_the_same_in_every_cell_are_all_added_up(bills: Bills, shop: Shop, found: Found) -> None:
    """Two equal instalments, or two of an article; of anything else, the same row twice is one row."""
    text = "reference;montant;paye\n1;500;oui\n1;500;oui\n2;100;oui\n"
    result = shop(text, Mapping(repeated="parts"))
    assert found("reference, ordered_amount") == [("1", 1000), ("2", 100)]
    assert "1 row, the same as another in every cell: added up all the same, for they are parts." in result.assumed
    for repeated in ("stop", "total", "last"):
        result = shop(text, Mapping(repeated=repeated))
        assert found("reference, ordered_amount")[-2:] == [("1", 500), ("2", 100)]
        assert "1 row, the same as another in every cell: counted once." in result.assumed


def test_a_state_that_comes_back_is_the_last_one(bills: Bills, shop: Shop, found: Found) -> None:
    """Its row is the same in every cell as one further up, and the state between the two has passed."""
    text = "reference;montant;paye\n1;500;non\n1;500;oui\n1;500;non\n2;700;oui\n2;600;oui\n2;700;oui\n"
    result = shop(text, Mapping(repeated="last"))
    assert found("reference, ordered_amount, is_paid_in_shop") == [("1", 500, False), ("2", 700, True)]
    assert "2 rows, the same as another in every cell: counted once." in result.assumed


def test_rows_that_disagree_stop_whatever_was_said(bills: Bills, shop: Shop) -> None:
    for repeated, text in (("total", "1;5;oui\n1;6;oui\n"), ("parts", "1;5;oui\n1;6;non\n")):
        with pytest.raises(OrdersError, match="The rows of 1 do not agree"):
            shop("reference;montant;paye\n" + text, Mapping(repeated=repeated))


def test_a_part_without_an_amount_stops(bills: Bills, shop: Shop, settings: Settings) -> None:
    before = settings.warehouse_path.read_bytes()
    for row in ("1;;oui", "1;;"):
        with pytest.raises(OrdersError) as caught:
            shop(f"reference;montant;paye\n2;5;oui\n1;600;oui\n{row}\n", Mapping(repeated="parts"))
        assert str(caught.value).splitlines() == [
            "A part of order 1 has no amount. [orders]",
            "Where: orders.csv, line 4, column “montant”",
            "Kept: Everything stored before is unchanged.",
            "Next: Fill it in, with 0 where the row is no part, and run again.",
        ]
    assert settings.warehouse_path.read_bytes() == before


def test_what_is_said_decides(bills: Bills, shop: Shop, found: Found) -> None:
    bills(("CP-1", "other", "Paid", 12000, 12000))
    text = "Cde;Prix;Etat;Jour;Moyen\nCP-1;12.000;Traitée;02/03/2026;CashPay\n;5;x;y;Total\n"
    text += "X;1;Traitée;02/03/2026;Espèces\n"
    mapping = Mapping(
        reference="cde", amount="prix", date="jour", key="order_reference", decimal_mark="comma", date_order="day",
        paid_words=("traitée",), only="moyen=cashpay",
    )  # fmt: skip
    result = shop(text, mapping)
    assert found("class, reference, ordered_amount, ordered_at") == [("matched", "CP-1", 12000, at(2, 0))]
    assert any("1 of 3" in line for line in result.assumed)
    shop("reference;montant\nA;5\n;7\n", Mapping(all_paid=True, skip_without_reference=True))
    assert ("A", True) in found("reference, is_paid_in_shop")


def test_a_mapping_is_kept_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    mapping = Mapping(reference='N° "de" commande', paid_words=("traitée",), loose=True, repeated="last")
    save_mapping(mapping, path)
    assert load_mapping(path) == mapping
    assert load_mapping(path, repeated="total", amount=None) == mapping.model_copy(update={"repeated": "total"})
    path.write_text("colour = 'red'\n")
    with pytest.raises(SettingsError, match="colour"):
        load_mapping(path)
    path.write_text("reference = \n")
    with pytest.raises(SettingsError, match=r"shop\.toml"):
        load_mapping(path)


@pytest.mark.parametrize("kind", ["parquet", "duckdb", "sqlite"])
def test_other_sources(bills: Bills, settings: Settings, found: Found, tmp_path: Path, kind: str) -> None:
    bills(("CP-1", "A", "Paid", 12500, 12500))
    path = tmp_path / "it's the shop"
    rows = (
        "select 'A' as reference, 12500.00::decimal(18,2) as amount, true as paid, timestamp '2026-03-02 10:00' as date"
    )
    if kind == "parquet":
        duckdb.sql(rows).write_parquet(str(path))
        mapping = Mapping()
    elif kind == "duckdb":
        with duckdb.connect(str(path)) as connection:
            connection.execute(f'create table "or""ders" as {rows}; create table others (x int)')
        mapping = Mapping(table='or"ders')
    else:
        with sqlite3.connect(path) as stored:
            stored.execute('create table "or""ders" (reference text, amount real, paid integer, date text)')
            stored.execute("""insert into "or""ders" values ('A', 12500.0, 1, '2026-03-02 10:00')""")
        stored.close()
        mapping = Mapping(query='select * from "or""ders" where paid')
    reconcile(settings, str(path), mapping)
    assert found("class, reference, ordered_amount, ordered_at, source") == [
        ("matched", "A", 12500, at(2), "it's the shop")
    ]


def test_an_order_of_nothing_with_eight_decimals(
    bills: Bills, settings: Settings, found: Found, tmp_path: Path
) -> None:
    """As shops store totals; Python writes such a zero 0E-8."""
    bills(("CP-1", "A", "Paid", 12500, 12500), ("CP-2", "FREE", "Paid", 0, 0))
    path = tmp_path / "orders.parquet"
    duckdb.sql(
        "from (values ('A', 12500::decimal(26, 8)), ('FREE', 0::decimal(26, 8))) as orders(reference, amount)"
    ).write_parquet(str(path))
    reconcile(settings, str(path), Mapping(all_paid=True))
    assert found("class, reference, ordered_amount") == [("matched", "A", 12500), ("matched", "FREE", 0)]


def test_a_schema_named_as_its_database(bills: Bills, settings: Settings, found: Found, tmp_path: Path) -> None:
    bills(("CP-1", "A", "Paid", 5, 5))
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema shop.shop")
        connection.execute("create table shop.shop.orders as select 'A' as reference, 5 as amount")
    reconcile(settings, str(path), Mapping(all_paid=True, table="shop.orders"))
    assert found("class, reference") == [("matched", "A")]


def test_floating_point_that_is_not_exact_stops(bills: Bills, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "orders.sqlite"
    with sqlite3.connect(path) as stored:
        stored.execute("create table orders (reference text, amount real)")
        stored.execute("insert into orders values ('A', 5.0), ('B', 9007199254740993.0)")
    stored.close()
    with pytest.raises(OrdersError, match=r"too large to be exact.*\n.*orders\.sqlite, row 2, column “amount”"):
        reconcile(settings, str(path), Mapping(all_paid=True))
    assert not settings.published_path.exists()


def test_databases_that_do_not_fit(settings: Settings, bills: Bills, tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table a (x int); create table b (x int)")
    for address, mapping, message in (
        (str(path), Mapping(), r"which table.*main\.a, main\.b"),
        (str(path), Mapping(table="c"), "no table c"),
        (str(path), Mapping(query="drop table a"), "one SELECT"),
        (str(path), Mapping(query="select 1; select 2"), "one SELECT"),
        (str(path), Mapping(query="select nothing"), "nothing"),
        ("postgres:dbname=shop", Mapping(), "extension `postgres`, which is not installed"),
    ):
        with pytest.raises(OrdersError, match="(?s)" + message):
            reconcile(settings, address, mapping)


def test_what_was_typed_wrongly_is_told_as_usage(settings: Settings, bills: Bills, tmp_path: Path) -> None:
    """`cashpay` exits 2 for these, and 1 where the export itself cannot be read."""
    path = tmp_path / "orders.csv"
    path.write_text("reference;montant;paye\nA;5;oui\n")
    for address, mapping, message in (
        (str(tmp_path / "absent.csv"), Mapping(), "No such file"),
        (str(tmp_path), Mapping(), "Is a directory"),
        ("postgresql://me:secret@host/shop", Mapping(), "A password has no place"),
        (str(path), Mapping(table="orders"), "needs a database"),
        (str(path), Mapping(only="cashpay"), "not of the form column=value"),
    ):
        with pytest.raises(SettingsError, match=message) as caught:
            reconcile(settings, address, mapping)
        assert "secret" not in str(caught.value)
    with pytest.raises(SettingsError, match="The mapping cannot be read"):
        load_mapping(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("mysql://shop:canary@db.example.test/shop", "Orders cannot be read from mysql:"),
        ("postgresql+psycopg2://shop:canary@db/shop", r"Orders cannot be read from postgresql\+psycopg2:"),
        ("https://shop:canary@shop.example.test/orders.csv", "Orders cannot be read from https:"),
        ("Postgres://shop:canary@db/shop", "A password has no place"),
        ("POSTGRESQL:dbname=shop PassWord=canary", "A password has no place"),
        ("mysql:host=db;password=canary", "The orders cannot be opened"),
        ("shop:canary@db/shop", "The orders cannot be opened"),
    ],
)
def test_an_address_with_a_password_is_refused_and_not_repeated(
    settings: Settings, bills: Bills, address: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        reconcile(settings, address, Mapping())
    assert "canary" not in str(caught.value) and "canary" not in repr(vars(caught.value))


@pytest.mark.parametrize("path", [r"C:\shop\orders.csv", "C:/shop/orders.csv", "exports/orders-2026.csv", "orders"])
def test_a_path_is_no_address(settings: Settings, bills: Bills, path: str) -> None:
    with pytest.raises(SettingsError, match="cannot be opened: No such file") as caught:
        reconcile(settings, path, Mapping())
    assert caught.value.where == path


def test_an_sqlite_file_is_read_by_table_and_never_written(
    bills: Bills, settings: Settings, found: Found, tmp_path: Path
) -> None:
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as stored:
        stored.execute('create table "or""ders" (reference text, amount integer)')
        stored.execute("""insert into "or""ders" values ('007', 5)""")
        stored.execute("create view others as select 1 as x")
    stored.close()
    before = path.read_bytes()
    for mapping, message in (
        (Mapping(all_paid=True), 'which table.*or"ders, others'),
        (Mapping(all_paid=True, table="c"), "no table c"),
        (Mapping(all_paid=True, query='drop table "or""ders"'), "readonly"),
        (Mapping(all_paid=True, query="select 1; select 2"), "one statement"),
        (Mapping(all_paid=True, query="select nothing"), "nothing"),
    ):
        with pytest.raises(OrdersError, match="(?s)" + message):
            reconcile(settings, str(path), mapping)
    assert not settings.published_path.exists()
    reconcile(settings, str(path), Mapping(all_paid=True, table='or"ders'))
    assert found("reference, ordered_amount") == [("007", 5)]
    path.write_bytes(before[:200])
    with pytest.raises(OrdersError, match="The orders cannot be read"):
        reconcile(settings, str(path), Mapping(all_paid=True))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("('A', '12', 'oui'), ('B', 'gratuit', 'oui')", r"“…” is not an amount.*row 2, column “amount”"),
        ("('A', 12.5, 'oui')", r"“12\.5” is not whole.*row 1, column “amount”"),
        ("('A', null::bigint, 'oui')", r"Order A has no amount.*row 1, column “amount”"),
        ("('A', [12], 'oui')", r"neither a text, a number nor a date.*row 1, column “amount”"),
        ("(null, 12, 'oui')", r"1 row without a reference; .*row 1, column “reference”"),
        ("('A', 12, 'peut-être')", r"“peut etre” \(1 row\).*row 1, column “paid”"),
    ],
)
def test_typed_columns_that_cannot_be_read(
    bills: Bills, settings: Settings, tmp_path: Path, rows: str, message: str
) -> None:
    path = tmp_path / "orders.parquet"
    duckdb.sql(f"from (values {rows}) as orders(reference, amount, paid)").write_parquet(str(path))
    with pytest.raises(OrdersError, match="(?s)" + message):
        reconcile(settings, str(path), Mapping())
    assert not settings.published_path.exists()


def test_files_that_are_broken_or_hold_nothing(bills: Bills, settings: Settings, tmp_path: Path) -> None:
    before = settings.warehouse_path.read_bytes()
    rows = "select 'A' as reference, 12 as amount, 'oui' as paid"
    whole, empty, nameless = (tmp_path / f"{name}.parquet" for name in ("whole", "empty", "nameless"))
    duckdb.sql(rows).write_parquet(str(whole))
    duckdb.sql(f"{rows} where false").write_parquet(str(empty))
    duckdb.sql("select 'A' as nom, 12 as prix").write_parquet(str(nameless))
    cut = {
        "cut.parquet": whole.read_bytes()[:60],
        "cut.duckdb": b"\0" * 8 + b"DUCK" + b"\0" * 100,
        "cut.csv": "reference;montant;paye\n1;5;oui\n".encode("utf-16")[:-1],
        "mark.csv": "\n \n".encode("utf-16"),
    }
    for name, content in cut.items():
        (tmp_path / name).write_bytes(content)
    for path, message in (
        (empty, "no orders below the header"),
        (nameless, "reference or the amount; the file has “nom”, “prix”.*Where: nameless.parquet\n"),
        (tmp_path / "cut.parquet", "The orders cannot be read"),
        (tmp_path / "cut.duckdb", "The orders cannot be read"),
        (tmp_path / "cut.csv", "not UTF-16: it is cut off or damaged.*cut.csv, line 2"),
        (tmp_path / "mark.csv", "The file is empty"),
    ):
        with pytest.raises(OrdersError, match="(?s)" + message):
            reconcile(settings, str(path), Mapping())
    assert settings.warehouse_path.read_bytes() == before and not settings.published_path.exists()


def test_an_excel_file_is_named_as_such(bills: Bills, shop: Shop) -> None:
    with pytest.raises(OrdersError, match="This is an Excel file"):
        shop(b"PK\x03\x04rest")


def test_nothing_to_compare_with(settings: Settings) -> None:
    with pytest.raises(OrdersError, match="cashpay sync"):
        reconcile(settings, "orders.csv", Mapping())


def test_a_data_folder_without_the_right_to_write(
    bills: Bills, shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bills()

    def refuse(**_: Any) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(WarehouseError, match=r"(?s)data folder cannot be written: Permission denied.*CASHPAY_DATA_DIR"):
        shop(HEADER + "A;5;oui;2026-03-02\n")


def test_details_are_safe_in_a_spreadsheet_and_say_everything(bills: Bills, shop: Shop, tmp_path: Path) -> None:
    bills(("CP-1", "=cmd|'/c calc'!A1", "Paid", 5, 5), ("CP-2", "@SUM(A1)", "Paid", 7, 7))
    path = tmp_path / "new folder" / "details.csv"
    shop("reference;montant;paye\n+22890000000;5;oui\n@SUM(A1);7;non\n", details=path)
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfclass;reference;") and raw.endswith(b"\r\n")
    with path.open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter=";"))
    assert [(row["class"], row["reference"], row["difference_amount"]) for row in rows] == [
        ("paid_at_cashpay_only", "'@SUM(A1)", "7"),
        ("bill_without_order", "'=cmd|'/c calc'!A1", "5"),
        ("order_without_bill", "'+22890000000", "-5"),
    ]


def test_the_command_says_totals_and_assumptions(
    bills: Bills, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASHPAY_DATA_DIR", str(settings.data_dir))
    bills(("CP-1", "A", "Paid", 1234567, 1234567))
    Path("orders.csv").write_text("reference;montant;etat\nA;1234567;traitée\nB;5;traitée\n")
    runner = CliRunner()
    refused = runner.invoke(app, ["reconcile", "orders.csv"])
    assert refused.exit_code == 1 and "--paid-word" in refused.stderr and "Traceback" not in refused.output
    result = runner.invoke(app, ["reconcile", "orders.csv", "--paid-word", "traitée", "--save-mapping", "shop.toml"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "2 orders of orders.csv against the bills of account main:"
    assert lines[1].split() == [
        "class",
        "currency",
        "references",
        "bills",
        "ordered",
        "billed",
        "received",
        "difference",
    ]
    assert lines[3].split() == ["matched", "XOF", "1", "1", "1,234,567", "1,234,567", "1,234,567", "0"]
    assert "Assumed:" in lines and "  - Columns are separated by semicolons." in lines
    (details,) = (settings.data_folder / "exports").iterdir()
    assert f"Details: {details}" in lines
    again = runner.invoke(app, ["reconcile", "orders.csv", "--mapping", "shop.toml", "--details", "d.csv"])
    assert again.exit_code == 0 and Path("d.csv").exists()
    wrong = runner.invoke(app, ["reconcile", "orders.csv", "--repeated", "never"])
    assert wrong.exit_code == 2 and "repeated" in wrong.stderr
    absent = runner.invoke(app, ["reconcile", "absent.csv"])
    assert absent.exit_code == 2 and "No such file" in absent.stderr


def test_details_and_mapping_take_no_other_files_place(
    bills: Bills, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASHPAY_DATA_DIR", str(settings.data_dir))
    bills(("CP-1", "A", "Paid", 5, 5))
    export = Path("orders.csv")
    export.write_text("reference;montant;paye\nA;5;oui\n")
    Path("by_hand.toml").write_text('# Which words\npaid_words = ["traitée"]\n')
    before = {path: path.read_bytes() for path in (export, Path("by_hand.toml"), settings.warehouse_path)}
    for option, target, said in (
        ("--details", "orders.csv", "is another file"),
        ("--save-mapping", "orders.csv", "does not end in .toml"),
        ("--save-mapping", "by_hand.toml", "is another file"),
        ("--details", str(settings.warehouse_path), "does not end in .csv"),
        ("--save-mapping", ".env", "does not end in .toml"),
    ):
        result = CliRunner().invoke(app, ["reconcile", "orders.csv", option, target])
        assert result.exit_code == 2 and said in result.stderr, (option, target, result.output)
        assert before == {path: path.read_bytes() for path in before}
    assert not Path(".env").exists() and not (settings.data_folder / "exports").exists()
    for _ in range(2):
        result = CliRunner().invoke(
            app, ["reconcile", "orders.csv", "--details", "d.csv", "--save-mapping", "shop.toml"]
        )
        assert result.exit_code == 0, result.output


@budget(derandomize=True, deadline=None, max_examples=60)
@given(
    amounts=st.lists(st.integers(0, 10**12), min_size=1, max_size=20),
    group=st.sampled_from(["", " ", NBSP, NARROW, ".", ","]),
    decimals=st.sampled_from(["", ",00", ".00"]),
)
def test_amounts_are_read_exactly_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, amounts: list[int], group: str, decimals: str
) -> None:
    if group == decimals[:1]:
        decimals = ""
    folder = tmp_path_factory.mktemp("orders")
    path = folder / "orders.tsv"
    lines = [f"{i}\t{f'{amount:,}'.replace(',', group)}{decimals}\toui" for i, amount in enumerate(amounts)]
    path.write_text("reference\tmontant\tpaye\n" + "\n".join(lines), encoding="utf-8")
    try:
        with read_orders(str(path), Mapping(), folder) as orders:
            read = duckdb.sql("select amount from read_parquet($path) order by line", params={"path": str(orders.path)})
            assert [row[0] for row in read.fetchall()] == amounts
    except CashpayError as error:
        assert "decides" in str(error) and group in (".", ",") and not decimals


def big_export(path: Path, megabytes: int) -> int:
    filler = "x" * 60
    count = 0
    with path.open("w", encoding="utf-8") as handle:
        handle.write("reference;montant;paye;date;note\n")
        while handle.tell() < megabytes * 1_000_000:
            handle.writelines(
                f"{n:09};{n % 900 + 100} FCFA;oui;2026-03-{n % 28 + 1:02};{filler}\n"
                for n in range(count, count + 10_000)
            )
            count += 10_000
    return count


def test_a_disk_that_is_too_full_for_the_orders_is_told_as_that(tmp_path: Path) -> None:
    export = tmp_path / "orders.csv"
    export.write_text("reference;montant;paye\n" + "".join(f"{n * 7919 % 100_003};{n + 1};oui\n" for n in range(3_000)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    try:
        with (
            pytest.raises(OrdersError, match="not enough disk space to read the orders"),
            read_orders(str(export), Mapping(), tmp_path),
        ):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


IN_A_PROCESS_OF_ITS_OWN = """
import resource, sys
from cashpay_pipeline.errors import OrdersError
from cashpay_pipeline.reconcile import Mapping, reconcile
from cashpay_pipeline.settings import load_settings
try:
    print(reconcile(load_settings(data_dir=sys.argv[1]), sys.argv[2], Mapping()).orders)
except OrdersError as error:
    print(" ".join(str(error).split()))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def said_and_peak_megabytes(settings: Settings, path: Path) -> tuple[str, int]:
    command = [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN, str(settings.data_dir), str(path)]
    said, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return said, int(peak)


LARGE = pytest.param(100, marks=pytest.mark.long)


@pytest.mark.parametrize("megabytes", [1, LARGE])
@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("last;gratuit;oui;2026-03-02;", "“…” is not an amount."),
        ("last;5;oui;31/13/2026;", "“31/13/2026” and “2026-03-01” (line 2) are not in the same form."),
        ("last;5;oui", "The row has 3 cells, the header 5."),
    ],
)
def test_one_bad_line_at_the_end_of_many_orders(
    bills: Bills, settings: Settings, tmp_path: Path, megabytes: int, last: str, message: str
) -> None:
    before = settings.warehouse_path.read_bytes()
    path = tmp_path / "orders.csv"
    count = big_export(path, megabytes)
    with path.open("a", encoding="utf-8") as handle:
        handle.write(last)
    said, peak_megabytes = said_and_peak_megabytes(settings, path)
    assert said.startswith(message) and f"Where: orders.csv, line {count + 2:,}" in said
    assert peak_megabytes < 700
    assert settings.warehouse_path.read_bytes() == before and not settings.published_path.exists()
    assert not list(settings.data_folder.glob(".cashpay*"))


@pytest.mark.parametrize("megabytes", [8, LARGE])
def test_many_orders_in_bounded_memory(bills: Bills, settings: Settings, tmp_path: Path, megabytes: int) -> None:
    bills(("CP-1", "000000001", "Paid", 101, 101))
    path = tmp_path / "orders.csv"
    count = big_export(path, megabytes)
    said, peak_megabytes = said_and_peak_megabytes(settings, path)
    assert said == str(count)
    counted = query(
        settings.published_path, "select class, count(*) as n from marts.reconciliation group by 1 order by 1"
    )
    assert [tuple(row.values()) for row in counted] == [("matched", 1), ("order_without_bill", count - 1)]
    assert peak_megabytes < 700


MANY_BILLS = """
insert into core.bills by name
select bills.* replace (
    'CP-' || number as order_reference, 'R-' || number - (number % 10 = 9)::int as merchant_reference
)
from core.bills as bills, range(1, 150000) as numbers(number)
"""
"""Nine references of each ten bills: one was tried twice."""


@pytest.mark.long
def test_many_bills_in_bounded_memory(
    bills: Bills, settings: Settings, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    bills(("CP-0", "R-0", "Expired", 5, 0))
    with open_warehouse(settings) as warehouse:
        warehouse.execute(MANY_BILLS)
    monkeypatch.setattr(database, "MEMORY_LIMIT", "64MB")
    result = shop("reference;montant;paye\nR-1;5;non\n")
    assert result.references == dict.fromkeys(CLASSES, 0) | {"matched": 1, "bill_without_order": 134_999}
    (last,) = query(
        settings.published_path, "select order_references from marts.reconciliation where reference = 'R-149998'"
    )
    assert last["order_references"] == "CP-149998 CP-149999"


def night(settings: Settings) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [reconciliation_asset(Names())],
        resources={"cashpay_warehouse": WarehouseResource(settings)},
        raise_on_error=False,
    )


def test_the_asset_reconciles_what_the_settings_name(bills: Bills, settings: Settings, found: Found) -> None:
    bills(("CP-1", "A", "Paid", 5, 5), ("CP-2", "B", "Paid", 7, 7))
    Path("orders.csv").write_text("reference;montant;etat\nA;5;traitée\n")
    Path("shop.toml").write_text('paid_words = ["traitée"]\n')
    configured = settings.model_copy(update={"orders": "orders.csv", "orders_mapping": Path("shop.toml")})
    result = night(configured)
    assert result.success
    told = {
        "/".join(event.asset_key.path): event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    assert set(told) == {"marts/reconciliation", "marts/reconciliation_runs"}
    metadata = told["marts/reconciliation"]
    assert (metadata["matched"].value, metadata["bill_without_order"].value, metadata["paid_twice"].value) == (1, 1, 0)
    assert metadata["dagster/row_count"].value == 2
    assert "Paid is: traitee." in str(metadata["assumed"].value)
    assert found("class, reference") == [("matched", "A"), ("bill_without_order", "B")]


def test_the_asset_counts_a_reference_in_two_currencies_once(bills: Bills, settings: Settings, found: Found) -> None:
    bills(("CP-1", "A", "Paid", 5, 5, {"currency": "EUR"}), ("CP-2", None, "Paid", 7, 7), ("CP-3", None, "Paid", 7, 7))
    Path("orders.csv").write_text("reference;montant;paye\nA;5;oui\nB;5;oui\n")
    told, _ = night(settings.model_copy(update={"orders": "orders.csv"})).get_asset_materialization_events()
    counts = {name: told.materialization.metadata[name].value for name in CLASSES}
    expected = {"amount_differs": 1, "bill_without_order": 2, "order_without_bill": 1}
    assert counts == dict.fromkeys(CLASSES, 0) | expected
    assert found("class, reference, currency") == [
        ("amount_differs", "A", "EUR"),
        ("amount_differs", "A", "XOF"),
        ("order_without_bill", "B", "XOF"),
        ("bill_without_order", None, "XOF"),
        ("bill_without_order", None, "XOF"),
    ]


def test_the_asset_is_skipped_where_no_export_is_set(bills: Bills, settings: Settings) -> None:
    result = night(settings)
    assert result.success and not result.get_asset_materialization_events()
    assert not settings.published_path.exists()


def test_the_asset_fails_in_plain_words(bills: Bills, settings: Settings) -> None:
    result = night(settings.model_copy(update={"orders": "absent.csv"}))
    (failure,) = [event for event in result.all_node_events if event.is_step_failure]
    assert failure.step_failure_data.user_failure_data
    assert "The orders cannot be opened" in str(failure.step_failure_data.user_failure_data.description)
