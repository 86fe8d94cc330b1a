-- Bills and their money, by state, as they are now.
-- Amounts of negative sign, which would be refunds, are in no sum.
-- grain: one row per account, state and currency
--
-- account: Label of the merchant account.
-- state: Pending, Partial, Paid, Excess, Error, Canceled, Expired or Unknown.
-- currency: ISO 4217 code. Never add up different currencies.
-- bill_count: Bills in this state.
-- billed_amount: What was asked for, in the currency's smallest unit (francs for XOF). Not revenue.
-- received_amount: What came in, in the same unit.
-- unknown_received_count: Bills of which CashPay has not yet told what came in.
-- missing_count: Bills that CashPay no longer shows.
-- oldest_created_at: Creation of the oldest bill in this state, UTC.
-- oldest_verified_at: The bill that was read longest ago was read then, UTC.
with

bill_states as (

    select
        account,
        state,
        currency,
        count(*) as bill_count,
        cast(sum(greatest(amount, 0)) as bigint) as billed_amount,
        cast(sum(greatest(coalesce(received_amount, 0), 0)) as bigint) as received_amount,
        count(*) filter (where received_amount is null) as unknown_received_count,
        count(*) filter (where missing_since is not null) as missing_count,
        min(created_at) as oldest_created_at,
        min(verified_at) as oldest_verified_at
    from core.bills
    group by account, state, currency

)

select
    account,
    state,
    currency,
    bill_count,
    billed_amount,
    received_amount,
    unknown_received_count,
    missing_count,
    oldest_created_at,
    oldest_verified_at
from bill_states
order by account, state, currency
