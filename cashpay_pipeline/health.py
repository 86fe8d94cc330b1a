"""How the last syncs went, and of when the newest backup is: for schedules and alerts, who decide what to do next.

Reads, and waits for nobody.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cashpay_pipeline.errors import CashpayError, WarehouseBusyError

if TYPE_CHECKING:
    from cashpay_pipeline.settings import Settings

REFUSALS = 3
TRY_AGAIN = ("unavailable", "rate_limited", "killed", "interrupted")
"""What may be over in an hour."""

LAST_LOGINS = f"""
select error_code is not distinct from 'credentials_rejected' as is_refused from core.syncs
where account = ? and (error_code = 'credentials_rejected' or rows_read > 0 or status in ('complete', 'incomplete'))
order by rowid desc limit {REFUSALS}
"""  # noqa: S608 - our own number
"""Of the syncs that tell whether the login is good: one that CashPay never answered, or that was killed before, does
not. In the order in which they were stored, one by one: a clock may be wrong, and set right.
"""
LAST_LIST_ERROR = """
select case status when 'running' then 'killed' else error_code end as error_code from core.syncs
where account = ? and kind != 'recheck'
order by rowid desc limit 1
"""
"""We hold the lock: what is still marked as running was killed."""
LAST_SYNCS = """
select *, coalesce(finished_at, heartbeat_at) as ended_at from core.syncs
where account = ? and status != 'running'
qualify row_number() over (order by rowid desc) = 1
    or (kind != 'recheck' and row_number() over (partition by kind = 'recheck' order by rowid desc) = 1)
order by rowid desc
"""
"""The newest and, if that was a re-check, which makes up for no bill of the list, the newest that reads the list.

By the order in which they were stored, one after the other: a clock may be wrong, and set right.
"""
LAST_STORED = """
select sync_id from core.syncs where account = ? and status in ('complete', 'incomplete') order by rowid desc limit 1
"""
LAST_COMPLETE = """
select arg_max(finished_at, rowid) as at from core.syncs where account = ? and complete and kind != 'recheck'
"""
"""Not the latest: one night by a clock that was a year ahead would keep the data fresh for a year."""


@dataclass(frozen=True)
class Health:
    """What the last syncs say, and the backups.

    Attributes:
        refused: whether CashPay refused the last logins of which that is known, the newest first.
        list_error_code: what stopped the newest one that was to read the list; re-checks make up for none of its bills.
        last_complete_at: when the list was last read completely, UTC.
        last_backup_at: of when the newest backup in the data folder is, UTC; None where there never was one.
    """

    refused: tuple[bool, ...] = ()
    list_error_code: str | None = None
    last_complete_at: datetime | None = None
    last_backup_at: datetime | None = None

    @property
    def is_locked_out(self) -> bool:
        """Whether CashPay has refused the login so often that another try could lock the account (A5)."""
        return self.refused == (True,) * REFUSALS

    @property
    def locked_out(self) -> str:
        """What to say then."""
        return (
            f"Paused: CashPay has refused the login {REFUSALS} times in a row, and more tries could lock the account. "
            "Correct the credentials, test them with `cashpay check`, then run `cashpay sync` or start the job refresh "
            "by hand: the schedules go on by themselves once it has read something."
        )


def read_health(settings: "Settings") -> Health | None:
    """How the last syncs of the account went; None while a run is writing. Makes no file.

    Raises:
        WarehouseError: the working file cannot be read.
    """
    if not settings.warehouse_path.exists():
        return Health()
    from cashpay_pipeline.warehouse import open_as_it_is  # DuckDB: not for those who only load the definitions

    try:
        with open_as_it_is(settings, owner="health") as warehouse:
            logins = warehouse.rows(LAST_LOGINS, [settings.account])
            of_the_list = warehouse.rows(LAST_LIST_ERROR, [settings.account])
            (complete,) = warehouse.rows(LAST_COMPLETE, [settings.account])
    except WarehouseBusyError:
        return None
    return Health(
        tuple(row["is_refused"] for row in logins),
        of_the_list[0]["error_code"] if of_the_list else None,
        complete["at"],
        _last_backup_at(settings),
    )


def is_published(settings: "Settings") -> bool:
    """Whether analysts have what the last sync stored: a run can die, or the disk be full, between the two.

    Raises:
        WarehouseError: the working file cannot be read.
        WarehouseBusyError: a run is writing.
    """
    from cashpay_pipeline.warehouse import open_as_it_is, read_published

    with open_as_it_is(settings, owner="health") as warehouse:
        stored = warehouse.rows(LAST_STORED, [settings.account])
    try:
        return not stored or bool(
            read_published(settings, "select 1 from core.syncs where sync_id = ?", [stored[0]["sync_id"]])[1]
        )
    except CashpayError:  # there is no copy, or none that can be read
        return False


def _last_backup_at(settings: "Settings") -> datetime | None:
    """By the names of the folders, as `warehouse/backup.py` gives them."""
    moments = []
    for folder in (settings.data_folder / "backups").glob("[0-9]*T*Z"):
        with suppress(ValueError):  # somebody else's
            moments.append(datetime.strptime(folder.name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC))
    return max(moments, default=None)
