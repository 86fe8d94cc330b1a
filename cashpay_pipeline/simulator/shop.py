"""The simulated shop: which bills it makes on which day.

Each day's bills depend only on the seed, the date and the day's number of bills, so the shop can be
asked for any day at any time and always tells the same story.
"""

import hashlib
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from random import Random
from typing import Any

from cashpay_pipeline.simulator.bills import Bill
from cashpay_pipeline.simulator.outcomes import plan_events

# A shop's day in Lome: quiet nights, a rush at lunch and one in the evening.
_HOURS = (2, 1, 1, 0, 0, 1, 4, 14, 28, 36, 42, 52, 84, 70, 40, 36, 44, 62, 90, 96, 72, 44, 20, 8)
_HOURS_CUMULATED = list(accumulate(_HOURS))
_WEEKDAYS = (0.90, 0.92, 0.95, 1.00, 1.18, 1.36, 0.68)
_LAST_NAMES = ("EXEMPLE", "MODÈLE", "FICTIF", "ESSAI", "DÉMO", "SPÉCIMEN", "TÉMOIN", "INVENTÉ")
_FIRST_NAMES = ("Client", "Cliente", "Acheteur", "Acheteuse", "Visiteur", "Visiteuse", "Élève", "Personne")
_TERMINALS = ("TPE-01", "TPE-02", "TPE-03")

LINK_BASE = "https://bills.example.test"
"""Where the links of the shop's own bills point; nothing is there."""


@dataclass(frozen=True)
class Shop:
    """A shop with its seed, its size and the day its history begins.

    Attributes:
        seed: Decides everything that looks like chance.
        account: Account name; two accounts share some order references but not the bills.
        first_day: First day with bills.
        days: Whole days of history before the simulator's first day.
        bills_per_day: Average number of bills; the history holds exactly `days * bills_per_day`.
    """

    seed: int
    account: str
    first_day: date
    days: int
    bills_per_day: int
    _counts: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        weights = [self._weight(self.first_day + timedelta(days=n)) for n in range(self.days)]
        total, whole = self.days * self.bills_per_day, sum(weights)
        marks = [round(total * part / whole) for part in accumulate(weights)]
        counts = [mark - before for before, mark in zip([0, *marks], marks, strict=False)]
        object.__setattr__(self, "_counts", counts)

    def day(self, day: date) -> list[Bill]:
        """Return the bills made on a day, in order of time, with all that will ever happen to them."""
        random = Random(f"{self.seed}:{self.account}:{day.isoformat()}")
        midnight = datetime.combine(day, time(), tzinfo=UTC)
        seconds = sorted(_second_of_day(random) for _ in range(self._count(day)))
        bills: list[Bill] = []
        retried: Bill | None = None
        for number, second in enumerate(seconds):
            bill = self._bill(random, day, number, midnight + timedelta(seconds=second), retried)
            failed = any(event.fields["state"] == "Error" for event in bill.events)
            retried = bill if failed and random.random() < 0.7 else None
            bills.append(bill)
        return bills

    def _count(self, day: date) -> int:
        number = (day - self.first_day).days
        if 0 <= number < self.days:
            return self._counts[number]
        return round(self.bills_per_day * self._weight(day))

    def _weight(self, day: date) -> float:
        chance = Random(f"{self.seed}:{self.account}:weight:{day.isoformat()}").uniform(0.85, 1.15)
        pay_days = 1.3 if day.day >= 26 or day.day <= 3 else 0.93
        return _WEEKDAYS[day.weekday()] * pay_days * chance

    def _bill(self, random: Random, day: date, number: int, created: datetime, retried: Bill | None) -> Bill:
        reference = self._reference(day, number)
        if retried is None:
            amount = _amount(random)
            client = _client(random, max(20, self.bills_per_day * 12))
            merchant_reference = None if random.random() < 0.04 else f"CMD-{day:%y%m%d}-{number:05d}"
        else:  # the customer tries the same order again a few minutes after the failure
            failed_at = retried.events[-1].at
            created = max(created, failed_at + timedelta(seconds=random.randint(40, 600)))
            amount, client = retried.first["amount"], retried.first["client"]
            merchant_reference = retried.first["merchant_reference"]
        described = random.random() < 0.8
        first = {
            "merchant_reference": merchant_reference,
            "code": str(random.randrange(100_000, 140_000)),
            "state": "Pending",
            "amount": amount,
            "received_amount": 0,
            "currency": "XOF",
            "description": f"Commande {number + 1} du {day:%d/%m/%Y}" if described else None,
            **bill_links(reference),
            "client": client,
            "payments": (),
        }
        terminal = _TERMINALS[int(random.random() * 3)] if random.random() < 0.25 else None
        events = plan_events(random, created, amount)
        return Bill(reference, created, first, events, visible_from=created, terminal=terminal)

    def _reference(self, day: date, number: int) -> str:
        digest = hashlib.blake2s(f"{self.seed}:{day.isoformat()}:{number}".encode(), digest_size=6)
        return f"SANDBOX-{digest.hexdigest().upper()}"


def bill_links(reference: str, base: str = LINK_BASE) -> dict[str, str]:
    """Return the three addresses that a bill carries (cashpay-api, section 4.2)."""
    short = reference.rpartition("-")[2]
    return {
        "bill_url": f"{base}/f/{short}",
        "long_bill_url": f"{base}/facture/{reference}",
        "qrcode_bill_url": f"{base}/qr/{short}.png",
    }


def _second_of_day(random: Random) -> int:
    hour = bisect_right(_HOURS_CUMULATED, random.random() * _HOURS_CUMULATED[-1])
    return hour * 3600 + int(random.random() * 3600)


def _amount(random: Random) -> int:
    """Return a price in whole francs: mostly some thousands, round the larger it is."""
    price = random.lognormvariate(8.45, 1.05)
    step = 25 if price < 1_000 else 50 if price < 5_000 else 100 if price < 20_000 else 500
    return max(100, round(price / step) * step)


def _client(random: Random, customers: int) -> dict[str, Any]:
    """Return one of the shop's customers; some come often. Phones and names are plainly made up."""
    number = int(customers * random.random() ** 2.2) + 1
    client = {"phone": f"+228{number:08d}"}
    if number % 9:
        client["lastname"] = _LAST_NAMES[number % len(_LAST_NAMES)]
    if number % 7:
        client["firstname"] = f"{_FIRST_NAMES[number // 8 % len(_FIRST_NAMES)]} {number}"
    return client
