"""CashPay bills in DuckDB, through Dagster. Import the submodules; importing this one does nothing."""
