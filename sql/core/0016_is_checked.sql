-- Whether the checks have looked is noted when they have, and no more taken from how a sync ended: a run can be killed
-- between the two. What was stored by a sync that they never looked at counts with the next one that they look at.

alter table core.syncs add column is_checked boolean default false;
comment on column core.syncs.is_checked is 'Whether the checks have looked at what this sync and those before it stored, this one being the newest.';
update core.syncs set is_checked = true where status in ('complete', 'incomplete');

create or replace macro core.unchecked_since() as table
with ended as (
    select
        account,
        kind,
        started_at,
        -- in the order in which they were stored: a clock may be wrong, and set right
        count(*) filter (where is_checked) over (
            partition by account
            order by rowid
            rows between unbounded preceding and 1 preceding
        ) as place
    from core.syncs
    where status != 'running'
)
select
    account,
    min(started_at) as started_at
from ended
group by account, place
having bool_or(kind != 'recheck')
qualify row_number() over (partition by account order by place desc) = 1;
