-- What `cashpay reconcile` found, kept run by run.

create table marts.reconciliation_runs (
    run_id varchar not null,
    run_at timestamptz not null,
    account varchar not null,
    source varchar not null,
    order_count bigint not null,
    period_start timestamptz,
    period_end timestamptz,
    assumptions varchar[] not null
);
comment on table marts.reconciliation_runs is 'Comparisons of the shop''s orders with CashPay''s bills, one row a run.';
comment on column marts.reconciliation_runs.run_id is 'Key of the run; the newest sorts last.';
comment on column marts.reconciliation_runs.run_at is 'When it ran, UTC.';
comment on column marts.reconciliation_runs.account is 'Label of the merchant account whose bills were compared.';
comment on column marts.reconciliation_runs.source is 'Name of the shop''s export.';
comment on column marts.reconciliation_runs.order_count is 'Orders in the export.';
comment on column marts.reconciliation_runs.period_start is 'Bills without an order count from here on, UTC; empty when there is no limit.';
comment on column marts.reconciliation_runs.period_end is 'Bills without an order count up to before this moment, UTC; empty when there is no limit.';
comment on column marts.reconciliation_runs.assumptions is 'What was assumed to read the export and to compare.';

create table marts.reconciliation (
    run_id varchar not null,
    run_at timestamptz not null,
    account varchar not null,
    source varchar not null,
    class varchar not null,
    reference varchar,
    currency varchar not null,
    order_count bigint not null,
    order_line bigint,
    ordered_at timestamptz,
    is_paid_in_shop boolean not null,
    ordered_amount bigint not null,
    bill_count bigint not null,
    paid_bill_count bigint not null,
    order_references varchar,
    bill_created_at timestamptz,
    is_paid_at_cashpay boolean not null,
    billed_amount bigint not null,
    received_amount bigint not null,
    unknown_received_count bigint not null,
    difference_amount bigint not null
);
comment on table marts.reconciliation is 'The shop''s orders against CashPay''s bills, one row a run, reference and currency; bills without a reference have a row each. A reference has one class in a run.';
comment on column marts.reconciliation.run_id is 'The run (marts.reconciliation_runs).';
comment on column marts.reconciliation.run_at is 'When it ran, UTC.';
comment on column marts.reconciliation.account is 'Label of the merchant account.';
comment on column marts.reconciliation.source is 'Name of the shop''s export.';
comment on column marts.reconciliation.class is 'matched, paid_at_cashpay_only, paid_in_shop_only, amount_differs, paid_twice, bill_without_order or order_without_bill; docs/reconciliation.md defines each.';
comment on column marts.reconciliation.reference is 'The reference that order and bills share; empty for a bill that has none.';
comment on column marts.reconciliation.currency is 'ISO 4217 code. Never add up different currencies.';
comment on column marts.reconciliation.order_count is '1 if the shop has an order in this currency, else 0.';
comment on column marts.reconciliation.order_line is 'Line (or row) of the export on which the order begins.';
comment on column marts.reconciliation.ordered_at is 'Time of the order as the shop tells it, UTC; empty when it does not.';
comment on column marts.reconciliation.is_paid_in_shop is 'Whether the shop says that the order is paid.';
comment on column marts.reconciliation.ordered_amount is 'Amount of the order, in the currency''s smallest unit; 0 without an order.';
comment on column marts.reconciliation.bill_count is 'Bills that carry the reference, in this currency.';
comment on column marts.reconciliation.paid_bill_count is 'Those of them for which money came in.';
comment on column marts.reconciliation.order_references is 'CashPay''s references of the bills, oldest first, separated by blanks.';
comment on column marts.reconciliation.bill_created_at is 'Creation of the oldest bill, UTC.';
comment on column marts.reconciliation.is_paid_at_cashpay is 'Whether any money came in for the bills.';
comment on column marts.reconciliation.billed_amount is 'What was asked for: by the bills that money came in for, or else by the newest bill. Not revenue.';
comment on column marts.reconciliation.received_amount is 'What came in by all the bills, in the same unit.';
comment on column marts.reconciliation.unknown_received_count is 'Bills paid at least in part of which CashPay has not told what came in; received_amount lacks them.';
comment on column marts.reconciliation.difference_amount is 'received_amount minus what the shop takes for paid (ordered_amount of a paid order, else 0).';
