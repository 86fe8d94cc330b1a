-- Every payment belongs to a bill that is stored, and no payment of a bill is there twice.
-- asset: core/payments
-- severity: error
-- blocking: true
select
    payments.account,
    payments.order_reference,
    payments.payment_number,
    count(*) as row_count,
    bool_and(bills.order_reference is null) as has_no_bill
from core.payments as payments
left join core.bills as bills
    on
        payments.account = bills.account
        and payments.order_reference = bills.order_reference
group by payments.account, payments.order_reference, payments.payment_number
having
    count(*) > 1
    or bool_and(bills.order_reference is null)
