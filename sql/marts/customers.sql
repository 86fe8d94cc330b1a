-- Customers, known only by a keyed hash of their phone, and what they were billed and paid.
-- Bills of which CashPay does not tell the customer are left out. Bills that CashPay no longer shows count. Amounts of
-- negative sign, which would be refunds, are in no sum.
-- grain: one row per account, customer and currency
--
-- account: Label of the merchant account.
-- client_key: Keyed hash of the customer's phone: the same customer has the same key.
-- currency: ISO 4217 code. Never add up different currencies.
-- client_phone_masked: The customer's phone, with all but its last two digits hidden unless CASHPAY_PII is keep.
-- bill_count: Bills of the customer.
-- paid_count: Bills that are Paid or Excess.
-- open_count: Bills that are Pending or Partial.
-- error_count: Bills that are in state Error.
-- billed_amount: What all the bills asked for, in the currency's smallest unit (francs for XOF). Not revenue, and with
--     several attempts at one order, counted several times.
-- received_amount: What came in, in the same unit, as far as CashPay has told.
-- first_business_date: Day of the first bill in Africa/Lome.
-- last_business_date: Day of the last bill in Africa/Lome.
-- last_paid_before: The last bill that was paid was first seen paid then, UTC; empty when none is.
with

customers as (

    select
        account,
        client_key,
        currency,
        max(client_phone_masked) as client_phone_masked,
        count(*) as bill_count,
        count(*) filter (where state in ('Paid', 'Excess')) as paid_count,
        count(*) filter (where state in ('Pending', 'Partial')) as open_count,
        count(*) filter (where state = 'Error') as error_count,
        cast(sum(greatest(amount, 0)) as bigint) as billed_amount,
        cast(sum(greatest(coalesce(received_amount, 0), 0)) as bigint) as received_amount,
        min(business_date) as first_business_date,
        max(business_date) as last_business_date,
        max(case when state in ('Paid', 'Excess') then paid_before end) as last_paid_before
    from core.bills
    where client_key is not null
    group by account, client_key, currency

)

select
    account,
    client_key,
    currency,
    client_phone_masked,
    bill_count,
    paid_count,
    open_count,
    error_count,
    billed_amount,
    received_amount,
    first_business_date,
    last_business_date,
    last_paid_before
from customers
