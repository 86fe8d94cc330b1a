-- After the newest full refresh at least as many bills were stored or set aside as CashPay said there are. If not, some
-- are missing. A complete refresh after it ends this, if CashPay told a total: it has compared, and found as many.
-- asset: core/bills
-- severity: error
-- blocking: false
with

full_refreshes as (

    select
        account,
        sync_id,
        kind,
        finished_at,
        reported_total
    from core.syncs
    where
        (kind = 'full_refresh' and status in ('complete', 'incomplete'))
        or (kind = 'refresh' and complete and reported_total > 0)
    -- the one stored last: a clock may be wrong, and set right
    qualify
        kind = 'full_refresh'
        and row_number() over (
            partition by account
            order by rowid desc
        ) = 1

),

known as (

    select
        full_refreshes.account,
        count(*) as known_count
    from full_refreshes
    inner join core.bills as bills
        on
            full_refreshes.account = bills.account
            and full_refreshes.finished_at >= bills.first_seen_at
            and (bills.missing_since is null or full_refreshes.finished_at < bills.missing_since)
    group by full_refreshes.account

),

set_aside as (

    select
        full_refreshes.account,
        count(distinct coalesce(issues.order_reference, issues.issue_id)) as bill_count
    from full_refreshes
    inner join core.data_issues as issues
        on
            full_refreshes.account = issues.account
            and full_refreshes.finished_at >= issues.first_seen_at
            and (issues.resolved_at is null or full_refreshes.finished_at < issues.resolved_at)
    left join core.bills as bills
        on
            full_refreshes.account = bills.account
            and issues.order_reference = bills.order_reference
            and full_refreshes.finished_at >= bills.first_seen_at
    where
        issues.source = 'list'
        and bills.order_reference is null
    group by full_refreshes.account

)

select
    full_refreshes.account,
    full_refreshes.sync_id,
    full_refreshes.finished_at,
    full_refreshes.reported_total,
    coalesce(known.known_count, 0) as bills_known_then,
    coalesce(set_aside.bill_count, 0) as bills_set_aside_then
from full_refreshes
left join known on full_refreshes.account = known.account
left join set_aside on full_refreshes.account = set_aside.account
where full_refreshes.reported_total > coalesce(known.known_count, 0) + coalesce(set_aside.bill_count, 0)
