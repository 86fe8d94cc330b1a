-- en: At what hour and on which day of the week are bills created, and how many of them are paid?
-- fr: À quelle heure et quel jour de la semaine les factures sont-elles créées, et combien sont payées ?
-- Days and hours of Africa/Lome, 1 is Monday. All bills with a time of creation; of the newest, more can be paid yet.
with

placed as (

    select
        account,
        isodow(timezone('Africa/Lome', created_at)) as day_of_week,
        hour(timezone('Africa/Lome', created_at)) as hour_of_day,
        state in ('Paid', 'Excess') as is_paid
    from core.bills
    where created_at is not null

)

select
    account,
    day_of_week,
    hour_of_day,
    count(*) as bill_count,
    count(*) filter (where is_paid) as paid_count,
    cast(count(*) filter (where is_paid) / count(*) as decimal(5, 4)) as conversion_share
from placed
group by account, day_of_week, hour_of_day
order by account, day_of_week, hour_of_day
