-- No record is set aside. Those that are count in no sum until CashPay sends them whole: look at core.data_issues.
-- asset: core/data_issues
-- severity: error
-- blocking: false
select
    account,
    order_reference,
    source,
    field,
    reason,
    first_seen_at
from core.data_issues
where resolved_at is null
