"""Records that were set aside. Every function here runs inside a transaction of the caller's."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from cashpay_pipeline.changes import digest
from cashpay_pipeline.normalize import TEXT, TIME, frame
from cashpay_pipeline.warehouse.database import Warehouse

ISSUE_DTYPES = {
    "issue_id": TEXT,
    "source": TEXT,
    "order_reference": TEXT,
    "reason": TEXT,
    "field": TEXT,
    "payload": TEXT,
    "seen_at": TIME,
}


def issue_id(*, account: str, source: str, reason: str, field: str, payload: str, **_: Any) -> str:
    """The key of a record set aside: its fingerprint."""
    return digest("\n".join([account, source, reason, field, payload]))


def save_issues(warehouse: Warehouse, account: str, sync_id: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Keep records that were set aside, rows as in `ISSUE_DTYPES`; one met before is only marked as met again.

    Returns:
        How many of them were never met before. Good details close an issue; its row is no new one for that.
    """
    if not rows:
        return 0
    issue = frame(list({row[0]: row for row in rows}.values()), ISSUE_DTYPES).assign(account=account, sync_id=sync_id)
    met_before = warehouse.execute(
        "select count(*) from core.data_issues where issue_id in (select issue_id from issue)", issue=issue
    )
    warehouse.execute(
        """
        merge into core.data_issues as stored using issue on stored.issue_id = issue.issue_id
        when matched then update set last_seen_at = issue.seen_at, resolved_at = null
        when not matched then insert (
            issue_id, account, sync_id, source, order_reference, reason, field, payload, first_seen_at, last_seen_at
        ) values (
            issue.issue_id, issue.account, issue.sync_id, issue.source, issue.order_reference, issue.reason,
            issue.field, issue.payload, issue.seen_at, issue.seen_at
        )
        """,
        issue=issue,
    )
    return len(issue) - met_before


def resolve_issues(warehouse: Warehouse, account: str, references: Iterable[str], moment: datetime) -> None:
    """Close the issues of bills that were read well."""
    if warehouse.rows("select 1 from core.data_issues where resolved_at is null limit 1"):
        good = frame([(r,) for r in references], {"order_reference": TEXT})
        warehouse.execute(
            """
            update core.data_issues set resolved_at = ?
            where account = ? and resolved_at is null and order_reference in (select order_reference from good)
            """,
            [moment, account],
            good=good,
        )


def resolve_unseen_issues(warehouse: Warehouse, account: str, walk_started_at: datetime, moment: datetime) -> None:
    """Close the issues that a walk to the list's end did not meet again.

    So does what details told of a bill that is neither stored nor, now, in the list: no re-check asks for it any more.
    """
    warehouse.execute(
        """
        update core.data_issues as issue set resolved_at = $moment
        where account = $account and resolved_at is null and last_seen_at < $started
            and (source = 'list' or (source = 'details' and not exists (
                select 1 from core.bills as bill
                where bill.account = issue.account and bill.order_reference = issue.order_reference
            ) and not exists (
                select 1 from core.data_issues as listed
                where listed.account = issue.account and listed.order_reference = issue.order_reference
                    and listed.source = 'list' and listed.last_seen_at >= $started
            )))
        """,
        {"account": account, "started": walk_started_at, "moment": moment},
    )
