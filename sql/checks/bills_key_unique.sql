-- No bill is stored twice: its money would be counted twice.
-- asset: core/bills
-- severity: error
-- blocking: true
select
    account,
    order_reference,
    count(*) as row_count
from core.bills
group by account, order_reference
having count(*) > 1
