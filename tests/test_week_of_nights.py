"""A week of nights on the simulator's clock, and what an operator finds every morning.

Tuesday CashPay is down until four o'clock, Thursday the password was rotated, Friday there is a new gateway, Sunday the
whole list is read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster_home import Home, dagster_home, metadata, red
from listeners import Webhook, webhook

from cashpay_pipeline.settings import Settings
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.warehouse import open_warehouse, read_published

DOWN = {"path": "*", "kind": "reply", "status": 503, "times": None}
ROTATED = {"path": "/auth", "kind": "reply", "status": 401, "body": {"message": "Bad credentials"}, "times": None}
LOOKED_AT = [("core", "bills"), ("marts", "daily_collections"), ("published", "analytics")]
MONDAY = datetime.fromisoformat("2026-03-02T02:15:00+00:00")


@dataclass
class Morning:
    """What there is to see at half past six."""

    syncs: list[tuple[str, str, str | None]]
    runs: list[str]
    red: set[str]
    told: list[str]
    fresh: set[str]
    last: Any


class Week:
    def __init__(self, home: Home, simulator: SimulatorProcess, hook: Webhook) -> None:
        self.home, self.simulator, self.hook = home, simulator, hook
        self.seen_runs = self.seen_syncs = 0

    def night(self, day: int, *, until_four: Any = None, full: bool = False) -> Morning:
        """The schedules of one night at their times, and the sensors a few minutes later, like the daemon."""
        midnight = MONDAY + timedelta(days=day)
        result = None
        jobs = {"nightly_refresh": "refresh", "second_try": "refresh", "weekly_full_refresh": "full_refresh"}
        for hour, schedules in (
            (0, ["nightly_refresh"]),
            (1, ["second_try", *(["weekly_full_refresh"] if full else [])]),
            (2, ["second_try"]),
            (3, ["second_try"]),
        ):
            if hour == 2 and until_four:
                self.simulator.faults([])
            self.simulator.set_time(midnight + timedelta(hours=hour))
            for schedule in schedules:
                starts, _ = self.home.tick(schedule)
                result = self.home.run(jobs[schedule]) if starts else result
            self.home.sense("alerts")
        return self.morning(midnight + timedelta(hours=4, minutes=15), result)

    def morning(self, at: datetime, result: Any) -> Morning:
        self.simulator.set_time(at)
        self.home.sense("alerts")
        told, self.hook.posts[:] = self.hook.texts, []
        runs = [run.status.value for run in reversed(list(self.home.instance.get_runs()))]
        with open_warehouse(self.home.settings) as warehouse:
            rows = warehouse.rows("select kind, status, error_code from core.syncs order by rowid")
        syncs = [(row["kind"], row["status"], row["error_code"]) for row in rows]
        found = Morning(
            syncs=syncs[self.seen_syncs :],
            runs=runs[self.seen_runs :],
            red=red(result) if result else set(),
            told=told,
            fresh={self.home.freshness(*key) for key in LOOKED_AT},
            last=result,
        )
        self.seen_runs, self.seen_syncs = len(runs), len(syncs)
        return found


@pytest.fixture
def week(simulator: SimulatorProcess, make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Week]:
    simulator.reset(days=4, bills_per_day=40, start=MONDAY.isoformat(), frozen=True)
    with webhook() as hook:
        settings = make_settings(alert_webhook=hook.url)
        with dagster_home(tmp_path / "home", settings) as home:
            yield Week(home, simulator, hook)


@pytest.mark.long
def test_a_week_of_nights(week: Week, simulator: SimulatorProcess) -> None:
    good = [("refresh", "complete", None)]

    monday = week.night(0)
    assert (monday.syncs, monday.runs) == (good, ["SUCCESS"])
    assert (monday.red, monday.told, monday.fresh) == (set(), [], {"PASS"})

    simulator.faults([DOWN])
    tuesday = week.night(1, until_four=True)
    down = ("refresh", "failed", "unavailable")
    assert (tuesday.syncs, tuesday.runs) == ([down, down, *good], ["FAILURE", "FAILURE", "SUCCESS"])
    assert (tuesday.red, tuesday.fresh) == (set(), {"PASS"})
    (message,) = tuesday.told
    assert message.startswith("*CashPay main: something needs a look*\nJob refresh, run ")
    assert "[unavailable]" in message and "Next: " in message

    wednesday = week.night(2)
    assert (wednesday.syncs, wednesday.told, wednesday.fresh) == (good, [], {"PASS"})
    assert metadata(wednesday.last, "core", "bills")["bills_new"] > 0

    simulator.faults([ROTATED])
    thursday = week.night(3)
    assert (thursday.syncs, thursday.runs) == ([("refresh", "failed", "credentials_rejected")], ["FAILURE"])
    assert thursday.fresh == {"FAIL"}
    (message,) = thursday.told
    assert "[credentials_rejected]" in message and "cashpay check" in message
    assert not [secret for secret in week.home.settings.secrets() if secret in message]

    # At eight the operator types the new password and starts the job.
    simulator.set_time(MONDAY + timedelta(days=3, hours=6))
    simulator.faults([])
    mended = week.morning(MONDAY + timedelta(days=3, hours=6, minutes=10), week.home.run("refresh"))
    assert (mended.syncs, mended.runs, mended.told, mended.fresh) == (good, ["SUCCESS"], [], {"PASS"})

    simulator.put_gateway("new-gateway", libelle="Nouveau (exemple)")
    friday = week.night(4)
    assert (friday.syncs, friday.red, friday.told) == (good, {"gateways_unchanged"}, [])
    assert metadata(friday.last, "core", "gateways")["dagster/row_count"] == 7

    saturday = week.night(5)
    assert (saturday.syncs, saturday.red, saturday.told, saturday.fresh) == (good, set(), [], {"PASS"})

    sunday = week.night(6, full=True)
    assert sunday.syncs == [*good, ("full_refresh", "complete", None)]
    assert (sunday.red, sunday.told, sunday.fresh) == (set(), [], {"PASS"})
    assert metadata(sunday.last, "marts", "daily_collections")["chart"].startswith("![Money received")

    read_at = (MONDAY + timedelta(days=6, hours=1)).isoformat()
    bills = [bill for bill in simulator.truth()["bills"] if bill["date_create"] <= read_at]
    _, rows = read_published(week.home.settings, "select count(*) from core.bills")
    assert rows == [(len(bills),)] and len(bills) > 300

    # The machine is switched off for two nights: on Tuesday morning the data is stale, and is told so once.
    simulator.set_time(MONDAY + timedelta(days=8, hours=4))
    assert week.home.freshness("core", "bills") == "FAIL"
    stale = week.morning(MONDAY + timedelta(days=8, hours=4, minutes=15), None)
    assert "The data is stale" in stale.told[0] and len(stale.told) == 1
    assert week.home.tick("nightly_refresh", at=MONDAY + timedelta(days=7)) == (
        False,
        "This time is long past: the next run reads what it would have read.",
    )
    assert week.home.tick("nightly_refresh", at=MONDAY + timedelta(days=8))[0]
