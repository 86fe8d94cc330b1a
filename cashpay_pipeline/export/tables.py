"""Which tables can be exported, and by which date they are cut into months. Names are those of our own SQL (X1, X5)."""

from dataclasses import dataclass

from cashpay_pipeline.catalog import catalog
from cashpay_pipeline.clock import BUSINESS_TIMEZONE
from cashpay_pipeline.errors import QueryError
from cashpay_pipeline.warehouse import Warehouse

MOMENT = "TIMESTAMP WITH TIME ZONE"


@dataclass(frozen=True)
class Table:
    """A table of the published copy.

    Attributes:
        schema: its schema.
        name: its name.
        columns: name and DuckDB type of each column.
    """

    schema: str
    name: str
    columns: dict[str, str]

    @property
    def full_name(self) -> str:
        """With its schema, as in SQL and in the names of its files."""
        return f"{self.schema}.{self.name}"

    @property
    def date_column(self) -> str | None:
        """The column by which it is cut into months: its first day, or else its first moment."""
        for wanted in ("DATE", MOMENT):
            for name, column_type in self.columns.items():
                if column_type == wanted:
                    return name
        return None

    def month(self) -> str:
        """SQL of a row's month in Africa/Lome, such as 2026-03; empty where there is no date."""
        column = self.date_column
        if column is None:
            return "cast(null as varchar)"
        local = f"timezone('{BUSINESS_TIMEZONE}', {column})" if self.columns[column] == MOMENT else column
        return f"strftime({local}, '%Y-%m')"

    def select(self, *, plain_times: bool = False) -> str:
        """SQL of the whole table; with plain times, moments are UTC without saying so."""
        shown = [
            f"timezone('UTC', {name}) as {name}" if plain_times and kind == MOMENT else name
            for name, kind in self.columns.items()
        ]
        return f"select {', '.join(shown)} from {self.full_name}"  # noqa: S608 - names from our own SQL


def find_table(name: str, published: Warehouse) -> Table:
    """The table of this name, with or without its schema, as it is in the published copy.

    Raises:
        QueryError: there is none.
    """
    name = name.lower()  # as DuckDB takes it
    known = catalog().tables
    fitting = [(schema, table) for schema, table in known if name in (table, f"{schema}.{table}")]
    if len(fitting) != 1:
        listed = ", ".join(sorted(f"{schema}.{table}" for schema, table in known))
        raise QueryError(f"There is no table {name}.", next_step=f"Choose one of: {listed}.")
    schema, table = fitting[0]
    stored = {
        row["column_name"]: row["data_type"]
        for row in published.rows(
            "select column_name, data_type from duckdb_columns() "
            "where database_name = current_database() and schema_name = ? and table_name = ?",
            [schema, table],
        )
    }
    columns = {column.name: stored[column.name] for column in known[schema, table][1] if column.name in stored}
    if not columns:
        raise QueryError(
            f"{schema}.{table} is not in the published copy yet.", next_step="Run `cashpay sync`, then this again."
        )
    return Table(schema, table, columns)
