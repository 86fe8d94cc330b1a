"""Files that appear whole or not at all, whatever happens while they are made (R6, F4), in no other's place."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cashpay_pipeline.errors import SettingsError

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


def refuse_other_file(target: Path, suffix: str, beginning: str) -> None:
    """Refuse to write where something else may be: a slip in an option must cost nobody a file.

    The end of the name keeps away from all that has another one: the database, `.env`, a key. The beginning of the file
    tells ours from what somebody else has made.

    Args:
        target: the file to be written.
        suffix: how names of such files end.
        beginning: how all such files of ours begin.

    Raises:
        SettingsError: the name ends otherwise, or there is a file that begins otherwise and is not empty.
    """
    if target.suffix.lower() != suffix:
        raise SettingsError(
            f"The name of the file to write does not end in {suffix}.",
            where=str(target),
            next_step=f"Name a file that ends in {suffix}.",
        )
    if not target.is_file():
        return
    try:
        with target.open("rb") as handle:
            start = handle.read(200)
    except PermissionError:
        start = b"?"  # whatever it is, it is somebody else's
    if start and not start.lstrip().startswith(beginning.encode()):
        raise SettingsError(
            f"{target.name} is another file: it does not begin like one that `cashpay` has written there.",
            where=str(target),
            next_step="Name another file, or move this one away.",
        )


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
