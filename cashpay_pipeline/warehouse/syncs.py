"""The syncs' own records. Without pandas: `cashpay status` answers at once."""

from typing import Any

from cashpay_pipeline.warehouse.database import Warehouse


def save_sync(warehouse: Warehouse, row: dict[str, Any]) -> None:
    """Insert or update the sync's own record; `row` holds every column of `core.syncs`."""
    names = list(row)
    changes = ", ".join(f"{n} = ?" for n in names)
    known = warehouse.execute(f"update core.syncs set {changes} where sync_id = ?", [*row.values(), row["sync_id"]])  # noqa: S608
    if not known:
        marks = ", ".join("?" for _ in names)
        warehouse.execute(f"insert into core.syncs ({', '.join(names)}) values ({marks})", list(row.values()))  # noqa: S608


def mark_dead_syncs(warehouse: Warehouse) -> int:
    """We hold the lock: whatever is still marked as running was killed. Returns how many there were."""
    return warehouse.execute(
        "update core.syncs set status = 'dead', finished_at = heartbeat_at, error_code = 'killed' "
        "where status = 'running'"
    )


def note_checked(warehouse: Warehouse) -> None:
    """Note that all checks have looked at what is stored: what the next ones tell of as new begins after it."""
    warehouse.execute(
        "update core.syncs set is_checked = true where not is_checked "
        "and rowid in (select max(rowid) from core.syncs where status != 'running' group by account)"
    )
