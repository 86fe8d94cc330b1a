-- What CASHPAY_PII=keep means for a column that is masked otherwise.

comment on column core.bills.client_phone_masked is 'The customer''s phone, with all but its last two digits hidden unless CASHPAY_PII is keep.';
