"""Compose the steps into the three ways of reading CashPay. Plain functions, no Dagster.

guards.py      whose data the file holds, before anything is read
record.py      the sync's own record, from first to last
session.py     what the parts of one sync share
batch.py       readings -> what changed -> one transaction
judgement.py   whether one reading is news, and the rows that say so
gateways.py    the gateways on offer, which come first
newest_end.py  the walk that each refresh makes
whole_list.py  the walk to the end, and what follows from it
met.py         what a walk has met so far
missing.py     bills that the list no longer shows
recheck.py     bills that may have changed where no walk looks
details.py     single bills, one request each
drift.py       fields that are new, missing or of another type
run.py         open everything, run one kind, tell the truth about it
rebuild.py     all tables again from what is stored
"""

from cashpay_pipeline.sync.record import Kind, Progress, SyncResult
from cashpay_pipeline.sync.run import run_sync

__all__ = ["Kind", "Progress", "SyncResult", "run_sync"]
