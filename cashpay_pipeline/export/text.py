"""CSV for French Excel: UTF-8 with its mark, semicolons, decimal comma. No cell can run as a formula (X2)."""

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

RUNS = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00", "＝", "＋", "－", "＠")
"""What a spreadsheet may take for the beginning of a formula, or skip in front of one; the wide forms too."""

NUMBERS = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL", "UBIGINT", "UINTEGER")


def harmless(text: str) -> str:
    """The text, with a quote before it if a spreadsheet could run it."""
    return f"'{text}" if text.startswith(RUNS) or text.lstrip().startswith(RUNS) else text


def is_number(column_type: str) -> bool:
    """Whether a column of this type can only hold numbers, so that a minus sign is a minus sign."""
    return column_type.startswith(NUMBERS) and not column_type.endswith("[]")


def write_csv(path: Path, columns: Mapping[str, str], batches: Iterable[list[tuple[Any, ...]]]) -> None:
    """Write the rows.

    Args:
        path: the file.
        columns: name and DuckDB type of each.
        batches: the rows.
    """
    shown: list[Callable[[Any], Any]] = [_number if is_number(kind) else _text for kind in columns.values()]
    with path.open("w", encoding="utf-8-sig", newline="") as handle:
        writer = csv.writer(handle, delimiter=";", lineterminator="\r\n")
        writer.writerow(map(harmless, columns))
        for batch in batches:
            writer.writerows([show(value) for show, value in zip(shown, row, strict=True)] for row in batch)


def _number(value: Any) -> Any:
    """French Excel takes 1.5 for the first of May."""
    return value if value is None or isinstance(value, int) else str(value).replace(".", ",")


def _text(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        value = " | ".join(map(str, value))
    elif hasattr(value, "tzinfo"):
        value = value.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
    return harmless(str(value))
