"""Turn what was read into what changed, and store it in one transaction.

It holds a batch's versions, current rows, rows set aside, progress and the sync's own record, so that a kill at any
moment leaves a state that the next run goes on from.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from cashpay_pipeline import changes
from cashpay_pipeline.changes import Reading
from cashpay_pipeline.clock import Clock
from cashpay_pipeline.errors import TooManyBadRowsError
from cashpay_pipeline.forget import forget_bills
from cashpay_pipeline.forms import Form, form_of
from cashpay_pipeline.normalize import Source, created_at, normalize_bills, order_reference
from cashpay_pipeline.privacy import Masker
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.sync.drift import Forms, count_form
from cashpay_pipeline.sync.judgement import CURRENCY, Judgement, same_row
from cashpay_pipeline.sync.record import SyncRecord
from cashpay_pipeline.values import BadRecordError
from cashpay_pipeline.warehouse import Warehouse, store
from cashpay_pipeline.warehouse.issues import issue_id, resolve_issues, save_issues
from cashpay_pipeline.warehouse.store import Known
from cashpay_pipeline.warehouse.syncs import save_sync

BATCH_ROWS = 10_000
BATCH_SECONDS = 30.0
BAD_SHARE, BAD_AT_LEAST = 0.05, 5


class BadRow(NamedTuple):
    """A record that cannot be counted, already masked; in the order of `ISSUE_DTYPES`, but for the key."""

    source: str
    order_reference: str | None
    reason: str
    field: str
    payload: str
    seen_at: datetime


class Batch:
    """Collects records and stores them when there are enough, or when enough time has passed.

    Args:
        warehouse: the open file.
        settings: the account and how to read times.
        masker: hides customers before anything is kept.
        record: the sync's own record; counts go there.
        clock: tells when a batch is old enough to be stored.
        now: the moment for the record, UTC.

    Attributes:
        forms: of the bills stored as new or changed.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        settings: Settings,
        masker: Masker,
        record: SyncRecord,
        clock: Clock,
        now: Callable[[], datetime],
    ) -> None:
        self._warehouse, self._settings, self._masker = warehouse, settings, masker
        self._record, self._clock, self._now = record, clock, now
        self._readings: list[Reading] = []
        self._bad: list[BadRow] = []
        self._begun: datetime | None = None
        self._new_bad = 0
        self._forgotten = store.forgotten_bills(warehouse, settings.account)
        self._recognised: set[str] = set()
        self._opened = clock.monotonic()
        self.forms: Forms = {}

    def add(self, records: Sequence[Any], source: Source, asked_at: datetime, observed_at: datetime) -> None:
        """Take records as they came; set aside at once what has no key or is broken in itself."""
        self._record.rows_read += len(records)
        self._begun = self._begun or asked_at
        for record in records:
            key, form = None, form_of(record)
            try:
                key = order_reference(record)
                if form.defect:
                    raise BadRecordError("record", form.defect)
            except BadRecordError as bad:
                self._set_aside(source, key, bad, self._masked(record, key, form), observed_at)
            else:
                masked = self._masked(record, key, form)
                known_form = None if key in self._forgotten else form  # without its customer it has another one
                self._readings.append(changes.read(key, masked, source, asked_at, observed_at, known_form))

    def set_aside_unread(self, reference: str, reason: str, seen_at: datetime) -> None:
        """Note a bill whose details CashPay does not give, or not as a bill (H13); what is stored of it stays."""
        self._record.rows_read += 1
        bad = BadRecordError("order_reference", reason)
        self._set_aside("details", reference, bad, {"order_reference": reference}, seen_at)

    @property
    def is_due(self) -> bool:
        """Whether it is time to store."""
        return len(self._readings) >= BATCH_ROWS or self._clock.monotonic() - self._opened >= BATCH_SECONDS

    def save(self, progress: Callable[[], None] | None = None) -> None:
        """Store all that was added, the record as it stands, and what `progress` writes, in one transaction.

        Raises:
            TooManyBadRowsError: too large a share of the rows is bad; only the rows set aside are stored.
        """
        if not self._readings and not self._bad and not progress:
            return  # counts are asked for often, and each commit waits for the disk
        record = self._record
        readings, aside, new_bad, set_aside = self._readings, [*self._bad], self._new_bad, record.rows_set_aside
        counts, forms = (record.bills_new, record.bills_changed, record.bills_unchanged), dict(self.forms)
        try:
            with self._warehouse.transaction():
                for each_once in _rounds(readings):
                    self._save_round(each_once)
                bad, self._bad = self._bad, []
                self._new_bad += self._save_bad(bad)
                is_too_bad = bool(bad) and self._too_many_bad()
                if is_too_bad:
                    (record.bills_new, record.bills_changed, record.bills_unchanged), self.forms = counts, forms
                    self._warehouse.connection.rollback()
                    self._warehouse.connection.begin()
                    self._save_bad(bad)
                else:
                    if self._recognised:
                        forget_bills(self._warehouse, self._settings, self._masker, self._recognised)
                    if progress:
                        progress()
                    self.save_record()
        except BaseException:  # a signal's, too: then all of it is stored at the end, before a place that is past it
            self._bad, self._new_bad, record.rows_set_aside = aside, new_bad, set_aside
            (record.bills_new, record.bills_changed, record.bills_unchanged), self.forms = counts, forms
            raise
        self._readings = []
        if is_too_bad:
            raise TooManyBadRowsError(
                f"{self._new_bad} of {self._record.rows_read} rows cannot be read ({_reasons(bad)}).",
                where=f"account {self._settings.account}",
                kept="What was stored before this batch; the bad rows are in core.data_issues.",
            )
        self._recognised = set()
        self._opened = self._clock.monotonic()

    def save_record(self) -> None:
        """Store the sync's own record as it stands."""
        save_sync(self._warehouse, self._record.row(self._now()))

    def _save_round(self, readings: dict[str, Reading]) -> None:
        account, zone = self._settings.account, self._settings.source_timezone
        same, known = store.known_bills(
            self._warehouse,
            account,
            [(r.order_reference, r.source, r.state, r.digest) for r in readings.values()],
            created=_created(list(readings.values()), ZoneInfo(zone)),
        )
        judged = [self._judge(readings[key], known.get(key)) for key in readings if key not in same]
        stored = [p for p, j in enumerate(judged) if j.known]
        typed = normalize_bills([judged[p].before for p in stored], source_timezone=zone).contents
        before = {stored[place]: content for place, content in typed.items()}
        after = normalize_bills([j.merged for j in judged], source_timezone=zone)
        for issue in after.issues:
            self._set_reading_aside(judged[issue.index].reading, BadRecordError(issue.field, issue.reason))
        changed: list[int] = []
        seen = [same_row(readings[key]) for key in same]
        for position, content in after.contents.items():
            judgement, former = judged[position], before.get(position)
            # Versions have no currency of their own: with another one, all of the bill's past would change.
            if former and former[0][CURRENCY] != content[0][CURRENCY]:
                self._set_reading_aside(judgement.reading, BadRecordError("currency", "changed"))
            elif judgement.is_change(former, content):
                changed.append(position)
            else:
                seen.append(judgement.seen_row(former, content))
        store.save_seen(self._warehouse, seen)
        if changed:
            store.save_changes(
                self._warehouse,
                account,
                self._record.sync_id,
                bills=after.bills(changed),
                history=[judged[p].history_row(before.get(p), after.contents[p]) for p in changed],
                payments=after.payments(changed),
            )
            for judgement in (judged[p] for p in changed):
                is_new = judgement.known is None and judgement.reading.source == "list"
                count_form(self.forms, judgement.form, judgement.merged, is_new=is_new)
        good = [*(row[0] for row in seen), *(judged[p].reading.order_reference for p in changed)]
        if good:
            resolve_issues(self._warehouse, account, good, self._now())
        self._record.bills_new += sum(judged[p].known is None for p in changed)
        self._record.bills_changed += sum(self._was_known(judged[p].known) for p in changed)
        self._record.bills_unchanged += len(seen)

    def _was_known(self, known: Known | None) -> bool:
        """Whether an earlier sync has seen the bill: the details of one that is new are no change of it."""
        return known is not None and self._begun is not None and known.first_seen_at < self._begun

    def _judge(self, reading: Reading, known: Known | None) -> Judgement:
        if known is None or known.payload is None:
            return Judgement(reading, known, {}, reading.record)
        before = changes.record_of(known.payload)
        # Masked again: it may have been stored under a laxer setting, and what the reading does not mention stays.
        masked = self._masked(before, reading.order_reference)
        return Judgement(reading, known, before, changes.overlay(masked, reading))

    def _masked(self, record: Any, key: str | None, form: Form | None = None) -> Any:
        """The record as it may be stored; once a bill is known as a forgotten customer's, it stays so."""
        masked = self._masker.mask(record, form)
        if self._masker.is_forgotten(masked):
            if key and key not in self._forgotten:
                self._forgotten.add(key)
                self._recognised.add(key)
        elif key not in self._forgotten:
            return masked
        return self._masker.forget(record)

    def _set_reading_aside(self, reading: Reading, bad: BadRecordError) -> None:
        self._set_aside(reading.source, reading.order_reference, bad, reading.record, reading.observed_at)

    def _set_aside(
        self, source: str, reference: str | None, bad: BadRecordError, masked: Any, seen_at: datetime
    ) -> None:
        self._record.rows_set_aside += 1
        self._bad.append(BadRow(source, reference, bad.reason, bad.field, changes.payload(masked), seen_at))

    def _save_bad(self, bad: Sequence[BadRow]) -> int:
        """Store rows set aside; how many of them were never set aside before."""
        account = self._settings.account
        rows = [(issue_id(account=account, **row._asdict()), *row) for row in bad]
        return save_issues(self._warehouse, account, self._record.sync_id, rows)

    def _too_many_bad(self) -> bool:
        return self._new_bad >= BAD_AT_LEAST and self._new_bad > BAD_SHARE * self._record.rows_read


def _created(readings: list[Reading], zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """Between which moments most of the bills were created, by a thousand of them: many at once come from a list."""
    some = readings[:: 1 + len(readings) // 1_000] + readings[-1:]
    moments = [moment for reading in some if (moment := created_at(reading.record, zone))]
    return (min(moments), max(moments)) if moments else None


def _rounds(readings: Sequence[Reading]) -> Iterator[dict[str, Reading]]:
    """Split readings so that each key comes once a round: a bill read twice with two contents keeps both (P12)."""
    rest: Sequence[Reading] = readings
    while rest:
        once: dict[str, Reading] = {}
        last: dict[str, Reading] = {}
        later = []
        for reading in rest:
            before = last.setdefault(reading.order_reference, reading)
            if before is reading:
                once[reading.order_reference] = reading
            elif (before.digest, before.source) != (reading.digest, reading.source):
                later.append(reading)
                last[reading.order_reference] = reading
        yield once
        rest = later


def _reasons(bad: Sequence[BadRow]) -> str:
    return ", ".join(f"{field}: {reason}" for field, reason in sorted({(b.field, b.reason) for b in bad})[:5])
