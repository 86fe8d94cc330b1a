"""Checks of what changed: what a sync stored that had to stop, which no check has looked at, is told after the next."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from shop import Shop

from cashpay_pipeline.checks import all_checks, run_check
from cashpay_pipeline.errors import CredentialsRejectedError, UnavailableError
from cashpay_pipeline.settings import Settings
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.sync import Kind, run_sync
from cashpay_pipeline.warehouse import open_warehouse
from cashpay_pipeline.warehouse.syncs import note_checked

OUTAGE = {"path": "/orders", "page": 3, "status": 503, "times": None}
CHANGES = [
    ({"state": "Paid", "received_amount": 500}, {"state": "Pending", "received_amount": 0}, "state_went_back"),
    ({"state": "Expired"}, {"state": "Paid", "received_amount": 500}, "paid_after_closing"),
    ({"state": "Pending"}, {"state": "Pending", "amount": 700}, "amount_unchanged"),
    ({"state": "Pending"}, {"state": "Pending", "colour": "red"}, "api_fields_unchanged"),
]


class WrongClock:
    """A clock that is off, and waits for nobody."""

    def __init__(self, moment: datetime) -> None:
        self.moment, self.waited = moment, 0.0

    def now(self) -> datetime:
        return self.moment + timedelta(seconds=self.waited)

    def monotonic(self) -> float:
        return self.waited

    def sleep(self, seconds: float) -> None:
        self.waited += seconds


@pytest.fixture
def shop(simulator: SimulatorProcess, settings: Settings) -> Iterator[Shop]:
    """A shop with eight paid bills that was read once."""
    shop = Shop(simulator, settings)
    for number in range(8):
        shop.bill(f"SANDBOX-{number}", amount=1000, state="Paid", received_amount=1000)
    yield shop


def red(settings: Settings) -> set[str]:
    """What the checks find, as the step after a sync runs them."""
    with open_warehouse(settings) as warehouse:
        found = {check.name for check in all_checks() if run_check(warehouse, check).bad_rows}
        note_checked(warehouse)
        return found


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES[:3], ids=[c[-1] for c in CHANGES[:3]])
@pytest.mark.parametrize("status", ["failed", pytest.param("dead", marks=pytest.mark.long)])
def test_what_a_sync_stored_that_had_to_stop_warns_after_the_next(
    shop: Shop, status: str, before: dict[str, Any], after: dict[str, Any], expected: str
) -> None:
    """The step fails, so that no check runs after it: the change was seen, and nobody was told."""
    shop.bill("SANDBOX-30", amount=500, **before)
    shop.sync()
    assert red(shop.settings) == set()
    shop.bill("SANDBOX-30", **after)
    shop.simulator.faults([OUTAGE])
    with pytest.raises(UnavailableError):
        shop.sync(page_size=3)
    with open_warehouse(shop.settings) as warehouse:
        warehouse.execute("update core.syncs set status = ? where status = 'failed'", [status])
    assert len(shop.rows("from core.bill_versions where order_reference = 'SANDBOX-30'")) == 2
    shop.simulator.faults([])
    shop.sync()
    assert expected in red(shop.settings)
    shop.sync("recheck")
    assert expected in red(shop.settings)
    shop.sync()
    assert expected not in red(shop.settings)


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES, ids=[c[-1] for c in CHANGES])
@pytest.mark.parametrize("kind", ["full_refresh", pytest.param("recheck", marks=pytest.mark.long)])
def test_what_a_sync_stored_whose_checks_never_ran_warns_after_the_next(
    shop: Shop, kind: Kind, before: dict[str, Any], after: dict[str, Any], expected: str
) -> None:
    """The power went between the step that stores and the one that checks: the sync itself was complete."""
    shop.bill("SANDBOX-30", amount=500, **before)
    shop.sync()
    assert red(shop.settings) == set()
    shop.bill("SANDBOX-30", **after)
    shop.sync()
    shop.sync("recheck")
    shop.sync(kind)
    assert expected in red(shop.settings)
    assert expected in red(shop.settings)
    shop.sync()
    assert expected not in red(shop.settings)


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES[:3], ids=[c[-1] for c in CHANGES[:3]])
def test_a_clock_that_was_wrong_once_silences_no_check(
    shop: Shop, before: dict[str, Any], after: dict[str, Any], expected: str
) -> None:
    """A sync whose login is refused has no other time than that of the clock here."""
    shop.bill("SANDBOX-30", amount=500, **before)
    shop.sync()
    shop.simulator.faults(
        [{"path": "/auth", "kind": "reply", "status": 401, "body": {"message": "Bad credentials"}, "times": None}]
    )
    with pytest.raises(CredentialsRejectedError):
        run_sync(shop.settings, clock=WrongClock(shop.simulator.now() + timedelta(days=400)))
    shop.simulator.faults([])
    shop.sync()
    assert red(shop.settings) == set()
    shop.bill("SANDBOX-30", **after)
    shop.sync()
    assert expected in red(shop.settings)


def test_a_first_load_in_parts_is_one_first_load(shop: Shop) -> None:
    """A second currency in the bills of a first load warns, wherever the load was interrupted."""
    shop.bill("SANDBOX-30", amount=500, currency="EUR", state="Pending")
    shop.simulator.faults([OUTAGE])
    with pytest.raises(UnavailableError):
        shop.sync(page_size=3)
    shop.simulator.faults([])
    shop.sync()
    assert red(shop.settings) == {"currency_as_before"}
