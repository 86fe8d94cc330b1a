-- Which fields CashPay's bills have: what is new, gone or of another type than before shows here.

create table core.api_fields (
    account varchar not null,
    field varchar not null,
    type varchar not null,
    bill_count bigint not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    missing_since timestamptz
);
comment on table core.api_fields is 'Fields of the bills that CashPay sends, one row a type that a field was met with.';
comment on column core.api_fields.account is 'Label of the merchant account.';
comment on column core.api_fields.field is 'Path of the field, as client.phone or payments[].amount; $ is the bill itself.';
comment on column core.api_fields.type is 'text, number, boolean, object, array, null, or unclear (an empty object, or an array of several types).';
comment on column core.api_fields.bill_count is 'New bills of the list that had the field with this type.';
comment on column core.api_fields.first_seen_at is 'When the field was first met with this type, UTC.';
comment on column core.api_fields.last_seen_at is 'When a new or changed bill last had it, UTC.';
comment on column core.api_fields.missing_since is 'Since when new bills no longer have the field, which all of them had, UTC; empty while they do.';
