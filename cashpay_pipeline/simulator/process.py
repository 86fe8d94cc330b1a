"""Start a simulator from Python and pull its strings: for tests, the demo and notebooks.

with SimulatorProcess(seed=7, days=30, bills_per_day=100) as simulator:
    print(simulator.base_url)
    simulator.advance(days=1)
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from cashpay_pipeline.simulator.control_client import call

_PACKAGE_HOME = Path(__file__).parents[2]


class SimulatorProcess:
    """A simulator in a process of its own, which ends with this one.

    Attributes:
        base_url: Address of the API, for `CASHPAY_BASE_URL`.
        root: Address of the simulator; `/` there is a help page.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        days: int = 30,
        bills_per_day: int = 100,
        port: int = 0,
        state: Path | str | None = None,
        switches: Mapping[str, Any] | None = None,
        start: datetime | str | None = None,
        frozen: bool = False,
        accounts: Sequence[str] = (),
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        """Describe the simulator; it starts with `start()` or `with`. See `SimulatorOptions`."""
        options = [f"--seed={seed}", f"--days={days}", f"--bills-per-day={bills_per_day}", f"--port={port}"]
        options += [f"--state={state}"] if state else []
        options += [f"--start={_text(start)}"] if start else []
        options += ["--frozen"] if frozen else []
        options += [f"--account={name}" for name in accounts]
        options += [f"--switch={name}={value}" for name, value in (switches or {}).items()]
        options += [f"--credential={name}={value}" for name, value in (credentials or {}).items()]
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.base_url = ""
        self.root = ""

    def start(self) -> Self:
        """Start the process, and return when it answers requests.

        Raises:
            RuntimeError: It did not start; it has said why on standard error.
        """
        command = [sys.executable, "-m", "cashpay_pipeline.simulator", "--stop-with-stdin", *self._options]
        path = os.pathsep.join(filter(None, [str(_PACKAGE_HOME), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the parent, whose end is noticed
        )
        assert self._process.stdout is not None
        word, _, address = self._process.stdout.readline().strip().partition(" ")
        if word != "ready":
            self.stop()
            raise RuntimeError("the simulator did not start; see its message above")
        self.base_url = address
        self.root = address.removesuffix("/api")
        return self

    def stop(self) -> None:
        """Stop the process; it saves its state first, if it has a state file."""
        if self._process is None:
            return
        process, self._process = self._process, None
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def kill(self) -> None:
        """Kill the process without warning, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def truth(self, account: str | None = None) -> dict[str, Any]:
        """Return `{"now", "bills", "gateways"}`: everything as it is now, in canonical form, oldest first."""
        return self._get("truth", account)

    def history(self, account: str | None = None) -> dict[str, list[dict[str, Any]]]:
        """Return, by order reference, when state or money changed: `at, state, amount, received_amount`."""
        bills: dict[str, list[dict[str, Any]]] = self._get("history", account)["bills"]
        return bills

    def now(self) -> datetime:
        """Return the simulated time."""
        return datetime.fromisoformat(self._get("clock")["now"])

    def advance(self, **step: float) -> datetime:
        """Move the clock on, e.g. `advance(days=1)`; return the new time."""
        return self._clock(**step)

    def set_time(self, moment: datetime | str) -> datetime:
        """Move the clock to a moment."""
        return self._clock(set=_text(moment))

    def freeze(self) -> datetime:
        """Let time stand still until it is moved."""
        return self._clock(frozen=True)

    def thaw(self) -> datetime:
        """Let time run again."""
        return self._clock(frozen=False)

    def set(self, **switches: Any) -> dict[str, Any]:
        """Set switches; return all of them."""
        found: dict[str, Any] = self._post("switches", switches)["switches"]
        return found

    def faults(self, rules: Iterable[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
        """Replace the fault rules; return the former ones with how often they were `seen` and `struck`."""
        before: list[dict[str, Any]] = self._post("faults", [dict(rule) for rule in rules])["before"]
        return before

    def script(self, steps: Iterable[Mapping[str, Any]] = ()) -> None:
        """Replace the world script; list requests are counted from here, beginning with 1."""
        self._post("script", [dict(step) for step in steps])

    def put_bill(self, ref: str | None = None, *, account: str | None = None, **fields: Any) -> dict[str, Any]:
        """Create a bill, or merge fields into one from now on; return it in canonical form."""
        given = {name: _text(value) if isinstance(value, datetime) else value for name, value in fields.items()}
        return self._post("bills", {**({"order_reference": ref} if ref else {}), **given}, account)

    def delete_bill(self, ref: str, *, account: str | None = None) -> None:
        """Take a bill away."""
        call(self.root, "DELETE", f"bills/{ref}", account=account)

    def put_gateway(self, reference: str | None = None, *, account: str | None = None, **fields: Any) -> dict[str, Any]:
        """Add a gateway or change one from now on; `removed=True` takes it off the list."""
        return self._post("gateways", {**fields, "reference": reference}, account)

    def send_callback(
        self, url: str, ref: str | None = None, *, kind: str = "valid", claims: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send a callback now, also a forged one; return its claims."""
        body = {"url": url, "order_reference": ref, "kind": kind, "claims": dict(claims) if claims else None}
        queued: dict[str, Any] = self._post("callbacks", body)["queued"]
        return queued

    def callbacks(self) -> list[dict[str, Any]]:
        """Return what became of the callbacks: `url, kind, outcome`."""
        sent: list[dict[str, Any]] = self._get("callbacks")["sent"]
        return sent

    def forget_tokens(self, account: str | None = None) -> None:
        """Make every token given so far invalid."""
        call(self.root, "DELETE", "tokens", account=account)

    def log(self) -> list[dict[str, Any]]:
        """Return the API requests since the start or the last `clear_log`."""
        requests: list[dict[str, Any]] = self._get("log")["requests"]
        return requests

    def clear_log(self) -> None:
        """Forget the requests so far."""
        call(self.root, "DELETE", "log")

    def reset(self, **options: Any) -> None:
        """Begin a new world in the same process: switches, faults, script, log and tokens as at the start.

        Args:
            **options: `seed`, `days`, `bills_per_day`, `start`, `frozen`, `accounts`, `switches`; what is
                not given is as it was when the process started.
        """
        given = {name: _text(value) if name == "start" and value else value for name, value in options.items()}
        self._post("reset", given)

    def _clock(self, **fields: Any) -> datetime:
        return datetime.fromisoformat(self._post("clock", fields)["now"])

    def _get(self, name: str, account: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = call(self.root, "GET", name, account=account)
        return found

    def _post(self, name: str, body: Any, account: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = call(self.root, "POST", name, body, account=account)
        return found


def _text(moment: datetime | str) -> str:
    return moment if isinstance(moment, str) else moment.isoformat()
