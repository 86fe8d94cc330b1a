"""Open the working file: under the lock, migrated if it is to be written, and closed whatever happens."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from cashpay_pipeline.clock import Clock, SystemClock
from cashpay_pipeline.errors import GuardError, WarehouseError
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.sqlfiles import sql_folder
from cashpay_pipeline.warehouse.filesystem import refuse_shared_filesystem
from cashpay_pipeline.warehouse.lock import describe_owner, run_lock
from cashpay_pipeline.warehouse.troubles import explained

if TYPE_CHECKING:
    import pandas as pd  # half a second that `cashpay status` does not need

MEMORY_LIMIT = "256MB"
SPILL_LIMIT = "4GB"
CHECKPOINT_AT = "64MB"
"""About 50,000 bills in the .wal file: with DuckDB's 16 MB each batch would compress the table's end once more."""
TEMP_FOLDER = "warehouse.tmp"
BACKUPS = 2
SPARE_BYTES = 500_000_000


class Warehouse:
    """An open database: the working file (`open_warehouse`), the published copy, or a scratch database."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """The result of a query, one dict a row."""
        with hearing_signals(self.connection):
            result = self.connection.execute(sql, parameters)
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), **frames: "pd.DataFrame") -> int:
        """Run a statement that may name the frames; the number of rows it wrote."""
        for name, frame in frames.items():
            self.connection.register(name, frame)
        try:
            with hearing_signals(self.connection):
                counted = self.connection.execute(sql, parameters).fetchall()
        finally:
            for name in frames:
                self.connection.unregister(name)
        return int(counted[0][0]) if counted and isinstance(counted[0][0], int) else 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        try:
            self.connection.begin()
            yield
        except BaseException:
            # A full disk invalidates the connection, and there is nothing left to roll back (F2).
            with suppress(duckdb.Error):
                self.connection.rollback()
            raise
        with hearing_signals(self.connection):
            self.connection.commit()


@contextmanager
def hearing_signals(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """What a signal raises in the middle of a query, as it is: DuckDB makes an error of it, and goes on with the query.

    Nobody would know Ctrl-C by that error, and to close the connection would wait for the end of the query.
    """
    try:
        yield
    except RuntimeError as error:
        if str(error) != "Query interrupted":
            raise
        connection.interrupt()
        raise error.__cause__ or KeyboardInterrupt from None  # DuckDB 2.0.0 does not tell which exception it was


@contextmanager
def open_warehouse(
    settings: Settings, *, owner: str = "", wait_seconds: float = 600, clock: Clock | None = None
) -> Iterator[Warehouse]:
    """Open the working file for writing; other runs wait for us, and we for them.

    Raises:
        WarehouseBusyError: another run was writing for longer than `wait_seconds`.
        WarehouseError: no space, no right, a network file system, or the file cannot be read.
        GuardError: the file was written by a newer version of this program.
    """
    path, who = settings.warehouse_path, describe_owner(owner)
    _make_folder(path.parent)
    refuse_shared_filesystem(path.parent)
    lock = run_lock(path.with_suffix(".lock"), who, wait_seconds=wait_seconds, clock=clock or SystemClock())
    with lock, _files_for_us_alone():
        _sweep(path)
        _check_space(path)
        with _closing(_open(settings), path) as warehouse:
            yield warehouse


@contextmanager
def open_as_it_is(settings: Settings, *, owner: str) -> Iterator[Warehouse]:
    """Open the working file for reading, at once or not at all; it is not changed, and needs no free space.

    Raises:
        WarehouseBusyError: a run is writing.
        WarehouseError: there is no such file, or it cannot be read.
    """
    path, who = settings.warehouse_path, describe_owner(owner)
    with (
        run_lock(path.with_suffix(".lock"), who, wait_seconds=0, clock=SystemClock()),
        _files_for_us_alone(),
        _closing(_connect(path, read_only=True), path) as warehouse,
    ):
        yield warehouse


@contextmanager
def _closing(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[Warehouse]:
    """Closed whatever happens inside, and what DuckDB says of it in our words."""
    try:
        with hearing_signals(connection):
            yield Warehouse(connection)
    except duckdb.Error as error:
        raise explained(error, path) from None
    finally:
        connection.close()


def refuse_absent(settings: Settings, message: str) -> None:
    """For what has no sense without a working file: a slip in CASHPAY_DATA_DIR must not make an empty one.

    Raises:
        WarehouseError: there is none, nor one that a restore left on its way; or it is gone, and may be had back.
    """
    path = settings.warehouse_path
    if not path.exists() and not restored_path(path).exists():
        _refuse_gone(settings)
        raise WarehouseError(message, where=str(path), next_step="Check CASHPAY_DATA_DIR, or run `cashpay sync` first.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WarehouseError(
            f"The data folder cannot be made: {error.strerror}.",
            where=str(folder),
            next_step="Give this user the right to write there, or set CASHPAY_DATA_DIR to another folder.",
        ) from None


@contextmanager
def _files_for_us_alone() -> Iterator[None]:
    """Whatever DuckDB creates meanwhile, only this user can read: the file, its .wal, what it spills (S13)."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _sweep(path: Path) -> None:
    """Clear what a killed run left behind; none of it was ever in use (R5)."""
    fresh = fresh_path(path)
    for leftover in (fresh, wal_path(fresh), _half_backup(path), path.with_name("analytics.new")):
        with suppress(OSError):
            leftover.unlink(missing_ok=True)
    shutil.rmtree(path.parent / TEMP_FOLDER, ignore_errors=True)


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


