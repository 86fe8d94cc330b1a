"""Write the working file anew, with nothing in it but what its rows need.

DuckDB uses free space again and gives back only what lies at the file's end. And what was deleted stays readable in the
free space until it is written over, which must not be so for a customer who asked to be forgotten.
"""

from pathlib import Path

from cashpay_pipeline.errors import WarehouseError
from cashpay_pipeline.sqlfiles import literal
from cashpay_pipeline.warehouse.database import Warehouse, fresh_path

WORTH_IT_BYTES = 50_000_000
FREE_SHARE = 2 / 3

SIZE = """
select block_size * total_blocks as bytes, free_blocks / total_blocks as free_share
from pragma_database_size()
where database_name = current_database()
"""


def is_mostly_empty(warehouse: Warehouse) -> bool:
    """Whether the file is large, and more than three times what its rows need (F7)."""
    (size,) = warehouse.rows(SIZE)
    return bool(size["bytes"] >= WORTH_IT_BYTES and size["free_share"] > FREE_SHARE)


def compact(warehouse: Warehouse) -> None:
    """Replace the file by one with the same content, and close it. Killed anywhere, one of the two is there.

    Raises:
        WarehouseError: the new file does not hold the same; the old one stays.
    """
    warehouse.execute("checkpoint")
    (here,) = warehouse.rows(
        "select database_name, path from duckdb_databases() where database_name = current_database()"
    )
    old, name = Path(here["path"]), here["database_name"]
    new = fresh_path(old)
    try:
        warehouse.execute(f"attach {literal(str(new))} as fresh")
        warehouse.execute(f'copy from database "{name}" to fresh')
        same = _counts(warehouse, name) == _counts(warehouse, "fresh")
        warehouse.execute("checkpoint fresh")
        warehouse.execute("detach fresh")
    finally:
        warehouse.connection.close()
    if not same:
        new.unlink()
        raise WarehouseError("The compact copy of the working file does not hold the same rows.", where=str(new))
    new.replace(old)


def _counts(warehouse: Warehouse, database: str) -> dict[str, int]:
    tables = warehouse.rows(
        "select schema_name, table_name from duckdb_tables() where database_name = ? order by all", [database]
    )
    counts = {}
    for table in tables:
        name = f'"{table["schema_name"]}"."{table["table_name"]}"'
        (row,) = warehouse.rows(f'select count(*) as n from "{database}".{name}')  # noqa: S608 - names of ours
        counts[name] = int(row["n"])
    return counts
