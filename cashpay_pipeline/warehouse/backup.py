"""Backups of the working file, the way back, and proof that every value of a file can be read (R12, R13).

A backup is a folder: the database and, where one was made for this data, the key that customers are recognised by.
Nothing else is needed: how far the reading has come lies in the database, and the next sync heals what is older.
"""

import itertools
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cashpay_pipeline.atomic import put_in_place, workshop
from cashpay_pipeline.clock import Clock, SystemClock
from cashpay_pipeline.errors import WarehouseError
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.warehouse.database import (
    fresh_path,
    hearing_signals,
    open_warehouse,
    refuse_absent,
    restored_path,
    wal_path,
)
from cashpay_pipeline.warehouse.lock import describe_owner, run_lock
from cashpay_pipeline.warehouse.troubles import explained

KEPT = 2
DATABASE, KEY = "warehouse.duckdb", "pii.key"


@dataclass(frozen=True)
class TableRead:
    """A table of which every value was read; `problem` says why it could not be."""

    name: str
    rows: int
    columns: int
    problem: str = ""


def verify(path: Path) -> list[TableRead]:
    """Read every value of every column of a database file.

    Raises:
        WarehouseError: the file is not there, or cannot be opened at all.
    """
    if not path.exists():
        raise WarehouseError(
            "There is no such file.",
            where=str(path),
            next_step="Check its name; the published copy is made by `cashpay sync`.",
        )
    try:
        with _reader(path) as connection:
            tables = connection.execute(
                "select schema_name || '.' || table_name, list(column_name order by column_index) "
                "from duckdb_columns() where not internal group by all order by all"
            ).fetchall()
    except duckdb.Error as error:
        raise WarehouseError(
            f"The file cannot be opened ({_first_line(error)}).",
            where=str(path),
            next_step="Use another backup, if it is one; for a new published copy run `cashpay publish`.",
        ) from None
    return [_read_table(path, name, columns) for name, columns in tables]


def backup(settings: Settings, *, folder: Path | None = None, keep: int = KEPT, clock: Clock | None = None) -> Path:
    """Copy the working file, read the copy whole, give it its name, and only then remove all but the newest `keep`.

    Raises:
        WarehouseError: there is no working file, or the copy cannot be written or read; the former backups stay.
        WarehouseBusyError: another run is writing.
    """
    refuse_absent(settings, "There is nothing to back up yet.")
    clock = clock or SystemClock()
    folder = folder or settings.data_folder / "backups"
    target = folder / _name(clock)
    try:
        with workshop(folder) as making:
            made = making / target.name
            made.mkdir(mode=0o700)
            with open_warehouse(settings, owner="cashpay backup", clock=clock) as warehouse:
                warehouse.connection.execute("checkpoint")
                warehouse.connection.close()
                _copy(settings.warehouse_path, made / DATABASE)
                if (settings.data_folder / KEY).exists():
                    _copy(settings.data_folder / KEY, made / KEY)
            _raise_if_damaged(made / DATABASE)
            made.replace(target)
    except OSError as error:
        raise WarehouseError(
            f"The backup cannot be made: {error.strerror}.",
            where=str(error.filename or target),
            next_step="Free some space, correct the rights there, or name another folder with --to.",
        ) from None
    for old in _oldest_first(_backups(folder), newest=target.name)[:-keep]:
        with suppress(PermissionError):  # root made it, for instance
            shutil.rmtree(old)
    return target


def restore(settings: Settings, source: Path | None = None, *, clock: Clock | None = None) -> tuple[Path, Path | None]:
    """Put a backup in place of the working file; keep what the last two replaced.

    Args:
        settings: where the working file is.
        source: a backup, or a folder of several, of which the newest is used; usually that of the data folder, which
            may be named, too.
        clock: gives the moment in the name of what is kept.

    Returns:
        The backup, and where the files that it replaced were put, if there were any.

    Raises:
        WarehouseError: there is no backup, none that is surely the newest, or it cannot be read whole; nothing was
            changed then.
        WarehouseBusyError: another run is writing.
    """
    clock = clock or SystemClock()
    if source is None or source.resolve() == settings.data_folder.resolve():
        source = settings.data_folder / "backups"
    if not _is_backup(source):
        source = _newest(source, clock)
    if not _is_backup(source):
        raise WarehouseError(
            "There is no backup here.",
            where=str(source),
            next_step="Name the folder of one, which holds warehouse.duckdb, or that of several.",
        )
    _raise_if_damaged(source / DATABASE)
    path = settings.warehouse_path
    path.parent.mkdir(parents=True, exist_ok=True)
    with run_lock(path.with_suffix(".lock"), describe_owner("cashpay restore"), wait_seconds=60, clock=clock):
        former = _unused(settings.data_folder / "backups" / f"before-restore-{_name(clock)}")
        _copy_with_wal(source / DATABASE, fresh_path(path))
        # From here to the end nobody else opens the working file: a part of it, or another's .wal, is not the whole.
        put_in_place(fresh_path(path), restored_path(path))
        replaced = [path, wal_path(path), *([path.parent / KEY] if (source / KEY).exists() else [])]
        moved = [_move(file, former) for file in replaced if file.exists()]
        if (source / KEY).exists():
            _copy(source / KEY, path.parent / KEY)
        put_in_place(restored_path(path), path)
    for old in _oldest_first(former.parent.glob("before-restore-*"), newest=former.name)[:-KEPT]:
        if not old.samefile(source):
            with suppress(PermissionError):
                shutil.rmtree(old)
    return source, former if moved else None


