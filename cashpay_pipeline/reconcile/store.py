"""Keep what a comparison found: in the database, and as a CSV file. Both, or neither."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cashpay_pipeline.atomic import put_in_place, refuse_other_file, workshop
from cashpay_pipeline.errors import OrdersError
from cashpay_pipeline.export.text import write_csv
from cashpay_pipeline.health import LAST_COMPLETE
from cashpay_pipeline.reconcile.orders import Orders
from cashpay_pipeline.warehouse import Warehouse
from cashpay_pipeline.warehouse.files import result_of

CLASSES = {
    "paid_twice": "paid twice",
    "paid_at_cashpay_only": "paid at CashPay but not in the shop",
    "paid_in_shop_only": "paid in the shop but not at CashPay",
    "amount_differs": "amount differs",
    "bill_without_order": "bill without order",
    "order_without_bill": "order without bill",
    "matched": "matched",
}
"""In the order in which people should look at them."""

DETAILS = (
    "class, reference, currency, order_line, ordered_at, is_paid_in_shop, ordered_amount, bill_count, paid_bill_count, "
    "order_references, bill_created_at, is_paid_at_cashpay, billed_amount, received_amount, unknown_received_count, "
    "difference_amount, run_id"
)

ALL_DAYS, MONTH_ENDS_DAYS = 35, 400
"""How long every run is kept; and how long, after that, the last one of each month of each export."""
OLD_RUNS = """
select run_id from marts.reconciliation_runs
where account = $account and run_at < $now - to_days($all_days)
qualify run_at < $now - to_days($month_ends_days)
    or row_number() over (partition by source, date_trunc('month', run_at) order by run_id desc) > 1
"""


@dataclass(frozen=True)
class Total:
    """One class in one currency; amounts in the currency's smallest unit."""

    name: str
    currency: str
    references: int
    bills: int
    ordered: int
    billed: int
    received: int
    difference: int


@dataclass(frozen=True)
class Reconciliation:
    """What a run found.

    Attributes:
        run_id: its name in the database.
        source: name of the export.
        orders: how many it has.
        totals: by class and currency; a reference in two currencies is in two of them.
        references: by class, whatever the currency: each counts once.
        assumed: what was assumed.
        details: the CSV file, if one was asked for.
    """

    run_id: str
    source: str
    orders: int
    totals: list[Total]
    references: dict[str, int]
    assumed: list[str]
    details: Path | None


def refuse_other_details(details: Path) -> None:
    """See that the details of a run may be written into this file.

    Raises:
        SettingsError: there is another file of this name, such as the shop's export.
    """
    refuse_other_file(details, ".csv", "\ufeff" + ";".join(DETAILS.split(", ")[:3]))


@contextmanager
def details_file(details: Path | None) -> Iterator[Path | None]:
    """Where to make the CSV file; it gets its name once all else has gone well."""
    if details is None:
        yield None
        return
    try:
        with workshop(details.parent) as folder:
            made = folder / "details.csv"
            yield made
            put_in_place(made, details)
    except OSError as error:
        raise OrdersError(
            f"The details cannot be written: {error.strerror}.",
            where=str(details),
            next_step="Free some space or correct the rights of the folder, then run again.",
        ) from None


def store(
    warehouse: Warehouse,
    account: str,
    orders: Orders,
    limits: dict[str, Any],
    assumed: list[str],
    made: Path | None,
    details: Path | None,
) -> Reconciliation:
    """Put `compared` into the marts and into the file, in one transaction."""
    run_at = datetime.now(UTC)
    run_id = f"{run_at:%Y%m%dT%H%M%S.%f}-{secrets.token_hex(4)}"
    with warehouse.transaction():
        warehouse.execute(
            "insert into marts.reconciliation_runs by name select ? as run_id, ? as run_at, ? as account, "
            "? as source, ? as order_count, ? as period_start, ? as period_end, ? as assumptions",
            [
                run_id,
                run_at,
                account,
                orders.source,
                orders.count,
                limits["period_start"],
                limits["period_end"],
                assumed,
            ],
        )
        warehouse.execute(
            "insert into marts.reconciliation by name "
            "select ? as run_id, ? as run_at, ? as account, ? as source, compared.* exclude (group_key) from compared "
            "order by class, reference, currency, order_references",
            [run_id, run_at, account, orders.source],
        )
        if made is not None:
            _write_details(warehouse, run_id, made)
        _remove_old_runs(warehouse, account, run_at)
    totals, references = _totals(warehouse, run_id), _references(warehouse)
    return Reconciliation(run_id, orders.source, orders.count, totals, references, assumed, details)


def _remove_old_runs(warehouse: Warehouse, account: str, run_at: datetime) -> None:
    """A comparison every night would otherwise outgrow the bills.

    By a clock that is years ahead all others are old; the end of the last sync is by CashPay's.
    """
    (complete,) = warehouse.rows(LAST_COMPLETE, [account])
    now = min(run_at, complete["at"] or run_at)
    days = {"all_days": ALL_DAYS, "month_ends_days": MONTH_ENDS_DAYS}
    old = [row["run_id"] for row in warehouse.rows(OLD_RUNS, {"account": account, "now": now, **days})]
    for table in ("marts.reconciliation", "marts.reconciliation_runs") if old else ():
        warehouse.execute(f"delete from {table} where list_contains(?, run_id)", [old])  # noqa: S608 - one of two names


def _write_details(warehouse: Warehouse, run_id: str, path: Path) -> None:
    columns = warehouse.rows(
        "select column_name as name, data_type as type from duckdb_columns() "
        "where schema_name = 'marts' and table_name = 'reconciliation'"
    )
    types = {row["name"]: row["type"] for row in columns}
    names = DETAILS.split(", ")
    sql = (
        f"select {DETAILS} from marts.reconciliation where run_id = $run_id "  # noqa: S608 - our own names
        "order by list_position($classes, class), reference, currency, order_references"
    )
    _, found = result_of(warehouse.connection, sql, {"run_id": run_id, "classes": list(CLASSES)})
    write_csv(path, {name: types[name] for name in names}, found)


def _totals(warehouse: Warehouse, run_id: str) -> list[Total]:
    rows = warehouse.rows(
        "select class, currency, count(*) as found, cast(sum(bill_count) as bigint) as bills, "
        "cast(sum(ordered_amount) as bigint) as ordered, cast(sum(billed_amount) as bigint) as billed, "
        "cast(sum(received_amount) as bigint) as received, cast(sum(difference_amount) as bigint) as difference "
        "from marts.reconciliation where run_id = $run_id group by class, currency "
        "order by currency, list_position($classes, class)",
        {"run_id": run_id, "classes": list(CLASSES)},
    )
    return [Total(*row.values()) for row in rows]


def _references(warehouse: Warehouse) -> dict[str, int]:
    found = warehouse.rows("select class, count(distinct group_key) as found from compared group by class")
    return dict.fromkeys(CLASSES, 0) | {row["class"]: row["found"] for row in found}
