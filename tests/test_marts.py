"""The marts against literal rows: everything that a table holds, and what the database says about it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from cashpay_pipeline.errors import WarehouseError
from cashpay_pipeline.marts import all_marts, build_mart, column_lineage, data_dictionary, read_mart
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.warehouse import Warehouse, open_warehouse

MARTS = {mart.name: mart for mart in all_marts()}
FLOOZ, MIXX = "gateway-3", "gateway-7"


def at(day: int, hour: int = 2, minute: int = 15, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with open_warehouse(load_settings(data_dir=tmp_path)) as opened:
        yield opened


def insert(warehouse: Warehouse, table: str, **values: Any) -> None:
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    warehouse.connection.execute(f"insert into {table} ({names}) values ({marks})", list(values.values()))


def bill(warehouse: Warehouse, reference: str, state: str, received: int | None, **values: Any) -> None:
    standard = {
        "account": "main", "order_reference": reference, "state": state, "amount": 1000, "received_amount": received,
        "currency": "XOF", "created_at": at(1, 1), "gateway_reference": FLOOZ, "gateway_name": "Flooz",
        "payment_count": 1, "first_seen_at": at(1), "changed_at": at(1), "verified_at": at(4), "version": 1,
    }  # fmt: skip
    insert(warehouse, "core.bills", **(standard | values))


def build(warehouse: Warehouse, name: str) -> list[tuple[Any, ...]]:
    count = build_mart(warehouse, MARTS[name])
    rows = warehouse.connection.execute(f"from marts.{name}").fetchall()
    assert len(rows) == count
    return rows


def test_daily_collections_puts_received_money_on_the_day_it_was_last_seen_unpaid(warehouse: Warehouse) -> None:
    insert(
        warehouse, "core.gateways", account="main", gateway_reference=MIXX, name="Mixx by Yas",
        first_seen_at=at(1), changed_at=at(1),
    )  # fmt: skip
    bill(warehouse, "paid-at-once", "Paid", 1000, paid_after=at(1, 1), paid_before=at(1))
    bill(warehouse, "paid-by-day", "Excess", 500, paid_after=at(1), paid_before=at(2))
    bill(warehouse, "before-midnight", "Paid", 40, paid_after=at(1, 23, 59), paid_before=at(2, 0, 5))
    bill(warehouse, "night-missed", "Paid", 700, paid_after=at(1), paid_before=at(3))
    bill(warehouse, "26-hours", "Paid", 1, paid_after=at(1), paid_before=at(2, 4, 15))
    bill(
        warehouse, "old-at-first-sync", "Paid", 300, created_at=at(20, month=2), first_seen_at=at(3),
        paid_after=at(20, month=2), paid_before=at(3),
    )  # fmt: skip
    bill(
        warehouse, "no-time", "Paid", 90, created_at=None, first_seen_at=at(3), paid_after=None, paid_before=at(3),
    )  # fmt: skip
    bill(warehouse, "partial-seen-at-first", "Partial", 200, created_at=at(2, 1), first_seen_at=at(2), changed_at=at(2))
    bill(warehouse, "partial-later", "Partial", 60, version=2, changed_at=at(4), first_seen_at=at(1))
    insert(
        warehouse, "core.bill_versions", account="main", order_reference="partial-later", version=2,
        observed_at=at(4), changed_after=at(3), source="list", sync_id="s", state="Partial", amount=1000,
        digest="d", payload="{}",
    )  # fmt: skip
    renamed = {"gateway_reference": MIXX, "paid_after": at(2), "paid_before": at(3)}
    bill(warehouse, "old-name", "Paid", 10, gateway_name="T-Money", **renamed)
    bill(warehouse, "new-name", "Paid", 20, gateway_name="Mixx by Yas", **renamed)
    bill(warehouse, "no-gateway", "Paid", 5, gateway_reference=None, gateway_name=None, paid_after=at(2))
    bill(warehouse, "euros", "Paid", 4200, currency="EUR", paid_after=at(2), paid_before=at(3))
    bill(warehouse, "missing", "Paid", 8, paid_after=at(2), paid_before=at(3), missing_since=at(4))
    bill(warehouse, "other-account", "Paid", 9, account="second", paid_after=at(2), paid_before=at(3))
    for state, received in {"Pending": 0, "Canceled": 50, "Unknown": 90, "Paid": -10, "Excess": None}.items():
        bill(warehouse, f"left-out-{state}", state, received, paid_after=at(2), paid_before=at(3))
    warehouse.connection.execute("set TimeZone = 'Pacific/Auckland'")

    assert build(warehouse, "daily_collections") == [
        ("main", date(2026, 2, 20), FLOOZ, "Flooz", "XOF", 1, 300, 0, 300),
        ("main", date(2026, 3, 1), FLOOZ, "Flooz", "XOF", 5, 2241, 700, 0),
        ("main", date(2026, 3, 2), FLOOZ, "Flooz", "EUR", 1, 4200, 0, 0),
        ("main", date(2026, 3, 2), FLOOZ, "Flooz", "XOF", 2, 208, 0, 0),
        ("main", date(2026, 3, 2), MIXX, "Mixx by Yas", "XOF", 2, 30, 0, 0),
        ("main", date(2026, 3, 2), None, None, "XOF", 1, 5, 0, 0),
        ("main", date(2026, 3, 3), FLOOZ, "Flooz", "XOF", 2, 150, 90, 0),
        ("second", date(2026, 3, 2), FLOOZ, "Flooz", "XOF", 1, 9, 0, 0),
    ]


def test_bill_states_counts_bills_and_money_by_state(warehouse: Warehouse) -> None:
    bill(warehouse, "a", "Paid", 1000)
    bill(warehouse, "b", "Paid", 900, amount=900, created_at=at(1, 0), verified_at=at(2), missing_since=at(4))
    bill(warehouse, "c", "Paid", -5, amount=-5)
    bill(warehouse, "d", "Partial", None)
    bill(warehouse, "e", "Paid", 10, currency="EUR", amount=10)

    assert build(warehouse, "bill_states") == [
        ("main", "Paid", "EUR", 1, 10, 10, 0, 0, at(1, 1), at(4)),
        ("main", "Paid", "XOF", 3, 1900, 1900, 0, 1, at(1, 0), at(2)),
        ("main", "Partial", "XOF", 1, 1000, 0, 1, 0, at(1, 1), at(4)),
    ]


@pytest.mark.parametrize("name", MARTS)
@pytest.mark.parametrize("is_filled", [False, True], ids=["empty", "filled"])
def test_a_mart_has_the_same_types_and_comments_with_and_without_rows(
    warehouse: Warehouse, name: str, is_filled: bool
) -> None:
    if is_filled:
        bill(warehouse, "a", "Paid", 1000, paid_after=at(1), paid_before=at(1))
    assert len(build(warehouse, name)) == is_filled

    comment, columns = data_dictionary()["marts", name]
    assert comment.startswith(MARTS[name].description) and comment.endswith(f"Grain: {MARTS[name].grain}.")
    found = warehouse.rows(
        "select column_name, data_type, comment from duckdb_columns() "
        "where schema_name = 'marts' and table_name = ? order by column_index",
        [name],
    )
    assert [tuple(row.values()) for row in found] == [(c.name, c.type, c.comment) for c in columns]
    assert not [c.name for c in columns if not c.comment or c.type in ("HUGEINT", "DOUBLE", '"NULL"')]


def test_building_again_replaces_the_table(warehouse: Warehouse) -> None:
    bill(warehouse, "a", "Paid", 1000)
    assert build(warehouse, "bill_states") == build(warehouse, "bill_states")


def test_a_failing_build_keeps_the_table_that_was_there(warehouse: Warehouse, tmp_path: Path) -> None:
    bill(warehouse, "a", "Paid", 1000)
    before = build(warehouse, "bill_states")
    path = tmp_path / "bill_states.sql"
    path.write_text(
        "-- Broken.\n-- grain: none\n--\n-- a: No number.\nselect cast(state as bigint) as a from core.bills\n"
    )
    with pytest.raises(Exception, match="Conversion Error"):
        build_mart(warehouse, read_mart(path))
    assert warehouse.connection.execute("from marts.bill_states").fetchall() == before


def test_every_core_table_and_column_has_a_comment() -> None:
    tables = data_dictionary()
    assert not [table for table, (comment, _) in tables.items() if not comment]
    assert not [
        (table, column.name) for table, (_, columns) in tables.items() for column in columns if not column.comment
    ]


def test_dependencies_are_read_from_the_sql() -> None:
    assert {name: mart.depends_on for name, mart in MARTS.items()} == {
        "bill_states": (("core", "bills"),),
        "daily_collections": (("core", "bill_versions"), ("core", "bills"), ("core", "gateways")),
    }


def test_marts_come_after_the_marts_they_are_made_of(tmp_path: Path) -> None:
    header = "-- Text.\n-- grain: one row\n--\n-- a: A column.\n"
    (tmp_path / "a_late.sql").write_text(header + "select a from marts.z_early\n")
    (tmp_path / "z_early.sql").write_text(header + "select state as a from core.bills\n")
    assert [mart.name for mart in all_marts(tmp_path)] == ["z_early", "a_late"]


def test_column_lineage_follows_the_sql_to_the_core_tables() -> None:
    bills = ("core", "bills")
    assert column_lineage(MARTS["bill_states"]) == {
        "account": [(bills, "account")],
        "state": [(bills, "state")],
        "currency": [(bills, "currency")],
        "bill_count": [],
        "billed_amount": [(bills, "amount")],
        "received_amount": [(bills, "received_amount")],
        "unknown_received_count": [(bills, "received_amount")],
        "missing_count": [(bills, "missing_since")],
        "oldest_created_at": [(bills, "created_at")],
        "oldest_verified_at": [(bills, "verified_at")],
    }
    assert column_lineage(MARTS["daily_collections"])["gateway_name"] == [
        (bills, "gateway_name"),
        (("core", "gateways"), "name"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "-- Text.\n--\n-- a: A column.\nselect 1 as a\n",
        "-- Text.\n-- grain: one row\n--\n-- b: Another column.\nselect 1 as a\n",
        "-- Text.\n-- grain: one row\n--\n-- a: A column.\n-- b: Too many.\nselect 1 as a\n",
        "-- Text.\n-- grain: one row\n--\n-- a: A column.\nselect 1 as a, 2 as b\n",
        "-- Text.\n-- grain: one row\n--\n-- a: A column.\ndrop table core.bills\n",
    ],
    ids=["no grain", "wrong column", "comment too many", "column too many", "no select"],
)
def test_a_header_that_does_not_fit_its_select_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.sql"
    path.write_text(text)
    with pytest.raises(WarehouseError, match=r"odd\.sql: the header must"):
        read_mart(path)


@pytest.mark.parametrize("name", MARTS)
def test_a_mart_is_written_in_the_house_style(name: str) -> None:
    sql = MARTS[name].sql
    assert "select *" not in sql
    assert "\t" not in sql and sql.startswith("with\n")
