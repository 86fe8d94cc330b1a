"""The shop's orders against CashPay's bills: who says what of whom, to the franc.

mapping.py    which column means what, and how to read it; can be kept in a TOML file
cells.py      what of a cell a message may repeat
columns.py    the mapping against the header of a file
source.py     rows out of CSV (text.py), Parquet, DuckDB, SQLite, PostgreSQL
sheet.py      those rows in a scratch database, and how to point at one
amounts.py    how the amounts of a whole column are to be read
dates.py      the same for dates
words.py      the same for what is paid, and for currencies
orders.py     rows into orders, and everything that was assumed on the way
compare.py    orders against bills
store.py      what was found, kept and exported
run.py        all of it in order; the definitions of the classes
report.py     what the screen says

A doubt about the file stops the run before the working file is even opened.
"""

from cashpay_pipeline.reconcile.mapping import Mapping, load_mapping, refuse_other_mapping, save_mapping
from cashpay_pipeline.reconcile.report import COLUMNS, result_lines, result_table
from cashpay_pipeline.reconcile.run import details_path, reconcile
from cashpay_pipeline.reconcile.store import CLASSES, Reconciliation, Total

__all__ = [
    "CLASSES",
    "COLUMNS",
    "Mapping",
    "Reconciliation",
    "Total",
    "details_path",
    "load_mapping",
    "reconcile",
    "refuse_other_mapping",
    "result_lines",
    "result_table",
    "save_mapping",
]
