-- Every gateway that money came in through is in the list of gateways. One that is not has no name of its own.
-- asset: core/bills
-- severity: warn
-- blocking: false
select
    bills.account,
    bills.gateway_reference,
    count(*) as bill_count,
    max(bills.changed_at) as last_changed_at
from core.bills as bills
left join core.gateways as gateways
    on
        bills.account = gateways.account
        and bills.gateway_reference = gateways.gateway_reference
where
    bills.gateway_reference is not null
    and gateways.gateway_reference is null
group by bills.account, bills.gateway_reference
