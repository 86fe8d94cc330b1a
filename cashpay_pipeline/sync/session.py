"""What the parts of one sync share: the client, the open file, the batch, the record, and what is known so far."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

from cashpay_pipeline.attempts import Reply
from cashpay_pipeline.client import CashpayClient
from cashpay_pipeline.normalize import created_at, order_reference
from cashpay_pipeline.pagination import BillList, Page
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.sync.batch import Batch
from cashpay_pipeline.sync.record import Progress, SyncRecord
from cashpay_pipeline.values import BadRecordError
from cashpay_pipeline.verdicts import MAX_TRIES
from cashpay_pipeline.warehouse import Warehouse


@dataclass
class Session:
    """One sync under way.

    Args:
        settings: the account and how to read it.
        client: reads CashPay.
        warehouse: the open file.
        batch: takes records and stores them.
        record: the sync's own record.
        report: told of progress.
    """

    settings: Settings
    client: CashpayClient
    warehouse: Warehouse
    batch: Batch
    record: SyncRecord
    report: Callable[[Progress], None]

    stage: str = "starting"
    list_size: int | None = None
    """Rows a page that the list was seen to take."""

    def __post_init__(self) -> None:
        self._counting = Lock()
        self.begun = self.now()
        self._zone = ZoneInfo(self.settings.source_timezone)

    @property
    def account(self) -> str:
        """The merchant account."""
        return self.settings.account

    def now(self) -> datetime:
        """The present moment by CashPay's clock, UTC."""
        return self.client.now()

    def bill_list(self, *, count: Callable[[], int], in_flight: int | None = None, size: int | None = None) -> BillList:
        """The account's bill list, to be walked once; `count` says how many different bills this walk has read."""
        return BillList(
            fetch=self.fetch_page,
            reference=reference_of,
            created_at=self.created_at,
            count=count,
            page_size=size or self.list_size or self.settings.page_size,
            first_page=self.settings.first_page,
            in_flight=self.settings.max_in_flight if in_flight is None else in_flight,
            clean=self.client.clean,
        )

    def fetch_page(self, page: int, size: int, tries: int = MAX_TRIES) -> Reply:
        """One page of the list, counted; several threads may ask."""
        reply = self.client.fetch_bills_page(page, size, tries=tries)
        with self._counting:
            self.record.pages += 1
            for warning in reply.warnings:
                self.record.warn(warning)
        return reply

    def created_at(self, record: Any) -> datetime | None:
        """When a bill was created, if its record tells."""
        return created_at(record, self._zone)

    def take_page(self, page: Page, save: Callable[[], None] | None = None) -> None:
        """Take a page's records; store them with `save`'s progress when the batch is due."""
        if page.total is not None:
            self.record.reported_total = page.total
        now = self.now()
        self.batch.add(page.records, "list", page.asked_at or now, page.received_at or now)
        if self.batch.is_due:
            self.save(save)
        self.tell()

    def save(self, progress: Callable[[], None] | None = None) -> None:
        """Store all that was taken so far."""
        self.note_requests()
        self.batch.save(progress)

    def requests_left(self) -> int:
        """How many requests of the budget are left for this run."""
        return max(0, self.settings.request_budget - self.client.stats.requests)

    def note_requests(self) -> None:
        """Bring the record's view of the client up to date, and keep what CashPay asks of later runs."""
        stats = self.client.stats
        self.record.requests, self.record.retries = stats.requests, stats.retries
        self.record.waited_seconds = round(stats.waited_seconds, 3)
        if moment := self.client.resume_at:
            self.warehouse.execute("update core.accounts set resume_at = ? where account = ?", [moment, self.account])

    def tell(self) -> None:
        """Report where the sync stands."""
        self.report(self.progress())

    def progress(self, waiting: str = "") -> Progress:
        """Where the sync stands, and what it is waiting for."""
        record = self.record
        return Progress(self.stage, record.pages, record.rows_read, record.reported_total, waiting)

    def value(self, sql: str, *parameters: Any) -> Any:
        """The single value of a query."""
        (row,) = self.warehouse.rows(sql, parameters)
        return next(iter(row.values()))


def reference_of(record: Any) -> str | None:
    """A record's key, or None where it has none."""
    try:
        return order_reference(record)
    except BadRecordError:
        return None
