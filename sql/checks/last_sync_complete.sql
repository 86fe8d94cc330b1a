-- The newest sync of every account has read all that it promises, and so has the newest that reads the list, for which
-- no re-check makes up. If not, bills may be missing or out of date.
-- asset: core/syncs
-- severity: error
-- blocking: false
with

ended as (

    select
        account,
        sync_id,
        kind,
        started_at,
        status,
        error_code,
        complete,
        -- in the order in which they were stored, one after the other: a clock may be wrong, and set right
        row_number() over (
            partition by account
            order by rowid desc
        ) as newest,
        row_number() over (
            partition by account, kind = 'recheck'
            order by rowid desc
        ) as newest_of_its_kind
    from core.syncs
    where status != 'running'

)

select
    account,
    sync_id,
    kind,
    started_at,
    status,
    error_code
from ended
where
    not complete
    and (newest = 1 or (newest_of_its_kind = 1 and kind != 'recheck'))
