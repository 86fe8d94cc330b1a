"""The DuckDB file: the only writer, and the only way to read what is published.

filesystem.py  where the file may lie
lock.py        one run at a time, and who it is
database.py    open, migrate, one transaction, always close
troubles.py    why a file cannot be used, and what to do
store.py       what a sync stores of bills, with their history
syncs.py       the syncs' own records
issues.py      records set aside
gateways.py    gateways, with their history
compact.py     the file anew, without free space
spill.py       where readers of the copy do what is too large for the memory
publish.py     the copy that analysts open
backup.py      copies to go back to, and whether a file is whole
files.py       other people's files in and out
"""

from cashpay_pipeline.warehouse.database import Warehouse, open_as_it_is, open_warehouse
from cashpay_pipeline.warehouse.publish import (
    PublishedCopy,
    Query,
    open_published,
    publish,
    read_published,
    stream_published,
)

__all__ = [
    "PublishedCopy",
    "Query",
    "Warehouse",
    "open_as_it_is",
    "open_published",
    "open_warehouse",
    "publish",
    "read_published",
    "stream_published",
]
