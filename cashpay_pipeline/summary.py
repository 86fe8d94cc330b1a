"""What `sync` says at its end and `status` at any time: plain sentences, read from the database."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cashpay_pipeline.coverage import Rows, coverage, coverage_lines
from cashpay_pipeline.errors import CashpayError, WarehouseBusyError, WarehouseError, next_step_of
from cashpay_pipeline.health import LAST_COMPLETE, LAST_LOGINS, LAST_SYNCS, Health
from cashpay_pipeline.report.formats import Formats
from cashpay_pipeline.report.queries import UNKNOWN_STATES
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.terminal import many
from cashpay_pipeline.warehouse import open_warehouse, read_published
from cashpay_pipeline.warehouse.syncs import mark_dead_syncs

A_MOMENT = 1
"""Seconds: longer than what only looks, as the sensor of alerts does each minute, has the working file."""
_AMOUNTS = ("received", "withdrawn", "net")
"""Columns of the tables below that are money."""

_RECEIVED = """
select coalesce(gateway_name, gateway_reference, 'gateway not told') as gateway, currency,
    cast(sum(received_amount) as bigint) as received, cast(sum(withdrawn_amount) as bigint) as withdrawn,
    cast(sum(net_amount) as bigint) as net
from marts.daily_collections
where account = ?
group by gateway, currency
order by currency, received desc, gateway
"""
_SINCE = "select min(received_date) as day from marts.daily_collections where account = ?"
_STATES = """
select state, currency, count(*) as bills, cast(sum(greatest(coalesce(received_amount, 0), 0)) as bigint) as received
from core.bills
where account = ?
group by all order by bills desc, state
"""
_SYNC_OF_RUN = "select * from core.syncs where dagster_run_id = ?"
_EXAMPLE = (
    'cashpay sql "select received_date, gateway_name, net_amount from marts.daily_collections order by 1 desc limit 10"'
)
_ENVIRONMENT = "select environment from core.accounts where account = ?"
_OPEN_ISSUES = "select count(*) as issues from core.data_issues where account = ? and resolved_at is null"


def sync_summary(settings: Settings, run_id: str) -> Iterator[str]:
    """What a run that has just ended brought, and where to look next; of one that published nothing, just that."""
    rows = _published(settings)
    syncs = rows(_SYNC_OF_RUN, [run_id]) if settings.published_path.exists() else []
    if not syncs:
        yield from _unpublished(settings, run_id)
        return
    yield from _brought(syncs)
    (since,) = rows(_SINCE, [settings.account])
    title = f"Money received since {since['day']}, all bills known" if since["day"] else "Money received"
    yield from _table(title, rows(_RECEIVED, [settings.account]))
    for row in rows(UNKNOWN_STATES, [settings.account]):
        received = Formats("en").money(row["received_amount"], row["currency"])
        yield f"Not in it: {many(row['bill_count'], 'bill')} in a state that is not known here, {received} received."
    yield f"The database: {settings.published_path}"
    if Path(".venv/bin/cashpay").exists():
        yield "Next: make ui"
        yield f"      .venv/bin/{_EXAMPLE}"
    else:
        yield f"Next: {_EXAMPLE}"


def _brought(syncs: list[dict[str, Any]]) -> Iterator[str]:
    for sync in syncs:
        seconds = (sync["finished_at"] - sync["started_at"]).total_seconds()
        yield (
            f"{many(sync['bills_new'], 'new bill')}, {many(sync['bills_changed'], 'change')} to known ones "
            f"({many(sync['requests'], 'request')}, {seconds:.1f} s)."
        )
        for warning in sync["warnings"]:
            yield f"Note: {warning}"


def _unpublished(settings: Settings, run_id: str) -> Iterator[str]:
    """The copy is that of an earlier run: none of its figures may be taken for those of this one."""
    syncs: list[dict[str, Any]] = []
    try:
        if settings.warehouse_path.exists():
            with open_warehouse(settings, owner="cashpay sync", wait_seconds=A_MOMENT) as warehouse:
                syncs = warehouse.rows(_SYNC_OF_RUN, [run_id])
    except CashpayError as error:
        yield f"What this run has stored cannot be told: {error.message}"
    else:
        yield from _brought(syncs)
        if not syncs:
            yield "This run has read and stored nothing."
    if not settings.published_path.exists():
        yield "Nothing of this run is published, nor of any run before."
        return
    yield "Nothing of this run is published." + "".join(
        f" The last sync that is: {_ended(sync, datetime.now(UTC))}."
        for sync in _published(settings)(LAST_SYNCS, [settings.account])[:1]
    )


def report_status(settings: Settings, say: Callable[[str], None]) -> bool:
    """Say how fresh and how complete the data is; whether the last syncs read everything and came to their end.

    From the working file; from the published copy where that is not free.

    Raises:
        WarehouseError: the working file cannot be read; what the published copy tells was said before.
    """
    trouble: WarehouseError | None = None
    if settings.warehouse_path.exists():
        try:
            with open_warehouse(settings, owner="cashpay status", wait_seconds=A_MOMENT) as warehouse:
                mark_dead_syncs(warehouse)
                return _report(settings, warehouse.rows, say)
        except WarehouseBusyError as busy:
            say(f"{busy.message} What follows is from the published copy.")
        except WarehouseError as error:
            if not settings.published_path.exists():
                raise
            trouble = error
            say("The working file cannot be read, see below. What follows is from the published copy.")
    is_complete = _report(settings, _published(settings), say)
    if trouble:
        raise trouble
    return is_complete


def _report(settings: Settings, rows: Rows, say: Callable[[str], None]) -> bool:
    for line in _source(settings, rows):
        say(line)
    last = rows(LAST_SYNCS, [settings.account])
    for line in _status(settings, rows, last):
        say(line)
    steps = [next_step_of(sync["error_code"]) for sync in last if not sync["complete"]]
    for step in dict.fromkeys(steps if last else ["Run `cashpay sync`."]):
        say(f"Next: {step}")
    return bool(last) and not steps


def _source(settings: Settings, rows: Rows) -> Iterator[str]:
    """Where the data was read, which need not be where the settings would have it read now."""
    if not settings.has_credentials:
        yield f"Account {settings.account}, made-up data"
        return
    read_from = [row["environment"] for row in rows(_ENVIRONMENT, [settings.account])]
    yield f"Account {settings.account}, {read_from[0] if read_from else 'nothing read yet'}"
    if read_from not in ([], [settings.environment]):
        yield (
            f"The settings name another address, {settings.environment}: check CASHPAY_BASE_URL and CASHPAY_DATA_DIR."
        )


def _status(settings: Settings, rows: Rows, last: Sequence[dict[str, Any]]) -> Iterator[str]:
    now = datetime.now(UTC)
    if not last:
        yield "Last sync: none"
    health = Health(tuple(row["is_refused"] for row in rows(LAST_LOGINS, [settings.account])))
    if health.is_locked_out:
        yield health.locked_out
    for title, sync in zip(("Last sync", "Last reading of the list"), last, strict=False):
        yield f"{title}: {_ended(sync, now)}"
        for warning in sync["warnings"]:
            yield f"{'Note' if sync['complete'] else 'Reason'}: {warning}"
    for complete in rows(LAST_COMPLETE, [settings.account]):
        yield f"Last complete reading of the list: {_ago(now, complete['at'])}"
    if settings.published_path.exists():
        published_at = datetime.fromtimestamp(settings.published_path.stat().st_mtime, UTC)
        yield f"Published copy: {settings.published_path}, made {_ago(now, published_at)}"
    for counted in rows(_OPEN_ISSUES, [settings.account]):
        yield f"Records set aside: {counted['issues']:,}{': see core.data_issues' if counted['issues'] else ''}"
    yield from _table("Bills", rows(_STATES, [settings.account]))
    yield from coverage_lines(coverage(rows, settings, now), now)


def _table(title: str, found: list[dict[str, Any]]) -> Iterator[str]:
    if not found:
        yield f"{title}: none"
        return
    shown = [{name: _shown(row, name) for name in row} for row in found]
    widths = {name: max(len(name), *(len(row[name]) for row in shown)) for name in shown[0]}
    yield f"{title}:"
    for row in [{name: name for name in widths}, *shown]:
        yield "  " + "  ".join(
            row[name].rjust(width) if isinstance(found[0][name], int) else row[name].ljust(width)
            for name, width in widths.items()
        )


def _shown(row: dict[str, Any], name: str) -> str:
    """A cell: amounts in their currency, other numbers in groups of three."""
    value = row[name]
    if name in _AMOUNTS:
        return Formats("en").number(value, row["currency"])
    return f"{value:,}" if isinstance(value, int) else str(value)


def _published(settings: Settings) -> Rows:
    def rows(sql: str, parameters: Sequence[Any]) -> list[dict[str, Any]]:
        columns, found = read_published(settings, sql, parameters)
        return [dict(zip(columns, row, strict=True)) for row in found]

    return rows


def _ended(sync: dict[str, Any], now: datetime) -> str:
    return f"{sync['kind']}, {sync['status']}, ended {_ago(now, sync['finished_at'])}"


def _ago(now: datetime, moment: datetime | None) -> str:
    if moment is None:
        return "never"
    age = now - moment
    if abs(age) < timedelta(hours=2):  # a little to come is a clock's inaccuracy
        return f"{many(int(max(age, timedelta()).total_seconds() // 60), 'minute')} ago"
    return f"{moment:%Y-%m-%d %H:%M} UTC" + (f" ({many(age.days, 'day')} ago)" if age.days > 0 else "")
