-- No amount is negative. If refunds come as negative bills, they are in no sum: they need a rule of their own.
-- asset: core/bills
-- severity: warn
-- blocking: false
select
    account,
    order_reference,
    state,
    amount,
    received_amount,
    created_at
from core.bills
where
    amount < 0
    or received_amount < 0
