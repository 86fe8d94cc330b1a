-- No record is set aside. Those that are count in no sum until CashPay sends them whole: look at core.data_issues.
-- A bill that is bad in the list and in its details is one.
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
qualify row_number() over (
    partition by account, coalesce(order_reference, issue_id)
    order by first_seen_at, issue_id
) = 1
