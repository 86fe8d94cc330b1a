-- In the 30 days before the newest sync there is no day without any bill where the week before it and the week after it
-- had five a day or more. Such a hole is either a closed shop, or bills that were not read.
-- asset: core/bills
-- severity: warn
-- blocking: false
with

newest as (

    select
        account,
        -- the one stored last: a clock may be wrong, and set right
        cast(timezone('Africa/Lome', arg_max(started_at, rowid)) as date) as last_date
    from core.syncs
    where
        kind != 'recheck'
        and status != 'running'
    group by account

),

calendar as (

    select
        account,
        last_date,
        cast(unnest(generate_series(last_date - interval 37 days, last_date - interval 1 day, interval 1 day)) as date)
            as business_date
    from newest

),

daily as (

    select
        calendar.account,
        calendar.last_date,
        calendar.business_date,
        count(bills.order_reference) as bill_count
    from calendar
    left join core.bills as bills
        on
            calendar.account = bills.account
            and calendar.business_date = bills.business_date
    group by calendar.account, calendar.last_date, calendar.business_date

),

around as (

    select
        account,
        last_date,
        business_date,
        bill_count,
        avg(bill_count) over (
            partition by account
            order by business_date
            rows between 7 preceding and 1 preceding
        ) as bills_a_day_before,
        avg(bill_count) over (
            partition by account
            order by business_date
            rows between 1 following and 7 following
        ) as bills_a_day_after
    from daily

)

select
    account,
    business_date,
    round(bills_a_day_before, 1) as bills_a_day_before,
    round(bills_a_day_after, 1) as bills_a_day_after
from around
where
    bill_count = 0
    -- The week before these is only there for comparison.
    and business_date >= last_date - 30
    and bills_a_day_before >= 5
    and coalesce(bills_a_day_after, bills_a_day_before) >= 5
