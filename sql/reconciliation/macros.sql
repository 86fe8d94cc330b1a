-- How texts of both sides are made comparable.

-- ="0042" is how a shop keeps a spreadsheet from making 42 of it.
create or replace temp macro plain_text(given) as
    trim(regexp_replace(
        regexp_replace(regexp_replace(given, '[\x{200B}\x{FEFF}]', '', 'g'), '^\s*="(.*)"\s*$', '\1'),
        '[\s\x{00A0}\x{2007}\x{2009}\x{202F}]+', ' ', 'g'
    ));

create or replace temp macro plain_word(given) as
    trim(regexp_replace(lower(strip_accents(plain_text(given))), '[ _-]+', ' ', 'g'));

create or replace temp macro reference_key(given, is_loose) as
    case
        when is_loose then
            regexp_replace(
                regexp_replace(upper(regexp_replace(plain_text(given), '[ #]', '', 'g')), '\.0$', ''), '^0+(.)', '\1'
            )
        else plain_text(given)
    end;
