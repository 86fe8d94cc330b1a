"""Known bills that the list does not show any more: does CashPay still know them?"""

from datetime import datetime

from cashpay_pipeline.sync.details import read_details
from cashpay_pipeline.sync.session import Session

MISSING_LOOKED_UP = 1_000
MISSING_A_NIGHT, MISSING_SHARE_A_NIGHT = 20, 0.05

UNSEEN = """
select order_reference
from core.bills as bill
where account = $account and missing_since is null and verified_at < $started and not exists (
    select 1 from core.data_issues as issue -- the list shows it, in a row that cannot be counted
    where issue.account = bill.account and issue.order_reference = bill.order_reference
        and issue.source = 'list' and issue.last_seen_at >= $started
)
order by verified_at, order_reference
"""


def look_for_missing(session: Session, started: datetime) -> None:
    """Ask for known bills that the list no longer shows; mark those that CashPay does not know any more.

    A list may show no old bills, while CashPay knows them all: a large number is asked for in portions, those read
    longest ago first. A refresh, which may come to the list's end each night, spends no more on them than it must.
    """
    unseen = session.warehouse.rows(UNSEEN, {"account": session.account, "started": started})
    if not unseen:
        return
    known = session.value("select count(*) from core.bills where account = ?", session.account)
    allowed = MISSING_LOOKED_UP
    if session.record.kind != "full_refresh":
        allowed = min(allowed, max(MISSING_A_NIGHT, round(MISSING_SHARE_A_NIGHT * known)), session.requests_left())
    if len(unseen) > allowed:
        session.record.warn(
            f"{len(unseen)} of {known} known bills are not in the list any more: {allowed} of them were asked for."
        )
    read_details(session, [r["order_reference"] for r in unseen[:allowed]], are_unlisted=True)
