-- Money received, by day and gateway.
--
-- What is counted on a day stays there, and a day gains what is found late, with two exceptions: when CashPay tells a
-- bill's time of creation later than its money, the money moves to the day of creation; and a sum that was only taken
-- to be all of it can become smaller (see below). By gateway a day can change: when CashPay tells other payments,
-- another gateway or another sum of a bill than before. Only what came in counts, never what was billed. Each increase
-- of a bill's received amount that we saw counts once: what a Partial bill received stays on its day when the rest
-- comes in later.
--
-- CashPay does not tell when money came in. It counts on the Africa/Lome day on which it was last seen missing, or, if
-- it was there when the bill was first read, on the day of the bill's creation. With a refresh every night that is the
-- day of payment, but for payments between midnight and the refresh, which count on the day before.
--
-- Money counts while its bill is Paid, Excess or Partial. When the received amount falls (a refund), or when the bill
-- is canceled, expires, fails or gets an unknown state, the money leaves again, in withdrawn_amount, on the day on
-- which it was last seen counted. What such a bill keeps may go back to the customer: see payment_differences.
--
-- What one sync says and takes back, as when the list says Paid and the details tell less, never came in. Paid without
-- a sum counts as all that was billed; when a smaller sum is told later, that is no refund: it takes the other's place.
--
-- A bill with payments through several gateways is split by payment, in the order of CashPay's list, if its payments
-- add up to what it received by now, or to the most it ever had (before a refund); otherwise, and always with one
-- gateway, all goes to the gateway of the bill.
--
-- A bill that CashPay no longer shows stays counted: the money came in. Negative amounts count as zero. The sum of
-- net_amount is what Paid, Excess and Partial bills hold, as in bill_states; but if CashPay no longer tells the sum of
-- a bill, which bill_states then counts as unknown, what it held when last told stays in here.
--
-- grain: one row per account, received_date, gateway and currency
--
-- account: Label of the merchant account.
-- received_date: Day in Africa/Lome on which the money came in, as far as that can be known (see the table's comment).
-- gateway_reference: Reference of the gateway that was paid through; empty when CashPay has not told. A gateway without
--     a reference is its name.
-- gateway_name: Name of the gateway as it is now, or as it was read last if core.gateways does not have it; empty when
--     CashPay has not told.
-- currency: ISO 4217 code. Never add up different currencies.
-- bill_count: Bills that money came in for.
-- received_amount: Money received, in the currency's smallest unit (francs for XOF). This is the revenue before
--     withdrawals.
-- received_with_uncertain_day: Part of received_amount that may belong to a later day: more than 26 hours passed
--     between the last reading without the money and the first with it, or the bill has no time of creation.
-- received_with_assumed_day: Another part of received_amount: already there when the bill was first read, more than 26
--     hours after creation (as on the first sync), so that the day of creation is assumed.
-- withdrawn_count: Bills that money was withdrawn from.
-- withdrawn_amount: Money counted before that no longer counts on this day, as a positive number: refunds, and what
--     canceled, expired or failed bills had received.
-- net_amount: received_amount less withdrawn_amount.
with

-- Bills with one content and at most one payment, most of them, need no look at their history.
simple_bills as (

    select
        account,
        order_reference,
        created_at as received_after,
        changed_at as received_before,
        true as is_first_reading,
        true as is_received,
        gateway_reference,
        gateway_name,
        currency,
        received_amount as moved_amount
    from core.bills
    where
        version = 1
        and payment_count < 2
        and state in ('Paid', 'Excess', 'Partial')
        and received_amount > 0

),

-- Numbered, so that what follows sorts and joins numbers and not two texts. Materialized, or each use would number
-- anew.
other_bills as materialized (

    select
        row_number() over () as bill_number,
        account,
        order_reference,
        gateway_reference,
        gateway_name,
        currency,
        received_amount,
        created_at,
        changed_at,
        payment_count
    from core.bills
    where version > 1 or payment_count > 1

),

readings as (

    select
        other_bills.bill_number,
        versions.version,
        versions.sync_id,
        versions.observed_at,
        versions.state = 'Paid' as is_paid,
        case
            when versions.state not in ('Paid', 'Excess', 'Partial') then 0
            when versions.received_amount >= 0 then versions.received_amount
            when versions.received_amount < 0 then 0
        end as counted_amount,
        lead(versions.changed_after) over (
            partition by other_bills.bill_number order by versions.version
        ) as last_read_at
    from core.bill_versions as versions
    inner join other_bills
        on versions.account = other_bills.account and versions.order_reference = other_bills.order_reference

),

known_readings as (

    select
        bill_number,
        version,
        sync_id,
        observed_at,
        counted_amount,
        lag(counted_amount, 1, 0) over of_bill as counted_before,
        lag(last_read_at) over of_bill as last_read_before,
        lag(version) over of_bill as version_before,
        is_paid and lag(is_paid) over of_bill as stays_paid,
        row_number() over of_bill = 1 as is_first_reading
    from readings
    where counted_amount is not null
    window of_bill as (partition by bill_number order by version)

),

steps as (

    select
        bill_number,
        version,
        sync_id,
        observed_at,
        counted_amount,
        counted_before,
        last_read_before,
        version_before,
        stays_paid,
        is_first_reading,
        lag(sync_id) over (partition by bill_number order by version) as sync_before
    from known_readings
    where counted_amount != counted_before

),

-- Money that was never there: a sum that the same sync took back, or that nobody had named. Paid without a sum counts
-- as all of it, until a sum is told. The JSON is read only where one fell while its bill stayed Paid.
corrections as (

    select
        steps.bill_number,
        steps.version
    from steps
    inner join other_bills on steps.bill_number = other_bills.bill_number
    inner join core.bill_versions as earlier
        on
            other_bills.account = earlier.account
            and other_bills.order_reference = earlier.order_reference
            and steps.version_before = earlier.version
    where
        steps.counted_amount < steps.counted_before
        and case
            when steps.sync_id = steps.sync_before then true
            when steps.stays_paid and json_valid(earlier.payload)
                then
                    json_extract_string(earlier.payload, '$.received_amount') is null
                    and json_extract_string(earlier.payload, '$.payments[0].amount') is null
        end

),

numbered_steps as (

    select
        steps.bill_number,
        steps.version,
        steps.observed_at,
        steps.counted_amount,
        steps.counted_before,
        steps.last_read_before,
        steps.is_first_reading,
        corrections.version is not null as is_correction,
        count(*) filter (where corrections.version is null) over (
            partition by steps.bill_number order by steps.version
        ) as step_number
    from steps
    left join corrections on steps.bill_number = corrections.bill_number and steps.version = corrections.version

),

-- Each with its corrections, as if the right sum had been told at once.
corrected_steps as (

    select
        bill_number,
        observed_at,
        counted_before,
        last_read_before,
        is_first_reading,
        last_value(counted_amount) over (
            partition by bill_number, step_number
            order by version
            rows between unbounded preceding and unbounded following
        ) as counted_amount
    from numbered_steps
    qualify not is_correction

),

movements as (

    select
        corrected_steps.bill_number,
        other_bills.account,
        other_bills.order_reference,
        other_bills.gateway_reference,
        other_bills.gateway_name,
        other_bills.currency,
        case
            when corrected_steps.is_first_reading then other_bills.created_at
            else corrected_steps.last_read_before
        end as received_after,
        corrected_steps.observed_at as received_before,
        corrected_steps.is_first_reading,
        corrected_steps.counted_amount > corrected_steps.counted_before as is_received,
        least(corrected_steps.counted_amount, corrected_steps.counted_before) as moved_from,
        greatest(corrected_steps.counted_amount, corrected_steps.counted_before) as moved_to
    from corrected_steps
    inner join other_bills on corrected_steps.bill_number = other_bills.bill_number
    where corrected_steps.counted_amount != corrected_steps.counted_before

),

payments as (

    select
        other_bills.bill_number,
        other_bills.account,
        other_bills.changed_at,
        payments.gateway_reference,
        payments.gateway_name,
        payments.amount,
        other_bills.received_amount,
        -- empty where it is more than any bill can have received: such payments explain nothing
        try_cast(
            sum(payments.amount) over (
                partition by other_bills.bill_number order by payments.payment_number
            ) as bigint
        ) as amount_until,
        sum(payments.amount) over of_bill as total_amount,
        min(coalesce(payments.amount, 0)) over of_bill as smallest_amount,
        payments.payment_number = max(payments.payment_number) over of_bill as is_last
    from core.payments as payments
    inner join other_bills
        on payments.account = other_bills.account and payments.order_reference = other_bills.order_reference
    where other_bills.payment_count > 1
    window of_bill as (partition by other_bills.bill_number)

),

-- After a refund its payments explain what a bill had before; without that its past would move to one gateway.
most_received as (

    select
        bill_number,
        max(moved_to) as amount
    from movements
    group by bill_number

),

payment_shares as (

    select
        payments.bill_number,
        payments.gateway_reference,
        payments.gateway_name,
        payments.gateway_reference is not null or payments.gateway_name is not null as tells_gateway,
        payments.amount_until - payments.amount as share_from,
        case when payments.is_last then 9223372036854775807 else payments.amount_until end as share_to
    from payments
    inner join most_received on payments.bill_number = most_received.bill_number
    where
        payments.total_amount in (payments.received_amount, most_received.amount)
        and payments.smallest_amount > 0

),

shared as (

    select
        movements.account,
        movements.order_reference,
        movements.received_after,
        movements.received_before,
        movements.is_first_reading,
        movements.is_received,
        case
            when payment_shares.tells_gateway then payment_shares.gateway_reference
            else movements.gateway_reference
        end as gateway_reference,
        case
            when payment_shares.tells_gateway then payment_shares.gateway_name
            else movements.gateway_name
        end as gateway_name,
        movements.currency,
        least(movements.moved_to, coalesce(payment_shares.share_to, movements.moved_to))
        - greatest(movements.moved_from, coalesce(payment_shares.share_from, movements.moved_from)) as moved_amount
    from movements
    left join payment_shares
        on
            movements.bill_number = payment_shares.bill_number
            and movements.moved_to > payment_shares.share_from
            and movements.moved_from < payment_shares.share_to

),

timed as (

    select
        account,
        order_reference,
        least(received_after, received_before) as received_at,
        received_after is null as has_no_start,
        coalesce(epoch_us(received_before) - epoch_us(received_after) > 93600000000, false) as is_wide,
        is_first_reading,
        is_received,
        gateway_reference,
        gateway_name,
        currency,
        moved_amount
    from simple_bills
    union all
    select
        account,
        order_reference,
        least(received_after, received_before) as received_at,
        received_after is null as has_no_start,
        coalesce(epoch_us(received_before) - epoch_us(received_after) > 93600000000, false) as is_wide,
        is_first_reading,
        is_received,
        gateway_reference,
        gateway_name,
        currency,
        moved_amount
    from shared

),

-- Until 1912 a town had its own time, which makes the day before of a time that means "none" (year 1, 1900): then UTC.
dated as (

    select
        account,
        order_reference,
        cast(
            case
                when received_at < timestamptz '1912-01-02 00:00:00+00' then timezone('UTC', received_at)
                else timezone('Africa/Lome', received_at)
            end as date
        ) as received_date,
        has_no_start,
        is_wide,
        is_first_reading,
        is_received,
        gateway_reference,
        gateway_name,
        currency,
        moved_amount
    from timed

),

unlisted as (

    select
        bills.account,
        bills.gateway_reference,
        bills.gateway_name,
        true as is_of_bill,
        max(bills.changed_at) as read_at
    from core.bills as bills
    left join core.gateways as gateways
        on bills.account = gateways.account and bills.gateway_reference = gateways.gateway_reference
    where
        gateways.name is null
        and bills.gateway_reference is not null
        and bills.gateway_name is not null
    group by bills.account, bills.gateway_reference, bills.gateway_name
    union all
    select
        payments.account,
        payments.gateway_reference,
        payments.gateway_name,
        false as is_of_bill,
        max(payments.changed_at) as read_at
    from payments
    left join core.gateways as gateways
        on payments.account = gateways.account and payments.gateway_reference = gateways.gateway_reference
    where
        gateways.name is null
        and payments.gateway_reference is not null
        and payments.gateway_name is not null
    group by payments.account, payments.gateway_reference, payments.gateway_name

),

-- One name a gateway, or its money would stand in a row for each name; the same as in gateway_performance.
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
        order by is_of_bill desc, read_at desc, gateway_name asc
    ) = 1

),

