"""Note which fields CashPay's bills have, so that a new, missing or retyped one is seen the next morning.

Worked out from the bills that a sync has just stored; sql/checks/api_fields_unchanged.sql tells what has changed.
"""

from datetime import datetime
from typing import Any

from cashpay_pipeline.changes import payload
from cashpay_pipeline.forms import Form
from cashpay_pipeline.normalize import TEXT, frame
from cashpay_pipeline.warehouse import Warehouse

MISSING_FROM_AT_LEAST = 5
EXPECTED_SHARE = 0.95

Forms = dict[tuple[Form, int], tuple[str, int]]
"""For each form: an example without its texts, as JSON, and how many new bills of that form the list has shown.

DuckDB reads the fields off the example: to do so for each bill would take as long as to mask it.
"""

SEEN = """
create or replace temp table field_seen as
with structures as (
    select json_structure(payload) as structure, bill_count
    from example
    where json_valid(payload) -- DuckDB reads no half of a surrogate pair (Y14), which a name can have
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


def count_form(forms: Forms, form: tuple[Form, int], record: Any, *, is_new: bool) -> None:
    """Count a record that was stored; its form is as in a `Reading`."""
    example, count = forms.get(form) or (payload(_without_texts(record)), 0)
    forms[form] = example, count + is_new


def _without_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_texts(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_without_texts(child) for child in value]
    return "" if isinstance(value, str) else value


def note_fields(warehouse: Warehouse, account: str, forms: Forms, moment: datetime) -> None:
    """Note the fields of the bills that a sync has stored. Runs inside a transaction of the caller's."""
    if not forms:
        return
    warehouse.execute(SEEN, example=frame(list(forms.values()), {"payload": TEXT, "bill_count": "Int64"}))
    warehouse.execute(MISSING, [moment, account, MISSING_FROM_AT_LEAST, EXPECTED_SHARE])
    warehouse.execute(BACK, [account])
    warehouse.execute(MERGE, [account, moment])
