"""What a reader must know before relying on the figures: how fresh and complete they are. No I/O, no clock."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from cashpay_pipeline.report.formats import Formats, plain
from cashpay_pipeline.report.queries import Facts
from cashpay_pipeline.report.texts import Texts
from cashpay_pipeline.settings import THIS_MACHINE

FULL_WALK_DAYS = 8
"""A full refresh is due every Sunday before dawn; one that is missed is noticed on the Monday."""


def is_made_up(facts: Facts, has_credentials: bool) -> bool:
    """Whether the figures are the simulator's."""
    return not has_credentials or (facts.environment or "").startswith(THIS_MACHINE)


def reservations(facts: Facts, now: datetime, today: date, texts: Texts, formats: Formats) -> Iterator[str]:
    """Each reason to be careful, as a sentence; none when all is well.

    Args:
        facts: what the published copy says.
        now: the present moment.
        today: the present day in Africa/Lome.
        texts: the texts of the page's language.
        formats: the same for figures.
    """
    if not facts.has_marts:
        yield texts("marts_missing")
    if facts.are_marts_old:
        yield texts("marts_old")
    if facts.last_complete is None:
        yield texts("never_complete")
    for sync in (sync for sync in facts.latest if not sync["complete"]):
        kind, status = texts.word("kind_", sync["kind"]), texts.word("status_", sync["status"])
        yield texts("not_complete", kind=kind, status=status)
    if facts.last_day and facts.last_day < today - timedelta(days=1):
        yield texts("stale", day=formats.day(facts.last_day))
    if facts.full_walk_finished_at and (age := (now - facts.full_walk_finished_at).days) >= FULL_WALK_DAYS:
        yield texts("full_walk_old", days=formats.count(age))
    if facts.issues:
        yield texts("open_issues", count=formats.count(sum(row["issue_count"] for row in facts.issues)))
    for row in facts.unknown_states:
        yield texts(
            "unknown_states",
            count=formats.count(row["bill_count"]),
            words=plain(row["words"] or "–"),
            received=formats.money(row["received_amount"], row["currency"]),
        )
    if facts.bills["unknown_received_count"]:
        yield texts("unknown_received", count=formats.count(facts.bills["unknown_received_count"]))