daily_collections as (

    select
        dated.account,
        dated.received_date,
        dated.gateway_reference,
        coalesce(gateway_names.gateway_name, dated.gateway_name) as gateway_name,
        dated.currency,
        count(distinct case when dated.is_received then dated.order_reference end) as bill_count,
        cast(sum(case when dated.is_received then dated.moved_amount else 0 end) as bigint) as received_amount,
        cast(
            sum(
                case
                    when dated.is_received and (dated.has_no_start or (dated.is_wide and not dated.is_first_reading))
                        then dated.moved_amount
                    else 0
                end
            ) as bigint
        ) as received_with_uncertain_day,
        cast(
            sum(
                case
                    when dated.is_received and dated.is_wide and dated.is_first_reading then dated.moved_amount
                    else 0
                end
            ) as bigint
        ) as received_with_assumed_day,
        count(distinct case when not dated.is_received then dated.order_reference end) as withdrawn_count,
        cast(sum(case when dated.is_received then 0 else dated.moved_amount end) as bigint) as withdrawn_amount
    from dated
    left join gateway_names
        on dated.account = gateway_names.account and dated.gateway_reference = gateway_names.gateway_reference
    group by
        dated.account,
        dated.received_date,
        dated.gateway_reference,
        coalesce(gateway_names.gateway_name, dated.gateway_name),
        dated.currency

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
    received_with_assumed_day,
    withdrawn_count,
    withdrawn_amount,
    received_amount - withdrawn_amount as net_amount
from daily_collections
order by account, received_date, gateway_name, gateway_reference, currency
