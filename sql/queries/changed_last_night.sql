-- en: What changed last night?
-- fr: Qu'est-ce qui a changé la nuit dernière ?
-- What the newest sync of each account that is not a re-check found: bills by their state before (empty for new ones)
-- and now, and how much more has come in for them (empty where CashPay has not told). The bills themselves:
-- bills_changed_last_night.sql.
with

newest as (

    select
        account,
        sync_id
    from core.syncs
    where kind != 'recheck'
    -- the one stored last: a clock may be wrong, and set right
    qualify row_number() over (
        partition by account
        order by rowid desc
    ) = 1

),

changed as (

    select
        versions.account,
        versions.order_reference,
        min(versions.version) as first_version,
        max(versions.version) as last_version
    from core.bill_versions as versions
    inner join newest
        on versions.account = newest.account and versions.sync_id = newest.sync_id
    group by versions.account, versions.order_reference

),

-- What was told last before: a version whose sum was not told takes nothing back.
told_before as (

    select
        changed.account,
        changed.order_reference,
        arg_max(greatest(earlier.received_amount, 0), earlier.version) as received_amount
    from changed
    inner join core.bill_versions as earlier
        on
            changed.account = earlier.account
            and changed.order_reference = earlier.order_reference
            and changed.first_version > earlier.version
    where earlier.received_amount is not null
    group by changed.account, changed.order_reference

),

changes as (

    select
        changed.account,
        bills.currency,
        changed.order_reference,
        earlier.state as state_before,
        latest.state as state_now,
        case
            when latest.received_amount is not null
                then greatest(latest.received_amount, 0) - coalesce(told_before.received_amount, 0)
        end as received_more
    from changed
    inner join core.bills as bills
        on changed.account = bills.account and changed.order_reference = bills.order_reference
    inner join core.bill_versions as latest
        on
            changed.account = latest.account
            and changed.order_reference = latest.order_reference
            and changed.last_version = latest.version
    left join core.bill_versions as earlier
        on
            changed.account = earlier.account
            and changed.order_reference = earlier.order_reference
            and changed.first_version = earlier.version + 1
    left join told_before
        on changed.account = told_before.account and changed.order_reference = told_before.order_reference

)

select
    account,
    currency,
    state_before,
    state_now,
    count(*) as bill_count,
    cast(sum(received_more) as bigint) as received_more
from changes
group by account, currency, state_before, state_now
order by account asc, currency asc, state_before asc nulls first, state_now asc
