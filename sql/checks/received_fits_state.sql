-- What came in fits the state: all of it for Paid, more for Excess, a part for Partial, and nothing for Pending. Money
-- on a Pending bill is in the sums of bills (bill_states, customers, gateway_performance, orders), not in those of days
-- (daily_collections, monthly_summary).
-- asset: core/bills
-- severity: warn
-- blocking: false
select
    account,
    order_reference,
    state,
    amount,
    received_amount,
    changed_at
from core.bills
where
    (state = 'Paid' and received_amount != amount)
    or (state = 'Excess' and received_amount <= amount)
    or (state = 'Partial' and (received_amount <= 0 or received_amount >= amount))
    or (state = 'Pending' and received_amount != 0)
