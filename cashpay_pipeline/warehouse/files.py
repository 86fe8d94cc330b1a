"""DuckDB beside the working file: a throw-away database to check other people's files in, and rows in and out."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from errno import EIO, ENOSPC
from pathlib import Path
from typing import Any

import duckdb

from cashpay_pipeline.errors import OrdersError
from cashpay_pipeline.sqlfiles import literal
from cashpay_pipeline.warehouse.database import MEMORY_LIMIT, Warehouse, hearing_signals, set_up

BATCH_ROWS = 20_000
FULL = ("No space left", "File too large", "Could not write", "failed to offload", "Out of Memory")

POSTGRES = "the shop's"
"""What an attached PostgreSQL database is called: a name that none of its schemas has."""

TELL_VALUES = (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException)
"""Errors whose text repeats a value of a row."""
TELL_NAMES = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
"""Errors whose text repeats the query; what else comes from PostgreSQL may repeat anything."""

Batch = list[tuple[Any, ...]]


@contextmanager
def open_scratch(folder: Path) -> Iterator[Warehouse]:
    """An empty database in memory that spills into `folder`; nothing of it is kept."""
    with _connected(":memory:", folder) as connection:
        try:
            yield Warehouse(connection)
        except (duckdb.Error, OSError) as error:
            if isinstance(error, duckdb.OutOfMemoryException) or any(sign in str(error) for sign in FULL):
                raise OrdersError(
                    "There is not enough disk space to read the orders.",
                    where=str(folder),
                    next_step="Free some space and run again.",
                ) from None
            raise


def result_of(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> tuple[list[str], Iterator[Batch]]:
    """Column names and rows of a statement, a batch at a time; the connection serves nothing else meanwhile."""
    result = connection.execute(sql, parameters)
    return [column[0] for column in result.description or []], iter(lambda: result.fetchmany(BATCH_ROWS), [])


def write_parquet(warehouse: Warehouse, path: Path, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
    """Write the rows of a query as Parquet.

    Raises:
        OSError: the file cannot be written.
    """
    relation = warehouse.connection.sql(sql, params=parameters)
    try:
        relation.write_parquet(str(path), compression="zstd")
    except duckdb.Error as error:
        is_full = any(sign in str(error) for sign in FULL)
        raise OSError(EIO, os.strerror(ENOSPC) if is_full else str(error).splitlines()[0]) from None


@contextmanager
def read_parquet(path: Path, folder: Path) -> Iterator[tuple[list[str], Iterator[Batch]]]:
    """Column names and rows of somebody's Parquet file."""
    with _explained(path.name), _connected(":memory:", folder) as connection:
        yield result_of(connection, "select * from read_parquet(?)", [str(path)])


@contextmanager
def read_duckdb(
    path: Path, folder: Path, table: str | None, query: str | None
) -> Iterator[tuple[list[str], Iterator[Batch]]]:
    """Column names and rows of a table or query in somebody's DuckDB file, which is opened read only."""
    with _explained(path.name), _connected(str(path), folder, read_only=True) as connection:
        yield result_of(connection, _select(connection, table, query, path.name))


@contextmanager
def read_postgres(
    address: str, folder: Path, table: str | None, query: str | None
) -> Iterator[tuple[list[str], Iterator[Batch]]]:
    """Column names and rows from PostgreSQL, through DuckDB's extension if it is installed; it is never fetched."""
    with _connected(":memory:", folder) as connection:
        try:
            connection.execute("load postgres")
        except duckdb.Error:
            raise OrdersError(
                f"Reading from PostgreSQL needs DuckDB's extension `postgres`, which is not installed here for DuckDB "
                f"{duckdb.__version__}.",
                next_step='Install it once, in the Python environment of `cashpay`: python -c "import duckdb; '
                "duckdb.install_extension('postgres')\". Or export the orders to CSV or Parquet.",
            ) from None
        try:
            connection.execute(f"attach {literal(address)} as {_name(POSTGRES)} (type postgres, read_only)")
            connection.execute(f"use {_name(POSTGRES)}")
        except duckdb.Error:
            # DuckDB's own text repeats the whole address.
            raise OrdersError(
                "PostgreSQL cannot be reached at this address.",
                where="postgres",
                next_step="Check it with psql; put the password into PGPASSWORD or ~/.pgpass, not into the address.",
            ) from None
        with _explained("postgres"):
            yield result_of(connection, _select(connection, table, query, "postgres"))


@contextmanager
def _connected(database: str, folder: Path, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    with (
        duckdb.connect(
            database,
            read_only=read_only,
            config={
                "memory_limit": MEMORY_LIMIT,
                "temp_directory": str(folder),
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        ) as connection,
        hearing_signals(connection),
    ):
        set_up(connection)
        yield connection


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        if isinstance(error, TELL_VALUES) or (name == "postgres" and not isinstance(error, TELL_NAMES)):
            raise OrdersError(
                f"The orders cannot be read: a value does not fit, or the file is damaged ({type(error).__name__}).",
                where=name,
                next_step="Where the query or a view has a cast, write try_cast; else export the orders again. "
                "What the database says is not repeated: it may name a customer.",
            ) from None
        raise OrdersError(f"The orders cannot be read: {str(error).splitlines()[0][:300]}", where=name) from None


def _select(connection: duckdb.DuckDBPyConnection, table: str | None, query: str | None, name: str) -> str:
    """The query; or all of the table that is named, or of the only one, whose name is taken from the catalog."""
    if query:
        statements = connection.extract_statements(query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise OrdersError("The query must be one SELECT.", where=query[:100])
        return query
    tables = connection.execute(
        "select table_catalog, table_schema, table_name from information_schema.tables "
        "where table_catalog = current_database() and table_schema not in ('information_schema', 'pg_catalog') "
        "order by all"
    ).fetchall()
    wanted = [path for path in tables if table is None or table in (path[-1], ".".join(path[1:]))]
    if len(wanted) != 1:
        listed = ", ".join(f"{schema}.{stored}" for _, schema, stored in tables[:20])
        raise OrdersError(
            f"There is no table {table}." if table else "It must be said which table holds the orders.",
            where=name,
            next_step=f"Name it with --table: {listed or 'there is none'}.",
        )
    # With the catalog: a schema can have its name.
    return f"select * from {'.'.join(map(_name, wanted[0]))}"  # noqa: S608 - names from the catalog, quoted


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
