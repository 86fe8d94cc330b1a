-- A pause that CashPay asks for outlasts the run that was asked: later runs keep it, too.

alter table core.accounts add column resume_at timestamptz;
comment on column core.accounts.resume_at is 'Until when CashPay last asked for no request, where that was longer than a run waits; UTC, by this machine''s clock.';
