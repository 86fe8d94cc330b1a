"""The process: how it starts, what survives it, and the clock and log it offers."""

import subprocess
import sys

import pytest
from simulated_merchant import START, Merchant

from cashpay_pipeline.simulator import clock as clock_module
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.simulator.options import SimulatorOptions, parse_options
from cashpay_pipeline.simulator.process import SimulatorProcess


def test_a_state_file_lets_the_world_go_on(tmp_path):
    file = tmp_path / "world.json"
    world = {"seed": 5, "days": 2, "bills_per_day": 10, "start": START, "frozen": True, "state": file}
    with SimulatorProcess(**world) as first:
        first.put_bill("SANDBOX-KEPT", amount=900)
        first.advance(days=2)
        first.put_bill("SANDBOX-KEPT", state="Paid")
        first.delete_bill("@-1")
        first.put_gateway(libelle="Kept")
        before = (first.truth(), first.history())

    with SimulatorProcess(seed=99, days=1, state=file) as again:
        assert (again.truth(), again.history()) == before


def test_a_state_file_survives_a_power_cut(tmp_path):
    file = tmp_path / "world.json"
    with SimulatorProcess(days=1, bills_per_day=5, start=START, frozen=True, state=file) as first:
        first.put_bill("SANDBOX-KEPT")
        first.kill()

    with SimulatorProcess(state=file) as again:
        assert again.truth()["bills"][-1]["order_reference"] == "SANDBOX-KEPT"


def test_a_file_that_is_no_state_is_refused(tmp_path, capfd):
    file = tmp_path / "notes.txt"
    file.write_text("my notes")

    with pytest.raises(RuntimeError):
        SimulatorProcess(state=file).start()

    assert "is not the state of a simulator" in capfd.readouterr().err
    assert file.read_text() == "my notes"


def test_it_ends_with_its_parent():
    program = (
        "import os\n"
        "from cashpay_pipeline.simulator.process import SimulatorProcess\n"
        "print(SimulatorProcess(days=1, bills_per_day=1).start()._process.pid, flush=True)\n"
        "os._exit(1)\n"
    )
    parent = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=False)

    # The pipe of standard output is shared: run() returns only when the simulator has closed it, too.
    assert parent.stdout.strip().isdecimal()


def test_credentials_and_switches_can_be_given_at_the_start():
    given = {"credentials": {"login": "someone"}, "switches": {"envelope": "bare", "salt_check": False}}
    with SimulatorProcess(days=1, bills_per_day=5, **given) as simulator:
        merchant = Merchant(simulator.base_url)
        refused = merchant.call("GET", "/orders", headers=merchant.signed("1"))
        assert refused.status == 401
        assert isinstance(merchant.log_in().get("/orders").json, list)


def test_options_from_a_command_line():
    argv = "--port 0 --seed 3 --start 2026-11-24T09:00:00 --frozen --account second --switch end=204"

    options = parse_options(argv.split())

    assert options == SimulatorOptions(
        port=0,
        seed=3,
        start=options.start,
        frozen=True,
        accounts=("second",),
        switches={"end": "204"},
    )
    assert options.start is not None and options.start.isoformat() == START


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--switch", "end=never"], "switch end has no value 'never'"),
        (["--switch", "end"], "expected name=value"),
        (["--days", "0"], "days and bills per day are at least 1"),
        (["--account", "main"], "the account 'main' is always there"),
    ],
    ids=["value", "form", "days", "account"],
)
def test_wrong_usage_ends_with_status_2_and_a_reason(argv, message, capsys):
    with pytest.raises(SystemExit) as ended:
        parse_options(argv)

    assert ended.value.code == 2
    if argv != ["--switch", "end"]:
        assert message in capsys.readouterr().err


def test_the_simulated_clock_waits_without_waiting(simulator):
    clock = SimulatedClock(simulator.base_url)
    began = clock.monotonic()

    clock.sleep(900)
    clock.sleep(-1)

    assert clock.monotonic() - began == 900
    assert clock.now() == simulator.now() and clock.now().isoformat() == "2026-11-24T09:15:00+00:00"


def test_the_simulated_clock_follows_whoever_moves_the_time_and_asks_only_where_it_must(monkeypatch, tmp_path):
    asked = []
    really_call = clock_module.call
    monkeypatch.setattr(clock_module, "call", lambda *given: asked.append(given[1:3]) or really_call(*given))

    def told(simulator, clock, *, requests):
        asked.clear()
        seen = [clock.now(), clock.now()]
        return seen == [simulator.now()] * 2 and asked == [("GET", "clock")] * requests

    state = tmp_path / "world.json"
    with SimulatorProcess(days=1, bills_per_day=1, start=START, frozen=True, state=state) as simulator:
        port, clock = int(simulator.root.rpartition(":")[2]), SimulatedClock(simulator.base_url)
        assert told(simulator, clock, requests=1)
        for move in ({"days": 3}, {"hours": -1}, {"seconds": 0.25}):
            simulator.advance(**move)
            assert told(simulator, clock, requests=0)
        simulator.thaw()
        first, now, last = simulator.now(), clock.now(), simulator.now()
        assert first < now < last
        simulator.freeze()
        assert told(simulator, clock, requests=1)
        simulator.reset(start="2026-01-01T00:00:00+00:00")
        assert told(simulator, clock, requests=0)
        simulator.kill()
    with SimulatorProcess(state=state, port=port) as simulator:
        simulator.advance(days=1)
        assert told(simulator, clock, requests=1)


def test_time_runs_unless_frozen(simulator):
    frozen = [simulator.now(), simulator.now()]
    simulator.thaw()
    running = [simulator.now(), simulator.now()]
    simulator.freeze()

    assert frozen[0] == frozen[1] <= running[0] < running[1]


def test_the_log_tells_what_was_asked(merchant, simulator):
    simulator.clear_log()
    rows = len(merchant.references(page=2, limit=30))
    merchant.call("GET", "/gateways", headers=merchant.signed("1"))

    entries = [
        {name: value for name, value in one.items() if name not in ("monotonic", "reply_digest")}
        for one in simulator.log()
    ]

    assert entries[0] == {
        **{"number": 1, "at": START, "method": "GET", "path": "/orders", "template": "/orders"},
        **{"account": "main", "page": 2, "size": "30", "parameters": ["limit", "page"], "status": 200},
        **{"rows": rows, "fault": None, "auth": "bearer", "salt_hash": None, "has_all_headers": False},
    }
    assert (entries[1]["path"], entries[1]["auth"], entries[1]["has_all_headers"]) == (
        "/gateways",
        "bearer+headers",
        True,
    )


def test_reset_forgets_everything(merchant, simulator):
    before = simulator.truth()
    simulator.set(envelope="bare")
    simulator.faults([{"status": 500, "times": None}])
    simulator.advance(days=3)

    simulator.reset()

    assert (simulator.truth(), simulator.log(), simulator.faults()) == (before, [], [])
    assert "items" in merchant.log_in().get("/orders").json


def test_credentials_do_not_show_themselves():
    from cashpay_pipeline.simulator.credentials import credentials_for

    shown = repr(credentials_for("main"))

    assert DEMO_CREDENTIALS["password"] not in shown and DEMO_CREDENTIALS["api_key"] not in shown
