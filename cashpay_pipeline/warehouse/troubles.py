"""What DuckDB or the system says of a file of ours that it cannot use, in words that tell what to do."""

import re
from pathlib import Path

from cashpay_pipeline.errors import WarehouseError

ANEW = "Run `cashpay publish` to make it anew."
TROUBLES = [
    (
        r"could not set lock(?:.*PID (?P<pid>\d+))?|different configuration",
        "{file} is open elsewhere{process}.",
        "Close it there and run again. Analysts open analytics.duckdb instead: it is never locked.",
        "It was opened there to be written. Close it, or open it read-only, and run again.",
    ),
    (
        r"no space left|file too large|could not write|quota exceeded",
        "The disk is full.",
        "Free some space and run again; the last batch that was stored is whole.",
        "Free some space and run again.",
    ),
    (
        r"max_temp_directory_size|failed to offload|out of memory",
        "The work needs more memory or temporary space than it may have.",
        "Run again; if it stays, report it with the number of bills and this text.",
        "Ask for less at once, a month for example.",
    ),
    (
        r"not a valid duckdb database|corrupt|checksum|replaying wal|wal checkpoint iteration|serialization error"
        r"|could not read enough bytes",
        "{file} is damaged.",
        "If there is a backup, run `cashpay restore`, then `cashpay sync --full`. If not: move warehouse.duckdb and, "
        "if it is there, warehouse.duckdb.wal aside, both, and keep them: a .wal holds stored rows. Copy "
        "analytics.duckdb to warehouse.duckdb, `chmod 600 warehouse.duckdb`, then run `cashpay sync --full`.",
        ANEW,
    ),
    (
        r"permission denied|read-only|operation not permitted",
        "{file} may not be read and written by this user.",
        "Give this user the right to read and write the file and its folder, or set CASHPAY_DATA_DIR to another one.",
        "Give this user the right to read the file and its folder.",
    ),
]
"""What DuckDB's texts say, what it means, and what to do about it: of the working file, and of the published copy."""


def explained(error: Exception, path: Path, *, published: bool = False) -> WarehouseError:
    """What DuckDB or the system says about the working file, or the published copy, in words that tell what to do."""
    text = str(error)
    file = "The published copy" if published else "The working file"
    for signs, message, next_step, next_step_of_copy in TROUBLES:
        if found := re.search(signs, text, re.IGNORECASE):
            process = f" (process {found.group('pid')})" if found.groupdict().get("pid") else ""
            return WarehouseError(
                message.format(file=file, process=process),
                where=str(path),
                next_step=next_step_of_copy if published else next_step,
            )
    return WarehouseError(
        f"{file} cannot be used ({type(error).__name__}: {text.splitlines()[0][:200]}).",
        where=str(path),
        next_step=ANEW
        if published
        else "Run again; if it stays, report this text. Never delete a .wal file: it holds stored rows.",
    )
