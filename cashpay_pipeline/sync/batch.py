"""Turn what was read into what changed, and store it in one transaction.

It holds a batch's versions, current rows, rows set aside, progress and the sync's own record, so that a kill at any
moment leaves a state that the next run goes on from.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from cashpay_pipeline import changes
from cashpay_pipeline.changes import Reading
from cashpay_pipeline.clock import Clock
from cashpay_pipeline.decoding import defect
from cashpay_pipeline.errors import TooManyBadRowsError
from cashpay_pipeline.normalize import BILL_DTYPES, Content, Source, created_at, normalize_bills, order_reference
from cashpay_pipeline.privacy import Masker
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.sync.drift import Shapes, count_shape
from cashpay_pipeline.sync.record import SyncRecord
from cashpay_pipeline.values import BadRecordError
from cashpay_pipeline.warehouse import Warehouse, store
from cashpay_pipeline.warehouse.issues import resolve_issues, save_issues
from cashpay_pipeline.warehouse.store import Known

BATCH_ROWS = 10_000
BATCH_SECONDS = 30.0
BAD_SHARE, BAD_AT_LEAST = 0.05, 5
HAS_RECEIVED = ("Paid", "Excess", "Partial")
OUTDATED = "outdated:"
COLUMN = {name: place for place, name in enumerate(BILL_DTYPES)}
STATE, AMOUNT, RECEIVED = COLUMN["state"], COLUMN["amount"], COLUMN["received_amount"]
CURRENCY, CREATED_AT = COLUMN["currency"], COLUMN["created_at"]
GATEWAY, GATEWAY_NAME = COLUMN["gateway_reference"], COLUMN["gateway_name"]


@dataclass(frozen=True)
class BadRow:
    """A record that cannot be counted; already masked."""

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
        shapes: of the bills stored as new or changed.
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
        self._new_bad = 0
        self._opened = clock.monotonic()
        self.shapes: Shapes = {}

    def add(self, records: Sequence[Any], source: Source, asked_at: datetime, observed_at: datetime) -> None:
        """Take records as they came; set aside at once what has no key or is broken in itself."""
        self._record.rows_read += len(records)
        for record in records:
            masked = self._masker.mask(record)
            key = None
            try:
                key = order_reference(record)
                if broken := defect(record):
                    raise BadRecordError("record", broken)
            except BadRecordError as bad:
                self._set_aside(source, key, bad, masked, observed_at)
            else:
                self._readings.append(changes.read(key, masked, source, asked_at, observed_at))

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
        readings, self._readings = self._readings, []
        record = self._record
        counts, shapes = (record.bills_new, record.bills_changed, record.bills_unchanged), dict(self.shapes)
        with self._warehouse.transaction():
            for each_once in _rounds(readings):
                self._save_round(each_once)
            bad, self._bad = self._bad, []
            self._new_bad += self._save_bad(bad)
            if not bad or not self._too_many_bad():
                if progress:
                    progress()
                self.save_record()
                self._opened = self._clock.monotonic()
                return
            (record.bills_new, record.bills_changed, record.bills_unchanged), self.shapes = counts, shapes
            self._warehouse.connection.rollback()
            self._warehouse.connection.begin()
            self._save_bad(bad)
        raise TooManyBadRowsError(
            f"{self._new_bad} of {self._record.rows_read} rows cannot be read ({_reasons(bad)}).",
            where=f"account {self._settings.account}",
            kept="What was stored before this batch; the bad rows are in core.data_issues.",
        )

    def save_record(self) -> None:
        """Store the sync's own record as it stands."""
        store.save_sync(self._warehouse, self._record.row(self._now()))

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
        seen = [_same_row(readings[key]) for key in same]
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
                versions=[judged[p].version_row(after.contents[p]) for p in changed],
                payments=after.payments(changed),
            )
            for judgement in (judged[p] for p in changed):
                is_new = judgement.known is None and judgement.reading.source == "list"
                count_shape(self.shapes, judgement.merged, is_new=is_new)
        good = [*(row[0] for row in seen), *(judged[p].reading.order_reference for p in changed)]
        if good:
            resolve_issues(self._warehouse, account, good, self._now())
        new = sum(judged[p].known is None for p in changed)
        self._record.bills_new += new
        self._record.bills_changed += len(changed) - new
        self._record.bills_unchanged += len(seen)

    def _judge(self, reading: Reading, known: Known | None) -> "_Judgement":
        if known is None or known.payload is None:
            return _Judgement(reading, known, {}, reading.record)
        before = json.loads(known.payload, parse_float=Decimal)
        # Masked again: it may have been stored under a laxer setting, and what the reading does not mention stays.
        return _Judgement(reading, known, before, changes.overlay(self._masker.mask(before), reading))

    def _set_reading_aside(self, reading: Reading, bad: BadRecordError) -> None:
        self._set_aside(reading.source, reading.order_reference, bad, reading.record, reading.observed_at)

    def _set_aside(
        self, source: str, reference: str | None, bad: BadRecordError, masked: Any, seen_at: datetime
    ) -> None:
        self._record.rows_set_aside += 1
        self._bad.append(BadRow(source, reference, bad.reason, bad.field, changes.payload(masked), seen_at))

    def _save_bad(self, bad: Sequence[BadRow]) -> int:
        """Store rows set aside; how many of them were not open issues already."""
        account = self._settings.account
        rows = [
            (
                changes.digest("\n".join([account, b.source, b.reason, b.field, b.payload])),
                b.source,
                b.order_reference,
                b.reason,
                b.field,
                b.payload,
                b.seen_at,
            )
            for b in bad
        ]
        return save_issues(self._warehouse, account, self._record.sync_id, rows)

    def _too_many_bad(self) -> bool:
        return self._new_bad >= BAD_AT_LEAST and self._new_bad > BAD_SHARE * self._record.rows_read


