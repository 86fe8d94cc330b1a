-- Every gateway of a bill that changed since the newest nightly sync began, or of its payments, is in the list of
-- gateways. One that is not has no name of its own. What was paid long ago through one that is gone is told once.
-- asset: core/bills
-- severity: warn
-- blocking: false
with

used as (

    select
        account,
        gateway_reference,
        order_reference,
        changed_at
    from core.bills
    where gateway_reference is not null
    union all
    select
        account,
        gateway_reference,
        order_reference,
        observed_at as changed_at
    from core.payments
    where gateway_reference is not null

)

select
    used.account,
    used.gateway_reference,
    count(distinct used.order_reference) as bill_count,
    max(used.changed_at) as last_changed_at
from used
inner join core.unchecked_since() as newest on used.account = newest.account
left join core.gateways as gateways
    on
        used.account = gateways.account
        and used.gateway_reference = gateways.gateway_reference
where
    gateways.gateway_reference is null
    and used.changed_at >= newest.started_at
group by used.account, used.gateway_reference
