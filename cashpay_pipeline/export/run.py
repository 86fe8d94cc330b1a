"""One table of the published copy into one folder: each file appears whole or not at all (R6, F4)."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cashpay_pipeline.atomic import put_in_place, workshop
from cashpay_pipeline.errors import ExportError, QueryError
from cashpay_pipeline.export.excel import MAX_ROWS, write_excel
from cashpay_pipeline.export.tables import Table, find_table
from cashpay_pipeline.export.text import write_csv
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.terminal import many
from cashpay_pipeline.warehouse import Warehouse
from cashpay_pipeline.warehouse.files import result_of, write_parquet
from cashpay_pipeline.warehouse.publish import open_published_file

FORMS = ("parquet", "csv", "excel")
Progress = Callable[[int, int], None]
"""Told how many rows are done, of how many."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        paths: the files.
        rows: rows in all of them.
        notes: what a careful reader should know.
    """

    paths: list[Path]
    rows: int
    notes: list[str]


def export_table(
    settings: Settings, name: str, form: str, folder: Path, progress: Progress = lambda done, rows: None
) -> Exported:
    """Write a table into a folder. What was exported there before stays until the new files are complete.

    Raises:
        QueryError: there is no such table or format.
        ExportError: it cannot be written, or is too long for Excel.
    """
    form = form.lower()
    if form not in FORMS:
        raise QueryError(f"There is no format {form}.", next_step=f"Choose one of: {', '.join(FORMS)}.")
    try:
        with open_published_file(settings) as published:
            table = find_table(name, published)
            (counted,) = published.rows(f"select count(*) as n from {table.full_name}")  # noqa: S608
            with workshop(folder) as making:
                made, notes = _make(published, table, form, making, int(counted["n"]), progress)
                for path in made:
                    put_in_place(path, folder / path.name)
                if form == "parquet":
                    _remove_old_months(folder, table, {path.name for path in made})
    except OSError as error:
        raise _unwritten(folder, error.strerror or type(error).__name__) from None
    return Exported([folder / path.name for path in made], int(counted["n"]), notes)


def _make(
    published: Warehouse, table: Table, form: str, making: Path, rows: int, progress: Progress
) -> tuple[list[Path], list[str]]:
    if form == "parquet":
        return _make_months(published, table, making, rows, progress), []
    if form == "excel" and rows > MAX_ROWS:
        raise ExportError(
            f"{table.full_name} has {rows:,} rows; a sheet of Excel takes {MAX_ROWS:,}.",
            next_step="Export it with --format parquet or csv.",
        )
    _, batches = result_of(published.connection, table.select(plain_times=True))
    found = _counted(batches, rows, progress)
    if form == "csv":
        path = making / f"{table.full_name}.csv"
        write_csv(path, table.columns, found)
        return [path], []
    path = making / f"{table.full_name}.xlsx"
    cut = write_excel(path, table.name, table.columns, found)
    return [path], [f"{many(cut, 'text')} too long for a cell of Excel: cut, with “… (cut)” at the end."] if cut else []


def _make_months(published: Warehouse, table: Table, making: Path, rows: int, progress: Progress) -> list[Path]:
    month = table.month()
    source = f"from {table.full_name}"
    months = published.rows(f"select {month} as month, count(*) as n {source} group by 1 order by 1 nulls last")
    made = []
    done = 0
    for found in months or [{"month": None, "n": 0}]:
        stem = table.full_name
        if table.date_column:
            stem += f"-{found['month'] or 'no-date'}" if months else "-empty"
        path = making / f"{stem}.parquet"
        write_parquet(
            published,
            path,
            f"{table.select()} where {month} is not distinct from $month",
            {"month": found["month"]},
        )
        made.append(path)
        done += found["n"]
        progress(done, rows)
    return made


def _counted(found: Iterable[list[tuple[Any, ...]]], rows: int, progress: Progress) -> Iterator[list[tuple[Any, ...]]]:
    done = 0
    for batch in found:
        yield batch
        done += len(batch)
        progress(done, rows)


def _remove_old_months(folder: Path, table: Table, kept: set[str]) -> None:
    """A month that the table no longer has would count twice for whoever reads all its files."""
    ours = re.compile(re.escape(table.full_name) + r"(-(\d{4}-\d{2}|no-date|empty))?\.parquet")
    for path in folder.glob(f"{table.full_name}*.parquet"):
        if ours.fullmatch(path.name) and path.name not in kept:
            path.unlink()


def _unwritten(folder: Path, reason: str) -> ExportError:
    return ExportError(
        f"The export cannot be written: {reason}.",
        where=str(folder),
        kept="What was exported there before is unchanged.",
        next_step="Free some space or correct the rights of the folder, then run again.",
    )
