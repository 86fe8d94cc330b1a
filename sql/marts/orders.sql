-- Orders of the shop, by its own reference: the attempts to have them paid, the first, the last and the paid one.
-- Each bill is an attempt. Bills without a merchant_reference belong to no order and are left out. Bills that CashPay
-- no longer shows count as attempts. An order that was billed in two currencies is in here once for each.
-- Attempts are in the order of their creation; one without a time of creation comes last.
-- grain: one row per account, merchant_reference and currency
--
-- account: Label of the merchant account.
-- merchant_reference: The shop's own reference of the order.
-- currency: ISO 4217 code. Never add up different currencies.
-- status: paid (a bill is Paid or Excess, with money), open (none is, but one is Pending or Partial), unknown (neither,
--     but CashPay uses a word for one that we do not know), refunded (none of these, but one is Paid or Excess without
--     any money left), or failed (all are Error, Canceled or Expired).
-- attempt_count: Bills of the order.
-- error_count: Bills that are in state Error.
-- paid_count: Bills that are Paid or Excess, without those of which all was refunded; more than one means paid twice,
--     or in instalments.
-- missing_count: Bills that CashPay no longer shows.
-- first_created_at: Creation of the first bill, UTC.
-- last_created_at: Creation of the last bill, UTC.
-- first_order_reference: The first bill.
-- last_order_reference: The last bill.
-- last_state: State of the last bill.
-- paid_order_reference: The bill that paid the order, the first to be seen paid if there are several; empty when none
--     has.
-- paid_after: That bill became paid after this moment, UTC.
-- paid_before: That bill became paid before this moment, UTC.
-- billed_amount: What the paying bill, or else the last one, asked for, in the currency's smallest unit (francs for
--     XOF). Not the sum of the attempts.
-- received_amount: What came in for all bills of the order, in the same unit, as far as CashPay has told.
with

repeated as (

    select
        account,
        merchant_reference,
        currency
    from core.bills
    where merchant_reference is not null
    group by account, merchant_reference, currency
    having count(*) > 1

),

attempts as (

    select
        bills.account,
        bills.merchant_reference,
        bills.currency,
        bills.order_reference,
        bills.state,
        bills.amount,
        greatest(coalesce(bills.received_amount, 0), 0) as received_amount,
        bills.created_at,
        bills.paid_after,
        bills.paid_before,
        bills.missing_since,
        bills.state in ('Paid', 'Excess')
        and (coalesce(bills.received_amount, 1) > 0 or bills.amount = 0) as is_paid,
        repeated.merchant_reference is not null as is_repeated
    from core.bills as bills
    left join repeated
        on
            bills.account = repeated.account
            and bills.merchant_reference = repeated.merchant_reference
            and bills.currency = repeated.currency
    where bills.merchant_reference is not null

),

ranked as (

    select
        account,
        merchant_reference,
        currency,
        order_reference,
        state,
        amount,
        received_amount,
        created_at,
        paid_after,
        paid_before,
        missing_since,
        is_paid,
        row_number() over (
            partition by account, merchant_reference, currency
            order by created_at asc nulls last, order_reference asc
        ) as attempt,
        row_number() over (
            partition by account, merchant_reference, currency
            order by created_at desc nulls first, order_reference desc
        ) as attempt_from_last,
        row_number() over (
            partition by account, merchant_reference, currency
            order by is_paid desc, paid_before asc nulls last, created_at asc nulls last, order_reference asc
        ) as payer
    from attempts
    where is_repeated

),

orders as (

    select
        account,
        merchant_reference,
        currency,
        count(*) as attempt_count,
        count(*) filter (where state = 'Error') as error_count,
        count(*) filter (where is_paid) as paid_count,
        count(*) filter (where state in ('Pending', 'Partial')) as open_count,
        count(*) filter (where state = 'Unknown') as unknown_count,
        count(*) filter (where state in ('Paid', 'Excess') and not is_paid) as refunded_count,
        count(*) filter (where missing_since is not null) as missing_count,
        min(created_at) as first_created_at,
        max(created_at) as last_created_at,
        max(case when attempt = 1 then order_reference end) as first_order_reference,
        max(case when attempt_from_last = 1 then order_reference end) as last_order_reference,
        max(case when attempt_from_last = 1 then state end) as last_state,
        max(case when payer = 1 and is_paid then order_reference end) as paid_order_reference,
        max(case when payer = 1 and is_paid then paid_after end) as paid_after,
        max(case when payer = 1 and is_paid then paid_before end) as paid_before,
        coalesce(
            max(case when payer = 1 and is_paid then amount end), max(case when attempt_from_last = 1 then amount end)
        ) as billed_amount,
        cast(sum(received_amount) as bigint) as received_amount
    from ranked
    group by account, merchant_reference, currency
    union all
    select
        account,
        merchant_reference,
        currency,
        1 as attempt_count,
        cast(state = 'Error' as bigint) as error_count,
        cast(is_paid as bigint) as paid_count,
        cast(state in ('Pending', 'Partial') as bigint) as open_count,
        cast(state = 'Unknown' as bigint) as unknown_count,
        cast(state in ('Paid', 'Excess') and not is_paid as bigint) as refunded_count,
        cast(missing_since is not null as bigint) as missing_count,
        created_at as first_created_at,
        created_at as last_created_at,
        order_reference as first_order_reference,
        order_reference as last_order_reference,
        state as last_state,
        case when is_paid then order_reference end as paid_order_reference,
        case when is_paid then paid_after end as paid_after,
        case when is_paid then paid_before end as paid_before,
        amount as billed_amount,
        received_amount
    from attempts
    where not is_repeated

)

select
    account,
    merchant_reference,
    currency,
    case
        when paid_count > 0 then 'paid'
        when open_count > 0 then 'open'
        when unknown_count > 0 then 'unknown'
        when refunded_count > 0 then 'refunded'
        else 'failed'
    end as status,
    attempt_count,
    error_count,
    paid_count,
    missing_count,
    first_created_at,
    last_created_at,
    first_order_reference,
    last_order_reference,
    last_state,
    paid_order_reference,
    paid_after,
    paid_before,
    billed_amount,
    received_amount
from orders
