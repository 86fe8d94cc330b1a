-- Bills that can still be paid (Pending, Partial), how long they have been open and what is known of their customer.
--
-- Ages are counted up to the newest reading of any bill of the account, never to the present moment, so that the same
-- data gives the same table. Bills of an unknown state are not in here: see bill_states.
--
-- Not every open amount is still expected: is_order_paid tells that another bill has settled the same order,
-- missing_since that CashPay no longer shows the bill. And several open bills of one order (merchant_reference, in one
-- currency) are attempts to have one debt paid, which is owed once: is_still_owed marks what may be added up.
--
-- grain: one row per account and open bill
--
-- account: Label of the merchant account.
-- order_reference: CashPay's unique reference of the bill.
-- merchant_reference: The shop's own reference; several bills can carry the same one.
-- state: Pending or Partial.
-- currency: ISO 4217 code. Never add up different currencies.
-- billed_amount: What was asked for, in the currency's smallest unit (francs for XOF).
-- received_amount: What came in so far, in the same unit; empty when CashPay has not told.
-- open_amount: billed_amount less received_amount, never below zero; what is not known to have come in counts as open.
-- created_at: Creation of the bill, UTC.
-- business_date: Day of creation in Africa/Lome.
-- as_of: The newest reading of any bill of the account, UTC: ages are counted up to this moment.
-- age_days: Whole days of 24 hours from created_at (first reading, where that is empty) to as_of.
-- age_class: 0-1 (less than a day), 1-7, 8-30, 31-90 or 90+ (91 and more), by age_days.
-- gateway_name: Gateway chosen for the bill, or of its last payment; empty when there is none.
-- last_error_at: When we last found a bill of the same merchant_reference in state Error, UTC; the attempt itself was
--     earlier. Without a merchant_reference only the bill's own past counts.
-- last_error_order_reference: The bill that failed then; it can be this one.
-- last_error_gateway_name: Gateway of that bill; empty when it has none.
-- is_order_paid: Whether another bill of the same merchant_reference and currency is Paid or Excess. One of which all
--     was refunded settles nothing.
-- is_still_owed: Whether open_amount counts in what is still owed: CashPay shows the bill, no other bill has settled
--     its order, and of the order's open bills that CashPay shows it is the one that counts: one that money came in on
--     before others, then that with the most still open, then the newest. A bill without a merchant_reference is an
--     order of its own.
-- client_key: Keyed hash of the customer's phone; empty when CashPay has not told who it is.
-- client_phone_masked: The customer's phone, with all but its last two digits hidden unless CASHPAY_PII is keep.
-- customer_paid_since: Whether the same customer has paid a bill, in any currency, since this one was created: yes, no,
--     maybe (when the times that we know do not decide it), or empty when the customer is not known.
-- verified_at: When we last read the bill, UTC.
-- missing_since: When CashPay first no longer knew the bill, UTC; empty when it does.
with

newest_readings as (

    select
        account,
        max(verified_at) as as_of
    from core.bills
    group by account

),

open_bills as (

    select
        account,
        order_reference,
        merchant_reference,
        coalesce('order ' || merchant_reference, 'bill ' || order_reference) as attempt_key,
        state,
        currency,
        amount,
        received_amount,
        greatest(amount - greatest(coalesce(received_amount, 0), 0), 0) as open_amount,
        created_at,
        business_date,
        gateway_name,
        client_key,
        client_phone_masked,
        first_seen_at,
        verified_at,
        missing_since
    from core.bills
    where state in ('Pending', 'Partial')

),

failures as (

    select
        bills.account,
        coalesce('order ' || bills.merchant_reference, 'bill ' || bills.order_reference) as attempt_key,
        versions.observed_at,
        bills.order_reference,
        bills.gateway_name
    from core.bill_versions as versions
    inner join core.bills as bills
        on versions.account = bills.account and versions.order_reference = bills.order_reference
    where versions.state = 'Error'
    qualify
        row_number() over (
            partition by bills.account, coalesce('order ' || bills.merchant_reference, 'bill ' || bills.order_reference)
            order by versions.observed_at desc, versions.version desc, bills.order_reference desc
        ) = 1

),

