-- en: What came in last month, by day and gateway?
-- fr: Qu'est-ce qui est entré le mois dernier, par jour et moyen de paiement ?
-- Last month is the one before that of the last day in Africa/Lome that was over when the last complete sync began; a
-- re-check reads no new bills and does not count. Withdrawn is money counted before that no longer counts: refunds, and
-- what canceled, expired or failed bills had received.
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

)

select
    collections.account,
    collections.received_date,
    coalesce(collections.gateway_name, 'not told') as gateway_name,
    collections.currency,
    collections.received_amount,
    collections.withdrawn_amount,
    collections.net_amount
from marts.daily_collections as collections
inner join last_days on collections.account = last_days.account
where
    date_trunc('month', collections.received_date) = date_trunc('month', last_days.last_day) - interval 1 month
order by collections.account asc, collections.received_date asc, collections.currency asc, gateway_name asc
