-- en: How fresh and how complete is the data?
-- fr: Les données sont-elles fraîches et complètes ?
-- Compare last_complete_at with your clock: the list was whole then. open_issues must be 0 for all money to be counted.
with

issues as (

    select
        account,
        count(*) as open_issues
    from core.data_issues
    where resolved_at is null
    group by account

),

bills as (

    select
        account,
        count(*) as bill_count,
        count(*) filter (where missing_since is not null) as missing_count,
        min(verified_at) filter (where state in ('Pending', 'Partial') and missing_since is null)
            as oldest_reading_of_open_bill
    from core.bills
    group by account

)

select
    syncs.account,
    syncs.kind as last_kind,
    syncs.status as last_status,
    syncs.ended_at as last_ended_at,
    syncs.last_complete_at,
    syncs.hours_since_complete,
    syncs.warning_count,
    bills.bill_count,
    syncs.reported_total,
    bills.missing_count,
    bills.oldest_reading_of_open_bill,
    coalesce(issues.open_issues, 0) as open_issues
from marts.sync_health as syncs
left join bills on syncs.account = bills.account
left join issues on syncs.account = issues.account
where syncs.is_newest
order by syncs.account
