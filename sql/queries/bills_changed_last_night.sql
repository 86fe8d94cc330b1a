-- en: Which bills changed last night?
-- fr: Quelles factures ont changé la nuit dernière ?
-- What the newest sync of each account that is not a re-check found, one row a bill: its state before that sync (empty
-- for new ones) and after it, and how much more has come in (empty where CashPay has not told). changed_last_night.sql
-- counts them.
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

-- One sync can store several versions of a bill: what the list said first, then its details.
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

)

select
    changed.account,
    bills.merchant_reference,
    changed.order_reference,
    earlier.state as state_before,
    latest.state as state_now,
    bills.currency,
    case
        when latest.received_amount is not null
            then greatest(latest.received_amount, 0) - coalesce(told_before.received_amount, 0)
    end as received_more,
    coalesce(bills.gateway_name, 'not told') as gateway_name
from changed
inner join core.bill_versions as latest
    on
        changed.account = latest.account
        and changed.order_reference = latest.order_reference
        and changed.last_version = latest.version
inner join core.bills as bills
    on changed.account = bills.account and changed.order_reference = bills.order_reference
left join core.bill_versions as earlier
    on
        changed.account = earlier.account
        and changed.order_reference = earlier.order_reference
        and changed.first_version = earlier.version + 1
left join told_before
    on changed.account = told_before.account and changed.order_reference = told_before.order_reference
order by changed.account asc, bills.currency asc, received_more desc nulls last, changed.order_reference asc
