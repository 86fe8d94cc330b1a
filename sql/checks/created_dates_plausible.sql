-- Every bill has a time of creation, not before 2010 and not after it was read.
-- asset: core/bills
-- severity: warn
-- blocking: false
select
    account,
    order_reference,
    state,
    created_at,
    first_seen_at
from core.bills
where
    created_at is null
    or created_at < timestamptz '2010-01-01 00:00:00+00'
    or created_at > first_seen_at + interval 1 hour
