-- en: What is unpaid, and since when?
-- fr: Qu'est-ce qui est impayé, et depuis quand ?
-- Only what can still be expected: bills that CashPay shows and whose order no other bill has settled; of several open
-- bills of one order, the one that counts. Oldest first.
select
    account,
    merchant_reference,
    order_reference,
    state,
    currency,
    open_amount,
    created_at,
    age_days,
    age_class,
    last_error_at,
    customer_paid_since
from marts.unpaid_bills
where is_still_owed
order by account asc, age_days desc, currency asc, open_amount desc, order_reference asc
