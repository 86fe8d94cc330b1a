-- en: What came in yesterday, by gateway?
-- fr: Qu'est-ce qui est entré hier, par moyen de paiement ?
-- Yesterday is the last day in Africa/Lome that was over when the last complete sync began; a re-check reads no new
-- bills and does not count.
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
    collections.bill_count,
    collections.received_amount,
    collections.withdrawn_amount,
    collections.received_with_uncertain_day + collections.received_with_assumed_day as amount_of_uncertain_day
from marts.daily_collections as collections
inner join last_days
    on collections.account = last_days.account and collections.received_date = last_days.last_day
order by collections.account asc, collections.currency asc, collections.received_amount desc, gateway_name asc
