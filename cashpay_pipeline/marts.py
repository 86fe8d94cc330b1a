"""One file in `sql/marts` makes one table. The SQL is the only source: of columns, comments, dependencies, lineage.

A file is one SELECT. The comment above it is the table's description, in paragraphs where it is long, its grain, then
a line a column:

    -- Money received, by day and gateway.
    -- grain: one row per account, day and gateway
    --
    -- account: Label of the merchant account.
    -- received_amount: Money received,
    --     with the line going on here.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

from cashpay_pipeline.catalog import TableName, catalog
from cashpay_pipeline.errors import WarehouseError
from cashpay_pipeline.sqlfiles import literal, read_sql, sql_folder

if TYPE_CHECKING:  # Dagster loads this module with every definition; DuckDB is for those who build.
    import duckdb

    from cashpay_pipeline.warehouse import Warehouse


@dataclass(frozen=True)
class Mart:
    """One table for analysts.

    Attributes:
        name: the table, in schema `marts`; also the file's stem.
        sql: the SELECT.
        description: what the table says, for its comment.
        grain: what one row is.
        comments: comment by column, in the order of the file.
        depends_on: the tables that it is made of.
        path: the file.
    """

    name: str
    sql: str
    description: str
    grain: str
    comments: Mapping[str, str]
    depends_on: tuple[TableName, ...]
    path: Path


def mart_files(folder: Path | None = None) -> list[Path]:
    """The files of the marts, by name."""
    return sorted((folder or sql_folder() / "marts").glob("*.sql"))


def all_marts(folder: Path | None = None) -> list[Mart]:
    """Every mart, those first that others are made of."""
    known = {} if folder else catalog().depends_on
    return in_order(read_mart(path, known.get(path.stem)) for path in mart_files(folder))


def in_order(marts: Iterable[Mart]) -> list[Mart]:
    """Those first that others are made of."""
    by_name = {mart.name: mart for mart in marts}
    graph = {name: [table for schema, table in mart.depends_on if schema == "marts"] for name, mart in by_name.items()}
    return [by_name[name] for name in TopologicalSorter(graph).static_order()]


def read_mart(path: Path, depends_on: tuple[TableName, ...] | None = None) -> Mart:
    """Read one file.

    Args:
        path: the file.
        depends_on: what it is made of, where the catalog knows this file: it was looked at then. Otherwise the SQL is
            parsed.

    Raises:
        WarehouseError: the header has no grain, or does not name exactly the columns of the SELECT.
    """
    header, sql = read_sql(path)
    description, _, rest = header.partition("\ngrain: ")
    grain, _, dictionary = rest.partition("\n\n")
    comments = {
        name: " ".join(comment.split())
        for name, comment in re.findall(r"^(\w+): (.*(?:\n +.*)*)", dictionary, flags=re.MULTILINE)
    }
    if depends_on is None:
        from cashpay_pipeline.lineage import read_select  # sqlglot

        columns, depends_on = read_select(sql)
        if not grain or not columns or list(comments) != columns:
            raise WarehouseError(
                f"{path.name}: the header must give a grain and a line for each column of the SELECT "
                f"({', '.join(columns)}), in this order; it names {', '.join(comments) or 'none'}.",
                next_step="Correct the comment at the top of the file.",
            )
    paragraphs = "\n\n".join(" ".join(paragraph.split()) for paragraph in description.split("\n\n"))
    return Mart(path.stem, sql, paragraphs, grain, comments, depends_on, path)


def code_version(mart: Mart) -> str:
    """A digest of the code that the table is made by: its file, and this one."""
    return hashlib.sha256(mart.path.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16]


def build_mart(warehouse: "Warehouse", mart: Mart) -> None:
    """Make the table anew, with its comments, in one transaction."""
    with warehouse.transaction():
        create_mart(warehouse.connection, mart)


def build_marts(warehouse: "Warehouse") -> None:
    """Make every table anew, those first that others are made of, each in a transaction."""
    for mart in all_marts():
        build_mart(warehouse, mart)


def create_mart(connection: "duckdb.DuckDBPyConnection", mart: Mart) -> None:
    """Make the table anew, with its comments."""
    connection.execute(f"create or replace table marts.{mart.name} as {mart.sql}")
    comment = f"{mart.description}\n\nGrain: {mart.grain}."
    connection.execute(f"comment on table marts.{mart.name} is {literal(comment)}")
    for name, told in mart.comments.items():
        connection.execute(f"comment on column marts.{mart.name}.{name} is {literal(told)}")
