"""Open the working file for writing: under the lock, migrated, and closed whatever happens."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from cashpay_pipeline.clock import Clock, SystemClock
from cashpay_pipeline.errors import GuardError, WarehouseError
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.sqlfiles import sql_folder
from cashpay_pipeline.warehouse.lock import describe_owner, run_lock

MEMORY_LIMIT = "256MB"
SPARE_BYTES = 500_000_000


class Warehouse:
    """An open working file. Use `open_warehouse`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, owner: str) -> None:
        self.connection = connection
        self.owner = owner

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """The result of a query, one dict a row."""
        result = self.connection.execute(sql, parameters if isinstance(parameters, Mapping) else list(parameters))
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def execute(self, sql: str, parameters: Sequence[Any] = (), **frames: pd.DataFrame) -> int:
        """Run a statement that may name the frames; the number of rows it wrote."""
        for name, frame in frames.items():
            self.connection.register(name, frame)
        try:
            counted = self.connection.execute(sql, list(parameters)).fetchall()
        finally:
            for name in frames:
                self.connection.unregister(name)
        return int(counted[0][0]) if counted and isinstance(counted[0][0], int) else 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self.connection.begin()
        try:
            yield
        except BaseException:
            # A full disk invalidates the connection, and there is nothing left to roll back (F2).
            with suppress(duckdb.Error):
                self.connection.rollback()
            raise
        self.connection.commit()


@contextmanager
def open_warehouse(
    settings: Settings, *, owner: str = "", wait_seconds: float = 600, clock: Clock | None = None
) -> Iterator[Warehouse]:
    """Open the working file for writing; other runs wait for us, and we for them.

    Raises:
        WarehouseBusyError: another run was writing for longer than `wait_seconds`.
        WarehouseError: no space, no right, or the file cannot be read.
        GuardError: the file was written by a newer version of this program.
    """
    path = settings.warehouse_path
    who = describe_owner(owner)
    _make_folder(path.parent)
    with run_lock(path.with_suffix(".lock"), who, wait_seconds=wait_seconds, clock=clock or SystemClock()):
        _check_space(path)
        connection = _connect(path)
        try:
            _migrate(connection, path)
            yield Warehouse(connection, who)
        except duckdb.Error as error:
            raise _explained(error, path) from None
        finally:
            connection.close()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WarehouseError(
            f"The data folder cannot be made: {error.strerror}.",
            where=str(folder),
            next_step="Give this user the right to write there, or set CASHPAY_DATA_DIR to another folder.",
        ) from None


def _check_space(path: Path) -> None:
    """Stop before fetching rather than in the middle of writing (F1)."""
    size = path.stat().st_size if path.exists() else 0
    free = shutil.disk_usage(path.parent).free
    if free < 2 * size + SPARE_BYTES:
        raise WarehouseError(
            f"The disk has {free // 10**6} MB free; a sync wants {(2 * size + SPARE_BYTES) // 10**6} MB.",
            where=str(path.parent),
            next_step="Free some space, or set CASHPAY_DATA_DIR to a folder on a larger disk.",
        )


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    try:
        connection = duckdb.connect(
            str(path),
            config={
                "memory_limit": MEMORY_LIMIT,
                "temp_directory": str(path.parent / "warehouse.tmp"),
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )
    except (duckdb.Error, OSError) as error:
        raise _explained(error, path) from None
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set python_enable_replacements = false")
    # Object columns are text here; without this an empty beginning makes DuckDB take them for integers.
    connection.execute("set pandas_analyze_sample = 0")
    return connection


def _explained(error: Exception, path: Path) -> WarehouseError:
    text = str(error)
    if "lock" in text:
        pid = re.search(r"PID (\d+)", text)
        return WarehouseError(
            f"Another program has the working file open{f' (process {pid.group(1)})' if pid else ''}.",
            where=str(path),
            next_step="Close it there and run again. Analysts open analytics.duckdb instead: it is never locked.",
        )
    if "No space left" in text or "could not allocate" in text.lower() or "Could not write" in text:
        return WarehouseError(
            "The disk is full.",
            where=str(path.parent),
            next_step="Free some space and run again; the last batch that was stored is whole.",
        )
    return WarehouseError(
        f"The working file cannot be used ({type(error).__name__}: {text.splitlines()[0][:200]}).",
        where=str(path),
        next_step="Check that the file is there and may be written; if it is damaged, restore the newest backup. "
        "Never delete a .wal file: it holds stored rows.",
    )


def _migrate(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Bring the file to this version, one numbered step after the other, each in a transaction (D8)."""
    connection.execute("create schema if not exists core")
    connection.execute("create table if not exists core.migrations (step bigint not null, applied_at timestamptz)")
    done = {row[0] for row in connection.execute("select step from core.migrations").fetchall()}
    steps = {int(f.name[:4]): f for f in sorted((sql_folder() / "core").glob("[0-9]*.sql"))}
    if newer := done - steps.keys():
        raise GuardError(
            f"The working file was written by a newer version of this program (step {max(newer)}).",
            where=str(path),
            next_step="Install that version again, or a later one.",
        )
    todo = sorted(steps.keys() - done)
    if not todo:
        return
    if done:
        connection.execute("checkpoint")
        shutil.copyfile(path, path.with_suffix(f".before-{todo[0]:04}.backup"))
    for step in todo:
        connection.begin()
        connection.execute(steps[step].read_text(encoding="utf-8"))
        connection.execute("insert into core.migrations values (?, now())", [step])
        connection.commit()
    connection.execute("checkpoint")
