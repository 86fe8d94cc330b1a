-- Customers who asked to be forgotten: CashPay goes on sending their bills, and we go on leaving the customer out.

create table core.forgotten_clients (
    client_key varchar not null,
    forgotten_at timestamptz not null
);
comment on table core.forgotten_clients is 'Customers who asked to be forgotten, one row each; their bills stay, without them.';
comment on column core.forgotten_clients.client_key is 'Keyed hash of the customer''s phone, to know it again when CashPay sends it.';
comment on column core.forgotten_clients.forgotten_at is 'When the customer was forgotten, UTC.';
