-- How bills fare by gateway: how many are paid, how many fail, how long payment takes; by week of creation.
--
-- A bill counts for the gateway of its last payment, or else the one chosen for it. One that has neither counts in a
-- row without a gateway: mostly customers who left before they chose. So the conversion of a gateway is that of bills
-- that came as far as the gateway; the conversion of the shop is that of all rows of a week together.
--
-- Recent weeks rise still: their open bills can yet be paid. Bills that CashPay no longer shows count by their last
-- state; those without a time of creation in rows without a week.
--
-- Time to pay is known as an interval only (see time_to_pay). For each percentile there are two figures: the true one
-- lies between them, and nothing closer can be said. With a refresh every night they lie up to a day apart.
--
-- grain: one row per account, week of creation, gateway and currency
--
-- account: Label of the merchant account.
-- week_start: Monday of the week in which the bills were created (days in Africa/Lome).
-- gateway_reference: Reference of the gateway; empty for bills without one. A gateway without a reference is its name.
-- gateway_name: Name of the gateway as it is now, or as it was read last if core.gateways does not have it; empty for
--     bills without one.
-- currency: ISO 4217 code. Never add up different currencies.
-- bill_count: Bills created in the week.
-- paid_count: Bills that are Paid or Excess.
-- open_count: Bills that are Pending or Partial.
-- error_count: Bills that are in state Error.
-- other_count: Bills that are Canceled, Expired or of unknown state.
-- conversion_share: paid_count by bill_count, 0 to 1.
-- error_share: error_count by bill_count, 0 to 1.
-- billed_amount: What these bills asked for, in the currency's smallest unit (francs for XOF). Not revenue.
-- received_amount: What came in for them until now, in whatever state they are, in the same unit. By day of receipt see
--     daily_collections.
-- p50_at_least_minutes: Half of the paid bills took this long or longer; lower bound of the median, minutes.
-- p50_at_most_minutes: Upper bound of the median, minutes.
-- p90_at_least_minutes: Lower bound of the time within which 90 of 100 paid bills were paid, minutes.
-- p90_at_most_minutes: Upper bound of the same.
-- p99_at_least_minutes: Lower bound of the time within which 99 of 100 paid bills were paid, minutes.
-- p99_at_most_minutes: Upper bound of the same.
-- wide_count: Paid bills whose interval is wider than 26 hours (first sync, an outage): they draw the bounds apart.
with

unlisted as (

    select
        bills.account,
        bills.gateway_reference,
        bills.gateway_name,
        max(bills.changed_at) as read_at
    from core.bills as bills
    left join core.gateways as gateways
        on bills.account = gateways.account and bills.gateway_reference = gateways.gateway_reference
    where
        gateways.name is null
        and bills.gateway_reference is not null
        and bills.gateway_name is not null
    group by bills.account, bills.gateway_reference, bills.gateway_name

),

-- One name a gateway, or its bills would stand in a row for each name.
gateway_names as (

    select
        account,
        gateway_reference,
        name as gateway_name
    from core.gateways
    where name is not null
    union all
    select
        account,
        gateway_reference,
        gateway_name
    from unlisted
    qualify row_number() over (
        partition by account, gateway_reference
        order by read_at desc, gateway_name asc
    ) = 1

),

weekly as (

    select
        bills.account,
        cast(date_trunc('week', bills.business_date) as date) as week_start,
        bills.gateway_reference,
        coalesce(gateway_names.gateway_name, bills.gateway_name) as gateway_name,
        bills.currency,
        bills.state,
        bills.amount,
        bills.received_amount,
        case
            when bills.state not in ('Paid', 'Excess') then null
            when bills.paid_after < bills.created_at then 0
            else (epoch_us(coalesce(bills.paid_after, bills.created_at)) - epoch_us(bills.created_at)) // 60000000
        end as at_least_minutes,
        case
            when bills.state not in ('Paid', 'Excess') then null
            when bills.paid_before < bills.created_at then 0
            else (epoch_us(bills.paid_before) - epoch_us(bills.created_at) + 59999999) // 60000000
        end as at_most_minutes,
        bills.state in ('Paid', 'Excess')
        and epoch_us(bills.paid_before) - epoch_us(coalesce(bills.paid_after, bills.created_at)) > 93600000000
            as is_wide
    from core.bills as bills
    left join gateway_names
        on bills.account = gateway_names.account and bills.gateway_reference = gateway_names.gateway_reference

),

counted as (

    select
        account,
        week_start,
        gateway_reference,
        gateway_name,
        currency,
        count(*) as bill_count,
        count(*) filter (where state in ('Paid', 'Excess')) as paid_count,
        count(*) filter (where state in ('Pending', 'Partial')) as open_count,
        count(*) filter (where state = 'Error') as error_count,
        cast(sum(greatest(amount, 0)) as bigint) as billed_amount,
        cast(sum(greatest(coalesce(received_amount, 0), 0)) as bigint) as received_amount,
        quantile_disc(at_least_minutes, [0.5, 0.9, 0.99]) as at_least_minutes,
        quantile_disc(at_most_minutes, [0.5, 0.9, 0.99]) as at_most_minutes,
        count(*) filter (where is_wide) as wide_count
    from weekly
    group by account, week_start, gateway_reference, gateway_name, currency

)

select
    account,
    week_start,
    gateway_reference,
    gateway_name,
    currency,
    bill_count,
    paid_count,
    open_count,
    error_count,
    bill_count - paid_count - open_count - error_count as other_count,
    cast(paid_count / bill_count as decimal(5, 4)) as conversion_share,
    cast(error_count / bill_count as decimal(5, 4)) as error_share,
    billed_amount,
    received_amount,
    at_least_minutes[1] as p50_at_least_minutes,
    at_most_minutes[1] as p50_at_most_minutes,
    at_least_minutes[2] as p90_at_least_minutes,
    at_most_minutes[2] as p90_at_most_minutes,
    at_least_minutes[3] as p99_at_least_minutes,
    at_most_minutes[3] as p99_at_most_minutes,
    wide_count
from counted
order by account, week_start, gateway_name, gateway_reference, currency
