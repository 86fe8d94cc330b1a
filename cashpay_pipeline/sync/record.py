"""The sync's own record: what it did, counted as it goes, stored with every batch and at the end."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata
from typing import Any, Literal

Kind = Literal["refresh", "full_refresh", "recheck"]
Status = Literal["running", "complete", "incomplete", "failed"]


@dataclass(frozen=True)
class Progress:
    """Where a sync stands, for people who watch it.

    Attributes:
        stage: what it is doing, in a word or two.
        pages: list pages read so far.
        bills: bill records read so far.
        total: how many CashPay says there are, if it does.
        waiting: what it is waiting for; empty when it is not.
    """

    stage: str
    pages: int
    bills: int
    total: int | None
    waiting: str = ""


@dataclass(frozen=True)
class SyncResult:
    """A finished sync; the fields are the columns of `core.syncs`."""

    sync_id: str
    account: str
    kind: Kind
    status: Status
    started_at: datetime
    finished_at: datetime
    pages: int
    requests: int
    retries: int
    waited_seconds: float
    rows_read: int
    bills_new: int
    bills_changed: int
    bills_unchanged: int
    rows_set_aside: int
    reported_total: int | None
    list_order: str | None
    complete: bool
    warnings: list[str]


@dataclass
class SyncRecord:
    """The record while the sync runs."""

    account: str
    kind: Kind
    owner: str
    dagster_run_id: str | None
    started_at: datetime
    sync_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    status: Status = "running"
    finished_at: datetime | None = None
    pages: int = 0
    requests: int = 0
    retries: int = 0
    waited_seconds: float = 0.0
    rows_read: int = 0
    bills_new: int = 0
    bills_changed: int = 0
    bills_unchanged: int = 0
    rows_set_aside: int = 0
    reported_total: int | None = None
    list_order: str | None = None
    complete: bool = False
    error_code: str | None = None
    warnings: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    version: str = field(default_factory=lambda: metadata.version("cashpay_pipeline"))

    def warn(self, text: str) -> None:
        """Note once what a careful reader should know; the data is complete all the same."""
        if text not in self.warnings:
            self.warnings.append(text)

    def lacks(self, text: str) -> None:
        """Note why the data is not complete."""
        if text not in self.incomplete:
            self.incomplete.append(text)

    def row(self, heartbeat_at: datetime) -> dict[str, Any]:
        """The row of `core.syncs` as of now."""
        row = vars(self) | {"heartbeat_at": heartbeat_at, "warnings": [*self.incomplete, *self.warnings]}
        del row["incomplete"]
        return row

    def result(self) -> SyncResult:
        """The record of a sync that has ended."""
        values = {name: getattr(self, name) for name in SyncResult.__dataclass_fields__}
        return SyncResult(**(values | {"warnings": [*self.incomplete, *self.warnings]}))
