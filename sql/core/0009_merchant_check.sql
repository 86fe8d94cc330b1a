-- One label, one merchant: a file also remembers whose login its bills were read with.

alter table core.accounts add column merchant_check varchar;
comment on column core.accounts.merchant_check is 'Fingerprint of whom the login belongs to, made with the key of client_key; no login can be read from it.';
