-- The history of every bill is whole: versions 1, 2, 3, ... without a gap or a double, and the newest says of state and
-- money what core.bills says now.
-- asset: core/bill_versions
-- severity: error
-- blocking: true
with

histories as (

    select
        account,
        order_reference,
        count(*) as version_count,
        count(distinct version) as distinct_count,
        min(version) as first_version,
        max(version) as last_version,
        arg_max(state, version) as last_state,
        arg_max(amount, version) as last_amount,
        arg_max_null(received_amount, version) as last_received
    from core.bill_versions
    group by account, order_reference

)

select
    coalesce(bills.account, histories.account) as merchant_account,
    coalesce(bills.order_reference, histories.order_reference) as order_reference,
    bills.version as bill_version,
    histories.first_version,
    histories.last_version,
    histories.version_count
from core.bills as bills
full join histories
    on
        bills.account = histories.account
        and bills.order_reference = histories.order_reference
where
    histories.first_version is distinct from 1
    or histories.last_version != histories.version_count
    or histories.distinct_count != histories.version_count
    or bills.version is distinct from histories.last_version
    or bills.state is distinct from histories.last_state
    or bills.amount is distinct from histories.last_amount
    or bills.received_amount is distinct from histories.last_received
