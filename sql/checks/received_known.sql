-- Of every paid bill it is known what came in. Until it is, its money is in no sum but those of days
-- (daily_collections, monthly_summary), which keep what CashPay told before.
-- asset: core/bills
-- severity: warn
-- blocking: false
select
    account,
    order_reference,
    state,
    amount,
    created_at,
    verified_at
from core.bills
where
    state in ('Paid', 'Excess', 'Partial')
    and received_amount is null
