-- en: What were the totals, as they were known at the end of last month?
-- fr: Quels étaient les totaux, tels qu'on les connaissait à la fin du mois dernier ?
-- Write any other moment into `asked`. What CashPay told later is not in here, so that an old report can be explained.
with

asked as (

    select timezone('Africa/Lome', date_trunc('month', timezone('Africa/Lome', max(verified_at)))) as moment
    from core.bills

)

select
    asked.moment as known_at,
    known.account,
    known.currency,
    known.state,
    count(*) as bill_count,
    cast(sum(greatest(known.amount, 0)) as bigint) as billed_amount,
    cast(sum(greatest(coalesce(known.received_amount, 0), 0)) as bigint) as received_amount
from asked
cross join core.bills_as_of(asked.moment) as known
group by asked.moment, known.account, known.currency, known.state
order by known.account, known.currency, known.state
