-- en: Which orders were paid twice, and what may have to be given back?
-- fr: Quelles commandes ont été payées deux fois, et que faut-il peut-être rendre ?
-- By two bills of one merchant_reference, or twice on one bill. A shop that bills in instalments finds them here too.
select
    account,
    merchant_reference,
    kind,
    first_paid_order_reference,
    order_reference,
    currency,
    billed_amount,
    received_amount,
    difference_amount,
    gateway_name,
    paid_before
from marts.payment_differences
where kind in ('paid_twice_order', 'paid_twice_bill')
order by account asc, paid_before desc, order_reference asc