settled_orders as (

    select distinct
        open_bills.account,
        open_bills.order_reference
    from open_bills
    inner join core.bills as paid_bills
        on
            open_bills.account = paid_bills.account
            and open_bills.merchant_reference = paid_bills.merchant_reference
            and open_bills.currency = paid_bills.currency
    where
        paid_bills.state in ('Paid', 'Excess')
        and (coalesce(paid_bills.received_amount, 1) > 0 or paid_bills.amount = 0)

),

-- The one attempt that stands for the debt of its order: what came in on it is not owed again on another.
owed_attempts as (

    select
        account,
        order_reference
    from open_bills
    where missing_since is null
    qualify
        row_number() over (
            partition by account, attempt_key, currency
            order by
                coalesce(received_amount, 0) > 0 desc,
                open_amount desc,
                created_at desc nulls last,
                order_reference desc
        ) = 1

),

customer_payments as (

    select
        account,
        client_key,
        max(paid_after) as last_paid_after,
        max(paid_before) as last_paid_before
    from core.bills
    where
        state in ('Paid', 'Excess')
        and client_key is not null
    group by account, client_key

),

aged as (

    select
        open_bills.account,
        open_bills.order_reference,
        newest_readings.as_of,
        greatest(
            (epoch_us(newest_readings.as_of) - epoch_us(coalesce(open_bills.created_at, open_bills.first_seen_at)))
            // 86400000000,
            0
        ) as age_days
    from open_bills
    inner join newest_readings on open_bills.account = newest_readings.account

),

unpaid_bills as (

    select
        open_bills.account,
        open_bills.order_reference,
        open_bills.merchant_reference,
        open_bills.state,
        open_bills.currency,
        open_bills.amount as billed_amount,
        open_bills.received_amount,
        open_bills.open_amount,
        open_bills.created_at,
        open_bills.business_date,
        aged.as_of,
        aged.age_days,
        case
            when aged.age_days < 1 then '0-1'
            when aged.age_days < 8 then '1-7'
            when aged.age_days < 31 then '8-30'
            when aged.age_days < 91 then '31-90'
            else '90+'
        end as age_class,
        open_bills.gateway_name,
        failures.observed_at as last_error_at,
        failures.order_reference as last_error_order_reference,
        failures.gateway_name as last_error_gateway_name,
        settled_orders.order_reference is not null as is_order_paid,
        settled_orders.order_reference is null and owed_attempts.order_reference is not null as is_still_owed,
        open_bills.client_key,
        open_bills.client_phone_masked,
        case
            when open_bills.client_key is null then null
            when
                customer_payments.last_paid_after >= coalesce(open_bills.created_at, open_bills.first_seen_at)
                then 'yes'
            when
                customer_payments.last_paid_before > coalesce(open_bills.created_at, open_bills.first_seen_at)
                then 'maybe'
            else 'no'
        end as customer_paid_since,
        open_bills.verified_at,
        open_bills.missing_since
    from open_bills
    inner join aged
        on open_bills.account = aged.account and open_bills.order_reference = aged.order_reference
    left join failures
        on open_bills.account = failures.account and open_bills.attempt_key = failures.attempt_key
    left join settled_orders
        on open_bills.account = settled_orders.account and open_bills.order_reference = settled_orders.order_reference
    left join owed_attempts
        on open_bills.account = owed_attempts.account and open_bills.order_reference = owed_attempts.order_reference
    left join customer_payments
        on open_bills.account = customer_payments.account and open_bills.client_key = customer_payments.client_key

)

select
    account,
    order_reference,
    merchant_reference,
    state,
    currency,
    billed_amount,
    received_amount,
    open_amount,
    created_at,
    business_date,
    as_of,
    age_days,
    age_class,
    gateway_name,
    last_error_at,
    last_error_order_reference,
    last_error_gateway_name,
    is_order_paid,
    is_still_owed,
    client_key,
    client_phone_masked,
    customer_paid_since,
    verified_at,
    missing_since
from unpaid_bills
order by account asc, age_days desc, order_reference asc
