-- Money received, by day and gateway.
-- Only what came in counts (Paid, Excess and Partial bills with a received amount above zero), never what was billed.
-- CashPay does not tell when a bill was paid. It counts on the Africa/Lome day on which it was last seen unpaid, or,
-- if it was paid when first read, on the day of its creation. With a refresh every night that is the day of payment,
-- but for payments between midnight and the refresh, which count on the day before.
-- A Partial bill counts in the same way by its newest change, and moves with all its money once it is Paid or Excess.
-- A bill that CashPay no longer shows stays counted: the money came in. What a partly paid bill keeps after it expired
-- or was canceled is not in here, because it may go back to the customer: see received_amount in bill_states.
-- grain: one row per account, received_date, gateway and currency
--
-- account: Label of the merchant account.
-- received_date: Day in Africa/Lome on which the money came in, as far as that can be known (see the table's comment).
-- gateway_reference: Reference of the gateway that was paid through; empty when CashPay has not told.
-- gateway_name: Name of the gateway as it is now; empty when CashPay has not told.
-- currency: ISO 4217 code. Never add up different currencies.
-- bill_count: Bills that money came in for.
-- received_amount: Money received, in the currency's smallest unit (francs for XOF). This is the revenue.
-- received_with_uncertain_day: Part of received_amount that may belong to a later day: more than 26 hours passed
--     between the last reading of the bill as unpaid and the first as paid, or it has no time of creation.
-- received_with_assumed_day: Another part of received_amount: already paid when first read, more than 26 hours after
--     creation (as on the first sync), so that the day of creation is assumed.
with

received as (

    select
        bills.account,
        bills.gateway_reference,
        coalesce(gateways.name, bills.gateway_name) as gateway_name,
        bills.currency,
        bills.received_amount,
        bills.first_seen_at,
        coalesce(bills.paid_after, versions.changed_after, bills.created_at) as received_after,
        coalesce(bills.paid_before, bills.changed_at) as received_before
    from core.bills as bills
    left join core.bill_versions as versions
        on
            bills.account = versions.account
            and bills.order_reference = versions.order_reference
            and bills.version = versions.version
    left join core.gateways as gateways
        on
            bills.account = gateways.account
            and bills.gateway_reference = gateways.gateway_reference
    where
        bills.state in ('Paid', 'Excess', 'Partial')
        and bills.received_amount > 0

),

dated as (

    select
        account,
        gateway_reference,
        gateway_name,
        currency,
        received_amount,
        cast(timezone('Africa/Lome', coalesce(received_after, received_before)) as date) as received_date,
        received_after is null as has_no_start,
        coalesce(received_before - received_after > interval 26 hours, false) as is_wide,
        received_before = first_seen_at as is_first_reading
    from received

),

daily_collections as (

    select
        account,
        received_date,
        gateway_reference,
        gateway_name,
        currency,
        count(*) as bill_count,
        cast(sum(received_amount) as bigint) as received_amount,
        cast(
            sum(case when has_no_start or (is_wide and not is_first_reading) then received_amount else 0 end) as bigint
        ) as received_with_uncertain_day,
        cast(
            sum(case when is_wide and is_first_reading then received_amount else 0 end) as bigint
        ) as received_with_assumed_day
    from dated
    group by account, received_date, gateway_reference, gateway_name, currency

)

select
    account,
    received_date,
    gateway_reference,
    gateway_name,
    currency,
    bill_count,
    received_amount,
    received_with_uncertain_day,
    received_with_assumed_day
from daily_collections
order by account, received_date, gateway_name, gateway_reference, currency
