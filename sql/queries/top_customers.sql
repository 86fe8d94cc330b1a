-- en: Who are the 20 best customers, by what they paid?
-- fr: Qui sont les 20 meilleurs clients, d'après ce qu'ils ont payé ?
-- A customer is a keyed hash and two digits of the phone; nobody is named.
with

ranked as (

    select
        account,
        currency,
        client_key,
        client_phone_masked,
        received_amount,
        paid_count,
        bill_count,
        first_business_date,
        last_business_date,
        row_number() over (
            partition by account, currency
            order by received_amount desc, client_key asc
        ) as place
    from marts.customers
    where received_amount > 0

)

select
    account,
    currency,
    place,
    client_key,
    client_phone_masked,
    received_amount,
    paid_count,
    bill_count,
    first_business_date,
    last_business_date
from ranked
where place <= 20
order by account, currency, place
