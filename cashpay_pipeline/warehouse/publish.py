"""The copy that analysts open: replaced as a whole, never written to, never locked by us."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import duckdb

from cashpay_pipeline.atomic import put_in_place
from cashpay_pipeline.clock import Clock
from cashpay_pipeline.errors import QueryError, WarehouseError
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.warehouse.compact import compact, is_mostly_empty
from cashpay_pipeline.warehouse.database import (
    Warehouse,
    hearing_signals,
    open_warehouse,
    refuse_absent,
    set_up,
    wal_path,
)
from cashpay_pipeline.warehouse.files import result_of
from cashpay_pipeline.warehouse.spill import spill_folder
from cashpay_pipeline.warehouse.troubles import explained

READ_ONLY = 0o400
"""To open the copy for writing is refused at once: what DuckDB wrote beside it would be applied to the next copy."""


class Query(Protocol):
    """A query on the published copy: column names and rows."""

    def __call__(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run it."""
        ...


@dataclass(frozen=True)
class PublishedCopy:
    """Where the copy is, how large, and when it was made (UTC)."""

    path: Path
    bytes: int
    published_at: datetime


def publish(settings: Settings, *, owner: str = "publish", clock: Clock | None = None) -> PublishedCopy:
    """Replace the published copy by the working file as it is now.

    Readers that have the old copy open keep it whole until they open the new one. Every value of the new copy is read
    before it takes the place of the old one (R13).

    Raises:
        WarehouseError: there is no working file, the copy cannot be written, or the file is damaged; the old copy
            stays.
        WarehouseBusyError: another run is writing.
    """
    refuse_absent(settings, "There is nothing to publish yet.")
    source, target = settings.warehouse_path, settings.published_path
    new = target.with_suffix(".new")
    with open_warehouse(settings, owner=owner, clock=clock) as warehouse:
        warehouse.connection.execute("checkpoint")
        if is_mostly_empty(warehouse):
            compact(warehouse)
        warehouse.connection.close()
        try:
            with source.open("rb") as stored, new.open("wb") as copy:
                os.fchmod(copy.fileno(), 0o600)
                shutil.copyfileobj(stored, copy, 1 << 22)
            _read_all(new)
            _remove_wal(target)
            put_in_place(new, target, READ_ONLY)
            _remove_wal(target)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise WarehouseError(
                f"The published copy cannot be written: {error.strerror}.",
                where=str(target),
                kept="The working file is complete, and the copy published before is unchanged.",
                next_step="Free some space or correct the rights of the folder, then run `cashpay publish`.",
            ) from None
    return PublishedCopy(target, target.stat().st_size, datetime.now(UTC))


def read_published(
    settings: Settings, sql: str, parameters: Sequence[Any] = ()
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of a query on the published copy, which cannot be changed by it.

    Raises:
        WarehouseError: there is no published copy yet, or it cannot be read.
        QueryError: the SQL is wrong.
    """
    with open_published(settings) as query:
        return query(sql, parameters)


@contextmanager
def open_published(settings: Settings) -> Iterator[Query]:
    """Several queries on one and the same published copy, whatever is published meanwhile.

    Raises:
        WarehouseError: there is no published copy yet, or it cannot be read.
        QueryError: the SQL is wrong.
    """
    with _asked(settings) as connection:

        def query(sql: str, parameters: Sequence[Any] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
            names, rows = _ask(connection, sql, parameters)
            return names, list(rows)

        yield query


@contextmanager
def stream_published(settings: Settings, sql: str, *, schemas: str) -> Iterator[tuple[list[str], Iterator[Any]]]:
    """Column names and rows of a query that may have more rows than the memory can hold.

    Tables of the schemas named, such as "core,marts", are found without their schema.

    Raises:
        WarehouseError: there is no published copy yet, or it cannot be read.
        QueryError: the SQL is wrong, which can also show in the middle of the rows.
    """
    with _asked(settings) as connection:
        connection.execute("set search_path = ?", [schemas])
        yield _ask(connection, sql)


@contextmanager
def _asked(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_published_file(settings) as published:
        try:
            yield published.connection
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            raise QueryError(_with_help(error)) from None


def _ask(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()
) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    statements = connection.extract_statements(sql)
    if not statements:
        raise QueryError("There is no query in this.")
    if [statement.type for statement in statements].count(duckdb.StatementType.SELECT) > 1:
        raise QueryError("This is more than one query.", next_step="Ask one at a time.")
    names, found = result_of(connection, sql, parameters)
    return names, chain.from_iterable(found)


def _with_help(error: duckdb.Error) -> str:
    """What is wrong, and which names DuckDB would have understood; not the query once more."""
    first, *others = map(str.strip, str(error).split("\n\n")[0].splitlines())
    named = [position for position, line in enumerate(others) if line.startswith(("Did you mean", "Candidate"))]
    return "\n".join([first, *(others[named[0] :] if named else [])])


@contextmanager
def open_published_file(settings: Settings) -> Iterator[Warehouse]:
    """The published copy, read only. Work that is too large for the memory is done beside it, on the disk.

    Raises:
        WarehouseError: there is no published copy yet, or it cannot be read.
    """
    path = settings.published_path
    if not path.exists():
        raise WarehouseError("Nothing has been published yet.", where=str(path), next_step="Run `cashpay sync` first.")
    try:
        with (
            spill_folder(path.parent) as folder,
            duckdb.connect(
                str(path),
                read_only=True,
                config={
                    "memory_limit": "1GB",
                    "temp_directory": folder,
                    "autoinstall_known_extensions": "false",
                },
            ) as connection,
        ):
            set_up(connection)
            with hearing_signals(connection):
                yield Warehouse(connection)
    except duckdb.Error as error:
        raise explained(error, path, published=True) from None


def _read_all(copy: Path) -> None:
    """Read every value: DuckDB compares each block with its checksum.

    Raises:
        WarehouseError: a block is damaged.
    """
    connection = duckdb.connect(str(copy), read_only=True, config={"memory_limit": "256MB"})
    try:
        for schema, table in connection.execute("select schema_name, table_name from duckdb_tables()").fetchall():
            connection.execute(f'select bit_xor(hash(t)) from "{schema}"."{table}" as t').fetchall()  # noqa: S608
    except duckdb.Error as error:
        copy.unlink(missing_ok=True)
        raise explained(error, copy.with_name("warehouse.duckdb")) from None
    finally:
        connection.close()


def _remove_wal(target: Path) -> None:
    """Remove what somebody wrote into the published copy, as root can.

    Before the new copy has its name, so that nobody reads that beside it, also if we are killed in between; and after,
    for what came meanwhile. A session that is still open keeps the old file and its own `.wal`, which have no name now.
    """
    for left in target.parent.glob(f"{wal_path(target).name}*"):
        left.unlink(missing_ok=True)
