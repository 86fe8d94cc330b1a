-- Open bills (Pending, Partial) and what is still owed on them, by age. Made of unpaid_bills, which has each of them.
-- Ages are counted up to the newest reading of any bill of the account (as_of), not to the present moment.
-- Still owed is what is open on bills that CashPay still shows and whose order no other bill has settled, and of
-- several open bills of one order on one only, in its age class: one that money came in on before others, then that
-- with the most still open, then the newest.
-- grain: one row per account, currency and age class
--
-- account: Label of the merchant account.
-- currency: ISO 4217 code. Never add up different currencies.
-- age_class: 0-1 (less than a day), 1-7, 8-30, 31-90 or 90+ (91 and more), in whole days.
-- from_days: The lowest age of the class in days, to sort by: 0, 1, 8, 31 or 91.
-- as_of: The newest reading of any bill of the account, UTC.
-- bill_count: Open bills.
-- open_amount: What is open on them, in the currency's smallest unit (francs for XOF). Not revenue.
-- order_paid_count: Among them, bills whose order another bill has settled: nothing is owed.
-- missing_count: Among them, bills that CashPay no longer shows: they cannot be paid any more.
-- still_owed_count: Bills that are neither, one for each order (is_still_owed in unpaid_bills).
-- still_owed_amount: What is open on those, in the same unit: what the shop can still expect.
-- oldest_created_at: Creation of the oldest open bill of the class, UTC.
with

unpaid_aging as (

    select
        account,
        currency,
        age_class,
        cast(
            case age_class
                when '0-1' then 0
                when '1-7' then 1
                when '8-30' then 8
                when '31-90' then 31
                else 91
            end as bigint
        ) as from_days,
        max(as_of) as as_of,
        count(*) as bill_count,
        cast(sum(open_amount) as bigint) as open_amount,
        count(*) filter (where is_order_paid) as order_paid_count,
        count(*) filter (where missing_since is not null) as missing_count,
        count(*) filter (where is_still_owed) as still_owed_count,
        cast(sum(case when is_still_owed then open_amount else 0 end) as bigint) as still_owed_amount,
        min(created_at) as oldest_created_at
    from marts.unpaid_bills
    group by account, currency, age_class

)

select
    account,
    currency,
    age_class,
    from_days,
    as_of,
    bill_count,
    open_amount,
    order_paid_count,
    missing_count,
    still_owed_count,
    still_owed_amount,
    oldest_created_at
from unpaid_aging
order by account, currency, from_days
