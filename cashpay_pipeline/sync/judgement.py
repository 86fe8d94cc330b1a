"""A reading beside what is stored of its bill: whether it is news, since when, and the rows that say so. No I/O."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from cashpay_pipeline import changes
from cashpay_pipeline.changes import OUTDATED, Reading
from cashpay_pipeline.forms import Form, form_of
from cashpay_pipeline.normalize import BILL_DTYPES, Content
from cashpay_pipeline.warehouse.store import Known

HAS_RECEIVED = ("Paid", "Excess", "Partial")
COLUMN = {name: place for place, name in enumerate(BILL_DTYPES)}
STATE, AMOUNT, RECEIVED = COLUMN["state"], COLUMN["amount"], COLUMN["received_amount"]
CURRENCY, CREATED_AT = COLUMN["currency"], COLUMN["created_at"]
GATEWAY, GATEWAY_NAME = COLUMN["gateway_reference"], COLUMN["gateway_name"]


class Judgement(NamedTuple):
    """A reading beside what is stored, and the two together."""

    reading: Reading
    known: Known | None
    before: Mapping[str, Any]
    merged: Mapping[str, Any]

    @property
    def is_as_read(self) -> bool:
        """Whether there was nothing to lay the reading over."""
        return self.merged is self.reading.record

    @property
    def form(self) -> tuple[Form, int]:
        """Of the two together, as in a `Reading`."""
        return self.reading.form if self.is_as_read else (form_of(self.merged), 0)

    @property
    def is_repeated(self) -> bool:
        """The list shows the very row of before, while the details have told something else in between."""
        known, reading = self.known, self.reading
        return reading.source == "list" and known is not None and known.list_digest == OUTDATED + reading.digest

    def is_change(self, before: Content | None, after: Content) -> bool:
        """Typed values differ; or other fields do, and this source has shown the bill before."""
        if self.is_repeated or self._goes_back_behind_the_details(before, after):
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
        lacks_sum = bill[RECEIVED] is None or _is_not_filled_in(bill)
        lacks_gateway = bill[STATE] in HAS_RECEIVED and bill[GATEWAY] is None and bill[GATEWAY_NAME] is None
        if lacks_sum or lacks_gateway or changes.leaves_money_open(self.before, self.merged, reading):
            return None
        if self._goes_back_behind_the_details(before, after):
            return None
        if known is None:
            return reading.asked_at if reading.tells_money else None
        if known.money_told_at is None and known.state == reading.state and not changes.tells_sums(reading.record):
            return None
        return reading.asked_at if reading.tells_money and not self._is_sumless_again else known.money_told_at

    def _goes_back_behind_the_details(self, before: Content | None, after: Content) -> bool:
        """The details had the last word, and the list takes back what they told, or repeats an old row: it may lag."""
        if before is None or self.reading.source != "list" or not self._is_corrected:
            return False
        was, now = before[0], after[0]
        if self.is_repeated:
            return any(was[column] != now[column] for column in (STATE, AMOUNT, RECEIVED))
        is_taken_back = changes.is_paid(was[STATE]) and not changes.is_paid(now[STATE])
        return is_taken_back or (now[RECEIVED] or 0) < (was[RECEIVED] or 0)

    def seen_row(self, before: Content | None, after: Content) -> tuple[Any, ...]:
        """Of a reading that changes nothing; as in `SEEN_DTYPES`. One that goes back is no news the next time."""
        reading, money_told_at = self.reading, self.money_told_at(before, after)
        content_told_at = self._content_told_at(money_told_at, after)
        is_open = money_told_at is None
        digests = _digests(reading)
        if self._goes_back_behind_the_details(before, after):
            digests = _outdated(reading.digest), None
        return reading.order_reference, reading.asked_at, money_told_at, is_open, content_told_at, *digests

    def history_row(self, before: Content | None, content: Content) -> tuple[Any, ...]:
        """As in `HISTORY_DTYPES` and `VERSION_DTYPES`."""
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
        payload = reading.payload if self.is_as_read else changes.payload(self.merged)
        return (
            first_seen,
            reading.observed_at,
            reading.asked_at,
            money_told_at,
            self._content_told_at(money_told_at, content) or self._known_until or created,
            paid_after,
            paid_before,
            None,
            known.version + 1 if known else 1,
            list_digest,
            details_digest,
            self._known_until or (created if known else None),
            reading.source,
            reading.digest if self.is_as_read else changes.digest(payload),
            payload,
        )

    def _content_told_at(self, money_told_at: datetime | None, after: Content) -> datetime | None:
        """When it was asked for, if the reading tells state and money and is believed; else None.

        As long as the details have not corrected it, the list is believed if its state says it all and the sum agrees.
        """
        reading = self.reading
        is_believed = money_told_at == reading.asked_at or (
            reading.state not in changes.MOVING_STATES and not self._is_corrected and not _is_not_filled_in(after[0])
        )
        return reading.asked_at if is_believed and reading.tells_content and not self._is_sumless_again else None

    @property
    def _is_sumless_again(self) -> bool:
        """It shows a state that was known, which tells nothing new of the money where no sum is named beside it."""
        return self.known is not None and self.known.state == self.reading.state and not self.reading.tells_again

    @property
    def _is_corrected(self) -> bool:
        """Whether the details had the last word."""
        return self.known is not None and (self.known.list_digest or "").startswith(OUTDATED)

    @property
    def _known_until(self) -> datetime | None:
        """When the content of before was last told."""
        return self.known.content_told_at if self.known else None


def same_row(reading: Reading) -> tuple[Any, ...]:
    """Of a reading that is the same as the last one of its source; as in `SEEN_DTYPES`."""
    money_told_at = reading.asked_at if reading.tells_money and reading.tells_again else None
    content_told_at = reading.asked_at if reading.tells_content and reading.tells_again else None
    return reading.order_reference, reading.asked_at, money_told_at, False, content_told_at, *_digests(reading)


def _is_not_filled_in(bill: Sequence[Any]) -> bool:
    """Paid, at least in part, and the sum is zero all the same."""
    return bill[STATE] in HAS_RECEIVED and bill[RECEIVED] == 0 and bill[AMOUNT] != 0


def _outdated(digest: str | None) -> str | None:
    """Mark what a source last showed of a bill, now that another has told something new: it is no news any more."""
    return digest and OUTDATED + digest.removeprefix(OUTDATED)


def _digests(reading: Reading) -> tuple[str | None, str | None]:
    """The digest under its source, list or details."""
    return (reading.digest, None) if reading.source == "list" else (None, reading.digest)
