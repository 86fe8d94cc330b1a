"""Excel files, row by row in little memory. A text that looks like a formula is marked as a text (X2)."""

import errno
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.exceptions import XlsxFileError

from cashpay_pipeline.export.text import harmless

MAX_ROWS = 1_048_575
MAX_TEXT = 32_767
MAX_DIGITS = 15
MAX_WIDTH = 50
EXCEL_BEGINS = date(1900, 3, 1)
CUT = "… (cut)"


def write_excel(path: Path, name: str, columns: Mapping[str, str], batches: Iterable[list[tuple[Any, ...]]]) -> int:
    """Write the rows on one sheet; the number of texts that were too long for a cell and have been cut."""
    try:
        with xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)}) as book:
            sheet = _Sheet(book, name[:31])
            for batch in batches:
                if not sheet.rows:
                    sheet.head(columns, batch)
                for row in batch:
                    sheet.add(row)
            if not sheet.rows:
                sheet.head(columns, [])
            sheet.finish()
    except XlsxFileError as error:
        raise OSError(errno.EIO, str(error)) from error
    return sheet.cut


class _Sheet:
    def __init__(self, book: Any, name: str) -> None:
        self._sheet = book.add_worksheet(name)
        self._bold = book.add_format({"bold": True, "bottom": 1})
        self._quoted = book.add_format({"quote_prefix": True})
        self._whole = book.add_format({"num_format": "#,##0"})
        self._broken = book.add_format({"num_format": "#,##0.0###"})
        self._day = book.add_format({"num_format": "yyyy-mm-dd"})
        self._moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._width = 0
        self.rows = 0
        self.cut = 0

    def head(self, columns: Mapping[str, str], first: list[tuple[Any, ...]]) -> None:
        """Widths by the first rows, then the names."""
        for position, column in enumerate(columns):
            lengths = [len(_shown(row[position])) for row in first]
            self._sheet.set_column(position, position, min(MAX_WIDTH, max([len(column) + 3, *lengths]) + 1))
        for position, column in enumerate(columns):
            self._sheet.write_string(0, position, column, self._bold)
        self._sheet.freeze_panes(1, 0)
        self._width = len(columns)
        self.rows = 1

    def add(self, row: tuple[Any, ...]) -> None:
        """One row below the last."""
        for position, value in enumerate(row):
            self._write(position, value)
        self.rows += 1

    def finish(self) -> None:
        """What needs the number of rows."""
        self._sheet.autofilter(0, 0, max(self.rows - 1, 1), self._width - 1)

    def _write(self, position: int, value: Any) -> None:
        if value is None:
            return
        if isinstance(value, bool):
            self._sheet.write_boolean(self.rows, position, value)
        elif isinstance(value, int) and len(str(abs(value))) <= MAX_DIGITS:
            self._sheet.write_number(self.rows, position, value, self._whole)
        elif isinstance(value, float) or (isinstance(value, Decimal) and len(value.as_tuple().digits) <= MAX_DIGITS):
            self._sheet.write_number(self.rows, position, value, self._broken)
        elif isinstance(value, datetime) and value.date() >= EXCEL_BEGINS:
            self._sheet.write_datetime(self.rows, position, value.replace(tzinfo=None), self._moment)
        elif isinstance(value, date) and not isinstance(value, datetime) and value >= EXCEL_BEGINS:
            self._sheet.write_datetime(self.rows, position, value, self._day)
        else:
            self._text(position, _shown(value))

    def _text(self, position: int, text: str) -> None:
        if len(text) > MAX_TEXT:
            text = text[: MAX_TEXT - len(CUT)] + CUT
            self.cut += 1
        is_risky = harmless(text) != text
        self._sheet.write_string(self.rows, position, text, self._quoted if is_risky else None)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " | ".join(map(str, value))
    return "" if value is None else str(value)
