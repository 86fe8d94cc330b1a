"""One file in `sql/checks` is one check: a SELECT that returns the rows that are wrong, without personal data.

The comment above it says what must be true, then, a line each, `asset:` (schema/table), `severity:` (error or warn)
and `blocking:` (true where nothing may be built on data that fails it).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from cashpay_pipeline.errors import WarehouseError
from cashpay_pipeline.sqlfiles import read_sql, sql_folder

if TYPE_CHECKING:  # Dagster loads this module with every definition; DuckDB is for those who run a check.
    from cashpay_pipeline.warehouse import Warehouse

SAMPLE_ROWS = 10

_HEADER = re.compile(r"(.+)\nasset: (\w+)/(\w+)\nseverity: (error|warn)\nblocking: (true|false)", re.DOTALL)


@dataclass(frozen=True)
class Check:
    """What must be true of a table, and how grave it is when it is not."""

    name: str
    sql: str
    description: str
    table: tuple[str, str]
    severity: Literal["error", "warn"]
    blocking: bool


@dataclass(frozen=True)
class Verdict:
    """How many rows are wrong, and the first of them."""

    bad_rows: int
    sample: list[dict[str, Any]]


def all_checks() -> list[Check]:
    """Every check, by name."""
    return [read_check(path) for path in sorted((sql_folder() / "checks").glob("*.sql"))]


def read_check(path: Path) -> Check:
    """Read one file.

    Raises:
        WarehouseError: the comment above the SELECT does not say what it has to.
    """
    header, sql = read_sql(path)
    found = _HEADER.fullmatch(header)
    if found is None:
        raise WarehouseError(
            f"{path.name}: the header must be a description, then asset, severity and blocking, a line each.",
            next_step="Correct the comment at the top of the file.",
        )
    description, schema, table, severity, blocking = found.groups()
    return Check(
        path.stem,
        sql,
        " ".join(description.split()),
        (schema, table),
        cast(Literal["error", "warn"], severity),
        blocking == "true",
    )


def run_check(warehouse: "Warehouse", check: Check) -> Verdict:
    """Look for bad rows, and fetch only the first of them: every bill of a large file can be one."""
    bad_rows = f"from (\n{check.sql}\n)"
    (counted,) = warehouse.rows(f"select count(*) as bad_rows {bad_rows}")
    sample = warehouse.rows(f"{bad_rows} limit {SAMPLE_ROWS}") if counted["bad_rows"] else []
    return Verdict(int(counted["bad_rows"]), sample)
