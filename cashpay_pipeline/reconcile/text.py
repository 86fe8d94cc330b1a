"""CSV as shops really export it: separator, character set, line ends, quotes.

Python's reader and not DuckDB's: it takes mixed line ends and stray quotes as they are, and knows the line in the file
on which a row begins, which is what a person needs to correct it.
"""

import codecs
import csv
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from cashpay_pipeline.errors import OrdersError
from cashpay_pipeline.reconcile.columns import NAMES, is_of_a_header, plain_name

SEPARATORS = {";": "semicolons", ",": "commas", "\t": "tabs", "|": "bars"}
SAMPLE_ROWS = 100
CHUNK_BYTES = 1 << 20

_NOT_WINDOWS = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")

Line = tuple[int, list[str]]


def read_csv(path: Path) -> tuple[list[str], Iterator[Line], list[str]]:
    """Header, rows with the line that each begins on, and what was assumed.

    Raises:
        OrdersError: the file is empty, is no text, or its separator cannot be told.
    """
    encoding, assumed = _encoding(path)
    first = next(_lines(path, encoding), "")
    directive = re.fullmatch(r'"?sep=(.)"?\s*', first)
    skipped = 1 if directive else 0
    if directive:
        separator = directive.group(1)
        assumed.append(f"The first line says that {separator!r} separates the columns.")
    else:
        separator = _separator(path, encoding)
        assumed.append(f"Columns are separated by {SEPARATORS[separator]}.")
    rows = _rows(path, encoding, separator, skipped)
    _, header = next(rows, (0, []))
    names = [name.strip() for name in header]
    return names, _even(rows, len(names), path.name), assumed


def _encoding(path: Path) -> tuple[str, list[str]]:
    """UTF-8 if every byte agrees; else what a byte order mark says; else Windows-1252, which is Latin-1 and more."""
    with path.open("rb") as handle:
        start = handle.read(4)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16", ["The file is UTF-16."]
        handle.seek(0)
        utf8 = codecs.getincrementaldecoder("utf-8")()
        is_utf8, is_windows, line = True, True, 1
        while chunk := handle.read(CHUNK_BYTES):
            if b"\x00" in chunk:
                raise OrdersError("The file is not text.", where=path.name, next_step="Save it as CSV and run again.")
            if is_utf8:
                try:
                    utf8.decode(chunk)
                except UnicodeDecodeError as error:
                    is_utf8 = False
                    line += error.object[: error.start].count(b"\n")
                else:
                    line += chunk.count(b"\n")
            is_windows = is_windows and not _NOT_WINDOWS.search(chunk)
        if is_utf8:
            try:
                utf8.decode(b"", final=True)
            except UnicodeDecodeError:
                is_utf8 = False
    if is_utf8:
        return "utf-8-sig", []
    known_as = "Windows-1252, which is Latin-1 and more" if is_windows else "Latin-1"
    return "cp1252" if is_windows else "latin-1", [f"The file is not UTF-8 (line {line:,}): read as {known_as}."]


def _separator(path: Path, encoding: str) -> str:
    """The one sign by which the header falls into columns and the first rows into as many."""
    fitting = {}
    for sign in SEPARATORS:
        sample, is_whole = _sample(path, encoding, sign)
        if sample and len(sample[0]) > 1:
            known = sum(plain_name(name) in names.split() for name in sample[0] for names in NAMES.values())
            fitting[sign] = (known, is_whole and all(len(row) == len(sample[0]) for row in sample))
    if not fitting:
        first = next((line.strip() for line in _lines(path, encoding) if line.strip()), "")
        if not first:
            raise OrdersError("The file is empty.", where=path.name, next_step="Export the orders again.")
        raise OrdersError(
            "The file has one column only" + (f": “{first}”." if is_of_a_header(first) else "."),
            where=f"{path.name}, line 1",
            next_step="Export reference, amount and payment as columns, separated by semicolons, commas, tabs or bars.",
        )
    best = max(fitting.values())
    chosen = [sign for sign, fits in fitting.items() if fits == best]
    if len(chosen) > 1:
        raise OrdersError(
            f"The columns could be separated by {' or by '.join(SEPARATORS[sign] for sign in chosen)}.",
            where=f"{path.name}, line 1",
            next_step="Put a line such as sep=; at the top of the file.",
        )
    return chosen[0]


def _sample(path: Path, encoding: str, separator: str) -> tuple[list[list[str]], bool]:
    rows: list[list[str]] = []
    try:
        for _, row in itertools.islice(_rows(path, encoding, separator, 0), SAMPLE_ROWS):
            rows.append(row)
    except OrdersError:
        return rows, False
    return rows, True


def _lines(path: Path, encoding: str) -> Iterator[str]:
    """The lines of the file; one in UTF-16 may end or break anywhere, other character sets have been looked at."""
    number = 0
    with path.open(encoding=encoding, newline="") as handle:
        try:
            for line in handle:
                number += 1
                yield line
        except UnicodeError:
            raise OrdersError(
                "From here on the file is not UTF-16: it is cut off or damaged.",
                where=f"{path.name}, line {number + 1:,}",
                next_step="Export the orders again.",
            ) from None


def _rows(path: Path, encoding: str, separator: str, skipped: int) -> Iterator[Line]:
    """Rows that are not blank. A quote inside a text is just a sign; one that never closes stops."""
    reader = csv.reader(itertools.islice(_lines(path, encoding), skipped, None), delimiter=separator, strict=True)
    begins = skipped + 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise OrdersError(
                f"The row cannot be read ({error}).",
                where=f"{path.name}, line {begins:,}",
                next_step="Look for a quotation mark that is opened and not closed.",
            ) from None
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield begins, row
        begins = skipped + reader.line_num + 1


def _even(rows: Iterator[Line], width: int, name: str) -> Iterator[Line]:
    for line, row in rows:
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            raise OrdersError(
                f"The row has {len(row)} cells, the header {width}.",
                where=f"{name}, line {line:,}",
                next_step="Look for a separator inside a text without quotation marks, or for a line of totals.",
            )
        yield line, row[:width]
