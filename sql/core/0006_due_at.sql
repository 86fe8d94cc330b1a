-- A refresh looks for bills that are due without reading all others: DuckDB passes over what is due later.

alter table core.bills add column due_at timestamptz default timestamptz 'epoch';
comment on column core.bills.due_at is 'Internal: before this moment the bill is not due for another look, UTC; empty when it never is again.';
