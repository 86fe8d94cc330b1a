"""The loop of attempts behind every call: when one may start, with which headers, and what follows from its answer.

Every attempt has headers of its own, because a token can die during a wait and a salt must be new (A2, A8). Hence the
loop is ours, and urllib3's `Retry` only its policy. It sends nothing itself: `client.py` does, `verdicts.py` judges.
"""

import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from time import perf_counter

from urllib3.util import Retry

from cashpay_pipeline.auth import Auth, BearerAuth, SignatureAuth
from cashpay_pipeline.clock import Clock
from cashpay_pipeline.decoding import JSON
from cashpay_pipeline.errors import AccessDeniedError, CashpayError, UnavailableError, UnexpectedReplyError
from cashpay_pipeline.pacing import LONGEST_WAIT_SECONDS, Pacer
from cashpay_pipeline.redaction import Redactor
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.verdicts import LONGEST_CREDIBLE_PAUSE_SECONDS, Again, Answer, Call, LoginAgain, judge

# Six tries, 1-4 + 16 + 32 + 64 + 120 seconds apart and some jitter: about 4 minutes, then give up (N1).
RETRY_POLICY = Retry(total=None, backoff_factor=8, backoff_max=120, backoff_jitter=4)
TOLERATED_SKEW, SERVERS_APART = timedelta(minutes=2), timedelta(minutes=10)

log = logging.getLogger("cashpay")


@dataclass(frozen=True)
class Reply:
    """What CashPay answered, between two moments that are by CashPay's clock if ours is wrong; no `body` for a 204."""

    status: int
    body: JSON = field(repr=False)
    asked_at: datetime
    received_at: datetime
    warnings: tuple[str, ...] = ()


@dataclass
class ClientStats:
    """What a client has cost so far; `requests` counts every attempt, logins too."""

    requests: int = 0
    retries: int = 0
    logins: int = 0
    waited_seconds: float = 0.0


