-- The core tables. No primary keys: the writer keeps keys unique, and the checks in sql/checks prove it.
-- Comments here are the data dictionary.

create schema if not exists core;
create schema if not exists marts;

create table core.accounts (
    account varchar not null,
    environment varchar not null,
    pii_key_check varchar not null,
    first_seen_at timestamptz not null,
    watermark_at timestamptz,
    full_walk_started_at timestamptz,
    full_walk_finished_at timestamptz,
    walk_started_at timestamptz,
    walk_position bigint,
    walk_page_size bigint
);
comment on table core.accounts is 'Merchant accounts read into this file, one row each, and how far the reading has come.';
comment on column core.accounts.account is 'Label of the merchant account (CASHPAY_ACCOUNT).';
comment on column core.accounts.environment is 'Host and path of the CashPay API that the rows of this account come from.';
comment on column core.accounts.pii_key_check is 'Fingerprint of the key that client_key is made with; not the key.';
comment on column core.accounts.first_seen_at is 'When this account was first read, UTC.';
comment on column core.accounts.watermark_at is 'Newest creation time seen by a finished walk, never after the server''s clock, UTC.';
comment on column core.accounts.full_walk_started_at is 'Start of the last walk that reached the end of the list, UTC.';
comment on column core.accounts.full_walk_finished_at is 'End of the last walk that reached the end of the list, UTC.';
comment on column core.accounts.walk_started_at is 'Start of the full walk that is under way; empty when none is, UTC.';
comment on column core.accounts.walk_position is 'Rows of the list that the walk under way has passed.';
comment on column core.accounts.walk_page_size is 'Rows a page of the walk under way.';

create table core.bills (
    account varchar not null,
    order_reference varchar not null,
    merchant_reference varchar,
    code varchar,
    state varchar not null,
    state_raw varchar,
    amount bigint not null,
    received_amount bigint,
    currency varchar not null,
    created_at timestamptz,
    business_date date,
    description varchar,
    client_key varchar,
    client_phone_masked varchar,
    gateway_reference varchar,
    gateway_name varchar,
    payment_count bigint not null,
    bill_url varchar,
    first_seen_at timestamptz not null,
    changed_at timestamptz not null,
    verified_at timestamptz not null,
    paid_after timestamptz,
    paid_before timestamptz,
    missing_since timestamptz,
    version bigint not null,
    list_digest varchar,
    details_digest varchar
);
comment on table core.bills is 'Bills as they are now, one row a bill (account, order_reference).';
comment on column core.bills.account is 'Label of the merchant account.';
comment on column core.bills.order_reference is 'CashPay''s unique reference of the bill; with account, the key.';
comment on column core.bills.merchant_reference is 'The shop''s own reference; several bills can carry the same one.';
comment on column core.bills.code is 'Short code for the customer. CashPay reuses it: never a key.';
comment on column core.bills.state is 'Pending, Partial, Paid, Excess, Error, Canceled, Expired or Unknown.';
comment on column core.bills.state_raw is 'The state as CashPay wrote it.';
comment on column core.bills.amount is 'Amount billed, in the currency''s smallest unit (francs for XOF).';
comment on column core.bills.received_amount is 'Amount received, in the currency''s smallest unit; empty when CashPay has not told. Revenue is this, never amount.';
comment on column core.bills.currency is 'ISO 4217 code. Never add up different currencies.';
comment on column core.bills.created_at is 'When the bill was created at CashPay, UTC.';
comment on column core.bills.business_date is 'Day of creation in Africa/Lome.';
comment on column core.bills.description is 'The shop''s description of the bill.';
comment on column core.bills.client_key is 'Keyed hash of the customer''s phone: the same customer has the same key.';
comment on column core.bills.client_phone_masked is 'The customer''s phone with all but its last two digits hidden.';
comment on column core.bills.gateway_reference is 'Reference of the gateway that was paid through; empty when not known.';
comment on column core.bills.gateway_name is 'Name of that gateway on that day.';
comment on column core.bills.payment_count is 'Number of payments that CashPay lists for the bill.';
comment on column core.bills.bill_url is 'Page where the customer pays.';
comment on column core.bills.first_seen_at is 'When we first read the bill, UTC.';
comment on column core.bills.changed_at is 'When we first read the content it has now, UTC.';
comment on column core.bills.verified_at is 'When we last read the bill, UTC.';
comment on column core.bills.paid_after is 'The bill became paid after this moment: last seen unpaid, or its creation, UTC.';
comment on column core.bills.paid_before is 'The bill became paid before this moment: first seen paid, UTC.';
comment on column core.bills.missing_since is 'When CashPay first no longer knew the bill, UTC; empty when it does.';
comment on column core.bills.version is 'Number of the newest row in core.bill_versions.';
comment on column core.bills.list_digest is 'Internal: fingerprint of the last reading from the list.';
comment on column core.bills.details_digest is 'Internal: fingerprint of the last reading of the details.';

