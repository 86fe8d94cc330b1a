-- No gateway is stored twice, and each has its reference: the money of one would be split or counted twice.
-- asset: core/gateways
-- severity: error
-- blocking: true
select
    account,
    gateway_reference,
    count(*) as row_count
from core.gateways
group by account, gateway_reference
having
    count(*) > 1
    or coalesce(trim(gateway_reference), '') = ''
