"""What becomes of a bill: paid at once, paid weeks later, in parts, too much, never.

The shares are a guess at a small shop's life. Transitions are those that `cashpay-api` (section 7)
gives for a test server: Pending to Paid, Partial, Excess, Error, Canceled or Expired; Partial to Paid,
Excess, Canceled or Expired.
"""

from bisect import bisect_right
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any

from cashpay_pipeline.simulator.bills import Event, Payment
from cashpay_pipeline.simulator.gateways import BANK, CARD, FLOOZ, MIXX, USSD, VOUCHER

_SHARES = {
    "paid": 712,
    "paid_within_days": 32,
    "paid_within_weeks": 12,
    "expired": 80,
    "canceled": 42,
    "forgotten": 38,
    "error": 38,
    "partial_then_paid": 16,
    "partial_forever": 12,
    "partial_expired": 6,
    "excess": 9,
    "partial_then_excess": 3,
}
_OUTCOMES = list(_SHARES)
_CUMULATED = list(accumulate(_SHARES.values()))

_GATEWAYS = (FLOOZ, MIXX, USSD, CARD, BANK, VOUCHER)
_GATEWAYS_CUMULATED = (430, 800, 860, 930, 975, 1000)

EXPIRES_AFTER = timedelta(hours=24)


def plan_events(random: Random, created: datetime, amount: int) -> list[Event]:
    """Return everything that will happen to a bill, decided when it is made.

    Args:
        random: Source of chance.
        created: When the bill is made.
        amount: Its amount in francs.
    """
    outcome = _OUTCOMES[bisect_right(_CUMULATED, int(random.random() * _CUMULATED[-1]))]
    soon = created + timedelta(seconds=int(random.lognormvariate(5.2, 0.9)) + 20)
    if outcome == "paid":
        return [_paid(random, "Paid", soon, amount)]
    if outcome == "paid_within_days":
        return [_paid(random, "Paid", _later(random, created, hours=2, days=6), amount)]
    if outcome == "paid_within_weeks":
        return [_paid(random, "Paid", _later(random, created, hours=7 * 24, days=45), amount)]
    if outcome == "expired":
        return [Event(created + EXPIRES_AFTER, {"state": "Expired"})]
    if outcome == "canceled":
        return [Event(_later(random, created, hours=0, days=1), {"state": "Canceled"})]
    if outcome == "error":
        return [Event(soon, {"state": "Error", "message": "Payment failed"})]
    if outcome == "excess":
        return [_paid(random, "Excess", soon, amount + 50 * random.randint(1, 20))]
    if outcome == "forgotten":
        return []
    return _in_parts(random, outcome, soon, amount)


def _in_parts(random: Random, outcome: str, soon: datetime, amount: int) -> list[Event]:
    first_part = max(1, amount * random.randint(20, 80) // 100)
    first = _paid(random, "Partial", soon, first_part)
    later = _later(random, soon, hours=1, days=12)
    if outcome == "partial_then_paid":
        return [first, _paid(random, "Paid", later, amount - first_part, first)]
    if outcome == "partial_then_excess":
        return [first, _paid(random, "Excess", later, amount - first_part + 500, first)]
    if outcome == "partial_expired":
        return [first, Event(soon + 7 * EXPIRES_AFTER, {"state": "Expired"})]
    return [first]


def _paid(random: Random, state: str, at: datetime, amount: int, before: Event | None = None) -> Event:
    reference = f"TP-{random.getrandbits(40):012d}"
    earlier: tuple[Payment, ...] = before.fields["payments"] if before else ()
    payments = (*earlier, Payment(at, reference, amount, pick_gateway(random)))
    fields: dict[str, Any] = {
        "state": state,
        "received_amount": sum(payment.amount for payment in payments),
        "payments": payments,
    }
    return Event(at, fields)


def pick_gateway(random: Random) -> str:
    """Return the reference of the gateway that a customer happens to use."""
    return _GATEWAYS[bisect_right(_GATEWAYS_CUMULATED, int(random.random() * 1000))]


def _later(random: Random, moment: datetime, *, hours: int, days: int) -> datetime:
    """Return a moment at least `hours` and at most `days` on, the near ones likelier."""
    span = days * 86_400 - hours * 3_600
    return moment + timedelta(seconds=hours * 3_600 + 60 + int(span * random.random() ** 2))
