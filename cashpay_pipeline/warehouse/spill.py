"""Where readers of the published copy do what is too large for the memory: in a folder for this user alone."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock

from cashpay_pipeline.atomic import workshop

_changing = Lock()
_shared: dict[Path, "_Shared"] = {}


class _Shared:
    """One folder of this process, and how many connections use it."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.path = ""
        self.users = 0


@contextmanager
def spill_folder(beside: Path) -> Iterator[str]:
    """A folder inside `beside`, swept by the next one if we are killed; empty, for none, where we may not write.

    The connections of a process share it, for DuckDB wants them configured alike, and it goes with the last one. Two
    processes must not: their files would have the same names.
    """
    with _changing:
        shared = _shared.setdefault(beside, _Shared())
        if not shared.users:
            try:
                shared.path = str(shared.stack.enter_context(workshop(beside)))
            except OSError:
                shared.path = ""
        shared.users += 1
    try:
        yield shared.path
    finally:
        with _changing:
            shared.users -= 1
            if not shared.users:
                shared.stack.close()
