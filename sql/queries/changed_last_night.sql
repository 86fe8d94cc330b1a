-- en: What changed last night?
-- fr: Qu'est-ce qui a changé la nuit dernière ?
-- What the newest sync of each account that is not a re-check found: bills by their state before (empty for new ones)
-- and now, and how much more has come in for them. Drop the sums and the group by to see the bills.
with

newest as (

    select
        account,
        sync_id
    from marts.sync_health
    where kind != 'recheck'
    qualify row_number() over (
        partition by account
        order by ended_at desc, started_at desc, sync_id desc
    ) = 1

),

changes as (

    select
        versions.account,
        bills.currency,
        versions.order_reference,
        earlier.state as state_before,
        versions.state as state_now,
        coalesce(versions.received_amount, 0) - coalesce(earlier.received_amount, 0) as received_more
    from core.bill_versions as versions
    inner join newest
        on versions.account = newest.account and versions.sync_id = newest.sync_id
    inner join core.bills as bills
        on versions.account = bills.account and versions.order_reference = bills.order_reference
    left join core.bill_versions as earlier
        on
            versions.account = earlier.account
            and versions.order_reference = earlier.order_reference
            and versions.version = earlier.version + 1

)

select
    account,
    currency,
    state_before,
    state_now,
    count(distinct order_reference) as bill_count,
    cast(sum(received_more) as bigint) as received_more
from changes
group by account, currency, state_before, state_now
order by account asc, currency asc, state_before asc nulls first, state_now asc
