-- Every sync, newest last: whether it read everything, what it cost and what it brought. No money is in here.
-- The newest is the one that was stored last: a clock may be wrong, and set right.
-- Ages are counted up to the end of the newest sync of all accounts, never to the present moment: an account that is no
-- longer read falls behind the others.
-- grain: one row per sync
--
-- account: Label of the merchant account that was read.
-- sync_id: Key of the sync.
-- kind: refresh, full_refresh or recheck.
-- started_at: Start, UTC.
-- ended_at: End, or the last sign of life where there is no end, UTC.
-- duration_seconds: From start to end, whole seconds, rounded up.
-- status: running, complete, incomplete, failed, or dead (killed: found by a later run).
-- is_complete: Whether the sync read all that its kind promises.
-- error_code: What stopped it; empty when nothing did.
-- warning_count: What a careful reader should know about the run: the number of its warnings (core.syncs has them).
-- pages: Pages of the bill list that were read.
-- requests: HTTP requests sent, logins and retries among them.
-- retries: Requests sent again after a failure.
-- waited_seconds: Seconds spent waiting before a retry.
-- rows_read: Bill records read, repeats among them.
-- bills_new: Bills seen for the first time.
-- bills_changed: Changes found in bills known before.
-- rows_set_aside: Records put into core.data_issues.
-- reported_total: The number of bills that CashPay says there are; empty when it does not.
-- is_newest: Whether it is the newest of its account.
-- age_hours: Whole hours from its end to the end of the newest sync of all accounts, never below zero.
-- last_complete_at: End of the last complete sync of the account up to and with this one, re-checks not counted, UTC;
--     empty when there was none.
-- hours_since_complete: Whole hours from last_complete_at to this sync's end: how old the list was by then; empty where
--     that end is before last_complete_at, for a clock was wrong.
with

ended as (

    select
        account,
        sync_id,
        kind,
        started_at,
        coalesce(finished_at, heartbeat_at) as ended_at,
        status,
        complete,
        error_code,
        len(warnings) as warning_count,
        pages,
        requests,
        retries,
        waited_seconds,
        rows_read,
        bills_new,
        bills_changed,
        rows_set_aside,
        reported_total,
        rowid as place
    from core.syncs

),

placed as (

    select
        account,
        sync_id,
        kind,
        started_at,
        ended_at,
        status,
        complete,
        error_code,
        warning_count,
        pages,
        requests,
        retries,
        waited_seconds,
        rows_read,
        bills_new,
        bills_changed,
        rows_set_aside,
        reported_total,
        place,
        place = max(place) over (partition by account) as is_newest,
        arg_max(case when complete and kind != 'recheck' then ended_at end, place) over (
            partition by account
            order by place
        ) as last_complete_at
    from ended

)

select
    account,
    sync_id,
    kind,
    started_at,
    ended_at,
    (greatest(epoch_us(ended_at) - epoch_us(started_at), 0) + 999999) // 1000000 as duration_seconds,
    status,
    complete as is_complete,
    error_code,
    warning_count,
    pages,
    requests,
    retries,
    cast(waited_seconds as decimal(18, 3)) as waited_seconds,
    rows_read,
    bills_new,
    bills_changed,
    rows_set_aside,
    reported_total,
    is_newest,
    greatest(
        (epoch_us(max(case when is_newest then ended_at end) over ()) - epoch_us(ended_at)) // 3600000000, 0
    ) as age_hours,
    last_complete_at,
    case
        when ended_at >= last_complete_at then (epoch_us(ended_at) - epoch_us(last_complete_at)) // 3600000000
    end as hours_since_complete
from placed
order by account, place
