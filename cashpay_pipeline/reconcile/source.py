"""Rows of the shop's orders out of whatever holds them. Only the columns that matter are kept."""

import hashlib
import math
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from cashpay_pipeline.errors import OrdersError, SettingsError
from cashpay_pipeline.reconcile import mapping as options
from cashpay_pipeline.reconcile.columns import Column
from cashpay_pipeline.reconcile.text import read_csv
from cashpay_pipeline.warehouse.files import BATCH_ROWS, Batch, read_duckdb, read_parquet, read_postgres

MAGIC = {b"PAR1": "parquet", b"SQLite format 3\x00": "sqlite", b"PK\x03\x04": "excel"}
DUCKDB_MAGIC, DUCKDB_MAGIC_AT = b"DUCK", 8
POSTGRES = ("postgres", "postgresql")
LARGEST_EXACT = 2**53
"""From here on floating point leaves whole numbers out."""

_SCHEME = re.compile(r"([A-Za-z][\w+.-]+):/")
"""Of an address; a single letter is a drive of Windows."""
_MAY_HOLD_A_SECRET = re.compile(r"[@=?]|(?<!^\w):")


@dataclass(frozen=True)
class Source:
    """An open source.

    Attributes:
        name: the file, without its folder; for the record.
        unit: what the number of a row is: `line` of a text file, or `row`.
        header: names of the columns.
        rows: number and values of each row.
        assumed: what was assumed to read it.
    """

    name: str
    unit: str
    header: list[str]
    rows: Iterator[tuple[int, Sequence[Any]]]
    assumed: list[str]


@contextmanager
def open_source(address: str, mapping: options.Mapping, folder: Path) -> Iterator[Source]:
    """Open a CSV, Parquet, DuckDB or SQLite file, or `postgres:...`; what it is, is seen from its first bytes.

    Raises:
        OrdersError: it cannot be read.
        SettingsError: there is no such file, or it is not one to be asked for a table.
    """
    with ExitStack() as stack:
        scheme, _, rest = address.partition(":")
        if (scheme := scheme.casefold()) in POSTGRES and rest:
            _refuse_password(rest)
            given = rest if scheme == "postgres" and not rest.startswith("//") else f"{scheme}:{rest}"
            header, found = stack.enter_context(read_postgres(given, folder, mapping.table, mapping.query))
            yield Source("postgres", "row", header, _numbered(found), [])
            return
        if other := _SCHEME.match(address):
            raise SettingsError(
                f"Orders cannot be read from {other[1]}:.",
                where="the address of the orders",
                next_step="Export them to CSV or Parquet, and give the file. PostgreSQL is postgres:... or postgres://...",
            )
        path = Path(address)
        kind = _kind(path)
        if kind in ("csv", "parquet") and (mapping.table or mapping.query):
            raise SettingsError(
                "A table or a query needs a database; this is a file of rows.",
                where=path.name,
                next_step="Leave out --table and --query.",
            )
        if kind == "csv":
            header, rows, assumed = read_csv(path)
            yield Source(path.name, "line", header, rows, assumed)
            return
        if kind == "parquet":
            header, found = stack.enter_context(read_parquet(path, folder))
        elif kind == "duckdb":
            header, found = stack.enter_context(read_duckdb(path, folder, mapping.table, mapping.query))
        else:
            header, found = stack.enter_context(_read_sqlite(path, mapping.table, mapping.query))
        yield Source(path.name, "row", header, _numbered(found), [])


def needed_cells(
    rows: Iterable[tuple[int, Sequence[Any]]], columns: Mapping[str, Column]
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Number, fingerprint of the whole row, and the value of each role."""
    for number, row in rows:
        whole = "\x1f".join(map(str, row)).encode("utf-8", "surrogatepass")
        yield (
            number,
            hashlib.blake2b(whole, digest_size=16).hexdigest(),
            {role: row[column.position] for role, column in columns.items()},
        )


def as_text(value: Any, where: str) -> str | None:
    """A value of a typed column as the text that a CSV would hold."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and abs(value) >= LARGEST_EXACT:
        raise OrdersError(
            f"{value} is too large to be exact.", where=where, next_step="Store it as a decimal or a text."
        )
    if isinstance(value, (bytes, list, dict, tuple)):
        raise OrdersError("The value is neither a text, a number nor a date.", where=where)
    return format(value, "f") if isinstance(value, Decimal) else str(value)  # without an exponent


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            start = handle.read(16)
    except OSError as error:
        raise SettingsError(
            f"The orders cannot be opened: {error.strerror}.",
            where="the file of the orders" if _MAY_HOLD_A_SECRET.search(str(path)) else str(path),
            next_step="Check the path.",
        ) from None
    if start[DUCKDB_MAGIC_AT:].startswith(DUCKDB_MAGIC):
        return "duckdb"
    kind = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), "csv")
    if kind == "excel":
        raise OrdersError(
            "This is an Excel file.", where=path.name, next_step="In Excel, save it as “CSV UTF-8”, then run again."
        )
    return kind


def _refuse_password(address: str) -> None:
    """What is typed here can end up in a shell's history and in a process list."""
    if "password" in address.casefold() or ":" in address.partition("//")[2].rpartition("@")[0]:
        raise SettingsError(
            "A password has no place in the address.",
            where="postgres",
            next_step="Put it into PGPASSWORD or ~/.pgpass.",
        )


def _numbered(found: Iterator[Batch]) -> Iterator[tuple[int, Sequence[Any]]]:
    number = 0
    for batch in found:
        for row in batch:
            number += 1
            yield number, row


@contextmanager
def _read_sqlite(path: Path, table: str | None, query: str | None) -> Iterator[tuple[list[str], Iterator[Batch]]]:
    """Through Python's own SQLite: no extension is needed."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            cursor = connection.execute(query or _whole_table(connection, table, path.name))
            if cursor.description is None:
                raise OrdersError("The query must be one SELECT.", where=path.name)
            yield [column[0] for column in cursor.description], iter(lambda: cursor.fetchmany(BATCH_ROWS), [])
    except sqlite3.Error as error:
        said = str(error).partition(" with text ")[0]  # "Could not decode to UTF-8 column 'client' with text ..."
        raise OrdersError(f"The orders cannot be read: {said}.", where=path.name) from None


def _whole_table(connection: sqlite3.Connection, table: str | None, name: str) -> str:
    tables = [row[0] for row in connection.execute("select name from sqlite_master where type in ('table', 'view')")]
    wanted = [stored for stored in tables if table in (None, stored)]
    if len(wanted) != 1:
        raise OrdersError(
            f"There is no table {table}." if table else "It must be said which table holds the orders.",
            where=name,
            next_step=f"Name it with --table: {', '.join(sorted(tables)[:20]) or 'there is none'}.",
        )
    quoted = wanted[0].replace('"', '""')
    return f'select * from "{quoted}"'  # noqa: S608 - a name from the catalog, quoted
