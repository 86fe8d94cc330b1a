"""A signal in the middle of a query of DuckDB's, as Ctrl-C is one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ENDLESS = "select count(*) from range(1_000_000_000_000) as t(i) where i % 7 = ?"


@contextmanager
def interrupting() -> Iterator[None]:
    """Raise a KeyboardInterrupt a moment from now; by an alarm, for SIGINT can be ignored where tests are run."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt("simulated failure")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
