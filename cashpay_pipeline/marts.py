"""One file in `sql/marts` makes one table. The SQL is the only source: of columns, comments, dependencies, lineage.

A file is one SELECT. The comment above it is the table's description, its grain, then a line a column:

    -- Money received, by day and gateway.
    -- grain: one row per account, day and gateway
    --
    -- account: Label of the merchant account.
    -- received_amount: Money received,
    --     with the line going on here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.lineage import lineage

from cashpay_pipeline.errors import WarehouseError
from cashpay_pipeline.sqlfiles import read_sql, sql_folder
from cashpay_pipeline.warehouse import Warehouse

TableName = tuple[str, str]
"""Schema and table."""


@dataclass(frozen=True)
class Column:
    """A column as the database knows it."""

    name: str
    type: str
    comment: str


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


def all_marts(folder: Path | None = None) -> list[Mart]:
    """Every mart, those first that others are made of."""
    marts = {mart.name: mart for mart in map(read_mart, sorted((folder or sql_folder() / "marts").glob("*.sql")))}
    graph = {name: [table for schema, table in mart.depends_on if schema == "marts"] for name, mart in marts.items()}
    return [marts[name] for name in TopologicalSorter(graph).static_order()]


def read_mart(path: Path) -> Mart:
    """Read one file.

    Raises:
        WarehouseError: the header has no grain, or does not name exactly the columns of the SELECT.
    """
    header, sql = read_sql(path)
    text, _, dictionary = header.partition("\n\n")
    description, _, grain = text.partition("\ngrain: ")
    comments = {
        name: " ".join(comment.split())
        for name, comment in re.findall(r"^(\w+): (.*(?:\n +.*)*)", dictionary, flags=re.MULTILINE)
    }
    query = sqlglot.parse_one(sql, dialect="duckdb")
    columns = query.named_selects if isinstance(query, exp.Query) else []
    if not grain or not columns or list(comments) != columns:
        raise WarehouseError(
            f"{path.name}: the header must give a grain and a line for each column of the SELECT "
            f"({', '.join(columns)}), in this order; it names {', '.join(comments) or 'none'}.",
            next_step="Mend the comment at the top of the file.",
        )
    tables = {(table.db, table.name) for table in query.find_all(exp.Table) if table.db}
    return Mart(path.stem, sql, " ".join(description.split()), grain, comments, tuple(sorted(tables)), path)


def build_mart(warehouse: Warehouse, mart: Mart) -> int:
    """Make the table anew, with its comments, in one transaction; give its number of rows."""
    with warehouse.transaction():
        _create(warehouse.connection, mart)
    (counted,) = warehouse.rows(f"select count(*) as row_count from marts.{mart.name}")  # noqa: S608 - a file's name
    return int(counted["row_count"])


def column_lineage(mart: Mart) -> dict[str, list[tuple[TableName, str]]]:
    """For each column, the columns of other tables that its values are made from."""
    return _lineage(mart.sql, tuple(mart.comments))


@cache
def _lineage(sql: str, columns: tuple[str, ...]) -> dict[str, list[tuple[TableName, str]]]:
    """Worked out once a process: the SQL of a mart does not change while it runs."""
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for (schema_name, table), (_, known) in data_dictionary().items():
        schema.setdefault(schema_name, {})[table] = {column.name: column.type for column in known}
    # All columns at once and nothing trimmed: one by one takes seconds for a long SELECT.
    nodes = lineage(None, sql, schema=schema, dialect="duckdb", trim_selects=False)
    return {
        name: sorted(
            {
                ((node.expression.db, node.expression.name), node.name.rpartition(".")[2])
                for node in nodes[name].walk()
                if isinstance(node.expression, exp.Table)
            }
        )
        for name in columns
    }


@cache
def data_dictionary() -> dict[TableName, tuple[str, list[Column]]]:
    """Comment and columns of every table, as DuckDB itself gives them for the DDL and the marts, in memory."""
    with duckdb.connect() as connection:
        for path in sorted((sql_folder() / "core").glob("*.sql")):
            connection.execute(path.read_text(encoding="utf-8"))
        for mart in all_marts():
            _create(connection, mart)
        tables: dict[TableName, tuple[str, list[Column]]] = {
            (schema, table): (comment or "", [])
            for schema, table, comment in connection.execute(
                "select schema_name, table_name, comment from duckdb_tables() order by all"
            ).fetchall()
        }
        for schema, table, *column in connection.execute(
            "select schema_name, table_name, column_name, data_type, coalesce(comment, '') "
            "from duckdb_columns() where not internal order by schema_name, table_name, column_index"
        ).fetchall():
            tables[schema, table][1].append(Column(*column))
    return tables


def _create(connection: duckdb.DuckDBPyConnection, mart: Mart) -> None:
    connection.execute(f"create or replace table marts.{mart.name} as {mart.sql}")
    connection.execute(f"comment on table marts.{mart.name} is {_text(f'{mart.description} Grain: {mart.grain}.')}")
    for name, comment in mart.comments.items():
        connection.execute(f"comment on column marts.{mart.name}.{name} is {_text(comment)}")


def _text(value: str) -> str:
    """A text as SQL; COMMENT takes no parameter."""
    return "'" + value.replace("'", "''") + "'"
