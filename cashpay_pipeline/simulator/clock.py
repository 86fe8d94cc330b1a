"""A clock for the pipeline that runs on the simulator's time, so that waiting costs none."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cashpay_pipeline.simulator.control_client import call

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class SimulatedClock:
    """The simulator's clock, with the interface of `cashpay_pipeline.clock.Clock`.

    `sleep` moves the simulated time on and returns at once: a `Retry-After` of a quarter of an hour
    passes in a millisecond, and bills are paid meanwhile.

    A sync looks at its clock a hundred times: where time is frozen and the simulator is on this machine, its dial is
    read instead of asking each time.
    """

    def __init__(self, base_url: str) -> None:
        """Take the clock of the simulator that serves the API at `base_url`."""
        address = urlsplit(base_url)
        self._root = f"{address.scheme}://{address.netloc}"
        self._dial: Path | None = None

    def now(self) -> datetime:
        """Return the simulated time, in UTC."""
        shown = self._dial and _read(self._dial)
        if shown:
            return shown
        answer = call(self._root, "GET", "clock")
        asked, dial = datetime.fromisoformat(answer["now"]), Path(answer["dial"])
        self._dial = dial if _read(dial) == asked else None
        return asked

    def monotonic(self) -> float:
        """Return simulated seconds since some fixed moment."""
        return (self.now() - _EPOCH).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass on the simulated clock, and return at once."""
        if seconds > 0:
            call(self._root, "POST", "clock", {"seconds": seconds})


def _read(dial: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(dial.read_text())
    except (OSError, ValueError):
        return None