class _Judgement(NamedTuple):
    """A reading beside what is stored, and the two together."""

    reading: Reading
    known: Known | None
    before: Mapping[str, Any]
    merged: Mapping[str, Any]

    @property
    def is_repeated(self) -> bool:
        """The list shows the very row of before, while the details have told something else in between."""
        known, reading = self.known, self.reading
        return reading.source == "list" and known is not None and known.list_digest == OUTDATED + reading.digest

    def is_change(self, before: Content | None, after: Content) -> bool:
        """Typed values differ; or other fields do, and this source has shown the bill before."""
        if self.is_repeated:
            return False
        if self.known is None or before != after:
            return True
        last = self.known.list_digest if self.reading.source == "list" else self.known.details_digest
        return last is not None and changes.other_content(self.before) != changes.other_content(self.merged)

    def money_told_at(self, before: Content | None, after: Content) -> datetime | None:
        """As of when it is known what the bill has received; None where its details have to tell."""
        reading, known = self.reading, self.known
        if reading.source != "list":
            return reading.asked_at
        bill = after[0]
        lacks_sum = bill[RECEIVED] is None or (bill[RECEIVED] == 0 and bill[STATE] in HAS_RECEIVED)
        lacks_gateway = bill[STATE] in HAS_RECEIVED and bill[GATEWAY] is None and bill[GATEWAY_NAME] is None
        if lacks_sum or lacks_gateway or changes.leaves_money_open(self.before, self.merged, reading):
            return None
        if self._goes_back_behind_the_details(before, after):
            return None
        if known is None:
            return reading.asked_at if reading.tells_money else None
        if self.is_repeated and before and any(before[0][c] != bill[c] for c in (STATE, AMOUNT, RECEIVED)):
            return None
        if known.money_told_at is None and known.state == reading.state and not changes.tells_sums(reading.record):
            return None
        return reading.asked_at if reading.tells_money else known.money_told_at

    def _goes_back_behind_the_details(self, before: Content | None, after: Content) -> bool:
        """The details had the last word, and the list now names less money: it may lag."""
        if before is None or not self._is_corrected:
            return False
        return (after[0][RECEIVED] or 0) < (before[0][RECEIVED] or 0)

    def seen_row(self, before: Content | None, after: Content) -> tuple[Any, ...]:
        """Of a reading that changes nothing; as in `SEEN_DTYPES`."""
        reading, money_told_at = self.reading, self.money_told_at(before, after)
        content_told_at = self._content_told_at(money_told_at)
        is_open = money_told_at is None
        return reading.order_reference, reading.asked_at, money_told_at, is_open, content_told_at, *_digests(reading)

    def history_row(self, before: Content | None, content: Content) -> tuple[Any, ...]:
        """As in `HISTORY_DTYPES`."""
        known, reading = self.known, self.reading
        state, created = content[0][STATE], content[0][CREATED_AT]
        first_seen = known.first_seen_at if known else reading.observed_at
        money_told_at = self.money_told_at(before, content)
        paid_after = paid_before = None
        if known and changes.is_paid(state) and changes.is_paid(known.state):
            paid_after, paid_before = known.paid_after, known.paid_before
        elif changes.is_paid(state):
            unpaid = self._known_until or created
            paid_after = min(unpaid, reading.observed_at) if unpaid else None
            paid_before = reading.observed_at
        list_digest = _outdated(known.list_digest) if known else None
        details_digest = _outdated(known.details_digest) if known else None
        if reading.source == "list":
            list_digest = reading.digest
        else:
            details_digest = reading.digest
        return (
            first_seen,
            reading.observed_at,
            reading.asked_at,
            money_told_at,
            self._content_told_at(money_told_at) or self._known_until or created,
            paid_after,
            paid_before,
            None,
            self._version,
            list_digest,
            details_digest,
        )

    def version_row(self, content: Content) -> tuple[Any, ...]:
        """As in `VERSION_DTYPES`."""
        key, _, _, state, state_raw, amount, received = content[0][:7]
        reading = self.reading
        is_as_read = self.merged is reading.record
        payload = reading.payload if is_as_read else changes.payload(self.merged)
        return (
            key,
            self._version,
            reading.observed_at,
            self._known_until,
            reading.source,
            state,
            state_raw,
            amount,
            received,
            reading.digest if is_as_read else changes.digest(payload),
            payload,
        )

    def _content_told_at(self, money_told_at: datetime | None) -> datetime | None:
        """When it was asked for, if the reading tells state and money and is believed; else None.

        A list that has not been corrected by the details is believed a state that says it all.
        """
        reading = self.reading
        is_believed = money_told_at == reading.asked_at or (
            reading.state not in changes.MOVING_STATES and not self._is_corrected
        )
        return reading.asked_at if is_believed and reading.tells_content else None

    @property
    def _is_corrected(self) -> bool:
        """Whether the details had the last word."""
        return self.known is not None and (self.known.list_digest or "").startswith(OUTDATED)

    @property
    def _known_until(self) -> datetime | None:
        """When the content of before was last told."""
        return self.known.content_told_at if self.known else None

    @property
    def _version(self) -> int:
        return self.known.version + 1 if self.known else 1


def _created(readings: list[Reading], zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """Between which moments most of the bills were created, by a thousand of them: what is many comes from a list."""
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


def _outdated(digest: str | None) -> str | None:
    """Mark what a source last showed of a bill, now that another has told something new: it is no news any more."""
    return digest and OUTDATED + digest.removeprefix(OUTDATED)


def _same_row(reading: Reading) -> tuple[Any, ...]:
    """Of a reading that is the same as the last one of its source; as in `SEEN_DTYPES`."""
    money_told_at = reading.asked_at if reading.tells_money else None
    content_told_at = reading.asked_at if reading.tells_content else None
    return reading.order_reference, reading.asked_at, money_told_at, False, content_told_at, *_digests(reading)


def _digests(reading: Reading) -> tuple[str | None, str | None]:
    """The digest under its source, list or details."""
    return (reading.digest, None) if reading.source == "list" else (None, reading.digest)