create table core.bill_versions (
    account varchar not null,
    order_reference varchar not null,
    version bigint not null,
    observed_at timestamptz not null,
    changed_after timestamptz,
    source varchar not null,
    sync_id varchar not null,
    state varchar not null,
    state_raw varchar,
    amount bigint not null,
    received_amount bigint,
    digest varchar not null,
    payload varchar not null
);
comment on table core.bill_versions is 'Every content of a bill that we saw, one row a change; rows are only ever added.';
comment on column core.bill_versions.account is 'Label of the merchant account.';
comment on column core.bill_versions.order_reference is 'CashPay''s unique reference of the bill.';
comment on column core.bill_versions.version is '1 for the first content seen, then 2, 3, and so on.';
comment on column core.bill_versions.observed_at is 'When we first read this content, UTC.';
comment on column core.bill_versions.changed_after is 'When we last read the content before it, UTC; empty for version 1.';
comment on column core.bill_versions.source is 'Where it was read: list, details or callback.';
comment on column core.bill_versions.sync_id is 'The sync that read it (core.syncs).';
comment on column core.bill_versions.state is 'State, as in core.bills.';
comment on column core.bill_versions.state_raw is 'The state as CashPay wrote it.';
comment on column core.bill_versions.amount is 'Amount billed, in the currency''s smallest unit.';
comment on column core.bill_versions.received_amount is 'Amount received, in the currency''s smallest unit.';
comment on column core.bill_versions.digest is 'Fingerprint of the payload.';
comment on column core.bill_versions.payload is 'The bill as CashPay sent it (JSON), phone and names masked.';

create table core.payments (
    account varchar not null,
    order_reference varchar not null,
    payment_number bigint not null,
    thirdparty_reference varchar,
    gateway_reference varchar,
    gateway_name varchar,
    amount bigint
);
comment on table core.payments is 'Payments that CashPay lists for a bill, one row each.';
comment on column core.payments.account is 'Label of the merchant account.';
comment on column core.payments.order_reference is 'The bill that was paid.';
comment on column core.payments.payment_number is 'Position in CashPay''s list of the bill''s payments, from 1.';
comment on column core.payments.thirdparty_reference is 'The operator''s reference of the payment.';
comment on column core.payments.gateway_reference is 'Reference of the gateway.';
comment on column core.payments.gateway_name is 'Name of the gateway on that day.';
comment on column core.payments.amount is 'Amount of this payment, in the smallest unit of the bill''s currency; empty when not told.';

create table core.gateways (
    account varchar not null,
    gateway_reference varchar not null,
    gateway_id varchar,
    name varchar,
    method varchar,
    psp_name varchar,
    logo_url varchar,
    currency varchar,
    first_seen_at timestamptz not null,
    changed_at timestamptz not null,
    missing_since timestamptz
);
comment on table core.gateways is 'Payment gateways as they are now, one row each (account, gateway_reference).';
comment on column core.gateways.account is 'Label of the merchant account.';
comment on column core.gateways.gateway_reference is 'CashPay''s unique reference of the gateway; with account, the key.';
comment on column core.gateways.gateway_id is 'Number of the gateway; differs between environments, not a key.';
comment on column core.gateways.name is 'Display name.';
comment on column core.gateways.method is 'How the customer pays, in CashPay''s words (USSD, PUSH_USSD, DIRECT_URL, ...).';
comment on column core.gateways.psp_name is 'Operator behind the gateway.';
comment on column core.gateways.logo_url is 'Address of the logo.';
comment on column core.gateways.currency is 'ISO 4217 code.';
comment on column core.gateways.first_seen_at is 'When we first read the gateway, UTC.';
comment on column core.gateways.changed_at is 'When we first read what it is now, UTC.';
comment on column core.gateways.missing_since is 'When CashPay first no longer offered it, UTC; empty when it does.';

