-- How long each paid bill took to be paid, as far as that can be known: between two bounds, never a single figure.
--
-- CashPay does not tell when a bill was paid. We know when we last read it unpaid (or that it was created) and when we
-- first read it paid; it was paid in between. Of a bill that was paid when first read, only the upper bound says much.
--
-- Paid and Excess bills only, those that CashPay no longer shows among them; bills without a time of creation are left
-- out.
--
-- grain: one row per account and paid bill
--
-- account: Label of the merchant account.
-- order_reference: CashPay's unique reference of the bill.
-- gateway_reference: Reference of the gateway that was paid through; empty when CashPay has not told.
-- gateway_name: Name of the gateway on that day; empty when CashPay has not told.
-- currency: ISO 4217 code. Never add up different currencies.
-- received_amount: What came in for the bill, in the currency's smallest unit (francs for XOF); empty when not told.
-- created_at: Creation of the bill, UTC.
-- business_date: Day of creation in Africa/Lome.
-- paid_after: The bill became paid after this moment, UTC.
-- paid_before: The bill became paid before this moment, UTC.
-- at_least_minutes: Payment took at least this long: whole minutes from created_at to paid_after, rounded down.
-- at_most_minutes: Payment took at most this long: whole minutes from created_at to paid_before, rounded up.
-- is_wide: Whether the two moments are more than 26 hours apart, more than a nightly refresh leaves open.
with

paid_bills as (

    select
        account,
        order_reference,
        gateway_reference,
        gateway_name,
        currency,
        received_amount,
        created_at,
        business_date,
        coalesce(paid_after, least(created_at, paid_before)) as paid_after,
        paid_before,
        case
            when paid_after is null or paid_after < created_at then 0
            else (epoch_us(paid_after) - epoch_us(created_at)) // 60000000
        end as at_least_minutes,
        case
            when paid_before < created_at then 0
            else (epoch_us(paid_before) - epoch_us(created_at) + 59999999) // 60000000
        end as at_most_minutes,
        epoch_us(paid_before) - epoch_us(coalesce(paid_after, created_at)) > 93600000000 as is_wide
    from core.bills
    where
        state in ('Paid', 'Excess')
        and created_at is not null

)

select
    account,
    order_reference,
    gateway_reference,
    gateway_name,
    currency,
    received_amount,
    created_at,
    business_date,
    paid_after,
    paid_before,
    at_least_minutes,
    at_most_minutes,
    is_wide
from paid_bills
