-- en: What was known of a bill, and when?
-- fr: Que savait-on d'une facture, et quand ?
-- Write the reference of your bill into `asked`; as it stands, the bill of which most changes were seen.
with

asked as (

    select
        account,
        order_reference
    from core.bills
    order by version desc, changed_at desc, order_reference asc
    limit 1

),

moments as (

    -- two contents can have been read in one moment: then the later one was known
    select distinct versions.observed_at as known_at
    from core.bill_versions as versions
    inner join asked
        on versions.account = asked.account and versions.order_reference = asked.order_reference

)

select
    moments.known_at,
    known.account,
    known.order_reference,
    known.version,
    known.state,
    known.currency,
    known.amount,
    known.received_amount,
    known.changed_after
from moments
cross join core.bills_as_of(moments.known_at) as known
inner join asked
    on known.account = asked.account and known.order_reference = asked.order_reference
order by moments.known_at, known.version
