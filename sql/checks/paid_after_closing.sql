-- No bill was paid after it had been closed (Expired, Canceled or Error), since the newest nightly sync began. The
-- money is counted; the shop may have given the order up.
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
        received_amount,
        -- a word that we do not know may stand between the two
        lag(nullif(state, 'Unknown') ignore nulls) over (
            partition by account, order_reference
            order by version
        ) as state_before
    from core.bill_versions

)

select
    changes.account,
    changes.order_reference,
    changes.version,
    changes.state_before,
    changes.state,
    changes.received_amount,
    changes.observed_at
from changes
inner join core.unchecked_since() as newest on changes.account = newest.account
where
    changes.observed_at >= newest.started_at
    and changes.state_before in ('Expired', 'Canceled', 'Error')
    and changes.state in ('Paid', 'Excess', 'Partial')
