"""What a person at a terminal sees. All of it passes `printable`, so that no bill can steer the terminal (X4).

Only rows for a file or another program are the values themselves: there a value that is not itself joins with nothing.
"""

import csv
import io
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unicodedata import category

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.status import Status
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from cashpay_pipeline.sync import Progress

LINE_EVERY_SECONDS = 10.0
NUMBERS = (int, float, Decimal)
NEVER_CUT = (*NUMBERS, date, time_of_day, timedelta)
"""An amount or a day of which the end is missing looks like another one."""
NARROWEST_TEXT = 12


def printable(text: object) -> str:
    """The text, with every character that a terminal would obey, except line ends, written as its escape.

    To Python no blank but one is printable; here all are, such as those between French groups of digits.
    """
    return "".join(
        c if c.isprintable() or c == "\n" or category(c) == "Zs" else c.encode("unicode_escape").decode()
        for c in str(text)
    )


def many(count: int, thing: str) -> str:
    """1 bill, 1,234 bills."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


class _Lost(io.StringIO):
    """In the place of a standard output that cannot be written any more, so that the work goes on."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        """Keep nothing."""
        return len(text)


@contextmanager
def _on_standard_output() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        sys.stdout = _Lost(error)


def is_all_said() -> bool:
    """Whether all that was said has been written; if not, why, unless a reader such as `head` just wanted no more."""
    with _on_standard_output():
        sys.stdout.flush()
    if not isinstance(sys.stdout, _Lost):
        return True
    if not isinstance(sys.stdout.error, BrokenPipeError):
        complain(f"Not all that was to be said could be written: {sys.stdout.error.strerror}.")
    return False


@_on_standard_output()
def say(text: object) -> None:
    """Print a line on standard output; `is_all_said` tells whether that went well."""
    print(printable(text))


def complain(text: object) -> None:
    """Print a line on standard error, if that can be written: no sync may stop because the disk of its log is full."""
    with suppress(OSError):
        print(printable(text), file=sys.stderr)


class _Complaints(logging.Handler):
    """Complains of what is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Meanwhile, a warning that the pipeline logs is a line on standard error."""
    log, handler = logging.getLogger("cashpay"), _Complaints(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


@_on_standard_output()
def show_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows: a table on a terminal, one below the other where it is too narrow, comma-separated lines elsewhere.

    Texts are folded into a narrow column; numbers, dates and times stand whole, on one line.
    """
    if sys.stdout.isatty():
        all_rows = list(rows)
        console, table = Console(), _table(columns, all_rows)
        if _least_width(table) <= console.width:
            console.print(table)
        else:
            _print_records(columns, all_rows)
        return
    # By its own line end the writer knows which cells to quote: a carriage return in one would end the line for others.
    lines = SimpleNamespace(write=lambda line: print(line.removesuffix("\r\n")))
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)


@_on_standard_output()
def show_amounts(columns: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> None:
    """Print rows of which the first so many columns are texts and the rest amounts, which are never cut."""
    lines = [tuple(map(printable, line)) for line in (columns, *rows)]
    widths = [max(len(line[position]) for line in lines) for position in range(len(columns))]
    if sys.stdout.isatty() and Console().width > sum(widths) + 3 * len(widths):
        table = Table()
        for position, name in enumerate(lines[0]):
            table.add_column(Text(name), justify="left" if position < texts else "right", no_wrap=True)
        for line in lines[1:]:
            table.add_row(*map(Text, line))
        Console().print(table)
        return
    for line in lines:
        aligned = [
            value.ljust(width) if position < texts else value.rjust(width)
            for position, (value, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(aligned).rstrip())


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    table = Table()
    for position, name in enumerate(columns):
        values = [row[position] for row in rows if row[position] is not None]
        table.add_column(
            Text(printable(name)),
            justify="right" if any(isinstance(value, NUMBERS) for value in values) else "left",
            overflow="fold",
            no_wrap=bool(values) and all(isinstance(value, NEVER_CUT) for value in values),
        )
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    return table


def _least_width(table: Table) -> int:
    """How wide it is when its texts are folded as far as they can be read."""
    least = 1
    for column in table.columns:
        cells = [line.cell_len for cell in (column.header, *column.cells) for line in Text(str(cell)).split()]
        whole = max(cells, default=0)
        least += 3 + (whole if column.no_wrap else min(whole, NARROWEST_TEXT))
    return least


def _print_records(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    names = [f"{printable(name)}:" for name in columns]
    width = max(map(len, names))
    for number, row in enumerate(rows):
        if number:
            print()
        for name, value in zip(names, row, strict=True):
            print(f"{name.ljust(width)} {_cell(value)}".rstrip())


def _cell(value: object) -> str:
    return "" if value is None else printable(value)


class ProgressDisplay:
    """Says how a sync goes on: one living line on a terminal, a plain line now and then elsewhere."""

    def __init__(self, status: Status | None) -> None:
        self._status = status
        self._started_at: float | None = None
        self._said_at = float("-inf")
        self._said = ("", "")

    def update(self, progress: "Progress") -> None:
        """Take note of where the sync stands."""
        line = self._line(progress)
        if self._status:
            with suppress(OSError):  # a terminal that has gone
                self._status.update(Text(line))
            return
        now = time.monotonic()
        news = (progress.stage, progress.waiting)
        if news != self._said or now - self._said_at >= LINE_EVERY_SECONDS:
            complain(line)
            self._said, self._said_at = news, now

    def _line(self, progress: "Progress") -> str:
        now = time.monotonic()
        self._started_at = self._started_at or now
        of_total = f" of about {progress.total:,}" if progress.total else ""
        parts = [printable(progress.stage)]
        if progress.bills:
            rate = progress.bills / max(now - self._started_at, 0.1)
            parts += [f"page {progress.pages:,}", f"{progress.bills:,}{of_total} bills", f"{rate:,.0f} bills/s"]
        if progress.waiting:
            parts.append(f"waiting: {printable(progress.waiting)}")
        return " | ".join(parts)


@contextmanager
def progress_display() -> Iterator[ProgressDisplay]:
    """A display on standard error for as long as a sync runs."""
    if not sys.stderr.isatty():
        yield ProgressDisplay(None)
        return
    with Console(stderr=True).status("starting") as status:
        yield ProgressDisplay(status)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, to be told how many rows are done, of how many; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda done, rows: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(printable(title), total=None)
        yield lambda done, rows: bar.update(task, completed=done, total=rows)
