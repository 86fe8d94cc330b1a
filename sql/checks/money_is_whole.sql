-- Every amount of money is stored as a whole number (BIGINT) of the currency's smallest unit: no fraction can be lost.
-- asset: core/bills
-- severity: error
-- blocking: true
select
    schema_name,
    table_name,
    column_name,
    data_type
from duckdb_columns()
where
    schema_name = 'core'
    and column_name in ('amount', 'received_amount')
    and data_type != 'BIGINT'
