-- In the 30 days before the newest complete sync there is no day without any bill whose weekday had five or more in
-- both of the last two weeks before the hole. Such a hole is either a closed shop, or bills that were not read. It is
-- measured by what was before it, however long it is, and though no bill has come since; weekdays on which the shop is
-- always closed are none.
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
        and complete
    group by account

),

calendar as (

    select
        account,
        cast(unnest(generate_series(last_date - interval 30 days, last_date - interval 1 day, interval 1 day)) as date)
            as business_date
    from newest

),

daily as (

    select
        account,
        business_date,
        count(*) as bill_count
    from core.bills
    where business_date is not null
    group by account, business_date

),

holes as (

    select
        calendar.account,
        calendar.business_date,
        max(daily.business_date) as last_date_with_bills
    from calendar
    inner join daily
        on
            calendar.account = daily.account
            and calendar.business_date >= daily.business_date
    group by calendar.account, calendar.business_date
    having max(daily.business_date) < calendar.business_date

),

dated as (

    select
        account,
        business_date,
        last_date_with_bills,
        -- the same weekday in the week that ends with the last day before the hole
        business_date - cast((business_date - last_date_with_bills + 6) // 7 * 7 as integer) as date_before
    from holes

)

select
    dated.account,
    dated.business_date,
    dated.last_date_with_bills,
    week_before.bill_count as bills_a_week_before,
    two_weeks_before.bill_count as bills_two_weeks_before
from dated
inner join daily as week_before
    on
        dated.account = week_before.account
        and dated.date_before = week_before.business_date
inner join daily as two_weeks_before
    on
        dated.account = two_weeks_before.account
        and dated.date_before - 7 = two_weeks_before.business_date
where
    week_before.bill_count >= 5
    and two_weeks_before.bill_count >= 5
order by dated.account, dated.business_date
