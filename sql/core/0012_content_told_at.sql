-- What is read of a bill need not be believed (a list that lags, a state that nobody knows), nor tell what it has
-- received. The next change lies after the reading that told both.

alter table core.bills add column content_told_at timestamptz;
comment on column core.bills.content_told_at is 'When CashPay last told what is stored of the bill, its state and what it had received, UTC: its next change comes after that. For a state that we do not know, when the one before was told; at first, the creation.';
update core.bills set content_told_at = case
    when state in ('Partial', 'Excess', 'Unknown') and money_told_at is not null then least(verified_at, money_told_at)
    else verified_at
end;
