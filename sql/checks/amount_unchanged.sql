-- No bill is for another amount than before, since the newest nightly sync began. CashPay has no way to change one.
-- asset: core/bill_versions
-- severity: warn
-- blocking: false
with

changes as (

    select
        account,
        order_reference,
        version,
        observed_at,
        state,
        amount,
        lag(amount) over (
            partition by account, order_reference
            order by version
        ) as amount_before
    from core.bill_versions

)

select
    changes.account,
    changes.order_reference,
    changes.version,
    changes.state,
    changes.amount_before,
    changes.amount,
    changes.observed_at
from changes
inner join core.unchecked_since() as newest on changes.account = newest.account
where
    changes.observed_at >= newest.started_at
    and changes.amount != changes.amount_before
