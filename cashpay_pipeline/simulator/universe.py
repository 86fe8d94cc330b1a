"""Everything that a running simulator holds: clock, accounts, switches, faults, script, log."""

from datetime import datetime, timedelta
from typing import Any

from cashpay_pipeline.simulator.account import Account
from cashpay_pipeline.simulator.callbacks import CallbackSender
from cashpay_pipeline.simulator.credentials import MAIN_ACCOUNT
from cashpay_pipeline.simulator.faults import Rule
from cashpay_pipeline.simulator.options import SimulatorOptions
from cashpay_pipeline.simulator.request_log import RequestLog
from cashpay_pipeline.simulator.script import Script, act
from cashpay_pipeline.simulator.state_file import load_state, save_state
from cashpay_pipeline.simulator.switches import Switches
from cashpay_pipeline.simulator.world_clock import Dial, WorldClock


class Universe:
    """The state that the API and the control API share. Only the server's event loop touches it."""

    def __init__(self, options: SimulatorOptions) -> None:
        self.callbacks = CallbackSender()
        self.log = RequestLog()
        self.dial = Dial()
        self.root = ""
        self.launched = options
        self.begin(options, load_state(options.state) if options.state else None)

    def begin(self, options: SimulatorOptions, saved: dict[str, Any] | None = None) -> None:
        """Make a new world, or the saved one; forget faults, script, log and tokens.

        Args:
            options: What the world is made of.
            saved: A saved state; its seed, size and clock count more than the options.
        """
        self.options = options
        self.switches = Switches().changed(options.switches)
        self.rules: list[Rule] = []
        self.script = Script()
        self.log.clear()
        self.callbacks.forget()
        if saved:
            options.seed, options.days = saved["seed"], saved["days"]
            options.bills_per_day = saved["bills_per_day"]
            self.clock = WorldClock.from_json(self.dial, saved["clock"])
            self.start = datetime.fromisoformat(saved["start"])
        else:
            self.clock = WorldClock(self.dial, options.start, frozen=options.frozen)
            self.start = self.clock.now()
        now = self.clock.now()
        names = (MAIN_ACCOUNT, *options.accounts)
        self.accounts = {name: Account(name, options, self.start, now) for name in names}
        for name, account in self.accounts.items():
            if saved and name in saved["accounts"]:
                account.world.load(saved["accounts"][name])
        for account in self.accounts.values():
            for bill in account.world.announced():
                self.callbacks.watch(account, bill, self.now())
        self.save()

    def now(self) -> datetime:
        """Return the simulated time, with every world brought up to it."""
        now = self.clock.now()
        for account in self.accounts.values():
            account.world.move_to(now)
        return now

    def account(self, name: str | None) -> Account:
        """Return an account by name.

        Raises:
            ValueError: There is no such account.
        """
        found = self.accounts.get(name or MAIN_ACCOUNT)
        if found is None:
            raise ValueError(f"no account {name!r}; there are: {', '.join(self.accounts)}")
        return found

    def announce(self) -> None:
        """Send the callbacks that are due."""
        now = self.now()
        for account in self.accounts.values():
            self.callbacks.announce(account, now)

    def run_script(self, account: Account, when: str) -> None:
        """Do what the script plans before or after the present list request."""
        actions = self.script.actions(when)
        for action in actions:
            if "advance" in action:
                self.clock.advance(timedelta(seconds=action["advance"]))
            act(account, self.now(), action)
        if actions:
            self.changed()

    def changed(self) -> None:
        """Say that a bill, a gateway or the clock was changed: send callbacks, save."""
        self.announce()
        self.save()

    def save(self) -> None:
        """Write the state file, if there is one."""
        if self.options.state:
            save_state(self.options.state, self._as_json())

    def _as_json(self) -> dict[str, Any]:
        return {
            "seed": self.options.seed,
            "days": self.options.days,
            "bills_per_day": self.options.bills_per_day,
            "start": self.start.isoformat(),
            "clock": self.clock.as_json(),
            "accounts": {name: account.world.as_json() for name, account in self.accounts.items()},
        }
