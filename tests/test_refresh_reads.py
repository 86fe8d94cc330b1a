"""What a refresh reads of the warehouse: the bills at hand; of all others nothing, or their keys."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import duckdb
import pytest
from truth import query

from cashpay_pipeline.settings import Settings
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.sync import SyncResult, recheck, run_sync
from cashpay_pipeline.sync.run import LEAN
from cashpay_pipeline.warehouse import Warehouse, open_warehouse
from cashpay_pipeline.warehouse.store import DUE_AT

Sync = Callable[..., SyncResult]

LARGE = ("core.bills", "core.bill_versions", "core.payments")


class Scan(NamedTuple):
    """One look at a table: how many rows were not passed over, and the columns read of them."""

    table: str
    rows: int
    columns: set[str]


OLDER = """
insert into core.bills by name
select * exclude (due_at), {due_at} as due_at from (
    select bill.* replace (
        order_reference || '-' || n as order_reference,
        created_at - interval 40 days - interval (n) hours as created_at,
        changed_at - interval 40 days - interval (n) hours as changed_at
    )
    from core.bills as bill, range(1, 2000) as copies(n)
    where bill.order_reference not like '%-%-%'
    order by n
);
insert into core.bill_versions by name
select version.* replace (
    order_reference || '-' || n as order_reference,
    md5(order_reference || n) as payload,
    observed_at - interval 40 days - interval (n) hours as observed_at
)
from core.bill_versions as version, range(1, 2000) as copies(n)
where version.order_reference not like '%-%-%'
order by n;
insert into core.payments by name
select payment.* replace (
    order_reference || '-' || n as order_reference,
    observed_at - interval 40 days - interval (n) hours as observed_at
)
from core.payments as payment, range(1, 2000) as copies(n)
where payment.order_reference not like '%-%-%'
order by n;
checkpoint;
"""
"""1,999 older copies of each bill, none of them due: four row groups, of which DuckDB passes over three, or none."""


@pytest.fixture
def sync(settings: Settings, simulator: SimulatorProcess) -> Sync:
    return lambda **options: run_sync(settings, clock=SimulatedClock(simulator.base_url), **options)


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[Scan]:
    """What DuckDB scans of the large tables from now on."""
    found: list[Scan] = []

    def note(operator: dict[str, Any]) -> None:
        told = operator.get("extra_info", {})
        table = told.get("Table", "").partition(".")[2] if isinstance(told, dict) else ""
        if operator.get("operator_type") == "TABLE_SCAN" and table in LARGE:
            projected = told.get("Projections") or []
            columns = {projected} if isinstance(projected, str) else set(projected)
            filtered = re.findall(r"\b([a-z_]+)(?:[<>=]| IS | IN )", str(told.get("Filters", "")))
            found.append(Scan(table, operator["operator_rows_scanned"], columns | set(filtered)))
        for child in operator.get("children", []):
            note(child)

    def noting(run: Callable[..., Any]) -> Callable[..., Any]:
        def run_and_note(warehouse: Warehouse, *args: Any, **frames: Any) -> Any:
            connection = warehouse.connection
            for name, frame in frames.items():
                connection.register(name, frame)
            connection.execute("pragma enable_profiling = 'no_output'")
            answer = run(warehouse, *args)
            told = json.loads(connection.get_profiling_information())
            assert "children" in told or args[0] == LEAN, args[0]
            note(told)
            for name in frames:
                connection.unregister(name)
            return answer

        return run_and_note

    for name in ("rows", "execute"):
        monkeypatch.setattr(Warehouse, name, noting(getattr(Warehouse, name)))
    return found


@pytest.fixture
def grown(sync: Sync, settings: Settings) -> int:
    """A shop with a long past; how many bills there are."""
    sync(kind="full_refresh")
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute(OLDER.format(due_at=DUE_AT))
        return int(connection.execute("select count(*) from core.bills").fetchall()[0][0])


def test_no_refresh_scans_a_whole_table(
    grown: int, scans: list[Scan], settings: Settings, sync: Sync, simulator: SimulatorProcess
) -> None:
    """Where nothing is new or bills changed, most are passed over; where a bill is new, the keys are looked through."""

    def refresh() -> tuple[int, int, set[str]]:
        scans.clear()
        result = sync()
        of_most_rows = set().union(*(scan.columns for scan in scans if scan.rows > grown / 2))
        return result.bills_new, result.bills_changed, of_most_rows

    simulator.advance(minutes=1)
    assert refresh() == (0, 0, {"account"})
    partial = next(b["order_reference"] for b in simulator.truth()["bills"] if b["state"] == "Partial")
    simulator.put_bill(partial, state="Paid")
    assert refresh() == (0, 1, {"account"})
    for reference in ("SANDBOX-00", "SANDBOX-ZZ"):
        simulator.put_bill(reference, date_create=simulator.now().isoformat())
    assert refresh() == (2, 0, {"account", "order_reference"})

    # A whole scan would be seen.
    scans.clear()
    with open_warehouse(settings) as warehouse:
        warehouse.rows("select max(changed_at), min(state) from core.bills")
    assert scans == [Scan("core.bills", grown + 2, {"changed_at", "state"})]


@pytest.mark.parametrize("date", ["2020-01-01T00:00:00Z", None], ids=["another day", "none"])
def test_a_bill_whose_creation_time_changed_stays_one_bill(
    date: str | None, settings: Settings, sync: Sync, simulator: SimulatorProcess
) -> None:
    sync(kind="full_refresh")
    reference = simulator.truth()["bills"][-1]["order_reference"]
    for moved in (date, simulator.now().isoformat()):
        simulator.put_bill(reference, date_create=moved)
        assert sync(kind="full_refresh").bills_new == 0
    found = query(settings.warehouse_path, "select version from core.bills where order_reference = ?", reference)
    assert found == [{"version": 3 if date else 2}]


def test_payments_written_before_their_time_was_noted_are_replaced_too(
    settings: Settings, sync: Sync, simulator: SimulatorProcess
) -> None:
    sync(kind="full_refresh")
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("update core.payments set observed_at = null")
    paid = [b for b in simulator.truth()["bills"] if b["payments"]]
    for bill in paid[-3:]:
        simulator.put_bill(bill["order_reference"], description="another one")
    assert sync(kind="full_refresh").bills_changed == 3
    (count,) = query(settings.warehouse_path, "select count(*) as n from core.payments")
    assert count["n"] == sum(len(b["payments"]) for b in paid)


STATES_AND_TIMES = """
insert into core.bills by name
select *, {due_at} as due_at from (
    select 'main' as account, row_number() over () as order_reference, state, 100 as amount, 'XOF' as currency,
        case when received then 100 end as received_amount, case when named then 'Flooz' end as gateway_name,
        null::varchar as gateway_reference,
        case when created is not null then $now - to_hours(created) end as created_at,
        $now - to_hours(greatest(seen, changed)) as first_seen_at, $now - to_hours(changed) as changed_at,
        $now - to_hours(verified) as verified_at, case when seen > changed then 2 else 1 end as version,
        case when named or verified > 100 then $now - to_hours(verified) end as money_told_at, 1 as payment_count
    from unnest(['Pending', 'Paid', 'Canceled']) as a(state), unnest([true, false]) as b(received),
        unnest([true, false]) as c(named), unnest([null, 0, 1, 30, 200, 1000, 3000]) as d(created),
        unnest([0, 30, 800]) as e(seen), unnest([0, 23, 169, 721]) as f(changed),
        unnest([-1, 0, 1, 24, 170, 720, 800]) as g(verified)
)
"""


@pytest.mark.parametrize("later", [0, 1, 21, 24, 165, 167, 169, 717, 720, 2200])
@pytest.mark.parametrize("nightly", [True, False])
def test_what_is_not_due_yet_is_due_by_no_rule(later: int, nightly: bool, settings: Settings) -> None:
    """`due_at` only spares the look at bills that the rules would pass over as well."""
    now = datetime(2026, 3, 2, 2, 15, tzinfo=UTC)
    at = now + timedelta(hours=later)
    with open_warehouse(settings) as warehouse:
        warehouse.rows(STATES_AND_TIMES.format(due_at=DUE_AT), {"now": now})
        due = []
        for find in (recheck.FIND_DUE, recheck.FIND_DUE.replace("and due_at <= $now + interval 4 hours", "")):
            warehouse.rows(find, {"account": "main", "now": at, "nightly": nightly})
            due.append(warehouse.rows("select * from due order by all"))
    assert due[0] == due[1] != []
    assert find != recheck.FIND_DUE
