-- What came in fits the state: all of it for Paid, more for Excess, a part for Partial, and nothing for Pending. The
-- first three are looked at where the bill changed since the newest nightly sync began: a refund is told once, and
-- stays in payment_differences. Money on a Pending bill is told as long as it is there: it is in the sums of bills
-- (bill_states, customers, gateway_performance, orders), not in those of days (daily_collections, monthly_summary).
-- asset: core/bills
-- severity: warn
-- blocking: false
select
    bills.account,
    bills.order_reference,
    bills.state,
    bills.amount,
    bills.received_amount,
    bills.changed_at
from core.bills as bills
left join core.unchecked_since() as newest on bills.account = newest.account
where
    (bills.state = 'Pending' and bills.received_amount != 0)
    or (
        bills.changed_at >= newest.started_at
        and case bills.state
            when 'Paid' then bills.received_amount != bills.amount
            when 'Excess' then bills.received_amount <= bills.amount
            when 'Partial' then bills.received_amount <= 0 or bills.received_amount >= bills.amount
        end
    )
