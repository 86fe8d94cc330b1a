"""What the SQL says, asked of DuckDB and sqlglot themselves. Half a second: see `catalog.py` for when it is needed."""

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.lineage import lineage

from cashpay_pipeline.catalog import Catalog, Column, Sources, TableName
from cashpay_pipeline.marts import Mart, create_mart, in_order, mart_files, read_mart
from cashpay_pipeline.sqlfiles import sql_folder


def read_select(sql: str) -> tuple[list[str], tuple[TableName, ...]]:
    """The columns of a SELECT, none if it is no SELECT, and the tables that it names with their schema."""
    query = sqlglot.parse_one(sql, dialect="duckdb")
    columns = query.named_selects if isinstance(query, exp.Query) else []
    return columns, tuple(sorted({(table.db, table.name) for table in query.find_all(exp.Table) if table.db}))


def derive() -> Catalog:
    """The catalog, from the DDL and the marts beside the package."""
    marts = in_order(map(read_mart, mart_files()))
    tables = _tables(marts)
    return Catalog(
        tables, {mart.name: mart.depends_on for mart in marts}, {mart.name: _sources(mart, tables) for mart in marts}
    )


def _tables(marts: list[Mart]) -> dict[TableName, tuple[str, list[Column]]]:
    """Comment and columns of every table, as DuckDB itself gives them, in memory."""
    with duckdb.connect() as connection:
        for path in sorted((sql_folder() / "core").glob("*.sql")):
            connection.execute(path.read_text(encoding="utf-8"))
        for mart in marts:
            create_mart(connection, mart)
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


def _sources(mart: Mart, tables: dict[TableName, tuple[str, list[Column]]]) -> Sources:
    """For each column, the columns of other tables that its values are made from."""
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for (schema_name, table), (_, known) in tables.items():
        schema.setdefault(schema_name, {})[table] = {column.name: column.type for column in known}
    # All columns at once and nothing trimmed: one by one takes seconds for a long SELECT.
    nodes = lineage(None, mart.sql, schema=schema, dialect="duckdb", trim_selects=False)
    return {
        name: sorted(
            {
                ((node.expression.db, node.expression.name), node.name.rpartition(".")[2])
                for node in nodes[name].walk()
                if isinstance(node.expression, exp.Table)
                and not node.name.endswith(".rowid")  # a row's place, which is no column
            }
        )
        for name in mart.comments
    }
