"""One account's world: all its bills, and which of them the API shows at a moment."""

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Any

from cashpay_pipeline.simulator.bills import Bill, bill_as_json, bill_from_json
from cashpay_pipeline.simulator.gateways import GatewayBook
from cashpay_pipeline.simulator.shop import Shop

_sort_key = attrgetter("sort_key")


class World:
    """The bills and gateways of one account.

    `live` holds the bills that are listed now, oldest first, ready to be sliced; bills of the future
    wait in `_upcoming`. Moving the clock forward moves bills from one to the other.
    """

    def __init__(self, shop: Shop, now: datetime) -> None:
        self.shop = shop
        self.gateways = GatewayBook()
        self.live: list[Bill] = []
        self._bills: dict[str, Bill] = {}
        self._upcoming: list[Bill] = []
        self._next_day: date = shop.first_day
        self._now = now
        self._revision = 0
        self._reordered: tuple[Any, list[Bill]] = (None, [])
        self._touched: set[str] = set()
        self.move_to(now)

    def move_to(self, now: datetime) -> None:
        """Bring the world to a moment; going back in time works as well."""
        while self._next_day <= now.date():
            self._add_day(self._next_day)
            self._next_day += timedelta(days=1)
        before, after = sorted((self._now, now))
        if now < self._now or any(before < moment <= after for moment in self._deletions()):
            self._upcoming, self.live = list(self._bills.values()), []
        self._now = now
        arrived = [bill for bill in self._upcoming if bill.visible_from <= now]
        if arrived:
            self._upcoming = [bill for bill in self._upcoming if bill.visible_from > now]
            self.live.extend(bill for bill in arrived if bill.is_listed(now))
            self.live.sort(key=_sort_key)
            self._revision += 1

    def _deletions(self) -> Iterator[datetime]:
        return (moment for name in self._touched if (moment := self._bills[name].deleted_at) is not None)

    def _add_day(self, day: date) -> None:
        for bill in self.shop.day(day):
            if bill.reference not in self._bills:  # a saved bill is already here
                self._bills[bill.reference] = bill
                self._upcoming.append(bill)

    def get(self, reference: str) -> Bill | None:
        """Return a bill that is listed now, or None."""
        bill = self._bills.get(reference)
        return bill if bill is not None and bill.is_listed(self._now) else None

    def find(self, reference: str) -> Bill | None:
        """Return a bill, whether it is listed, deleted or still to come."""
        return self._bills.get(reference)

    def ordered(self, order: str) -> Sequence[Bill]:
        """Return the listed bills in an order that `Switches.order` names."""
        if order == "oldest_first":
            return self.live
        key = (order, self._revision, self._now if order == "updated" else None)
        if self._reordered[0] != key:
            self._reordered = (key, self._sorted(order))
        return self._reordered[1]

    def _sorted(self, order: str) -> list[Bill]:
        if order == "updated":
            return sorted(self.live, key=lambda bill: (bill.updated_at(self._now), bill.reference), reverse=True)
        if order == "random":
            return sorted(self.live, key=lambda bill: zlib.crc32(bill.reference.encode()))
        return self.live[::-1]

    def listed_before(self, moment: datetime) -> int:
        """Return how many of the listed bills were made before a moment."""
        return bisect_left(self.live, (moment, ""), key=_sort_key)

    def add(self, bill: Bill) -> None:
        """Add a new bill, made through an API."""
        self._bills[bill.reference] = bill
        self._show(bill)
        self.touch(bill)

    def _show(self, bill: Bill) -> None:
        if bill.visible_from > self._now:
            self._upcoming.append(bill)
        elif bill.is_listed(self._now):
            insort(self.live, bill, key=_sort_key)

    def touch(self, bill: Bill) -> None:
        """Note that a bill was changed from outside: it is to be saved, and orders may differ."""
        self._touched.add(bill.reference)
        self._revision += 1

    def redate(self, bill: Bill, created_at: datetime) -> None:
        """Give a listed bill another creation date: it moves to another place in the list."""
        self.live.remove(bill)
        bill.redate(created_at)
        insort(self.live, bill, key=_sort_key)
        self.touch(bill)

    def delete(self, bill: Bill) -> None:
        """Take a bill away, as if CashPay had removed it; its history stays."""
        bill.deleted_at = self._now
        self.live.remove(bill)
        self.touch(bill)

    def restore(self, bill: Bill) -> None:
        """Bring a deleted bill back, as if it had only been out of sight."""
        bill.deleted_at = None
        self._show(bill)
        self.touch(bill)

    def truth(self) -> list[dict[str, Any]]:
        """Return the full content of every listed bill, oldest first."""
        return [bill.content(self._now, self.gateways) for bill in self.live]

    def history(self) -> dict[str, list[dict[str, Any]]]:
        """Return, for each bill ever listed, when its state or money changed."""
        shown = (bill for bill in self._bills.values() if bill.visible_from <= self._now)
        return {bill.reference: bill.history(self._now) for bill in shown}

    def announced(self) -> list[Bill]:
        """Return the bills whose changes somebody wants to be told."""
        return [bill for reference in self._touched if (bill := self._bills[reference]).callback_url]

    def as_json(self) -> dict[str, Any]:
        """Return what was changed from outside, for the state file; the rest follows from the seed."""
        touched = [bill_as_json(self._bills[reference]) for reference in sorted(self._touched)]
        return {"bills": touched, "gateways": self.gateways.as_json()}

    def load(self, saved: dict[str, Any]) -> None:
        """Take over the changes that `as_json` returned."""
        self.gateways.load(saved["gateways"])
        for one in saved["bills"]:
            bill = bill_from_json(one)
            self._bills[bill.reference] = bill
            self._touched.add(bill.reference)
        self._upcoming, self.live = list(self._bills.values()), []
        self._revision += 1
        self.move_to(self._now)
