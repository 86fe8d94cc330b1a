-- Every bill has its key: an account and a reference. Without one a bill cannot be told from another.
-- asset: core/bills
-- severity: error
-- blocking: true
select
    account,
    order_reference,
    first_seen_at
from core.bills
where
    coalesce(trim(account), '') = ''
    or coalesce(trim(order_reference), '') = ''
