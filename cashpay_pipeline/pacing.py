"""How fast, and how many at once: polite to an API that the shop's own checkout uses too. No HTTP here.

One `Pacer` is shared by every thread of a client.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Condition, Lock

from cashpay_pipeline.clock import Clock
from cashpay_pipeline.errors import RateLimitedError, UnavailableError

LONGEST_WAIT_SECONDS = 15 * 60
LONGEST_WAITING_SECONDS = 60 * 60
SHORTEST_SLEEP_SECONDS = 0.001  # a clock may round less to nothing, and would then stand still for ever
LONGEST_SLEEP_SECONDS = 5.0  # then it is seen whether the run is to end (R8)
SUCCESSES_BEFORE_ONE_MORE = 10
SLOWER, FASTER, SUCCESSES_BEFORE_FASTER, SLOWEST_INTERVAL_SECONDS = 1.25, 0.99, 20, 10.0
"""A refusal makes the time between two requests a quarter longer, 20 answers a hundredth shorter. Under a limit that we
do not know this settles at nine tenths of it (worked out); the first 150 requests had 77 % of it (measured)."""


class Pacer:
    """Spaces the requests, limits how many are in flight, and holds all of them back when CashPay asks for it.

    Args:
        clock: what time is measured and waited by.
        now: the server's idea of the time, for telling when to come back.
        per_second: at most so many requests start in a second; fewer after CashPay was overloaded.
        max_in_flight: at most so many at once; halved when CashPay is overloaded, and slowly raised again.

    Attributes:
        waited_seconds: in all.
        resume_at: the end of a pause that is longer than a run may wait, by our clock, which the next run has, too.
    """

    def __init__(self, clock: Clock, now: Callable[[], datetime], *, per_second: float, max_in_flight: int) -> None:
        self._clock = clock
        self._now = now
        self._shortest_interval = self._interval = 1 / per_second
        self._lock = Lock()
        self._next_start = self._not_before = clock.monotonic()
        self._free = Condition()
        self._most_in_flight = self.in_flight_limit = max_in_flight
        self._in_flight = self._successes = self._successes_at_this_pace = 0
        self.waited_seconds = 0.0
        self.resume_at: datetime | None = None
        self._stopped = False

    def stop(self) -> None:
        """Let no thread wait or start a request any more. Safe in a signal handler: takes no lock."""
        self._stopped = True

    def go_on(self) -> None:
        """Say whether there is still something to do.

        Raises:
            UnavailableError: the run is to end now.
        """
        if self._stopped:
            raise UnavailableError("The run was told to stop.")

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Be one of the requests in flight."""
        with self._free:
            self._free.wait_for(lambda: self._in_flight < self.in_flight_limit)
            self._in_flight += 1
        try:
            yield
        finally:
            with self._free:
                self._in_flight -= 1
                self._free.notify_all()

    def wait_for_turn(self) -> None:
        """Wait until one more request may start: not in a pause that CashPay asked for, not too soon (H14).

        Raises:
            RateLimitedError: the pause is longer than a run may wait.
        """
        while True:
            self.go_on()
            with self._lock:
                moment = self._clock.monotonic()
                pause = self._not_before - moment
                start = max(moment, self._next_start, self._not_before)
                if start <= moment:
                    # Waking up late must not add up: up to one interval is made good.
                    due = max(self._next_start, self._not_before, moment - self._interval)
                    self._next_start = due + self._interval
                    return
            if pause > LONGEST_WAIT_SECONDS:
                raise self.too_long(pause)
            self._sleep(max(start - moment, SHORTEST_SLEEP_SECONDS))

    def hold(self, seconds: float) -> float:
        """Let no thread start a request for so long. Returns by how much this prolongs the pause."""
        with self._lock:
            moment = self._clock.monotonic()
            longer = max(0.0, moment + seconds - max(moment, self._not_before))
            self._not_before = max(self._not_before, moment + seconds)
            if seconds <= LONGEST_WAIT_SECONDS:
                self.waited_seconds += longer
            return longer

    def wait(self, seconds: float) -> None:
        """Let only this thread wait."""
        with self._lock:
            self.waited_seconds += seconds
        self._sleep(seconds)

    def _sleep(self, seconds: float) -> None:
        while seconds > 0:
            self.go_on()
            self._clock.sleep(min(seconds, LONGEST_SLEEP_SECONDS))
            seconds -= LONGEST_SLEEP_SECONDS

    def may_wait(self, seconds: float) -> bool:
        """Whether so much more waiting is within what a client may wait in all (H15)."""
        return self.waited_seconds + seconds <= LONGEST_WAITING_SECONDS

    def too_long(self, seconds: float) -> RateLimitedError:
        """The error that says when to come back; later runs are told by `resume_at`."""
        self.resume_at = self._clock.now() + timedelta(seconds=seconds)
        return RateLimitedError(
            f"CashPay asks for a pause of {seconds / 60:.0f} minutes.",
            resume_at=self._now() + timedelta(seconds=seconds),
        )

    def slow_down(self) -> None:
        """CashPay is overloaded: half as many in flight, and fewer in a second."""
        with self._lock:
            self._interval = max(self._shortest_interval, min(self._interval * SLOWER, SLOWEST_INTERVAL_SECONDS))
            self._successes_at_this_pace = 0
        with self._free:
            self.in_flight_limit = max(1, self.in_flight_limit // 2)
            self._successes = 0

    def went_well(self) -> None:
        """After some requests without trouble: one more in flight; after more of them, a little faster."""
        with self._lock:
            self._successes_at_this_pace += 1
            if self._successes_at_this_pace >= SUCCESSES_BEFORE_FASTER:
                self._interval = max(self._shortest_interval, self._interval * FASTER)
                self._successes_at_this_pace = 0
        with self._free:
            self._successes += 1
            if self._successes >= SUCCESSES_BEFORE_ONE_MORE and self.in_flight_limit < self._most_in_flight:
                self.in_flight_limit += 1
                self._successes = 0
                self._free.notify()
