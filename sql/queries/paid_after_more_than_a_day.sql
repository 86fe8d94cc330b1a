-- en: Which bills were certainly paid more than a day after their creation?
-- fr: Quelles factures ont certainement été payées plus d'un jour après leur création ?
-- Bills whose lower bound is a day or less may be among them, too; nobody can tell.
select
    account,
    order_reference,
    gateway_name,
    currency,
    received_amount,
    created_at,
    paid_after,
    paid_before,
    at_least_minutes // 60 as at_least_hours,
    (at_most_minutes + 59) // 60 as at_most_hours
from marts.time_to_pay
where paid_after > created_at + interval 24 hours
order by account asc, at_least_minutes desc, order_reference asc
