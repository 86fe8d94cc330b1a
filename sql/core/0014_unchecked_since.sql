-- Since when no check has looked at what was stored: `from core.unchecked_since()`, a row an account.
-- Checks run after a sync that came to its end. What was stored by those before it that had to stop, no check has looked
-- at: it counts with the next one. In the order in which they were stored: a clock may be wrong, and set right.

create macro core.unchecked_since() as table
with ended as (
    select
        account,
        kind,
        started_at,
        count(*) filter (where status in ('complete', 'incomplete')) over (
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
