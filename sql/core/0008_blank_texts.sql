-- A blank text tells nothing. As a reference it made one order of all bills that have none, and as a gateway it hid that
-- details are lacking: those bills are due for another look.

update core.bills set
    merchant_reference = case when trim(merchant_reference) != '' then merchant_reference end,
    code = case when trim(code) != '' then code end,
    description = case when trim(description) != '' then description end,
    gateway_reference = case when trim(gateway_reference) != '' then gateway_reference end,
    gateway_name = case when trim(gateway_name) != '' then gateway_name end,
    bill_url = case when trim(bill_url) != '' then bill_url end,
    due_at = timestamptz 'epoch'
where
    '' in (
        trim(merchant_reference), trim(code), trim(description), trim(gateway_reference), trim(gateway_name),
        trim(bill_url)
    );

update core.payments set
    thirdparty_reference = case when trim(thirdparty_reference) != '' then thirdparty_reference end,
    gateway_reference = case when trim(gateway_reference) != '' then gateway_reference end,
    gateway_name = case when trim(gateway_name) != '' then gateway_name end
where '' in (trim(thirdparty_reference), trim(gateway_reference), trim(gateway_name));

update core.gateways set
    gateway_id = case when trim(gateway_id) != '' then gateway_id end,
    name = case when trim(name) != '' then name end,
    method = case when trim(method) != '' then method end,
    psp_name = case when trim(psp_name) != '' then psp_name end,
    logo_url = case when trim(logo_url) != '' then logo_url end,
    currency = case when trim(currency) != '' then currency end
where '' in (trim(gateway_id), trim(name), trim(method), trim(psp_name), trim(logo_url), trim(currency));

update core.gateway_versions set
    gateway_id = case when trim(gateway_id) != '' then gateway_id end,
    name = case when trim(name) != '' then name end,
    method = case when trim(method) != '' then method end,
    psp_name = case when trim(psp_name) != '' then psp_name end,
    logo_url = case when trim(logo_url) != '' then logo_url end,
    currency = case when trim(currency) != '' then currency end
where '' in (trim(gateway_id), trim(name), trim(method), trim(psp_name), trim(logo_url), trim(currency));
