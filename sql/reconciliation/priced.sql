-- The cleaned rows with the currency of each: its own column, else a unit beside the amount, else $default_currency.
-- grain: one row per row of cleaned

create table priced as
select
    cleaned.*,
    coalesce(by_column.currency, by_amount.currency, $default_currency) as currency,
    coalesce(by_column.decimals, by_amount.decimals, $default_decimals) as decimals,
    coalesce(by_column.currency != by_amount.currency, false) as is_contradictory,
    case
        when by_column.currency is not null then 'column'
        when by_amount.currency is not null then 'amount'
        else 'nothing'
    end as currency_from
from cleaned
left join units as by_column on cleaned.currency_unit = by_column.unit
left join units as by_amount on cleaned.amount_unit = by_amount.unit;
