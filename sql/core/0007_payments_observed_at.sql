-- Payments are replaced with their bill's content; by the time DuckDB finds the former ones without reading all.

alter table core.payments add column observed_at timestamptz;
comment on column core.payments.observed_at is 'When we first read the bill as it is now, these payments among it (core.bills.changed_at), UTC; empty for what an early version of this program wrote.';
