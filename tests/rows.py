"""Literal rows for the core tables: made-up bills with their history, payments and syncs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.sqlfiles import read_sql, sql_folder
from cashpay_pipeline.warehouse import Warehouse, open_warehouse, publish, read_published

FLOOZ, MIXX = "gateway-3", "gateway-7"


def at(day: int, hour: int = 2, minute: int = 15, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@contextmanager
def published(folder: Path) -> Iterator[Warehouse]:
    """A warehouse to fill; afterwards its marts are built and all of it is published."""
    settings = load_settings(data_dir=folder)
    with open_warehouse(settings) as warehouse:
        yield warehouse
        for mart in all_marts():
            build_mart(warehouse, mart)
    publish(settings)


def ask(folder: Path, name: str) -> list[tuple[Any, ...]]:
    """What a query of sql/queries answers on the published copy."""
    _, sql = read_sql(sql_folder() / "queries" / f"{name}.sql")
    return read_published(load_settings(data_dir=folder), sql)[1]


def insert(warehouse: Warehouse, table: str, **values: Any) -> None:
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    warehouse.connection.execute(f"insert into {table} ({names}) values ({marks})", list(values.values()))


def bill(warehouse: Warehouse, reference: str, state: str, received: int | None, **values: Any) -> None:
    """A bill as it is now, with one version."""
    standard = {
        "account": "main", "order_reference": reference, "state": state, "amount": 1000, "received_amount": received,
        "currency": "XOF", "created_at": at(1, 1), "gateway_reference": FLOOZ, "gateway_name": "Flooz",
        "payment_count": 1, "first_seen_at": at(1), "changed_at": at(1), "verified_at": at(4), "version": 1,
    }  # fmt: skip
    row = standard | values
    row.setdefault("business_date", row["created_at"] and row["created_at"].date())
    insert(warehouse, "core.bills", **row)
    if row["version"] == 1:
        version(warehouse, reference, 1, state, received, row["changed_at"], None, account=row["account"])


def version(
    warehouse: Warehouse, reference: str, number: int, state: str, received: int | None, observed_at: datetime,
    changed_after: datetime | None, account: str = "main",
) -> None:  # fmt: skip
    """What is read on one day is read by one sync; a sum is one that CashPay has named."""
    insert(
        warehouse, "core.bill_versions", account=account, order_reference=reference, version=number, state=state,
        received_amount=received, observed_at=observed_at, changed_after=changed_after, source="list",
        sync_id=f"sync-{observed_at:%m%d}", amount=1000, digest="d",
        payload=json.dumps({} if received is None else {"received_amount": received}),
    )  # fmt: skip


def history(
    warehouse: Warehouse, reference: str, *readings: tuple[str, int | None, datetime, datetime | None], **values: Any
) -> None:
    """A bill that changed. Each reading: state, money received, first read then, content before it last read then."""
    for number, (state, received, observed_at, changed_after) in enumerate(readings, start=1):
        version(
            warehouse, reference, number, state, received, observed_at, changed_after, values.get("account", "main")
        )
    state, received, changed_at, _ = readings[-1]
    seen = {"first_seen_at": readings[0][2], "changed_at": changed_at, "version": len(readings)}
    bill(warehouse, reference, state, received, **(seen | values))


def payments(warehouse: Warehouse, reference: str, *made: tuple[str | None, int | None], account: str = "main") -> None:
    for number, (gateway, amount) in enumerate(made, start=1):
        insert(
            warehouse, "core.payments", account=account, order_reference=reference, payment_number=number,
            gateway_reference=gateway, gateway_name=gateway and gateway.upper(), amount=amount,
        )  # fmt: skip


def sync_row(warehouse: Warehouse, sync_id: str, kind: str, started_at: datetime, status: str, **values: Any) -> None:
    standard = {
        "sync_id": sync_id, "account": "main", "kind": kind, "started_at": started_at,
        "heartbeat_at": started_at + timedelta(seconds=30), "finished_at": started_at + timedelta(minutes=1),
        "status": status, "pages": 3, "requests": 5, "retries": 1, "waited_seconds": 0.25, "rows_read": 60,
        "bills_new": 4, "bills_changed": 2, "bills_unchanged": 54, "rows_set_aside": 1, "reported_total": 60,
        "complete": status == "complete", "warnings": [], "owner": "o", "version": "0",
    }  # fmt: skip
    insert(warehouse, "core.syncs", **(standard | values))
