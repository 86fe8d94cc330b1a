-- en: How much has come in this month, against the same days of last month?
-- fr: Combien est entré ce mois-ci, par rapport aux mêmes jours du mois dernier ?
-- Days that were over when the last complete sync began; a re-check reads no new bills and does not count. On the first
-- of a month, the month before is this month.
with

last_days as (

    select
        account,
        -- of the one stored last: a clock may be wrong, and set right
        cast(timezone('Africa/Lome', arg_max(started_at, rowid)) as date) - 1 as last_day
    from core.syncs
    where
        kind != 'recheck'
        and complete
    group by account

),

compared as (

    select
        collections.account,
        collections.currency,
        date_trunc('month', collections.received_date) = date_trunc('month', last_days.last_day) as is_this_month,
        collections.net_amount,
        last_days.last_day
    from marts.daily_collections as collections
    inner join last_days on collections.account = last_days.account
    where
        collections.received_date <= last_days.last_day
        and date_trunc('month', collections.received_date)
        >= date_trunc('month', last_days.last_day) - interval 1 month
        and day(collections.received_date) <= day(last_days.last_day)

)

select
    account,
    currency,
    last_day as until_day,
    cast(sum(case when is_this_month then net_amount else 0 end) as bigint) as this_month_amount,
    cast(sum(case when is_this_month then 0 else net_amount end) as bigint) as last_month_amount,
    cast(sum(case when is_this_month then net_amount else -net_amount end) as bigint) as difference_amount
from compared
group by account, currency, last_day
order by account, currency