class Attempts:
    """Makes calls for one merchant account, however many threads ask.

    Args:
        settings: which account, where, and how politely.
        clock: what time is measured and waited by.
        on_wait: told of each wait: seconds and reason.
        source: where the credentials are read from, at each login and after each refusal (A13).
        exchange: sends one call with these headers and returns what came; raises `Again` or a `CashpayError`.
        redactor: masks secrets; told of new ones.
        max_tries: how many tries any call gets at most.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        on_wait: Callable[[float, str], None],
        source: Callable[[], Settings],
        exchange: Callable[[Call, Mapping[str, str]], Answer],
        redactor: Redactor,
        max_tries: int,
    ) -> None:
        self.stats = ClientStats()
        self.skew: timedelta | None = None
        self._base_url = settings.base_url
        self._clock = clock
        self._began_at, self._began = clock.now(), clock.monotonic()
        self._on_wait = on_wait
        self._exchange = exchange
        self._redactor = redactor
        self._max_tries = max_tries
        self._denied: Mapping[str, str] = {}  # right after a fresh login: another login would not help
        self._lock = Lock()
        self.pacer = Pacer(
            clock, self.now, per_second=settings.requests_per_second, max_in_flight=settings.max_in_flight
        )

        def learning() -> Settings:
            current = source()
            redactor.learn(current.secrets())
            return current

        self._auth: Auth = (
            SignatureAuth(learning)
            if settings.scheme == "cashpay"
            else BearerAuth(learning, clock, self._log_in, redactor.learn)
        )

    def now(self) -> datetime:
        """The time in UTC: by CashPay's clock, which stamps the bills, where ours is more than 2 minutes off."""
        return self._by_cashpay(self._our_time())

    def pause_until(self, moment: datetime) -> None:
        """Keep a pause that an earlier run was asked for (H14), unless a clock was wrong: none is that long (H15)."""
        seconds = (moment - self._clock.now()).total_seconds()
        if 0 < seconds <= LONGEST_CREDIBLE_PAUSE_SECONDS:
            self.pacer.hold(seconds)
            self.stats.waited_seconds = self.pacer.waited_seconds
            if seconds <= LONGEST_WAIT_SECONDS:
                self._on_wait(seconds, "CashPay has asked for a pause.")

    def call(self, call: Call) -> Reply:
        """Try until there is an answer, or a reason to stop."""
        policy = RETRY_POLICY
        login_renewed = False
        number = 0
        while True:
            number += 1
            with self.placing(call, number):
                try:
                    return self._attempt(call, number, login_renewed=login_renewed)
                except LoginAgain as refusal:
                    if login_renewed or call.tries == 1:
                        raise refusal.error from None
                    login_renewed = True
                except Again as trouble:
                    policy = policy.increment(call.method, call.path, error=trouble)
                    self._pause(trouble, policy, last=number >= min(call.tries, trouble.tries, self._max_tries))
            self._count(retries=1)

    @contextmanager
    def placing(self, call: Call, number: int = 1) -> Iterator[None]:
        """Tell each error where it happened: address, page and how many tries; never a query or a body."""
        try:
            yield
        except CashpayError as error:
            page = "" if call.page is None else f", page {call.page}"
            tries = "" if number == 1 else f", after {number} tries"
            error.where = error.where or f"{call.method} {self._base_url}{call.path}{page}{tries}"
            if call.tries == 1 and isinstance(error, UnavailableError | UnexpectedReplyError):
                error.next_step = "The bill may exist all the same: look for it before creating it once more."
            raise

    def _attempt(self, call: Call, number: int, *, login_renewed: bool) -> Reply:
        """One request, when its turn has come, and what its answer means."""
        if call.is_login:  # made on behalf of a request that holds a slot already
            self.pacer.wait_for_turn()
            return self._judged(call, {}, number)
        with self.pacer.slot():
            self._auth.headers()  # a login, if one is due, comes before this request's turn
            self.pacer.wait_for_turn()
            headers = self._auth.headers()
            try:
                return self._judged(call, headers, number)
            except LoginAgain as refusal:
                is_denied = isinstance(refusal.error, AccessDeniedError)
                if is_denied and login_renewed:
                    self._denied = headers
                if is_denied and headers == self._denied:
                    raise refusal.error from None
                self._auth.drop(headers)
                raise

    def _judged(self, call: Call, headers: Mapping[str, str], number: int) -> Reply:
        self._count(requests=1)
        asked_at, started = self._our_time(), perf_counter()
        outcome: object = "failed"
        try:
            answer = self._exchange(call, headers)
            outcome = answer.status
        finally:
            took = (perf_counter() - started) * 1000
            page = "" if call.page is None else f" page {call.page}"
            log.debug("%s %s%s: %s in %.0f ms, try %d", call.method, call.path, page, outcome, took, number)
        body, warnings = judge(call, answer, self._redactor.clean)
        self.pacer.went_well()
        is_from_cache = answer.headers.get("Age", "0").strip() != "0"  # `Date` tells when the cache had it from CashPay
        if answer.date is not None and not is_from_cache:
            self._compare_clocks(answer.date, asked_at)
        return Reply(answer.status, body, self._by_cashpay(asked_at), self.now(), warnings)

    def _our_time(self) -> datetime:
        """Our clock's at the beginning, and by the stopwatch from then on: a clock that is set may go back."""
        return self._began_at + timedelta(seconds=self._clock.monotonic() - self._began)

    def _by_cashpay(self, moment: datetime) -> datetime:
        skew = self.skew or timedelta()
        return moment + (skew if abs(skew) > TOLERATED_SKEW else timedelta())

    def _compare_clocks(self, date: datetime, asked_at: datetime) -> None:
        """Keep the first measure while it holds: our time must not swing with whole seconds, nor between two servers.

        What a walk has met is told by the time. An answer is stamped at some time between the asking and its coming:
        only where that cannot be are clocks apart.
        """
        arrived_at = self._our_time()
        stamped_at = date - (self.skew or timedelta())
        apart = stamped_at - min(max(stamped_at, asked_at), arrived_at)
        if self.skew is None or abs(apart) > SERVERS_APART:
            self.skew = (self.skew or timedelta()) + apart

    def _pause(self, trouble: Again, policy: Retry, *, last: bool) -> None:
        """Wait before the next try; or raise, when there is none or the wait is too long."""
        seconds = trouble.wait or policy.get_backoff_time() or random.uniform(1, 4)
        affordable = self.pacer.may_wait(seconds)
        longer = seconds
        if trouble.everyone:
            self.pacer.slow_down()
            longer = self.pacer.hold(seconds)
            self.stats.waited_seconds = self.pacer.waited_seconds
        if seconds > LONGEST_WAIT_SECONDS:
            raise self.pacer.too_long(seconds)
        if last or not affordable:
            raise trouble.error from None
        if longer > 0:
            self._on_wait(seconds, trouble.error.message)
        if not trouble.everyone:
            self.pacer.wait(seconds)
            self.stats.waited_seconds = self.pacer.waited_seconds

    def _log_in(self, credentials: Mapping[str, str]) -> JSON:
        self._count(logins=1)
        return self.call(Call("POST", "/auth", json=credentials, is_login=True)).body

    def _count(self, *, requests: int = 0, retries: int = 0, logins: int = 0) -> None:
        with self._lock:
            self.stats.requests += requests
            self.stats.retries += retries
            self.stats.logins += logins