create table core.gateway_versions (
    account varchar not null,
    gateway_reference varchar not null,
    valid_from timestamptz not null,
    valid_to timestamptz,
    gateway_id varchar,
    name varchar,
    method varchar,
    psp_name varchar,
    logo_url varchar,
    currency varchar
);
comment on table core.gateway_versions is 'What each gateway was and when, one row an observed change.';
comment on column core.gateway_versions.account is 'Label of the merchant account.';
comment on column core.gateway_versions.gateway_reference is 'CashPay''s unique reference of the gateway.';
comment on column core.gateway_versions.valid_from is 'When we first read this, UTC.';
comment on column core.gateway_versions.valid_to is 'When we first read something else, or nothing, UTC; empty for what holds now.';
comment on column core.gateway_versions.gateway_id is 'Number of the gateway.';
comment on column core.gateway_versions.name is 'Display name.';
comment on column core.gateway_versions.method is 'How the customer pays, in CashPay''s words.';
comment on column core.gateway_versions.psp_name is 'Operator behind the gateway.';
comment on column core.gateway_versions.logo_url is 'Address of the logo.';
comment on column core.gateway_versions.currency is 'ISO 4217 code.';

create table core.syncs (
    sync_id varchar not null,
    account varchar not null,
    kind varchar not null,
    started_at timestamptz not null,
    heartbeat_at timestamptz not null,
    finished_at timestamptz,
    status varchar not null,
    pages bigint not null,
    requests bigint not null,
    retries bigint not null,
    waited_seconds double not null,
    rows_read bigint not null,
    bills_new bigint not null,
    bills_changed bigint not null,
    bills_unchanged bigint not null,
    rows_set_aside bigint not null,
    reported_total bigint,
    list_order varchar,
    complete boolean not null,
    error_code varchar,
    warnings varchar[] not null,
    owner varchar not null,
    dagster_run_id varchar,
    version varchar not null
);
comment on table core.syncs is 'Our own runs against CashPay, one row each.';
comment on column core.syncs.sync_id is 'Key of the sync.';
comment on column core.syncs.account is 'Label of the merchant account that was read.';
comment on column core.syncs.kind is 'refresh, full_refresh or recheck.';
comment on column core.syncs.started_at is 'Start, UTC.';
comment on column core.syncs.heartbeat_at is 'Last sign of life, UTC.';
comment on column core.syncs.finished_at is 'End, UTC; empty while it runs.';
comment on column core.syncs.status is 'running, complete, incomplete, failed, or dead (killed: found by a later run).';
comment on column core.syncs.pages is 'Pages of the bill list that were read.';
comment on column core.syncs.requests is 'HTTP requests sent, logins and retries among them.';
comment on column core.syncs.retries is 'Requests sent again after a failure.';
comment on column core.syncs.waited_seconds is 'Seconds spent waiting before a retry.';
comment on column core.syncs.rows_read is 'Bill records read, repeats among them.';
comment on column core.syncs.bills_new is 'Bills seen for the first time.';
comment on column core.syncs.bills_changed is 'Changes found in bills known before.';
comment on column core.syncs.bills_unchanged is 'Readings that agreed with what was known.';
comment on column core.syncs.rows_set_aside is 'Records put into core.data_issues.';
comment on column core.syncs.reported_total is 'The number of bills that CashPay says there are; empty when it does not.';
comment on column core.syncs.list_order is 'Order of the list as seen in this run: newest_first, oldest_first, none or unknown.';
comment on column core.syncs.complete is 'Whether the sync read all that its kind promises.';
comment on column core.syncs.error_code is 'What stopped it; empty when nothing did.';
comment on column core.syncs.warnings is 'What a careful reader should know about this run.';
comment on column core.syncs.owner is 'Host and process that ran it.';
comment on column core.syncs.dagster_run_id is 'The Dagster run, if it was one.';
comment on column core.syncs.version is 'Version of this program.';

create table core.data_issues (
    issue_id varchar not null,
    account varchar not null,
    sync_id varchar not null,
    source varchar not null,
    order_reference varchar,
    reason varchar not null,
    field varchar not null,
    payload varchar not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    resolved_at timestamptz
);
comment on table core.data_issues is 'Records set aside because they cannot be counted safely, one row each.';
comment on column core.data_issues.issue_id is 'Key: fingerprint of account, payload and reason.';
comment on column core.data_issues.account is 'Label of the merchant account.';
comment on column core.data_issues.sync_id is 'The sync that first met it.';
comment on column core.data_issues.source is 'Where it was read: list, details, callback or gateways.';
comment on column core.data_issues.order_reference is 'The bill, when the record names one.';
comment on column core.data_issues.reason is 'Why it was set aside.';
comment on column core.data_issues.field is 'The field that is wrong.';
comment on column core.data_issues.payload is 'The record as CashPay sent it (JSON), phone and names masked.';
comment on column core.data_issues.first_seen_at is 'When it was first met, UTC.';
comment on column core.data_issues.last_seen_at is 'When it was last met, UTC.';
comment on column core.data_issues.resolved_at is 'When a good reading of the same bill came, or CashPay no longer sent the record, UTC; empty while it is open.';
