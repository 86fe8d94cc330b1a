"""What the warehouse must hold, worked out from the simulator's truth without any code of the package's steps."""

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb


def expected_bill(bill: dict[str, Any], key: bytes) -> dict[str, Any]:
    """The typed columns of one bill; Lome is UTC all year."""
    created = datetime.fromisoformat(bill["date_create"]).astimezone(UTC)
    phone = (bill.get("client") or {}).get("phone")
    payments = bill["payments"]
    gateway = payments[-1]["gateway"] if payments else {}
    return {
        "order_reference": bill["order_reference"],
        "merchant_reference": bill["merchant_reference"],
        "code": bill["code"],
        "state": bill["state"],
        "amount": bill["amount"],
        "received_amount": bill["received_amount"],
        "currency": bill["currency"],
        "created_at": created,
        "business_date": created.date(),
        "description": bill["description"],
        "client_key": hmac.new(key, phone.removeprefix("+").encode(), hashlib.sha256).hexdigest()[:32]
        if phone
        else None,
        "client_phone_masked": "******" + phone[-2:] if phone else None,
        "gateway_reference": gateway.get("reference"),
        "gateway_name": gateway.get("libelle"),
        "payment_count": len(payments),
        "bill_url": bill["bill_url"],
        "missing_since": None,
    }


def expected_payments(bill: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (
            bill["order_reference"],
            n,
            p["thirdparty_reference"],
            p["gateway"]["reference"],
            p["gateway"]["libelle"],
            p["amount"],
        )
        for n, p in enumerate(bill["payments"], start=1)
    ]


def query(path: Path, sql: str, *parameters: Any) -> list[dict[str, Any]]:
    """Rows of a query on a DuckDB file."""
    with reading(path) as connection:
        result = connection.execute(sql, list(parameters))
        names = [c[0] for c in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@cache
def _duckdb() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    return connection


@contextmanager
def reading(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The file, open for reading; attached to one DuckDB that stays, which takes a quarter of the time of a new one."""
    connection = _duckdb()
    connection.execute(f"attach '{path}' as file (read_only)")
    try:
        connection.execute("use file")
        yield connection
    finally:
        connection.execute("use memory")
        connection.execute("detach file")


def assert_warehouse_equals_truth(data_dir: Path, truth: dict[str, Any], *, without: tuple[str, ...] = ()) -> None:
    """Every row and column of bills and payments, and the sum of money, to the franc."""
    path = data_dir / "warehouse.duckdb"
    key = (data_dir / "pii.key").read_text().strip().encode()
    wanted = [expected_bill(b, key) for b in truth["bills"]]
    wanted = sorted(
        ({k: v for k, v in w.items() if k not in without} for w in wanted), key=lambda b: b["order_reference"]
    )
    columns = ", ".join(wanted[0]) if wanted else "order_reference"
    found = query(path, f"select {columns} from core.bills order by order_reference")
    assert found == wanted
    payments = query(
        path,
        "select order_reference, payment_number, thirdparty_reference, gateway_reference, gateway_name, amount "
        "from core.payments order by all",
    )
    assert [tuple(p.values()) for p in payments] == sorted(p for b in truth["bills"] for p in expected_payments(b))
    assert query(path, "select count(*) as n, count(distinct (account, order_reference)) as k from core.bills") == [
        {"n": len(wanted), "k": len(wanted)}
    ]


def versions(data_dir: Path) -> list[dict[str, Any]]:
    return query(
        data_dir / "warehouse.duckdb",
        "select order_reference, version, source, state, amount, received_amount, digest from core.bill_versions "
        "order by order_reference, version",
    )
