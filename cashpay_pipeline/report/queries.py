"""What the report asks of the published copy, all of it at one moment of that copy."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cashpay_pipeline.clock import BUSINESS_TIMEZONE
from cashpay_pipeline.health import LAST_SYNCS
from cashpay_pipeline.report import PERIOD_DAYS
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.warehouse import Query, open_published

Row = dict[str, Any]

NEWEST_DIFFERENCES = 10
MARTS = ("daily_collections", "gateway_performance", "unpaid_aging", "payment_differences", "sync_health")

_MARTS = "select table_name from duckdb_tables() where schema_name = 'marts'"
_ACCOUNT = "select environment, full_walk_finished_at from core.accounts where account = ?"
_LAST_COMPLETE = """
select started_at, finished_at from core.syncs
where account = ? and complete and kind != 'recheck' and finished_at is not null
order by rowid desc limit 1 -- the last one stored: a clock may have been wrong
"""
_BILLS = """
select count(*) as bill_count,
    count(*) filter (where missing_since is not null) as missing_count,
    count(*) filter (where state in ('Paid', 'Excess', 'Partial') and received_amount is null)
        as unknown_received_count
from core.bills where account = ?
"""
UNKNOWN_STATES = """
select currency, count(*) as bill_count, cast(sum(greatest(coalesce(received_amount, 0), 0)) as bigint)
        as received_amount,
    string_agg(distinct state_raw, ', ' order by state_raw) as words
from core.bills where account = ? and state = 'Unknown'
group by currency order by currency
"""
_NOT_IN_MARTS = """
select count(*) as sync_count from core.syncs
where account = ? and status != 'running' and rows_read > 0 and not exists (
    select 1 from marts.sync_health as built where built.sync_id = syncs.sync_id and built.status != 'running'
)
"""
"""Syncs that read bills, and after which the marts were not built: a step after them failed, or they did.

Also those that found no bill new or changed: they can have marked some as missing, or found them again.
"""
_ISSUES = """
select field, reason, count(*) as issue_count from core.data_issues
where account = ? and resolved_at is null
group by field, reason order by issue_count desc, field, reason
"""
_COLLECTIONS = """
select received_date, gateway_reference, gateway_name, currency, bill_count, received_amount, withdrawn_amount,
    received_with_uncertain_day + received_with_assumed_day as uncertain_amount
from marts.daily_collections where account = ?
order by received_date, currency, gateway_reference
"""
_WEEKS = """
select week_start, cast(sum(bill_count) as bigint) as bill_count, cast(sum(paid_count) as bigint) as paid_count,
    cast(sum(open_count) as bigint) as open_count
from marts.gateway_performance
where account = ? and week_start between ? and ?
group by week_start order by week_start
"""
_AGING = """
select currency, age_class, bill_count, open_amount, still_owed_amount
from marts.unpaid_aging where account = ?
order by currency, from_days
"""
_DIFFERENCE_SUMS = """
select currency, kind, count(*) as bill_count, cast(sum(difference_amount) as bigint) as difference_amount,
    count(*) filter (where difference_amount is null) as unknown_count
from marts.payment_differences
where account = ?
group by currency, kind order by currency, bill_count desc, kind
"""
_NEWEST_DIFFERENCES = """
select currency, kind, order_reference, merchant_reference, business_date, billed_amount, received_amount,
    difference_amount
from marts.payment_differences
where account = ?
qualify row_number() over (partition by currency order by business_date desc nulls last, order_reference) <= ?
order by currency, business_date desc nulls last, order_reference
"""


@dataclass(frozen=True)
class Facts:
    """What the published copy says of one account.

    Attributes:
        latest: the newest sync, after it, if it was a re-check, the newest that reads the list.
        last_day: the last whole day in Africa/Lome that a sync has seen; none when there was no sync.
        unknown_states: by currency, the bills whose state is a word that we do not know, and what they have received.
        are_marts_old: whether the marts were not built after a sync that read bills.
        collections: all rows of `marts.daily_collections`, whatever their age.
    """

    environment: str | None
    full_walk_finished_at: datetime | None
    last_complete: Row | None
    latest: list[Row]
    last_day: date | None
    bills: Row
    unknown_states: list[Row]
    issues: list[Row]
    has_marts: bool
    are_marts_old: bool = False
    collections: list[Row] = field(default_factory=list)
    weeks: list[Row] = field(default_factory=list)
    aging: list[Row] = field(default_factory=list)
    difference_sums: list[Row] = field(default_factory=list)
    newest_differences: list[Row] = field(default_factory=list)


def read_facts(settings: Settings) -> Facts:
    """Ask everything.

    Raises:
        WarehouseError: there is no published copy yet, or it cannot be read.
    """
    account = settings.account
    with open_published(settings) as query:
        known = _first(query, _ACCOUNT, account) or {}
        last_complete, latest = _first(query, _LAST_COMPLETE, account), _rows(query, LAST_SYNCS, account)
        seen = last_complete or next(iter(latest), None)
        last_day = _day_before(seen["started_at"]) if seen else None
        has_marts = set(MARTS) <= {row["table_name"] for row in _rows(query, _MARTS)}
        (bills,) = _rows(query, _BILLS, account)
        facts = Facts(
            environment=known.get("environment"),
            full_walk_finished_at=known.get("full_walk_finished_at"),
            last_complete=last_complete,
            latest=latest,
            last_day=last_day,
            bills=bills,
            unknown_states=_rows(query, UNKNOWN_STATES, account),
            issues=_rows(query, _ISSUES, account),
            has_marts=has_marts,
        )
        if not has_marts or seen is None or last_day is None:
            return facts
        first_week = last_day - timedelta(days=PERIOD_DAYS - 1)
        first_week -= timedelta(days=first_week.weekday())
        return replace(
            facts,
            are_marts_old=any(row["sync_count"] for row in _rows(query, _NOT_IN_MARTS, account)),
            collections=_rows(query, _COLLECTIONS, account),
            weeks=_rows(query, _WEEKS, account, first_week, last_day),
            aging=_rows(query, _AGING, account),
            difference_sums=_rows(query, _DIFFERENCE_SUMS, account),
            newest_differences=_rows(query, _NEWEST_DIFFERENCES, account, NEWEST_DIFFERENCES),
        )


def _day_before(moment: datetime) -> date:
    return moment.astimezone(ZoneInfo(BUSINESS_TIMEZONE)).date() - timedelta(days=1)


def _rows(query: Query, sql: str, *parameters: object) -> list[Row]:
    names, found = query(sql, parameters)
    return [dict(zip(names, row, strict=True)) for row in found]


def _first(query: Query, sql: str, *parameters: object) -> Row | None:
    return next(iter(_rows(query, sql, *parameters)), None)
