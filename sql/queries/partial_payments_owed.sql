-- en: Which bills were paid in part, and what is still owed on them?
-- fr: Quelles factures ont été payées en partie, et que reste-t-il dû ?
-- Without those whose order another bill has settled. An empty received_amount means that CashPay has not told. Add up
-- those that are still owed only (is_still_owed): one of several attempts at an order, and none that CashPay no longer
-- shows.
select
    account,
    merchant_reference,
    order_reference,
    currency,
    billed_amount,
    received_amount,
    open_amount,
    is_still_owed,
    age_days,
    client_key,
    client_phone_masked,
    missing_since
from marts.unpaid_bills
where
    state = 'Partial'
    and not is_order_paid
order by account asc, currency asc, open_amount desc, order_reference asc
