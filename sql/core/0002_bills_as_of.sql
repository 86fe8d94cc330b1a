-- The past, as it was known then: `from core.bills_as_of(timestamptz '2026-11-01 00:00:00+00')`.

create macro core.bills_as_of(moment) as table
select
    bill_versions.account,
    bill_versions.order_reference,
    bill_versions.version,
    bill_versions.state,
    bill_versions.state_raw,
    bill_versions.amount,
    bill_versions.received_amount,
    bills.currency,
    bills.created_at,
    bill_versions.observed_at,
    bill_versions.changed_after
from core.bill_versions
inner join core.bills
    on bill_versions.account = bills.account and bill_versions.order_reference = bills.order_reference
where bill_versions.observed_at <= moment
qualify row_number() over (
    partition by bill_versions.account, bill_versions.order_reference order by bill_versions.version desc
) = 1;
