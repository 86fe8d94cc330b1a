-- Orders of the shop. $repeated: what several rows of one reference are ('total', 'parts' or 'last').
-- grain: one row per reference

create table orders as
select
    reference,
    count(*) as row_count,
    min(line) as line,
    last(currency order by line) filter (where amount is not null) as currency,
    count(distinct currency) filter (where amount is not null) as currency_count,
    count(distinct amount) as amount_count,
    count(distinct is_paid) as paid_count,
    case
        when $repeated = 'parts' then try_cast(sum(amount) as bigint)
        when $repeated = 'last' then last(amount order by line)
        else max(amount)
    end as amount,
    case when $repeated = 'last' then last(is_paid order by line) else bool_and(is_paid) end as is_paid,
    case when $repeated = 'last' then last(ordered_at order by line) else min(ordered_at) end as ordered_at,
    case when $repeated = 'last' then last(ordered_before order by line) else min(ordered_before) end as ordered_before
from read
where reference != ''
group by reference;
