-- All new bills are in a currency that the account had before, or, on the first sync, in one and the same.
-- asset: core/bills
-- severity: warn
-- blocking: false
with

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
    inner join core.unchecked_since() as newest on bills.account = newest.account
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
