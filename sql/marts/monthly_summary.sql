-- The month at a glance: what was billed in it and what was received in it, two different things side by side.
-- The first columns are of the bills created in the month, as they are now; they still change while bills are open. The
-- last columns are of the money that came in during the month, for bills of whatever month, as in daily_collections.
-- Bills that CashPay no longer shows count by their last state. Amounts of negative sign are in no sum.
-- grain: one row per account, month and currency
--
-- account: Label of the merchant account.
-- month_start: First day of the month (days in Africa/Lome); empty for bills without a time of creation.
-- currency: ISO 4217 code. Never add up different currencies.
-- bill_count: Bills created in the month.
-- paid_count: Those of them that are Paid or Excess now.
-- open_count: Those that are Pending or Partial.
-- error_count: Those in state Error.
-- other_count: Those that are Canceled, Expired or of unknown state.
-- missing_count: Those, in whatever state, that CashPay no longer shows.
-- conversion_share: paid_count by bill_count, 0 to 1; empty when no bill was created.
-- billed_amount: What the bills created in the month asked for, in the currency's smallest unit (francs for XOF). Not
--     revenue.
-- received_amount: Money received in the month, in the same unit, before withdrawals. This is the revenue.
-- withdrawn_amount: Money received before that no longer counts in the month: refunds, and bills canceled, expired or
--     failed after a payment.
-- net_amount: received_amount less withdrawn_amount.
-- received_with_uncertain_day: Part of received_amount of which the day, and near its ends the month, is not certain.
-- received_with_assumed_day: Part of received_amount already there at the first reading; it counts on the day of
--     creation.
with

billed as (

    select
        account,
        cast(date_trunc('month', business_date) as date) as month_start,
        currency,
        count(*) as bill_count,
        count(*) filter (where state in ('Paid', 'Excess')) as paid_count,
        count(*) filter (where state in ('Pending', 'Partial')) as open_count,
        count(*) filter (where state = 'Error') as error_count,
        count(*) filter (where missing_since is not null) as missing_count,
        sum(greatest(amount, 0)) as billed_amount,
        0 as received_amount,
        0 as withdrawn_amount,
        0 as received_with_uncertain_day,
        0 as received_with_assumed_day
    from core.bills
    group by account, date_trunc('month', business_date), currency

),

received as (

    select
        account,
        cast(date_trunc('month', received_date) as date) as month_start,
        currency,
        0 as bill_count,
        0 as paid_count,
        0 as open_count,
        0 as error_count,
        0 as missing_count,
        0 as billed_amount,
        sum(received_amount) as received_amount,
        sum(withdrawn_amount) as withdrawn_amount,
        sum(received_with_uncertain_day) as received_with_uncertain_day,
        sum(received_with_assumed_day) as received_with_assumed_day
    from marts.daily_collections
    group by account, date_trunc('month', received_date), currency

),

both_sides as (

    select
        account,
        month_start,
        currency,
        bill_count,
        paid_count,
        open_count,
        error_count,
        missing_count,
        billed_amount,
        received_amount,
        withdrawn_amount,
        received_with_uncertain_day,
        received_with_assumed_day
    from billed
    union all
    select
        account,
        month_start,
        currency,
        bill_count,
        paid_count,
        open_count,
        error_count,
        missing_count,
        billed_amount,
        received_amount,
        withdrawn_amount,
        received_with_uncertain_day,
        received_with_assumed_day
    from received

),

monthly_summary as (

    select
        account,
        month_start,
        currency,
        cast(sum(bill_count) as bigint) as bill_count,
        cast(sum(paid_count) as bigint) as paid_count,
        cast(sum(open_count) as bigint) as open_count,
        cast(sum(error_count) as bigint) as error_count,
        cast(sum(missing_count) as bigint) as missing_count,
        cast(sum(billed_amount) as bigint) as billed_amount,
        cast(sum(received_amount) as bigint) as received_amount,
        cast(sum(withdrawn_amount) as bigint) as withdrawn_amount,
        cast(sum(received_with_uncertain_day) as bigint) as received_with_uncertain_day,
        cast(sum(received_with_assumed_day) as bigint) as received_with_assumed_day
    from both_sides
    group by account, month_start, currency

)

select
    account,
    month_start,
    currency,
    bill_count,
    paid_count,
    open_count,
    error_count,
    bill_count - paid_count - open_count - error_count as other_count,
    missing_count,
    cast(paid_count / nullif(bill_count, 0) as decimal(5, 4)) as conversion_share,
    billed_amount,
    received_amount,
    withdrawn_amount,
    received_amount - withdrawn_amount as net_amount,
    received_with_uncertain_day,
    received_with_assumed_day
from monthly_summary
order by account, month_start, currency
