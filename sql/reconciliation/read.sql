-- Every row as typed values; what cannot be read is empty, and is looked for afterwards.
-- $decimal_mark: the sign before decimals, or empty. $is_day_first: for dates with the year last. $timezone: of times
-- without an offset. $all_paid: every order is paid.
-- grain: one row per row of cleaned

create table read as
with

split as (

    select
        priced.line,
        priced.reference,
        priced.currency,
        priced.decimals,
        priced.amount_kind,
        priced.amount_as_written,
        priced.date_text,
        priced.date_kind,
        priced.paid_word,
        words.is_paid,
        case
            when $decimal_mark = '.' then replace(priced.number, ',', '')
            when $decimal_mark = ',' then replace(replace(priced.number, '.', ''), ',', '.')
            else replace(replace(priced.number, ',', ''), '.', '')
        end as decimal_number,
        case
            when priced.date_kind = 'year_first' then replace(replace(priced.date_text, '/', '-'), ',', '.')
            when $is_day_first then
                regexp_replace(
                    priced.date_text, '^([0-9]+)[-/.]([0-9]+)[-/.]([0-9]{4})[ T]*', '\3-\2-\1 '
                )
            else regexp_replace(priced.date_text, '^([0-9]+)[-/.]([0-9]+)[-/.]([0-9]{4})[ T]*', '\3-\1-\2 ')
        end as date_iso
    from priced
    left join words on priced.paid_word = words.word

),

parts as (

    select
        *,
        split_part(decimal_number, '.', 1) as whole_part,
        rtrim(split_part(decimal_number, '.', 2), '0') as decimal_part,
        -- DuckDB takes an offset only after seconds, and without a blank before it.
        regexp_replace(
            regexp_replace(trim(date_iso), '(:[0-9.]+) ([-+])', '\1\2'),
            '([ T][0-9]{1,2}:[0-9]{2})($| ?[ZU]|[-+])', '\1:00\2'
        ) as moment
    from split

)

select
    line,
    reference,
    currency,
    amount_kind,
    amount_as_written,
    date_text,
    date_kind,
    paid_word,
    regexp_matches(moment, '[0-9]:[0-9]') as has_time,
    case when $all_paid then true else is_paid end as is_paid,
    length(decimal_part) > decimals as has_fraction,
    case
        when length(decimal_part) <= decimals
            then try_cast(whole_part || rpad(decimal_part, cast(decimals as integer), '0') as bigint)
    end as amount,
    case
        when date_kind = 'empty' then null
        when regexp_matches(moment, '(Z|UTC|:[0-9.]+[-+][0-9:]+)$') then try_cast(moment as timestamptz)
        else timezone($timezone, try_cast(moment as timestamp))
    end as ordered_at,
    -- not past the calendar's end: 9999-12-31 is how some shops write "none"
    case
        when ordered_at is not null
            then
                least(
                    ordered_at + case when has_time then interval 1 microsecond else interval 24 hours end,
                    timestamptz '9999-12-31 23:59:59.999999+00'
                )
    end as ordered_before
from parts;
