-- Bills of $account by the reference that orders are compared by. $key_column: merchant_reference or order_reference.
-- A bill that CashPay no longer shows counts only if money came in for it.
-- grain: one row per bill that counts

create or replace temp table counted_bills as
with

referenced as (

    select
        *,
        nullif(plain_text(case when $key_column = 'order_reference' then order_reference else merchant_reference end), '')
            as reference,
        greatest(coalesce(received_amount, 0), 0) as money_in,
        received_amount is null and state in ('Paid', 'Excess', 'Partial') as is_untold
    from core.bills
    where account = $account

)

select
    reference,
    coalesce('reference ' || reference_key(reference, $is_loose), 'bill ' || order_reference) as group_key,
    currency,
    order_reference,
    created_at,
    state,
    amount,
    money_in,
    is_untold,
    money_in > 0 or is_untold as is_paid,
    case when not is_untold then money_in when state = 'Paid' then amount end as comparable_amount,
    -- halved: twice the amount can be more than a column holds
    coalesce(payment_count >= 2 and amount > 0 and money_in // 2 >= amount, false) as is_paid_twice
from referenced
where missing_since is null or money_in > 0 or is_untold;
