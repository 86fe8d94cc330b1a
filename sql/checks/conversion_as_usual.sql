-- Of the bills of the third day before the newest sync about as many were seen paid by now as is usual within three
-- days: within four standard deviations, and 15 points, of the four weeks before that day. Bills that were first read
-- later, as by the first sync, tell nothing about that. Days with fewer than 30 bills are not judged.
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

judged as (

    select
        bills.account,
        bills.business_date,
        newest.last_date - 3 as judged_date,
        coalesce(
            bills.state in ('Paid', 'Excess')
            and cast(timezone('Africa/Lome', bills.paid_before) as date) <= bills.business_date + 3,
            false
        ) as is_paid
    from core.bills as bills
    inner join newest on bills.account = newest.account
    where
        bills.business_date between newest.last_date - 31 and newest.last_date - 3
        and cast(timezone('Africa/Lome', bills.first_seen_at) as date) <= bills.business_date + 3

),

conversions as (

    select
        account,
        judged_date as business_date,
        count(*) filter (where business_date = judged_date) as bill_count,
        avg(cast(is_paid as integer)) filter (where business_date = judged_date) as share_paid,
        count(*) filter (where business_date < judged_date) as bill_count_before,
        avg(cast(is_paid as integer)) filter (where business_date < judged_date) as share_paid_before
    from judged
    group by account, judged_date

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
