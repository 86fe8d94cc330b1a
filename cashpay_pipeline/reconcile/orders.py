"""The shop's export, checked and turned into one row an order. Whatever is assumed on the way is said."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from cashpay_pipeline.clock import BUSINESS_TIMEZONE
from cashpay_pipeline.errors import OrdersError
from cashpay_pipeline.phones import hide_phones
from cashpay_pipeline.reconcile.amounts import decide_decimal_mark
from cashpay_pipeline.reconcile.cells import quoted
from cashpay_pipeline.reconcile.columns import find_columns
from cashpay_pipeline.reconcile.dates import KNOWN, decide_date_order
from cashpay_pipeline.reconcile.mapping import Mapping
from cashpay_pipeline.reconcile.sheet import Sheet
from cashpay_pipeline.reconcile.source import Source, as_text, needed_cells, open_source
from cashpay_pipeline.reconcile.words import (
    DEFAULT_CURRENCY,
    describe_currencies,
    describe_words,
    read_units,
    read_words,
)
from cashpay_pipeline.sqlfiles import read_sql, sql_folder
from cashpay_pipeline.terminal import many
from cashpay_pipeline.values import CURRENCY_DECIMALS, MOST_UNITS
from cashpay_pipeline.warehouse import Warehouse
from cashpay_pipeline.warehouse.files import BATCH_ROWS, open_scratch, write_parquet

RAW_COLUMNS = ("line", "digest", "reference", "amount", "paid", "date", "currency", "only_value")
REPEATED = {
    "total": "each row repeats the order's total",
    "parts": "the amounts are parts, and are added up",
    "last": "the last row counts",
}


@dataclass(frozen=True)
class Orders:
    """The orders of an export.

    Attributes:
        source: name of the export.
        path: a Parquet file with one row an order: reference, line, currency, amount, is_paid, ordered_at,
            ordered_before (just after it; without a time, the end of its day).
        count: number of orders.
        first_at: the oldest order, if dates are known.
        end_at: just after the newest order, which without a time can be of its whole day. Later bills can belong to
            orders that the export does not have yet.
        assumed: what was assumed.
    """

    source: str
    path: Path
    count: int
    first_at: datetime | None
    end_at: datetime | None
    assumed: list[str]


@contextmanager
def read_orders(address: str, mapping: Mapping, folder: Path) -> Iterator[Orders]:
    """Read an export whole, in bounded memory; `folder` takes what does not fit.

    Raises:
        OrdersError: something in it cannot be read, or can be read in two ways.
    """
    with open_scratch(folder) as scratch:
        with open_source(address, mapping, folder) as source:
            header_at = f"{source.name}, line 1" if source.unit == "line" else source.name
            columns, assumed = find_columns(source.header, mapping, header_at, of_text=source.unit == "line")
            assumed = [*source.assumed, *assumed]
            sheet = Sheet(scratch, source.name, source.unit, columns, _load(scratch, source, columns))
        assumed += _clean(sheet, mapping)
        assumed += _type(sheet, mapping)
        assumed += _make_orders(sheet, mapping)
        path = folder / "orders.parquet"
        write_parquet(
            scratch,
            path,
            "select reference, line, currency, amount, is_paid, ordered_at, ordered_before from orders order by line",
        )
        (facts,) = scratch.rows(
            "select count(*) as orders, min(ordered_at) as first_at, max(ordered_before) as end_at from orders"
        )
    yield Orders(source.name, path, facts["orders"], facts["first_at"], facts["end_at"], assumed)


def _load(scratch: Warehouse, source: Source, columns: dict[str, Any]) -> frozenset[str]:
    """Put the cells that matter into table `raw`; the roles in which no cell was a text."""
    scratch.execute("create table raw (line bigint, " + ", ".join(f"{name} varchar" for name in RAW_COLUMNS[1:]) + ")")
    texts: set[str] = set()
    cells = needed_cells(source.rows, columns)
    while batch := list(islice(cells, BATCH_ROWS)):
        records = []
        for number, digest, values in batch:
            texts |= {role for role, value in values.items() if isinstance(value, str)}
            found = {
                role: as_text(value, f"{source.name}, {source.unit} {number:,}, column “{columns[role].name}”")
                for role, value in values.items()
            }
            records.append((number, digest, *(found.get(role) for role in RAW_COLUMNS[2:-1]), found.get("only")))
        frame = pd.DataFrame.from_records(records, columns=list(RAW_COLUMNS)).astype(
            {"line": "int64", **dict.fromkeys(RAW_COLUMNS[1:], "object")}
        )
        scratch.execute("insert into raw by name select * from batch", batch=frame)
    return frozenset(set(columns) - texts)


def _clean(sheet: Sheet, mapping: Mapping) -> Iterator[str]:
    scratch = sheet.scratch
    value = mapping.only.partition("=")[2].strip() if mapping.only else None
    run_sql(scratch, "macros")
    run_sql(scratch, "cleaned", only=value, repeated=mapping.repeated)
    (counted,) = scratch.rows(
        "select (select count(*) from raw) as rows, (select count(distinct digest) from cleaned) as different, "
        "(select count(*) from raw where $only is null or plain_word(only_value) = plain_word($only)) as wanted",
        {"only": value},
    )
    if not counted["rows"]:
        raise OrdersError("There are no orders below the header.", where=sheet.name)
    if not counted["different"]:
        raise OrdersError(f"No row has {mapping.only}.", where=sheet.name)
    if mapping.only:
        yield f"Only rows with {mapping.only} count: {counted['wanted']:,} of {counted['rows']:,}."
    if twice := counted["wanted"] - counted["different"]:
        counting = "added up all the same, for they are parts" if mapping.repeated == "parts" else "counted once"
        yield f"{many(twice, 'row')}, the same as another in every cell: {counting}."


def _type(sheet: Sheet, mapping: Mapping) -> Iterator[str]:
    """Decide, column by column, how cells are read; then read them all."""
    scratch = sheet.scratch
    units = pd.DataFrame(read_units(sheet), columns=["unit", "currency", "decimals"])
    scratch.execute("create table units (unit varchar, currency varchar, decimals integer)")
    scratch.execute("insert into units select unit, currency, decimals from known", known=units)
    run_sql(scratch, "priced", default_currency=DEFAULT_CURRENCY, default_decimals=CURRENCY_DECIMALS[DEFAULT_CURRENCY])
    yield from describe_currencies(sheet)
    decimal_mark, said = decide_decimal_mark(sheet, mapping)
    yield from said
    is_day_first, said = decide_date_order(sheet, mapping)
    yield from said
    words = pd.DataFrame(read_words(sheet, mapping), columns=["word", "is_paid"])
    scratch.execute("create table words (word varchar, is_paid boolean)")
    scratch.execute("insert into words select word, is_paid from known", known=words)
    run_sql(
        scratch,
        "read",
        decimal_mark=decimal_mark,
        is_day_first=is_day_first,
        timezone=BUSINESS_TIMEZONE,
        all_paid=mapping.all_paid,
    )
    _check_cells(sheet)
    if "date" in sheet.columns and sheet.first("select line from read where has_time"):
        yield f"Times of orders without an offset are those of {BUSINESS_TIMEZONE}."
    yield from describe_words(sheet)


def _check_cells(sheet: Sheet) -> None:
    if odd := sheet.first(
        "select line, amount_as_written, currency, has_fraction from read "
        "where (amount is null and amount_kind != 'empty') or amount <= ? or amount >= ? order by line",
        [-MOST_UNITS, MOST_UNITS],  # as of bills: the sums of a class must have room
    ):
        reason = f"is not whole in the smallest unit of {odd['currency']}" if odd["has_fraction"] else "is too large"
        sheet.stop(
            f"{quoted(odd['amount_as_written'])} {reason}.", odd["line"], "amount", "Correct it, or see --decimal-mark."
        )
    if odd := sheet.first(
        "select line, date_text from read where ordered_at is null and date_kind != 'empty' order by line"
    ):
        sheet.stop(f"{quoted(odd['date_text'])} is not a date.", odd["line"], "date", f"{KNOWN} Or: --date none.")
    if odd := sheet.first(
        r"select line, reference from read where regexp_matches(reference, '^\d([.,]\d+)?E\+\d+$', 'i') order by line"
    ):
        sheet.stop(
            f"{quoted(odd['reference'])} is what a spreadsheet makes of a long number: the reference is lost.",
            odd["line"],
            "reference",
            "Export again and open the file as text only.",
        )


def _make_orders(sheet: Sheet, mapping: Mapping) -> Iterator[str]:
    scratch = sheet.scratch
    (empty,) = scratch.rows("select count(*) as many, min(line) as line from read where coalesce(reference, '') = ''")
    if empty["many"] and not mapping.skip_without_reference:
        sheet.stop(
            f"{many(empty['many'], 'row')} without a reference; this is the first.",
            empty["line"],
            "reference",
            "Remove them (lines of totals?), or leave them out with --skip-without-reference.",
        )
    if empty["many"]:
        yield f"{many(empty['many'], 'row')} without a reference: left out, as was said."
    run_sql(scratch, "orders", repeated=mapping.repeated)
    if repeated := sheet.first("select reference, row_count from orders where row_count > 1 order by line"):
        _check_repeated(sheet, mapping, repeated)
        (counted,) = scratch.rows("select count(*) as many from orders where row_count > 1")
        yield f"{many(counted['many'], 'reference')} with several rows: {REPEATED[mapping.repeated]}, as was said."
    if odd := sheet.first("select line, reference from orders where amount is null order by line"):
        sheet.stop(
            f"Order {hide_phones(odd['reference'])} has no amount.", odd["line"], "amount", "Fill it in and run again."
        )
    if odd := sheet.first("select line, reference, amount from orders where amount < 0 order by line"):
        sheet.stop(
            f"Order {hide_phones(odd['reference'])} has a negative amount ({odd['amount']:,}).",
            odd["line"],
            "amount",
            "Leave refunds and credit notes out: a reconciliation compares what was to be paid with what was paid.",
        )
    if odd := sheet.first("select line, reference from orders where is_paid is null order by line"):
        sheet.stop(
            f"It is not said whether order {hide_phones(odd['reference'])} is paid.",
            odd["line"],
            "paid",
            "Fill it in and run again.",
        )
    if not sheet.first("select line from orders"):
        raise OrdersError("No row has a reference.", where=sheet.name)


def _check_repeated(sheet: Sheet, mapping: Mapping, repeated: dict[str, Any]) -> None:
    if mapping.repeated == "stop":
        lines = sheet.scratch.rows(
            "select line from read where reference = ? order by line limit 2", [repeated["reference"]]
        )
        sheet.stop(
            f"Reference {hide_phones(repeated['reference'])} has {repeated['row_count']:,} rows that differ "
            f"({sheet.unit}s {lines[0]['line']:,} and {lines[1]['line']:,}).",
            lines[1]["line"],
            "reference",
            "Say what they are: --repeated total (each has the whole amount), parts (amounts to add up) or last "
            "(the last row counts).",
        )
    if mapping.repeated == "parts" and (
        odd := sheet.first(
            "select line, reference from read where amount is null "
            "and reference in (select reference from orders where row_count > 1) order by line"
        )
    ):
        sheet.stop(
            f"A part of order {hide_phones(odd['reference'])} has no amount.",
            odd["line"],
            "amount",
            "Fill it in, with 0 where the row is no part, and run again.",
        )
    disagreeing = {
        "total": "amount_count > 1 or paid_count > 1 or currency_count > 1",
        "parts": "paid_count > 1 or currency_count > 1",
        "last": "false",
    }[mapping.repeated]
    if odd := sheet.first(f"select line, reference from orders where {disagreeing} order by line"):  # noqa: S608
        sheet.stop(
            f"The rows of {hide_phones(odd['reference'])} do not agree.",
            odd["line"],
            "reference",
            f"With --repeated {mapping.repeated}, {REPEATED[mapping.repeated]}: correct the rows or choose another.",
        )


def run_sql(database: Warehouse, name: str, **parameters: Any) -> None:
    """Run a file of `sql/reconciliation`."""
    _, sql = read_sql(sql_folder() / "reconciliation" / f"{name}.sql")
    database.connection.execute(sql, parameters)
