"""How long all marts take to be built anew on many bills, and how that compares with reading raw JSON by hand.

    python benchmarks/marts.py [BILLS]

Made-up bills are generated in SQL into a warehouse of its own in a temporary folder, opened as a sync opens it, with
the same memory limit. Times are the machine's; the ratios are what to compare.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.warehouse import Warehouse, open_warehouse

CHUNK = 100_000

CHANCE = "cast((hash({0}, {1}) % 1000000) as double) / 1000000"

BILLS = f"""
insert into core.bills by name
with
numbered as (select range as i from range($first, $last)),
drawn as (
    select
        i,
        timestamptz '2024-11-01 00:00:00+00' + to_seconds(cast(i as double) * 63072000 / $total) as created_at,
        {CHANCE.format("i", 1)} as outcome,
        {CHANCE.format("i", 2)} as pace,
        cast(hash(i, 3) % 400 as bigint) * 25 + 500 as amount,
        cast(hash(i, 4) % 5 as bigint) as gateway,
        md5(cast(hash(i, 5) % 150000 as varchar)) as client_key
    from numbered
),
decided as (
    select
        *,
        case
            when outcome < 0.64 then 'Paid' when outcome < 0.66 then 'Excess' when outcome < 0.68 then 'Partial'
            when outcome < 0.76 then 'Error' when outcome < 0.82 then 'Canceled' when outcome < 0.90 then 'Expired'
            else 'Pending'
        end as state,
        time_bucket(interval '1 day', created_at) + interval '26 hours 15 minutes' as first_night,
        case when pace < 0.7 then 0 else 1 + cast(floor(pace * 10) as bigint) - 7 end as nights_later
    from drawn
)
select
    'main' as account,
    'b' || substr(md5(cast(i as varchar)), 1, 19) as order_reference,
    case when i % 20 != 7 then 'ORDER-' || lpad(cast(i - (i % 10 = 9)::bigint as varchar), 9, '0') end
        as merchant_reference,
    lpad(cast(i % 1000000 as varchar), 6, '0') as code,
    state,
    state as state_raw,
    amount,
    case state when 'Paid' then amount when 'Excess' then amount * 2 when 'Partial' then amount // 2 else 0 end
        as received_amount,
    case when i % 200 = 0 then 'EUR' else 'XOF' end as currency,
    created_at,
    cast(timezone('Africa/Lome', created_at) as date) as business_date,
    'Made-up order ' || i as description,
    client_key,
    '******' || lpad(cast(hash(client_key) % 100 as varchar), 2, '0') as client_phone_masked,
    case when state in ('Paid', 'Excess', 'Partial') or pace < 0.3 then 'gateway-' || gateway end as gateway_reference,
    case when state in ('Paid', 'Excess', 'Partial') or pace < 0.3 then 'Gateway ' || gateway end as gateway_name,
    case state when 'Paid' then 1 when 'Excess' then 2 when 'Partial' then 1 else 0 end as payment_count,
    'https://example.test/pay/' || i as bill_url,
    first_night as first_seen_at,
    first_night + to_days(cast(nights_later as integer)) as changed_at,
    first_night + to_days(cast(nights_later + 7 as integer)) as verified_at,
    case
        when state not in ('Paid', 'Excess') then null
        when nights_later = 0 then created_at
        else first_night + to_days(cast(nights_later - 1 as integer))
    end as paid_after,
    case when state in ('Paid', 'Excess') then first_night + to_days(cast(nights_later as integer)) end as paid_before,
    case when i % 5000 = 0 then first_night + interval 9 days end as missing_since,
    case when nights_later = 0 then 1 else 2 end as version
from decided
"""  # noqa: S608 - our own text

VERSIONS = """
insert into core.bill_versions by name
with
chosen as (select * from core.bills where account = 'main' and code >= $first_code and code < $last_code),
seen as (
    select *, version as seen_version, changed_at as observed_at from chosen
    union all by name
    select
        * replace ('Pending' as state, 'Pending' as state_raw, 0 as received_amount, null as gateway_reference,
            null as gateway_name, 0 as payment_count),
        1 as seen_version, first_seen_at as observed_at
    from chosen where version = 2
)
select
    account, order_reference, seen_version as version, observed_at,
    case when seen_version = 2 then observed_at - interval 1 day end as changed_after,
    'list' as source, 'sync-1' as sync_id, state, state_raw, amount, received_amount, md5(order_reference) as digest,
    to_json({
        'order_reference': order_reference, 'merchant_reference': merchant_reference, 'code': code, 'state': state,
        'amount': cast(amount as varchar), 'received_amount': cast(received_amount as varchar), 'currency': currency,
        'date_create': strftime(timezone('UTC', created_at), '%Y-%m-%dT%H:%M:%SZ'), 'description': description,
        'client': {'phone': client_phone_masked, 'client_key': client_key, 'lastname': '***', 'firstname': '***'},
        'gateway': {'reference': gateway_reference, 'libelle': gateway_name}, 'bill_url': bill_url
    }) as payload
from seen
"""

PAYMENTS = """
insert into core.payments by name
select
    account, order_reference, number as payment_number, 'T' || md5(order_reference || number) as thirdparty_reference,
    'gateway-' || ((hash(order_reference) + number) % 5) as gateway_reference,
    'Gateway ' || ((hash(order_reference) + number) % 5) as gateway_name,
    cast(received_amount / payment_count as bigint) as amount