def forgotten_in(path: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Customers, by key, and bills, by account and key, that were forgotten in a file that nobody writes.

    Raises:
        WarehouseError: it cannot be read.
    """
    try:
        with _reader(path) as connection:
            clients = connection.execute("select client_key from core.forgotten_clients").fetchall()
            bills = connection.execute("select account, order_reference from core.forgotten_bills").fetchall()
    except duckdb.CatalogException:  # a file of a version that could not forget
        return [], []
    except duckdb.Error as error:
        raise explained(error, path) from None
    return [key for (key,) in clients], bills


@contextmanager
def _reader(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with (
        duckdb.connect(str(path), read_only=True, config={"autoinstall_known_extensions": "false"}) as connection,
        hearing_signals(connection),
    ):
        yield connection


def _read_table(path: Path, name: str, columns: list[str]) -> TableRead:
    values = ", ".join(f'bit_xor(hash("{column}"))' for column in columns)
    try:
        with _reader(path) as connection:
            row = connection.execute(f"select count(*), {values} from {name}").fetchone()  # noqa: S608 - its own names
    except duckdb.Error as error:
        return TableRead(name, 0, len(columns), _first_line(error))
    return TableRead(name, int(row[0]) if row else 0, len(columns))


def _raise_if_damaged(path: Path) -> None:
    if damaged := [table for table in verify(path) if table.problem]:
        raise WarehouseError(
            f"{', '.join(t.name for t in damaged)} cannot be read ({damaged[0].problem}).",
            where=str(path),
            next_step="Use another backup, or run `cashpay backup` again.",
        )


def _name(clock: Clock) -> str:
    return f"{clock.now():%Y%m%dT%H%M%SZ}"


def _backups(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[0-9]*T*Z") if _is_backup(path))  # and nobody else's


def _is_backup(folder: Path) -> bool:
    try:
        return (folder / DATABASE).exists()
    except PermissionError:  # one that root has made is of no use to this user
        return False


def _newest(folder: Path, clock: Clock) -> Path:
    """The newest backup of a folder; the folder itself, if there is none."""
    backups = _backups(folder)
    if backups and backups[-1].name > _name(clock):
        raise WarehouseError(
            f"The backup {backups[-1].name} is named for a time to come: a clock was wrong then, or is now. "
            "Which backup is the newest cannot be told.",
            where=str(folder),
            next_step="Set this machine's clock right if it is behind, or name the backup to be restored.",
        )
    return backups[-1] if backups else folder


def _oldest_first(folders: Iterable[Path], *, newest: str) -> list[Path]:
    """By their names, which tell when; those that seem newer than the one just made are of a clock that was ahead."""
    return sorted(folders, key=lambda folder: (folder.name <= newest, folder.name))


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as stored, target.open("wb") as copy:
        os.fchmod(copy.fileno(), 0o600)
        shutil.copyfileobj(stored, copy, 1 << 22)
        copy.flush()
        os.fsync(copy.fileno())


def _copy_with_wal(source: Path, target: Path) -> None:
    """Copy a database and what its `.wal` holds, as that of a killed run does, into one file."""
    _copy(source, target)
    if not wal_path(source).exists():
        return
    _copy(wal_path(source), wal_path(target))
    try:
        with duckdb.connect(str(target), config={"autoinstall_known_extensions": "false"}) as connection:
            connection.execute("checkpoint")
    except duckdb.Error as error:
        raise explained(error, target) from None


def _unused(folder: Path) -> Path:
    """This name, or one after it: what another restore of the same second has kept is not written over."""
    names = itertools.chain([folder], (folder.with_name(f"{folder.name}-{n}") for n in itertools.count(2)))
    return next(name for name in names if not name.exists())


def _move(file: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return file.replace(folder / file.name)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
