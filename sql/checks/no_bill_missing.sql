-- CashPay still knows every bill that it knew before the newest nightly sync. Those that it no longer knows are kept
-- and marked (missing_since).
-- asset: core/bills
-- severity: warn
-- blocking: false
select
    bills.account,
    bills.order_reference,
    bills.state,
    bills.amount,
    bills.received_amount,
    bills.created_at,
    bills.missing_since
from core.bills as bills
inner join core.unchecked_since() as newest on bills.account = newest.account
where bills.missing_since >= newest.started_at
