-- The newest sync of every account has read all that it promises. If not, bills may be missing or out of date.
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
        row_number() over (
            partition by account
            order by coalesce(finished_at, heartbeat_at) desc, rowid desc
        ) as newest
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
    newest = 1
    and not complete
