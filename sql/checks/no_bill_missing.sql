-- CashPay still knows every bill that it knew before the newest nightly sync. Those that it no longer knows are kept
-- and marked (missing_since).
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

)

select
    bills.account,
    bills.order_reference,
    bills.state,
    bills.amount,
    bills.received_amount,
    bills.created_at,
    bills.missing_since
from core.bills as bills
inner join newest on bills.account = newest.account
where bills.missing_since >= newest.started_at
