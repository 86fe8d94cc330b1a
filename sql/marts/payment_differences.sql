-- Bills of which the money received is not the money billed, each once, under the first kind that fits:
--
-- paid_twice_order: another bill has paid the order (merchant_reference, in one currency), an earlier one, or any where
-- this one was paid in part; the whole received amount is the difference. A shop that bills in instalments under one
-- reference finds them in here as well.
--
-- paid_twice_bill: the bill received exactly twice its amount (three times, and so on), or two payments of all of it
-- that were not given back.
--
-- excess: more came in than was billed.
--
-- partial: part came in, the rest can still come.
--
-- short: Paid or Excess, but with less than billed, as after a refund.
--
-- kept: Canceled, Expired or Error, with money that CashPay still shows as received; nothing was due, so that all of it
-- is the difference.
--
-- Bills that CashPay no longer shows are in here, with missing_since. Bills of an unknown state are not: see
-- bill_states. Amounts of negative sign, which would be refunds, count as zero, billed or received.
--
-- grain: one row per account and bill with a difference
--
-- account: Label of the merchant account.
-- order_reference: CashPay's unique reference of the bill.
-- merchant_reference: The shop's own reference.
-- kind: paid_twice_order, paid_twice_bill, excess, partial, short or kept (see the table's comment).
-- state: Paid, Excess, Partial, Canceled, Expired or Error.
-- currency: ISO 4217 code. Never add up different currencies.
-- billed_amount: What was asked for, in the currency's smallest unit (francs for XOF).
-- received_amount: What came in, in the same unit; empty when CashPay has not told.
-- difference_amount: What came in beyond what was due, in the same unit; below zero, what is lacking. Empty when
--     received_amount is.
-- payment_count: Payments that CashPay lists for the bill.
-- gateway_name: Gateway that was paid through, by its name on that day; empty when CashPay has not told.
-- business_date: Day of the bill's creation in Africa/Lome.
-- paid_before: First seen paid, UTC; empty for bills that are not paid.
-- first_paid_order_reference: For paid_twice_order, the bill that paid the order.
-- client_key: Keyed hash of the customer's phone.
-- missing_since: When CashPay first no longer knew the bill, UTC; empty when it does.
with

paid_orders as (

    select
        account,
        merchant_reference,
        currency
    from core.bills
    where
        state in ('Paid', 'Excess', 'Partial')
        and (coalesce(received_amount, 1) > 0 or amount = 0)
        and merchant_reference is not null
    group by account, merchant_reference, currency
    having count(*) > 1 and bool_or(state in ('Paid', 'Excess'))

),

paid_again as (

    select
        bills.account,
        bills.order_reference,
        first_value(bills.order_reference) over of_order as first_paid_order_reference
    from core.bills as bills
    inner join paid_orders
        on
            bills.account = paid_orders.account
            and bills.merchant_reference = paid_orders.merchant_reference
            and bills.currency = paid_orders.currency
    where
        bills.state in ('Paid', 'Excess', 'Partial')
        and (coalesce(bills.received_amount, 1) > 0 or bills.amount = 0)
    window of_order as (
        partition by bills.account, bills.merchant_reference, bills.currency
        order by
            bills.state = 'Partial', bills.paid_before nulls last, bills.created_at nulls last, bills.order_reference
    )

),

full_payments as (

    select
        payments.account,
        payments.order_reference
    from core.payments as payments
    inner join core.bills as bills
        on payments.account = bills.account and payments.order_reference = bills.order_reference
    where
        bills.payment_count > 1
        and bills.amount > 0
        and payments.amount >= bills.amount
        and coalesce(bills.received_amount > bills.amount, true)
    group by payments.account, payments.order_reference
    having count(*) > 1

),

judged as (

    select
        bills.account,
        bills.order_reference,
        bills.merchant_reference,
        case
            when paid_again.first_paid_order_reference != bills.order_reference then 'paid_twice_order'
            when bills.state in ('Canceled', 'Expired', 'Error')
                then case when bills.received_amount > 0 then 'kept' end
            when
                full_payments.order_reference is not null
                or (
                    bills.amount > 0
                    and bills.received_amount > bills.amount
                    and bills.received_amount % bills.amount = 0
                )
                then 'paid_twice_bill'
            when greatest(bills.received_amount, 0) > greatest(bills.amount, 0) then 'excess'
            when bills.state = 'Partial' then 'partial'
            when bills.received_amount < bills.amount and bills.amount > 0 then 'short'
            when bills.state = 'Excess' then 'excess'
        end as kind,
        bills.state,
        bills.currency,
        bills.amount as billed_amount,
        bills.received_amount,
        bills.payment_count,
        bills.gateway_name,
        bills.business_date,
        bills.paid_before,
        paid_again.first_paid_order_reference,
        bills.client_key,
        bills.missing_since
    from core.bills as bills
    left join paid_again
        on bills.account = paid_again.account and bills.order_reference = paid_again.order_reference
    left join full_payments
        on bills.account = full_payments.account and bills.order_reference = full_payments.order_reference
    where bills.state in ('Paid', 'Excess', 'Partial', 'Canceled', 'Expired', 'Error')

)

select
    account,
    order_reference,
    merchant_reference,
    kind,
    state,
    currency,
    billed_amount,
    received_amount,
    case
        when received_amount is null then null
        when kind in ('paid_twice_order', 'kept') then greatest(received_amount, 0)
        else greatest(received_amount, 0) - greatest(billed_amount, 0)
    end as difference_amount,
    payment_count,
    gateway_name,
    business_date,
    paid_before,
    case when kind = 'paid_twice_order' then first_paid_order_reference end as first_paid_order_reference,
    client_key,
    missing_since
from judged
where kind is not null
order by account, kind, business_date, order_reference