def wal_path(path: Path) -> Path:
    """What DuckDB has committed and not yet written into the file."""
    return path.with_name(f"{path.name}.wal")


def fresh_path(path: Path) -> Path:
    """Where a file is made that is to take the place of the one at `path`."""
    return path.with_suffix(".fresh")


def restored_path(path: Path) -> Path:
    """Where a backup waits that is to take the place of the file at `path`."""
    return path.with_suffix(".restored")


def _half_backup(path: Path) -> Path:
    return path.with_suffix(".backup.new")


def _open(settings: Settings) -> duckdb.DuckDBPyConnection:
    """Open the file at this version's step."""
    path = settings.warehouse_path
    if restored_path(path).exists():
        raise WarehouseError(
            "A restore was stopped half-way.",
            where=str(restored_path(path)),
            kept="What was there before is here or in backups/before-restore-*.",
            next_step="Run `cashpay restore` again, with the same backup.",
        )
    if path.exists() and path.stat().st_size:
        return _open_migrated(path)
    _refuse_gone(settings)
    _make_new(path)
    return _connect(path)


def _refuse_gone(settings: Settings) -> None:
    """Stop where what is beside shows that there was a working file: what it held is not yet lost."""
    path = settings.warehouse_path
    if wal_path(path).exists() and wal_path(path).stat().st_size:
        # DuckDB would begin a new file and delete the .wal.
        raise WarehouseError(
            "The working file is gone, but its .wal is there and holds stored rows.",
            where=str(wal_path(path)),
            next_step="Put warehouse.duckdb back beside it, or move the .wal elsewhere to begin anew.",
        )
    if settings.published_path.is_file():
        # The first publication would put a file without any history in the place of the last one that has it.
        raise WarehouseError(
            "The working file is gone, and the published copy alone holds the history of the bills.",
            where=str(path),
            next_step="If there is a backup, run `cashpay restore`. If not: copy analytics.duckdb to warehouse.duckdb, "
            "`chmod 600 warehouse.duckdb`, then run `cashpay sync --full`. To begin anew, move analytics.duckdb aside.",
        )


def _make_new(path: Path) -> None:
    """Make a file that appears whole or not at all: DuckDB cannot open half of one."""
    _open_migrated(fresh_path(path)).close()
    fresh_path(path).replace(path)


def _open_migrated(path: Path) -> duckdb.DuckDBPyConnection:
    connection = _connect(path)
    try:
        todo, is_new = _steps_to_do(connection, path)
        if todo and not is_new:
            connection.execute("checkpoint")
            # Closed before it is copied: when we close a file that we have read, the kernel drops DuckDB's lock on it.
            connection.close()
            _back_up(path, todo[0])
            connection = _connect(path)
        _migrate(connection, todo)
    except BaseException as error:
        connection.close()
        if isinstance(error, duckdb.Error | OSError):
            raise explained(error, path) from None
        raise
    return connection


def _connect(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    try:
        connection = duckdb.connect(
            str(path),
            read_only=read_only,
            config={
                "memory_limit": MEMORY_LIMIT,
                "temp_directory": str(path.parent / TEMP_FOLDER),
                "max_temp_directory_size": SPILL_LIMIT,
                "checkpoint_threshold": CHECKPOINT_AT,
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )
    except (duckdb.Error, OSError) as error:
        raise explained(error, path) from None
    set_up(connection)
    return connection


def set_up(connection: duckdb.DuckDBPyConnection) -> None:
    """What holds for every connection, to whatever file."""
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set python_enable_replacements = false")
    # Where DuckDB takes Python for interactive, its bar would stand in the middle of what we print.
    connection.execute("set enable_progress_bar = false")
    # Object columns are text here; without this an empty beginning makes DuckDB take them for integers.
    connection.execute("set pandas_analyze_sample = 0")


def _steps_to_do(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[list[Path], bool]:
    """The numbered steps that the file has not seen yet, and whether it has seen none.

    Raises:
        GuardError: it has seen steps that this version does not know.
    """
    connection.execute("create schema if not exists core")
    connection.execute("create table if not exists core.migrations (step bigint not null, applied_at timestamptz)")
    done = {row[0] for row in connection.execute("select step from core.migrations").fetchall()}
    steps = {_number(f): f for f in sorted((sql_folder() / "core").glob("[0-9]*.sql"))}
    if newer := done - steps.keys():
        raise GuardError(
            f"The working file was written by a newer version of this program (step {max(newer)}).",
            where=str(path),
            next_step="Install that version again, or a later one.",
        )
    return [steps[step] for step in sorted(steps.keys() - done)], not done


def _number(step: Path) -> int:
    return int(step.name[:4])


def _back_up(path: Path, step: Path) -> None:
    """Keep the file as it is before a step; that backup is kept, and those of the latest steps, two in all (D8)."""
    made = path.with_suffix(f".before-{_number(step):04}.backup")
    shutil.copyfile(path, _half_backup(path))
    _half_backup(path).replace(made)
    others = sorted(other for other in path.parent.glob(f"{path.stem}.before-*.backup") if other != made)
    for old in others[: 1 - BACKUPS]:
        old.unlink()


def _migrate(connection: duckdb.DuckDBPyConnection, todo: Sequence[Path]) -> None:
    """Bring the file to this version, one step after the other, each in a transaction (D8)."""
    for step in todo:
        connection.begin()
        connection.execute(step.read_text(encoding="utf-8"))
        connection.execute("insert into core.migrations values (?, now())", [_number(step)])
        connection.commit()
    if todo:
        connection.execute("checkpoint")
