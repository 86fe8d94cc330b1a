"""Note which fields CashPay's bills have, so that a new, missing or retyped one is seen the next morning.

Worked out from the payloads that a sync has just stored; sql/checks/api_fields_unchanged.sql tells what has changed.
"""

from datetime import datetime

from cashpay_pipeline.warehouse import Warehouse

MISSING_FROM_AT_LEAST = 5
EXPECTED_SHARE = 0.95

SEEN = """
create or replace temp table field_seen as
with structures as (
    select json_structure(payload) as structure, count(*) filter (where version = 1 and source = 'list') as bill_count
    from core.bill_versions
    where account = ? and sync_id = ? and json_valid(payload) -- DuckDB reads no half of a surrogate pair (Y14)
    group by structure
),
fields as (
    select
        case fullkey
            when '$' then '$'
            else substr(regexp_replace(fullkey, '\\[\\d+\\]', '[]', 'g'), 3, 200)
        end as field,
        case
            when type in ('OBJECT', 'ARRAY') then lower(type)
            when atom = '"VARCHAR"' then 'text'
            when atom = '"BOOLEAN"' then 'boolean'
            when atom = '"NULL"' then 'null'
            when atom = '"JSON"' then 'unclear'
            else 'number'
        end as type,
        bill_count
    from structures, json_tree(structure)
    where fullkey not like '%]' or type = 'OBJECT'
)
select field, type, cast(sum(bill_count) as bigint) as bill_count from fields group by field, type
"""
# Missing is a field that nearly all records it belongs to had, and that none of several new ones has.
MISSING = """
update core.api_fields as known set missing_since = $1
from (select field, sum(bill_count) as bill_count from core.api_fields where account = $2 group by field) as had
join (select field, sum(bill_count) as bill_count from core.api_fields where account = $2 group by field) as parent_had
    on parent_had.field = case when had.field like '%.%' then regexp_replace(had.field, '\\.[^.]*$', '') else '$' end
join field_seen as parent on parent.field = parent_had.field and parent.type = 'object'
where known.account = $2 and known.field = had.field and known.missing_since is null and known.field not like '%[]'
    and parent.bill_count >= $3 and had.bill_count >= $4 * parent_had.bill_count
    and known.field not in (select field from field_seen where bill_count > 0 or field = '$')
"""
BACK = """
update core.api_fields as known set missing_since = null
where known.account = ? and known.missing_since is not null
    and known.field in (select field from field_seen where bill_count > 0)
"""
MERGE = """
merge into core.api_fields as known using (select *, ?::varchar as account, ?::timestamptz as seen_at from field_seen)
    as seen on known.account = seen.account and known.field = seen.field and known.type = seen.type
when matched then update set last_seen_at = seen.seen_at, bill_count = known.bill_count + seen.bill_count
when not matched then insert (account, field, type, bill_count, first_seen_at, last_seen_at)
    values (seen.account, seen.field, seen.type, seen.bill_count, seen.seen_at, seen.seen_at)
"""


def note_fields(warehouse: Warehouse, account: str, sync_id: str, moment: datetime) -> None:
    """Note the fields of the bills that a sync has stored. Runs inside a transaction of the caller's."""
    if not warehouse.execute(SEEN, [account, sync_id]):
        return
    warehouse.execute(MISSING, [moment, account, MISSING_FROM_AT_LEAST, EXPECTED_SHARE])
    warehouse.execute(BACK, [account])
    warehouse.execute(MERGE, [account, moment])
