-- CashPay's bills have the same fields of the same types as before the newest nightly sync. A new field is stored as it
-- is; one that is missing or of another type may need a new version of this program.
-- asset: core/api_fields
-- severity: warn
-- blocking: false
with

known_before as (

    select
        api_fields.account,
        api_fields.field,
        string_agg(api_fields.type, ', ' order by api_fields.type)
        filter (where api_fields.type not in ('null', 'unclear')) as types_before
    from core.api_fields as api_fields
    inner join core.unchecked_since() as newest on api_fields.account = newest.account
    where api_fields.first_seen_at < newest.started_at
    group by api_fields.account, api_fields.field

)

select
    api_fields.account,
    api_fields.field,
    api_fields.type,
    known_before.types_before,
    case
        when api_fields.missing_since is not null then 'missing'
        when known_before.field is null then 'new'
        else 'of another type'
    end as what_changed
from core.api_fields as api_fields
inner join core.unchecked_since() as newest on api_fields.account = newest.account
left join known_before
    on
        api_fields.account = known_before.account
        and api_fields.field = known_before.field
where
    api_fields.account in (select earlier.account from known_before as earlier)
    and (
        api_fields.missing_since >= newest.started_at
        or (
            api_fields.first_seen_at >= newest.started_at
            and (
                known_before.field is null
                or (known_before.types_before is not null and api_fields.type not in ('null', 'unclear'))
            )
        )
    )
