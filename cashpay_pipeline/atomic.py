"""Files that appear whole or not at all, whatever happens while they are made (R6, F4)."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = ".cashpay-making-"


@contextmanager
def workshop(folder: Path) -> Iterator[Path]:
    """A folder inside `folder` for files in the making, for this user alone; gone at the end.

    What killed runs left behind is removed first. A run that is still at work holds a lock on its own, which the kernel
    releases however the run ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
    try:
        with (made / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made.mkdir(mode=0o700, exist_ok=True)  # another one's sweep can have come before the lock was taken
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def put_in_place(made: Path, target: Path, mode: int = 0o600) -> None:
    """Give a finished file its name: readers see the old one or the new one, even after a power cut."""
    made.chmod(mode)
    with made.open("rb") as handle:
        os.fsync(handle.fileno())
    made.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sweep(folder: Path) -> None:
    """Remove what killed runs left in a folder."""
    for left in folder.glob(f"{PREFIX}*"):
        with suppress(OSError), (left / "lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
