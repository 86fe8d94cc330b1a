-- No bill that was paid is unpaid again, and of none has the sum received fallen, since the newest nightly sync began.
-- If one has, ask CashPay what happened to the money. Where Paid was all that CashPay had told, and a sum is told now,
-- nothing has fallen.
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
        received_amount,
        -- a word that we do not know may stand between the two
        lag(nullif(state, 'Unknown') ignore nulls) over of_bill as state_before,
        -- and so may a sum that was not told
        lag(received_amount ignore nulls) over of_bill as received_before,
        lag(case when received_amount is not null then version end ignore nulls) over of_bill as told_in_version
    from core.bill_versions
    window of_bill as (partition by account, order_reference order by version)

),

odd as (

    select
        changes.account,
        changes.order_reference,
        changes.version,
        changes.state_before,
        changes.state,
        changes.amount,
        changes.received_before,
        changes.received_amount,
        changes.observed_at,
        changes.told_in_version,
        changes.state_before in ('Paid', 'Excess') and changes.state not in ('Paid', 'Excess') as is_unpaid_again
    from changes
    inner join core.unchecked_since() as newest on changes.account = newest.account
    where
        changes.observed_at >= newest.started_at
        and (is_unpaid_again or changes.received_amount < changes.received_before)

)

select
    odd.account,
    odd.order_reference,
    odd.version,
    odd.state_before,
    odd.state,
    odd.amount,
    odd.received_before,
    odd.received_amount,
    odd.observed_at
from odd
left join core.bill_versions as earlier
    on
        odd.account = earlier.account
        and odd.order_reference = earlier.order_reference
        and odd.told_in_version = earlier.version
where
    odd.is_unpaid_again
    or case
        when earlier.state = 'Paid' and json_valid(earlier.payload)
            then coalesce(
                json_extract_string(earlier.payload, '$.received_amount'),
                json_extract_string(earlier.payload, '$.payments[0].amount')
            ) is not null
        else true
    end
