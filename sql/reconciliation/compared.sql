-- Orders (table shop_orders) against counted_bills, and the class of each reference. docs/reconciliation.md defines them.
-- $period_start and $period_end: bills without an order count within these only; empty for no limit.
-- $first_at and $end_at: orders outside of these do not count, nor do their bills; empty for no limit.
-- grain: one row per group_key and currency

create or replace temp table compared as
with

keyed_orders as (

    select
        'reference ' || reference_key(reference, $is_loose) as group_key,
        currency,
        reference,
        line as order_line,
        ordered_at,
        is_paid,
        amount,
        ordered_at is null or (
            ($first_at is null or ordered_at >= $first_at) and ($end_at is null or ordered_at < $end_at)
        ) as is_in_range
    from shop_orders

),

-- What is compared at all. Found before anything is grouped, so that an export of a month costs what a month does.
compared_groups as (

    select group_key
    from keyed_orders
    group by group_key
    having bool_and(is_in_range)
    union
    select counted_bills.group_key
    from counted_bills
    anti join keyed_orders on counted_bills.group_key = keyed_orders.group_key
    where
        created_at is null or (
            ($period_start is null or created_at >= $period_start) and ($period_end is null or created_at < $period_end)
        )

),

order_groups as (

    select keyed_orders.*
    from keyed_orders
    semi join compared_groups on keyed_orders.group_key = compared_groups.group_key

),

numbered as (

    select counted_bills.*, count(*) over (partition by group_key, currency) as bill_count
    from counted_bills
    semi join compared_groups on counted_bills.group_key = compared_groups.group_key

),

-- By windows and not by aggregates in an order: those need memory for all groups at once.
bills as (

    select *, order_reference as order_references, amount as newest_amount
    from numbered
    where bill_count = 1
    union all
    select
        *,
        string_agg(order_reference, ' ') over each_group as order_references,
        last_value(amount) over each_group as newest_amount
    from numbered
    where bill_count > 1
    window each_group as (
        partition by group_key, currency
        order by created_at nulls first, order_reference
        rows between unbounded preceding and unbounded following
    )

),

bill_groups as (

    select
        group_key,
        currency,
        min(reference) as reference,
        count(*) as bill_count,
        count(*) filter (where is_paid) as paid_bill_count,
        count(*) filter (where is_paid and state in ('Paid', 'Excess')) as fully_paid_bill_count,
        count(*) filter (where is_untold) as unknown_received_count,
        min(order_references) as order_references,
        min(created_at) as bill_created_at,
        bool_or(is_paid_twice) as is_one_bill_paid_twice,
        try_cast(sum(money_in) as bigint) as received_amount,
        case
            when bool_or(is_paid) then try_cast(sum(amount) filter (where is_paid) as bigint)
            else min(newest_amount)
        end as billed_amount,
        case when count(*) = count(comparable_amount) then try_cast(sum(comparable_amount) as bigint) end
            as comparable_amount
    from bills
    group by group_key, currency

),

joined as (

    select
        coalesce(order_groups.group_key, bill_groups.group_key) as group_key,
        coalesce(order_groups.currency, bill_groups.currency) as currency,
        coalesce(order_groups.reference, bill_groups.reference) as reference,
        order_groups.group_key is not null as has_order,
        bill_groups.group_key is not null as has_bill,
        order_groups.order_line,
        order_groups.ordered_at,
        coalesce(order_groups.is_paid, false) as is_paid_in_shop,
        coalesce(order_groups.amount, 0) as ordered_amount,
        coalesce(bill_groups.bill_count, 0) as bill_count,
        coalesce(bill_groups.paid_bill_count, 0) as paid_bill_count,
        coalesce(bill_groups.fully_paid_bill_count, 0) as fully_paid_bill_count,
        coalesce(bill_groups.unknown_received_count, 0) as unknown_received_count,
        bill_groups.order_references,
        bill_groups.bill_created_at,
        coalesce(bill_groups.is_one_bill_paid_twice, false) as is_one_bill_paid_twice,
        coalesce(bill_groups.billed_amount, 0) as billed_amount,
        coalesce(bill_groups.received_amount, 0) as received_amount,
        case when bill_groups.group_key is null then 0 else bill_groups.comparable_amount end as comparable_amount
    from order_groups
    full join bill_groups
        on order_groups.group_key = bill_groups.group_key and order_groups.currency = bill_groups.currency

),

groups as (

    select
        group_key,
        bool_or(has_order) as has_order,
        bool_or(has_bill) as has_bill,
        bool_or(is_paid_in_shop) as is_paid_in_shop,
        bool_or(paid_bill_count > 0) as is_paid_at_cashpay,
        bool_or(is_one_bill_paid_twice)
        or (
            sum(fully_paid_bill_count) >= 2
            and bool_or(coalesce(comparable_amount, greatest(received_amount, billed_amount)) > ordered_amount)
        ) as is_paid_twice,
        bool_or(comparable_amount is distinct from ordered_amount) as is_received_different,
        bool_or(billed_amount != ordered_amount) as is_billed_different,
        bool_and(ordered_amount = 0 and billed_amount = 0) as is_free
    from joined
    group by group_key

)

select
    case
        when not groups.has_order then 'bill_without_order'
        when not groups.has_bill then 'order_without_bill'
        when groups.is_paid_twice then 'paid_twice'
        when groups.is_paid_at_cashpay and not groups.is_paid_in_shop then 'paid_at_cashpay_only'
        when groups.is_paid_in_shop and not groups.is_paid_at_cashpay and not groups.is_free then 'paid_in_shop_only'
        when groups.is_paid_in_shop and groups.is_received_different then 'amount_differs'
        when not groups.is_paid_in_shop and groups.is_billed_different then 'amount_differs'
        else 'matched'
    end as class,
    joined.group_key,
    joined.reference,
    joined.currency,
    cast(joined.has_order as bigint) as order_count,
    joined.order_line,
    joined.ordered_at,
    joined.is_paid_in_shop,
    joined.ordered_amount,
    joined.bill_count,
    joined.paid_bill_count,
    joined.order_references,
    joined.bill_created_at,
    joined.paid_bill_count > 0 as is_paid_at_cashpay,
    joined.billed_amount,
    joined.received_amount,
    joined.unknown_received_count,
    joined.received_amount - case when joined.is_paid_in_shop then joined.ordered_amount else 0 end
        as difference_amount
from joined
inner join groups on joined.group_key = groups.group_key;
