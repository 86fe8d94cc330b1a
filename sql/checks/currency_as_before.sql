-- All new bills are in a currency that the account had before, or, on the first sync, in one and the same.
-- asset: core/bills
-- severity: warn
-- blocking: false
with

ended as (

    select
        account,
        kind,
        started_at,
        -- in the order in which they were stored: a clock may be wrong, and set right. What those stored that had to
        -- stop no check has looked at: it counts to the next one that came to its end
        count(*) filter (where status in ('complete', 'incomplete')) over (
            partition by account
            order by rowid
            rows between unbounded preceding and 1 preceding
        ) as place
    from core.syncs
    where status != 'running'

),

newest as (

    select
        account,
        min(started_at) as started_at
    from ended
    group by account, place
    having bool_or(kind != 'recheck')
    qualify
        row_number() over (
            partition by account
            order by place desc
        ) = 1

),

currencies as (

    select
        bills.account,
        bills.currency,
        count(*) as bill_count,
        min(bills.first_seen_at) as first_seen_at,
        min(bills.first_seen_at) >= any_value(newest.started_at) as is_new,
        row_number() over (
            partition by bills.account
            order by min(bills.first_seen_at) >= any_value(newest.started_at), count(*) desc
        ) as place
    from core.bills as bills
    inner join newest on bills.account = newest.account
    group by bills.account, bills.currency

)

select
    account,
    currency,
    bill_count,
    first_seen_at
from currencies
where
    is_new
    and place > 1
