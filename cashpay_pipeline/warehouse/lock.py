"""One run at a time, and who it is. The kernel releases the lock of a process that dies, however it dies."""

import fcntl
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from cashpay_pipeline.clock import Clock
from cashpay_pipeline.errors import WarehouseBusyError, WarehouseLockError

POLL_SECONDS = 0.5
SAID_EVERY = 240
"""Tries: every two minutes. A run that says nothing for long, and does not hold the lock, is taken for dead."""

log = logging.getLogger("cashpay.lock")
"""Dagster shows in the run what `cashpay` loggers say (deploy/dagster.yaml), the command line its warnings."""


def describe_owner(name: str) -> str:
    """This process, for people: what it is, where it runs, its number."""
    return f"{name or 'cashpay'} on {socket.gethostname()}, process {os.getpid()}"


@contextmanager
def run_lock(path: Path, owner: str, *, wait_seconds: float, clock: Clock) -> Iterator[None]:
    """Hold the lock file at `path`; wait for another holder and say for whom; then step aside and name it.

    Raises:
        WarehouseBusyError: somebody else held it all the time.
        WarehouseLockError: the file cannot be made or opened.
    """
    try:
        path.touch(mode=0o600)
        handle = path.open("a+", encoding="utf-8")
    except OSError as error:
        if isinstance(error, PermissionError) and os.access(path.parent, os.W_OK):
            raise WarehouseLockError(
                "Another user has written in the data folder, and has its lock.",
                where=str(path),
                next_step="Give the files of the folder back to the user who runs the pipeline (chown), as whom every "
                "command is to be run.",
            ) from None
        raise WarehouseLockError(
            f"The data folder cannot be written: {error.strerror}.",
            where=str(path.parent),
            next_step="Give this user the right to write there, or set CASHPAY_DATA_DIR to another folder.",
        ) from None
    with handle:
        _take(handle, path, wait_seconds, clock)
        handle.truncate(0)
        with suppress(OSError):  # On a full disk the holder has no name.
            held = {"owner": owner, "since": f"{clock.now():%Y-%m-%d %H:%M:%S} UTC"}
            os.write(handle.fileno(), json.dumps(held).encode())
        try:
            yield
        finally:
            handle.truncate(0)
            fcntl.flock(handle, fcntl.LOCK_UN)


def _take(handle: IO[str], path: Path, wait_seconds: float, clock: Clock) -> None:
    began, tries = clock.monotonic(), 0
    while not _is_ours(handle):
        tries += 1
        if clock.monotonic() >= began + wait_seconds:
            raise WarehouseBusyError(f"Another run is writing: {_holder(path)}.", where=str(path.parent))
        if tries % SAID_EVERY == 2:  # Not for a moment's wait.
            log.warning("Another run is writing: %s. Waiting for it, up to %.0f s.", _holder(path), wait_seconds)
        clock.sleep(min(POLL_SECONDS, wait_seconds))
    if tries > 1:
        log.info("Waited %.1f s for the other run.", clock.monotonic() - began)


def _is_ours(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(path: Path) -> str:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return f"{held['owner']}, since {held['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "its name is not known"
