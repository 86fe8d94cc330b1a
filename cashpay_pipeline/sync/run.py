"""Open everything, run one kind of sync, and tell the truth about it, whatever happens."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from signal import SIGINT, SIGTERM, Signals, set_wakeup_fd
from socket import socketpair
from threading import Thread, current_thread, main_thread

from cashpay_pipeline.attempts import TOLERATED_SKEW
from cashpay_pipeline.client import CashpayClient
from cashpay_pipeline.clock import Clock, SystemClock
from cashpay_pipeline.errors import CashpayError
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.sync.batch import Batch
from cashpay_pipeline.sync.drift import note_fields
from cashpay_pipeline.sync.gateways import read_gateways
from cashpay_pipeline.sync.guards import correct_future_times, guard_account, guard_clock, guard_merchant, in_words
from cashpay_pipeline.sync.newest_end import read_newest_end
from cashpay_pipeline.sync.recheck import recheck_due_bills
from cashpay_pipeline.sync.record import Kind, Progress, SyncRecord, SyncResult
from cashpay_pipeline.sync.session import Session
from cashpay_pipeline.sync.whole_list import has_finished_a_walk, read_part_of_whole_list, read_whole_list
from cashpay_pipeline.warehouse import open_warehouse, store
from cashpay_pipeline.warehouse.lock import describe_owner
from cashpay_pipeline.warehouse.syncs import mark_dead_syncs

COLLECT_AFTER = 200_000
LEAN = "set memory_limit = '96MB'; set threads = 1"
"""A sync works in small batches: more of either takes memory, above all at checkpoints, and saves no time."""


def run_sync(
    settings: Settings,
    *,
    kind: Kind = "refresh",
    limit: int | None = None,
    clock: Clock | None = None,
    progress: Callable[[Progress], None] | None = None,
    dagster_run_id: str | None = None,
    reload: Callable[[], Settings] | None = None,
) -> SyncResult:
    """Read CashPay and store what is new.

    Args:
        settings: the account, with credentials.
        kind: `refresh` reads the newest end and what is due for a re-check; `full_refresh` the whole list;
            `recheck` only what is due for a re-check.
        limit: how many bills to re-check at most.
        clock: what time is measured and waited by.
        progress: told where the sync stands.
        dagster_run_id: the Dagster run that this is part of.
        reload: reads the settings again where CashPay refuses the credentials: they may have been rotated (A13).

    Returns:
        The sync's record. `complete` is false where something that this kind promises could not be read; what was
        read is stored.

    Raises:
        CashpayError: the sync had to stop; what it had read until then is stored, and its record says why.
    """
    clock = clock or SystemClock()
    owner = f"{kind} {dagster_run_id}" if dagster_run_id else kind
    with open_warehouse(settings, owner=owner, clock=clock) as warehouse:
        warehouse.execute(LEAN)
        masker = store.masker_of(warehouse, settings)
        started, ticking = clock.now(), clock.monotonic()
        record = SyncRecord(settings.account, kind, describe_owner(owner), dagster_run_id, started)
        tell = progress or (lambda _: None)

        def on_wait(seconds: float, why: str) -> None:
            tell(session.progress(f"{why.rstrip('.')}, {seconds:.0f} s"))

        with CashpayClient(settings, clock=clock, on_wait=on_wait, reload=reload) as client:
            batch = Batch(warehouse, settings, masker, record, clock, client.now)
            session = Session(settings, client, warehouse, batch, record, tell)
            guard_account(warehouse, settings, masker, client)
            mark_dead_syncs(warehouse)
            with warehouse.transaction():
                batch.save_record()
            try:
                with _cut_off_by_signals(client), _rare_garbage_collections():
                    guard_merchant(session, masker.check_of(*settings.merchant))
                    _begin(session)
                    _KINDS[kind](session, limit)
                    _finish(session)
            except BaseException as error:
                _fail(session, error)
                raise
            finally:
                # Times by CashPay's clock, which is only known since its first answer.
                record.finished_at = client.now()
                record.started_at = record.finished_at - timedelta(seconds=clock.monotonic() - ticking)
                session.note_requests()
                with warehouse.transaction():
                    batch.save_record()
                    note_fields(warehouse, settings.account, batch.forms, record.finished_at)
            return record.result()


def _begin(session: Session) -> None:
    """The gateways come first: their answer tells whether the login is good and what time CashPay has."""
    read_gateways(session)
    guard_clock(session)
    correct_future_times(session)
    session.begun = session.now()


def _refresh(session: Session, limit: int | None) -> None:
    if has_finished_a_walk(session):
        read_newest_end(session)
    else:
        read_whole_list(session)
    recheck_due_bills(session, limit)
    read_part_of_whole_list(session)


_KINDS: dict[Kind, Callable[[Session, int | None], object]] = {
    "refresh": _refresh,
    "full_refresh": lambda session, limit: read_whole_list(session),
    "recheck": recheck_due_bills,
}


@contextmanager
def _cut_off_by_signals(client: CashpayClient) -> Iterator[None]:
    """Cut off requests in flight when a signal ends the sync: they can take minutes, and nothing is lost by it (R8).

    Whoever runs us, Dagster or Python itself, makes an exception of SIGINT and SIGTERM, in the main thread; it gets a
    note of which one it was. But the exception would wait for the threads that read, and Python tells the main thread
    of a signal only between two of its steps. So a thread of its own listens.
    """
    if current_thread() is not main_thread():  # where no signal arrives
        yield
        return
    names: list[str] = []

    def listen() -> None:
        while number := heard.recv(1):
            if number[0] in (SIGINT, SIGTERM):
                names.append(Signals(number[0]).name)
                client.stop()

    heard, told = socketpair()
    told.setblocking(False)
    with heard:
        listener = Thread(target=listen, daemon=True)
        listener.start()
        before = set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        try:
            yield
        except BaseException as error:
            if names and not isinstance(error, Exception):
                error.add_note(names[0])
            raise
        finally:
            set_wakeup_fd(before)
            told.close()
            listener.join()


@contextmanager
def _rare_garbage_collections() -> Iterator[None]:
    """Records are many small objects without cycles: to look for cycles among them takes a quarter of the time."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _finish(session: Session) -> None:
    session.save()
    record = session.record
    if (skew := session.client.skew) and abs(skew) > TOLERATED_SKEW:
        record.warn(f"This machine's clock is {in_words(skew)} CashPay's; times were taken from CashPay.")
    record.complete = not record.incomplete
    record.status = "complete" if record.complete else "incomplete"


def _fail(session: Session, error: BaseException) -> None:
    """Keep what was read before the stop, and say why it stopped."""
    record = session.record
    record.status, record.complete = "failed", False
    is_stopped = not isinstance(error, Exception)  # from outside: Ctrl-C, a service manager, Dagster
    if isinstance(error, CashpayError):
        record.error_code = error.code
        record.lacks(error.message)
    else:
        record.error_code = "interrupted" if is_stopped else type(error).__name__
    if isinstance(error, CashpayError) or is_stopped:
        session.save()
