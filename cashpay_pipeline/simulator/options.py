"""What the simulator can be told at its start, and how the command line says it."""

import argparse
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS, MAIN_ACCOUNT
from cashpay_pipeline.simulator.switches import Switches, describe_switches, parse_switch

HIGHEST_PORT = 65_535

T = TypeVar("T")


@dataclass
class SimulatorOptions:
    """How to start a simulator.

    Attributes:
        host: Address to listen on; this computer only, unless told otherwise.
        port: Port; 0 takes any free one.
        seed: Decides the made-up shop.
        days: Whole days of history before the first day.
        bills_per_day: Average number of bills a day.
        start: Simulated time at the start; None is the real time.
        frozen: Whether time stands still until it is moved.
        state: File that keeps the world over restarts.
        accounts: Names of further accounts beside `main`.
        switches: Values of switches, by name.
        credentials: Values that replace the main account's made-up credentials, by field name.
        stops_with_stdin: Whether to stop when standard input ends, that is, when the parent dies.
    """

    host: str = "127.0.0.1"
    port: int = 8420
    seed: int = 1
    days: int = 30
    bills_per_day: int = 100
    start: datetime | None = None
    frozen: bool = False
    state: Path | None = None
    accounts: tuple[str, ...] = ()
    switches: dict[str, Any] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    stops_with_stdin: bool = False

    def __post_init__(self) -> None:
        if self.days < 1 or self.bills_per_day < 1:
            raise ValueError("days and bills per day are at least 1")
        if not 0 <= self.port <= HIGHEST_PORT:
            raise ValueError(f"a port is a number from 0 to {HIGHEST_PORT}")
        if unknown := self.credentials.keys() - DEMO_CREDENTIALS:
            raise ValueError(f"unknown credential {min(unknown)!r}; known are: {', '.join(sorted(DEMO_CREDENTIALS))}")
        if MAIN_ACCOUNT in self.accounts:
            raise ValueError(f"the account {MAIN_ACCOUNT!r} is always there")
        Switches().changed(self.switches)


def parse_moment(text: str) -> datetime:
    """Return a moment from ISO text; without a zone it is UTC, the time in Lome."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the latter at the ends of the calendar
        raise ValueError(f"{text!r} is not a time such as 2026-03-02T10:00:00Z") from None


def parse_options(argv: list[str]) -> SimulatorOptions:
    """Return the options that a command line asks for; wrong usage ends the program with status 2."""
    parser = argparse.ArgumentParser(
        prog="cashpay simulator",
        description="A CashPay of your own on this computer: made-up bills over real HTTP.",
        epilog="switches, each with its default and its other values:\n\n" + "\n".join(_switch_lines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    standard = SimulatorOptions()
    add = parser.add_argument
    add("--host", default=standard.host, help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=standard.port, help="port, 0 for any free one (default: %(default)s)")
    add("--seed", type=int, default=standard.seed, help="decides the made-up shop (default: %(default)s)")
    add("--days", type=int, default=standard.days, help="days of history (default: %(default)s)")
    add("--bills-per-day", type=int, default=standard.bills_per_day, help="average (default: %(default)s)")
    add(
        "--start",
        type=_explained(parse_moment),
        metavar="TIME",
        help="simulated time at the start, ISO 8601 (default: now)",
    )
    add("--frozen", action="store_true", help="time stands still until you move it")
    add("--state", type=Path, metavar="FILE", help="keep the world in this file over restarts")
    add("--account", action="append", default=[], metavar="NAME", help="one more account; can be repeated")
    add(
        "--switch",
        action="append",
        default=[],
        type=_explained(parse_switch),
        metavar="NAME=VALUE",
        help="see below; can be repeated",
    )
    add(
        "--credential",
        action="append",
        default=[],
        type=_explained(parse_switch),
        metavar="NAME=VALUE",
        help="can be repeated",
    )
    add("--stop-with-stdin", action="store_true", help="stop when standard input ends")
    found = parser.parse_args(argv)
    try:
        return SimulatorOptions(
            host=found.host,
            port=found.port,
            seed=found.seed,
            days=found.days,
            bills_per_day=found.bills_per_day,
            start=found.start,
            frozen=found.frozen,
            state=found.state,
            accounts=tuple(found.account),
            switches=dict(found.switch),
            credentials=dict(found.credential),
            stops_with_stdin=found.stop_with_stdin,
        )
    except ValueError as error:
        parser.error(str(error))


def _explained(parse: Callable[[str], T]) -> Callable[[str], T]:
    """The same, so that argparse shows what it says of a wrong value instead of the name of the function."""

    def explained(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return explained


def _switch_lines() -> Iterator[str]:
    for switch in describe_switches():
        others = [str(value) for value in switch["values"] if value != switch["default"]]
        values = " | ".join([f"{switch['name']}={switch['default']}", *others])
        yield textwrap.fill(values, 100, initial_indent="  ", subsequent_indent="      ")
        yield textwrap.fill(switch["question"], 100, initial_indent="      ", subsequent_indent="      ")
