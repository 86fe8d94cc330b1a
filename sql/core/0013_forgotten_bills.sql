-- A row of the list may tell a forgotten customer's name, or a reference made of the phone, and not the phone: it is
-- known by its bill. Of bills forgotten before this step, those are known where something was put in a phone's place;
-- the others are noted with the next reading that tells the phone.

create table core.forgotten_bills (
    account varchar not null,
    order_reference varchar not null
);
comment on table core.forgotten_bills is 'Bills of customers who asked to be forgotten, one row each: what CashPay sends of them is stored without the customer.';
comment on column core.forgotten_bills.account is 'Label of the merchant account.';
comment on column core.forgotten_bills.order_reference is 'The bill.';
insert into core.forgotten_bills
select distinct account, order_reference
from core.bills left join core.payments using (account, order_reference)
where client_key is null and exists (from core.forgotten_clients)
    and (regexp_matches(merchant_reference, '\*{3}[0-9a-f]{4}') or contains(thirdparty_reference, '***'));
