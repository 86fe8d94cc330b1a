-- Of the bills of the third day before the newest sync about as many were paid as is usual: within four standard
-- deviations, and 15 points, of the four weeks before that day. Days with fewer than 30 bills are not judged.
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

conversions as (

    select
        bills.account,
        newest.last_date - 3 as business_date,
        count(*) filter (where bills.business_date = newest.last_date - 3) as bill_count,
        avg(cast(bills.state in ('Paid', 'Excess') as integer))
        filter (where bills.business_date = newest.last_date - 3) as share_paid,
        count(*) filter (where bills.business_date < newest.last_date - 3) as bill_count_before,
        avg(cast(bills.state in ('Paid', 'Excess') as integer))
        filter (where bills.business_date < newest.last_date - 3) as share_paid_before
    from core.bills as bills
    inner join newest on bills.account = newest.account
    where bills.business_date between newest.last_date - 31 and newest.last_date - 3
    group by bills.account, newest.last_date

)

select
    account,
    business_date,
    bill_count,
    round(share_paid, 3) as share_paid,
    round(share_paid_before, 3) as share_paid_before
from conversions
where
    bill_count >= 30
    and bill_count_before >= 100
    and abs(share_paid - share_paid_before)
    > greatest(0.15, 4 * sqrt(share_paid_before * (1 - share_paid_before) / bill_count))
