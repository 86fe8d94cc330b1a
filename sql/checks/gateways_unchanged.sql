-- CashPay offers the same gateways as before the newest nightly sync. A new, renamed or vanished one is stored all the
-- same; your checkout and your accounting may have to know of it.
-- asset: core/gateways
-- severity: warn
-- blocking: false
with

known_before as (

    select
        account,
        min(first_seen_at) as first_seen_at
    from core.gateways
    group by account

)

select
    gateways.account,
    gateways.gateway_reference,
    gateways.name,
    gateways.method,
    case
        when gateways.missing_since is not null then 'gone'
        when gateways.first_seen_at >= newest.started_at then 'new'
        else 'changed'
    end as what_changed
from core.gateways as gateways
inner join core.unchecked_since() as newest on gateways.account = newest.account
inner join known_before on gateways.account = known_before.account
where
    known_before.first_seen_at < newest.started_at
    and (
        gateways.missing_since >= newest.started_at
        or gateways.changed_at >= newest.started_at
    )
