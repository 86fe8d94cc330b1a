"""A merchant account of the simulator: its world, its credentials, its standing with the API."""

import itertools
from datetime import datetime, timedelta

from cashpay_pipeline.simulator.access import Access
from cashpay_pipeline.simulator.credentials import MAIN_ACCOUNT, credentials_for
from cashpay_pipeline.simulator.options import SimulatorOptions
from cashpay_pipeline.simulator.shop import Shop
from cashpay_pipeline.simulator.world import World


class Account:
    """One merchant: other credentials, other bills; some order references are the same in all accounts."""

    def __init__(self, name: str, options: SimulatorOptions, start: datetime, now: datetime) -> None:
        self.name = name
        overrides = options.credentials if name == MAIN_ACCOUNT else {}
        self.access = Access(name, credentials_for(name, overrides))
        first_day = start.date() - timedelta(days=options.days)
        self.world = World(Shop(options.seed, name, first_day, options.days, options.bills_per_day), now)
        self._numbers = itertools.count(1)

    def new_reference(self) -> str:
        """Return an order reference that no bill of this account has."""
        known = (f"SANDBOX-NEW{number:06d}" for number in self._numbers)
        return next(reference for reference in known if self.world.find(reference) is None)
