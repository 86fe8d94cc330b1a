-- No amount is negative, neither of a bill nor of a payment. If refunds come as negative bills, they are in no sum; if
-- as negative payments, they are taken off what their bill received. Both need a rule of their own.
-- asset: core/bills
-- severity: warn
-- blocking: false
with

negative_payments as (

    select
        account,
        order_reference,
        min(amount) as smallest_payment
    from core.payments
    where amount < 0
    group by account, order_reference

)

select
    bills.account,
    bills.order_reference,
    bills.state,
    bills.amount,
    bills.received_amount,
    negative_payments.smallest_payment,
    bills.created_at
from core.bills as bills
left join negative_payments
    on bills.account = negative_payments.account and bills.order_reference = negative_payments.order_reference
where
    bills.amount < 0
    or bills.received_amount < 0
    or negative_payments.smallest_payment < 0
