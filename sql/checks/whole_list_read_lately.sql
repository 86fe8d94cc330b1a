-- The whole bill list was read to its end within the nine days before the newest sync. Only that finds what the nights
-- cannot see: start full_refresh if the weekly one was missed.
-- asset: core/syncs
-- severity: warn
-- blocking: false
with

newest as (

    select
        account,
        -- the one stored last: a clock may be wrong, and set right
        arg_max(started_at, rowid) as started_at
    from core.syncs
    where status != 'running'
    group by account

)

select
    merchants.account,
    merchants.full_walk_finished_at,
    newest.started_at as newest_sync_started_at
from core.accounts as merchants
inner join newest on merchants.account = newest.account
where
    merchants.full_walk_finished_at is null
    or newest.started_at - merchants.full_walk_finished_at > interval 9 days
