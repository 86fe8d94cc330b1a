-- CashPay uses only state words that are known. Bills with another one count as Unknown: neither as open nor as paid.
-- asset: core/bills
-- severity: warn
-- blocking: false
select
    account,
    state_raw,
    count(*) as bill_count,
    max(changed_at) as last_changed_at
from core.bills
where state = 'Unknown'
group by account, state_raw
