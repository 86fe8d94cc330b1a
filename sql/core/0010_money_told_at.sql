-- A row of the list without sums is no news about the money of a bill that is paid in part or in excess. What such rows
-- may have hidden so far is due for another look.

alter table core.bills add column money_told_at timestamptz;
comment on column core.bills.money_told_at is 'When CashPay last told what the bill had received: by its sums, or by its state where that says it all, UTC; empty while only its details can tell.';
update core.bills set money_told_at = verified_at
where
    state not in ('Partial', 'Excess', 'Unknown')
    and received_amount is not null
    and (details_digest is not null or state != 'Paid' or gateway_reference is not null or gateway_name is not null);
update core.bills set due_at = timestamptz 'epoch' where money_told_at is null;
