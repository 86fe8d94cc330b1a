-- Rows of the export, cleaned: $only keeps the rows of one value, and a row that is wholly repeated counts once, unless
-- $repeated says that rows are parts: two equal instalments are two. Where the last row of an order counts, so does the
-- last of equal ones: a state can come back.
-- grain: one row per row of the export that counts

create table cleaned as
with

plain as (

    select
        line,
        digest,
        plain_text(reference) as reference,
        plain_word(paid) as paid_word,
        plain_text(date) as date_text,
        regexp_replace(upper(strip_accents(plain_text(currency))), '[^A-Z€]', '', 'g') as currency_unit,
        replace(upper(strip_accents(plain_text(amount))), '’', '''') as amount_text,
        amount as amount_as_written
    from raw
    where $only is null or plain_word(only_value) is not distinct from plain_word($only)

),

-- A point of a unit follows a letter (F. CFA) and does not touch the number: that of .50 begins its decimals.
numbered as (

    select
        *,
        regexp_extract(
            amount_text, '^(?:(?:[A-Z€]+\.? ?)*[A-Z€ ])?((?:[-+] ?)?[0-9](?:[0-9 .,'']*[0-9])?) ?[A-Z€. ]*$', 1
        ) as spaced_number
    from plain
    qualify $repeated = 'parts' or row_number() over (
        partition by digest
        order by case when $repeated = 'last' then -line else line end
    ) = 1

),

unspaced as (

    select
        *,
        regexp_replace(spaced_number, '[ '']', '', 'g') as number,
        case when spaced_number != '' then regexp_replace(replace(amount_text, spaced_number, ''), '[^A-Z€]', '', 'g') end
            as amount_unit,
        regexp_matches(spaced_number, '[0-9][ '']') as is_spaced
    from numbered

)

select
    line,
    digest,
    reference,
    paid_word,
    date_text,
    currency_unit,
    amount_as_written,
    amount_unit,
    number,
    case
        when coalesce(amount_text, '') = '' then 'empty'
        when is_spaced and not regexp_matches(spaced_number, '^[-+]? ?[0-9]{1,3}([ ''][0-9]{3})+([.,][0-9]+)?$')
            then 'unreadable'
        when regexp_matches(number, '^[-+]?[0-9]+$') then 'whole'
        when regexp_matches(number, '^[-+]?[0-9]{1,3}(\.[0-9]{3}){2,}$') then 'point_groups'
        when regexp_matches(number, '^[-+]?[0-9]{1,3}(,[0-9]{3}){2,}$') then 'comma_groups'
        when regexp_matches(number, '^[-+]?[0-9]{1,3}(\.[0-9]{3})+,[0-9]+$') then 'point_groups_comma_decimals'
        when regexp_matches(number, '^[-+]?[0-9]{1,3}(,[0-9]{3})+\.[0-9]+$') then 'comma_groups_point_decimals'
        when not is_spaced and regexp_matches(number, '^[-+]?[1-9][0-9]{0,2}\.[0-9]{3}$') then 'point_either'
        when not is_spaced and regexp_matches(number, '^[-+]?[1-9][0-9]{0,2},[0-9]{3}$') then 'comma_either'
        when regexp_matches(number, '^[-+]?[0-9]+\.[0-9]+$') then 'point_decimals'
        when regexp_matches(number, '^[-+]?[0-9]+,[0-9]+$') then 'comma_decimals'
        else 'unreadable'
    end as amount_kind,
    case
        when coalesce(date_text, '') = '' then 'empty'
        when regexp_matches(
            date_text,
            '^[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}([ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?)?'
            || ' ?(Z|UTC|[-+][0-9]{2}:?([0-9]{2})?)?$'
        ) then 'year_first'
        when regexp_matches(
            date_text, '^[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4}([ T]+[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?$'
        ) then 'year_last'
        else 'unreadable'
    end as date_kind
from unspaced;
