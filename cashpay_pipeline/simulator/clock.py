"""A clock for the pipeline that runs on the simulator's time, so that waiting costs none."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

from cashpay_pipeline.simulator.control_client import call

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class SimulatedClock:
    """The simulator's clock, with the interface of `cashpay_pipeline.clock.Clock`.

    `sleep` moves the simulated time on and returns at once: a `Retry-After` of a quarter of an hour
    passes in a millisecond, and bills are paid meanwhile.
    """

    def __init__(self, base_url: str) -> None:
        """Take the clock of the simulator that serves the API at `base_url`."""
        address = urlsplit(base_url)
        self._root = f"{address.scheme}://{address.netloc}"

    def now(self) -> datetime:
        """Return the simulated time, in UTC."""
        return datetime.fromisoformat(call(self._root, "GET", "clock")["now"])

    def monotonic(self) -> float:
        """Return simulated seconds since some fixed moment."""
        return (self.now() - _EPOCH).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass on the simulated clock, and return at once."""
        if seconds > 0:
            call(self._root, "POST", "clock", {"seconds": seconds})
