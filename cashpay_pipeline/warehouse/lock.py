"""One run at a time, and who it is. The kernel releases the lock of a process that dies, however it dies."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cashpay_pipeline.clock import Clock
from cashpay_pipeline.errors import WarehouseBusyError, WarehouseError

POLL_SECONDS = 0.5


def describe_owner(name: str) -> str:
    """This process, for people: what it is, where it runs, its number."""
    return f"{name or 'cashpay'} on {socket.gethostname()}, process {os.getpid()}"


@contextmanager
def run_lock(path: Path, owner: str, *, wait_seconds: float, clock: Clock) -> Iterator[None]:
    """Hold the lock file at `path`; wait for another holder, then step aside and name it.

    Raises:
        WarehouseBusyError: somebody else held it all the time.
        WarehouseError: the file cannot be made.
    """
    try:
        path.touch(mode=0o600)
        handle = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise WarehouseError(
            f"The data folder cannot be written: {error.strerror}.",
            where=str(path.parent),
            next_step="Give this user the right to write there, or set CASHPAY_DATA_DIR to another folder.",
        ) from None
    with handle:
        _take(handle, path, wait_seconds, clock)
        handle.truncate(0)
        handle.write(json.dumps({"owner": owner, "since": f"{clock.now():%Y-%m-%d %H:%M:%S} UTC"}))
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)
            fcntl.flock(handle, fcntl.LOCK_UN)


def _take(handle: IO[str], path: Path, wait_seconds: float, clock: Clock) -> None:
    give_up = clock.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        if clock.monotonic() >= give_up:
            raise WarehouseBusyError(f"Another run is writing: {_holder(path)}.", where=str(path.parent))
        clock.sleep(min(POLL_SECONDS, wait_seconds))


def _holder(path: Path) -> str:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return f"{held['owner']}, since {held['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "its name is not known"