from core.bills, range(1, 3) as numbers(number)
where number <= payment_count and code >= $first_code and code < $last_code
"""

SYNCS = """
insert into core.syncs by name
select
    'sync-' || range as sync_id, 'main' as account, 'refresh' as kind,
    timestamptz '2024-11-02 02:15:00+00' + to_days(cast(range as integer)) as started_at,
    started_at + interval 1 minute as heartbeat_at, started_at + interval 1 minute as finished_at,
    'complete' as status, 30 as pages, 40 as requests, 0 as retries, 0.5 as waited_seconds, 3000 as rows_read,
    1300 as bills_new, 400 as bills_changed, 1300 as bills_unchanged, 0 as rows_set_aside, null as reported_total,
    'newest_first' as list_order, true as complete, [] as warnings, 'made up' as owner, '0' as version
from range(0, 730)
"""

BY_MART = """
select received_date, gateway_name, currency, received_amount from marts.daily_collections
order by received_date, gateway_name
"""

BY_HAND = """
select json_extract_string(payload, '$.gateway.reference') as gateway,
    cast(left(json_extract_string(payload, '$.date_create'), 10) as date) as day,
    sum(cast(json_extract_string(payload, '$.received_amount') as bigint)) as received
from core.bill_versions
where json_extract_string(payload, '$.state') in ('Paid', 'Excess', 'Partial')
group by gateway, day order by day, gateway
"""


def main(total: int) -> None:
    """Measure in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(data_dir=Path(folder))
        with open_warehouse(settings, owner="benchmark") as warehouse:
            generate(warehouse, total)
            warehouse.connection.execute("checkpoint")
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten: it was the making of the bills
        with open_warehouse(settings, owner="benchmark") as warehouse:
            measure(warehouse, total, settings.warehouse_path)


def measure(warehouse: Warehouse, total: int, path: Path) -> None:
    """Build every mart, ask one question in three ways, and print."""
    print(
        f"{total:,} bills, {_count(warehouse, 'core.bill_versions'):,} versions, "
        f"{_count(warehouse, 'core.payments'):,} payments, file {path.stat().st_size // 10**6:,} MB"
    )
    before = _peak()
    walls, processors = {}, {}
    for mart in all_marts():
        walls[mart.name], processors[mart.name] = _timed(partial(build_mart, warehouse, mart))
        print(
            f"  {mart.name:22} {walls[mart.name]:6.2f} s {processors[mart.name]:6.2f} s of processor "
            f"{_count(warehouse, f'marts.{mart.name}'):>10,} rows"
        )
    whole, processor = sum(walls.values()), sum(processors.values())
    print(
        f"All marts: {whole:.2f} s, {processor:.2f} s of processor; "
        f"peak memory {before:,} MB before, {_peak():,} MB after"
    )
    asked, _ = _timed(partial(warehouse.rows, BY_MART))
    sql, sql_processor = _timed(partial(warehouse.rows, BY_HAND))
    python, python_processor = _timed(partial(by_hand_in_python, warehouse))
    print("Money by day and gateway, one question:")
    print(
        f"  from the mart, 1; from raw JSON in SQL, {sql / asked:,.0f}; from raw JSON in Python, {python / asked:,.0f}"
    )
    print("The one question from raw JSON against building all marts, processor time:")
    print(f"  in SQL, {sql_processor / processor:.2f}; in Python, {python_processor / processor:.2f}")


def generate(warehouse: Warehouse, total: int) -> None:
    """Fill the core tables."""
    connection = warehouse.connection
    for first in range(0, total, CHUNK):
        connection.execute(BILLS, {"first": first, "last": min(first + CHUNK, total), "total": total})
    connection.execute(
        "insert into core.gateways (account, gateway_reference, name, currency, first_seen_at, changed_at) "
        "select 'main', 'gateway-' || range, 'Gateway ' || range, 'XOF', now(), now() from range(5)"
    )
    for tenth in range(10):
        codes = {"first_code": f"{tenth}", "last_code": f"{tenth + 1}" if tenth < 9 else ":"}
        connection.execute(VERSIONS, codes)
        connection.execute(PAYMENTS, codes)
    connection.execute(SYNCS)


def by_hand_in_python(warehouse: Warehouse) -> dict[tuple[str, str], int]:
    """The same sum as a script over the raw payloads would make it."""
    received: dict[tuple[str, str], int] = {}
    cursor = warehouse.connection.execute("select payload from core.bill_versions")
    while rows := cursor.fetchmany(10_000):
        for (payload,) in rows:
            bill = json.loads(payload)
            if bill["state"] in ("Paid", "Excess", "Partial"):
                key = (bill["date_create"][:10], bill["gateway"]["reference"])
                received[key] = received.get(key, 0) + int(bill["received_amount"])
    return received


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and seconds of processor, which a busy machine does not lengthen as much."""
    started, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - busy


def _count(warehouse: Warehouse, table: str) -> int:
    return int(warehouse.rows(f"select count(*) as n from {table}")[0]["n"])  # noqa: S608 - our own names


def _peak() -> int:
    """Megabytes at most since the peak was forgotten."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1000


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
