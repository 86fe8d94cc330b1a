"""The `cashpay` command as a person or a cron job meets it: what it prints, where, and its exit code."""

import csv
import fcntl
import io
import os
import re
import resource
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from listeners import webhook
from processes import finished, started
from rows import FLOOZ, MIXX, at, bill, history, insert, payments, sync_row
from signals import ENDLESS, interrupting
from typer.testing import CliRunner
from wire import FakeClock, reply, serving, settings_for

from cashpay_pipeline import summary
from cashpay_pipeline.cli import app
from cashpay_pipeline.clock import SystemClock
from cashpay_pipeline.diagnosis import diagnose
from cashpay_pipeline.errors import WrongAddressError
from cashpay_pipeline.marts import all_marts, build_mart
from cashpay_pipeline.report.formats import plain
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.simulator.process import SimulatorProcess
from cashpay_pipeline.simulator.switches import describe_switches
from cashpay_pipeline.summary import sync_summary
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.terminal import printable, show_rows
from cashpay_pipeline.warehouse import open_warehouse, publish, read_published

CASHPAY = Path(sys.executable).with_name("cashpay")


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The simulator's settings in the environment, as a user has them."""
    monkeypatch.setenv("CASHPAY_BASE_URL", settings.base_url or "")
    monkeypatch.setenv("CASHPAY_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("CASHPAY_REQUESTS_PER_SECOND", "5000")
    for name in ("username", "password", "client_id", "client_secret"):
        monkeypatch.setenv(f"CASHPAY_{name.upper()}", getattr(settings, name).get_secret_value())
    return settings


def cashpay(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def read(settings: Settings) -> None:
    """What `cashpay sync` does, without Dagster."""
    run_sync(settings)
    publish(settings)


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CASHPAY, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_sync_reads_publishes_and_sums_up(environment: Settings, simulator: SimulatorProcess, tmp_path: Path) -> None:
    bills = simulator.truth()["bills"]
    result = cashpay("sync")
    assert result.exit_code == 0, result.output
    assert f"{len(bills):,} new bills, 0 changes" in result.stdout
    assert re.search(r"^Money received since 20\d\d-\d\d-\d\d, all bills known:$", result.stdout, flags=re.MULTILINE)
    assert "XOF" in result.stdout
    assert str(environment.published_path) in result.stdout
    assert "\nNext: cashpay sql " in result.stdout and "make ui" not in result.stdout
    assert f"of about {len(bills):,} bills" in result.stderr
    with dg.DagsterInstance.from_config(str(tmp_path / ".dagster")) as instance:
        (run,) = instance.get_runs()
        assert (run.job_name, run.status) == ("refresh", dg.DagsterRunStatus.SUCCESS)


def test_sync_sums_up_money_as_daily_collections_has_it(settings: Settings) -> None:
    with open_warehouse(settings) as warehouse:
        bill(warehouse, "CENTS", "Paid", 1050, currency="EUR")
        bill(warehouse, "SPLIT", "Paid", 1000, payment_count=2, gateway_reference=MIXX, gateway_name="Mixx")
        payments(warehouse, "SPLIT", (FLOOZ, 600), (MIXX, 400))
        history(warehouse, "GONE", ("Paid", 1500, at(2), None), ("Canceled", 1500, at(3), at(2)))
        bill(warehouse, "OTHER", "Paid", 7, account="other")
        for reference, name in ((FLOOZ, "Flooz"), (MIXX, "Mixx")):
            seen = {"first_seen_at": at(1), "changed_at": at(1)}
            insert(warehouse, "core.gateways", account="main", gateway_reference=reference, name=name, **seen)
        sync_row(warehouse, "s1", "refresh", at(4), "complete", dagster_run_id="run-1")
        for mart in all_marts():
            build_mart(warehouse, mart)
    publish(settings)
    lines = list(sync_summary(settings, "run-1"))
    assert "Money received since 2026-03-01, all bills known:" in lines
    shown = [line.split() for line in lines]
    heading = lines.index("Money received since 2026-03-01, all bills known:")
    assert shown[heading + 1 : heading + 5] == [
        ["gateway", "currency", "received", "withdrawn", "net"],
        ["Flooz", "EUR", "10.50", "0.00", "10.50"],
        ["Flooz", "XOF", "2,100", "1,500", "600"],
        ["Mixx", "XOF", "400", "0", "400"],
    ]


def test_sync_sums_up_each_gateway_whose_name_is_not_told(settings: Settings) -> None:
    with open_warehouse(settings) as warehouse:
        for reference, gateway, received in (("A", FLOOZ, 1000), ("B", MIXX, 700), ("C", None, 50)):
            bill(warehouse, reference, "Paid", received, gateway_reference=gateway, gateway_name=None)
        sync_row(warehouse, "s1", "refresh", at(4), "complete", dagster_run_id="run-1")
        for mart in all_marts():
            build_mart(warehouse, mart)
    publish(settings)
    shown = [line.split() for line in sync_summary(settings, "run-1")]
    assert [line for line in shown if "XOF" in line] == [
        [FLOOZ, "XOF", "1,000", "0", "1,000"],
        [MIXX, "XOF", "700", "0", "700"],
        ["gateway", "not", "told", "XOF", "50", "0", "50"],
    ]


@pytest.mark.long
def test_sync_chooses_the_job(environment: Settings, simulator: SimulatorProcess, tmp_path: Path) -> None:
    for arguments in ([], ["--full"], ["--recheck", "--limit", "5"]):
        simulator.advance(minutes=1)  # its time stands still, and a run ends later than the one before it
        result = cashpay("sync", *arguments)
        assert result.exit_code == 0, result.output
    with dg.DagsterInstance.from_config(str(tmp_path / ".dagster")) as instance:
        assert [run.job_name for run in instance.get_runs()] == ["recheck_open_bills", "full_refresh", "refresh"]
    assert cashpay("sync", "--full", "--recheck").exit_code == 2
    assert cashpay("sync", "--full", "--limit", "5").exit_code == 2


def test_sync_that_is_incomplete_exits_1_and_says_why(environment: Settings, simulator: SimulatorProcess) -> None:
    simulator.set(total="high")
    result = cashpay("sync", "--full")
    assert result.exit_code == 1
    assert "The sync is incomplete" in result.stderr
    assert "Red check: core/syncs: last_sync_complete" in result.stderr
    assert "new bills" in result.stdout
    assert "Traceback" not in result.output


def test_sync_that_a_red_check_has_stopped_says_which_and_what_was_left_undone(environment: Settings) -> None:
    run_sync(environment)
    with open_warehouse(environment) as warehouse:
        warehouse.execute("update core.bills set account = ' ' where rowid = 0")
    result = cashpay("sync", "--recheck")
    assert result.exit_code == 1
    assert set(result.stderr.splitlines()) >= {
        "A check that guards the tables is red: nothing was built on them, and nothing was published.",
        "Red check: core/bills: bills_key_present",
    }


def test_sync_says_which_checks_are_yellow(environment: Settings, simulator: SimulatorProcess) -> None:
    """Money of bills in an unknown state is in no revenue: who has no interface open learns it here."""
    simulator.set(unknown_state="Refunded")
    result = cashpay("sync")
    assert result.exit_code == 0
    assert "Yellow check: core/bills: states_known" in result.stderr
    assert re.search(
        r"Not in it: [\d,]+ bills? in a state that is not known here, [\d,]+\xa0XOF received\.", result.stdout
    )


@pytest.mark.long
def test_a_log_that_cannot_be_written_stops_no_sync(environment: Settings) -> None:
    """As from cron onto a full disk, or into `head`: nobody hears of the progress any more, and the bills are read."""
    for number, output in enumerate(("2>/dev/full", "2>&1 | head -1", ">/dev/full"), start=1):
        command = f"set -o pipefail; {CASHPAY} sync {output}"
        done = subprocess.run(
            ["bash", "-c", command], env=os.environ | {"PYTHONUNBUFFERED": "1"}, capture_output=True, text=True
        )
        assert done.returncode == (0 if output == "2>/dev/full" else 1), done.stderr
        assert "Traceback" not in done.stderr + done.stdout and "Exception" not in done.stderr
        ended = "select status, count(*) from core.syncs group by all"
        assert read_published(environment, ended)[1] == [("complete", number)], output
    assert done.stderr.splitlines()[-1] == "Not all that was to be said could be written: No space left on device."


def test_what_cannot_be_written_on_standard_output_is_told_in_a_line(environment: Settings) -> None:
    read(environment)
    for query in ("select 1 as one", "from range(100000)"):
        for unbuffered in ("", "1"):
            done = subprocess.run(
                ["bash", "-c", f"{CASHPAY} sql '{query}' >/dev/full"],
                env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
                capture_output=True,
                text=True,
            )
            told = "Not all that was to be said could be written: No space left on device.\n"
            assert (done.returncode, done.stderr) == (1, told)
    done = subprocess.run(
        ["bash", "-c", f"{CASHPAY} sql 'from range(100000)' | head -1"], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("range\n", ""), "who reads no more has seen enough"


def test_a_standard_output_that_is_closed_stops_nothing(environment: Settings) -> None:
    """As from a crontab: it ended in a traceback, and the next file to be opened took the number of the output."""
    read(environment)
    for closed in (">&-", ">&- 2>&-"):
        done = subprocess.run(["bash", "-c", f"{CASHPAY} sql 'select 1' {closed}"], capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")
    kept = "import os, sys; from cashpay_pipeline.__main__ import main; sys.argv[1:] = ['--version']\n"
    kept += "try: main()\nfinally: assert os.path.samestat(os.fstat(1), os.stat(os.devnull))"
    subprocess.run(["bash", "-c", '"$0" -c "$1" >&-', sys.executable, kept], check=True)


@pytest.mark.parametrize("how", ["no database", "two versions"])
def test_records_of_dagsters_that_cannot_be_used_are_told_with_the_way_out(
    how: str, environment: Settings, tmp_path: Path
) -> None:
    """A full disk looks the same; it was a traceback of a page."""
    (tmp_path / ".dagster").mkdir()
    with dg.DagsterInstance.from_config(str(tmp_path / ".dagster")):
        pass
    if how == "no database":
        (tmp_path / ".dagster/history/runs.db").write_text("nonsense")
    else:  # as two programs leave it that make it at the same moment
        with sqlite3.connect(tmp_path / ".dagster/schedules/schedules.db") as schedules:
            schedules.execute("insert into alembic_version values ('5771160a95ad')")
    result = cashpay("sync")
    assert result.exit_code == 2 and "Traceback" not in result.stderr
    assert "Dagster's own records cannot be used: " in result.stderr
    assert f"Where: {tmp_path / '.dagster'}" in result.stderr and "move history and schedules" in result.stderr
    assert not environment.warehouse_path.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nux:\n\tenabled: false\n", "line 2"),
        ("- nux\n", "to parse to dictionary"),
        ("telemetri: {}\n", 'unexpected config entry "telemetri"'),
        ("storage:\n  postgres:\n    postgres_url: postgres://x\n", "import module dagster_postgres"),
    ],
)
def test_settings_of_dagsters_that_cannot_be_used_are_told_with_the_way_out(
    text: str, words: str, environment: Settings, tmp_path: Path
) -> None:
    """A slip in a file edited by hand was a traceback of a page."""
    (tmp_path / ".dagster").mkdir()
    (tmp_path / ".dagster/dagster.yaml").write_text(text)
    result = cashpay("sync")
    assert result.exit_code == 2 and "Traceback" not in result.stderr
    assert "as its dagster.yaml says: " in result.stderr and words in result.stderr
    assert f"Where: {tmp_path / '.dagster/dagster.yaml'}" in result.stderr and "Next: Correct the file" in result.stderr
    assert not environment.warehouse_path.exists()


def test_a_run_that_fails_before_its_first_step_is_told_and_is_no_success(
    environment: Settings, tmp_path: Path
) -> None:
    """It ended with exit 0, and nothing was read."""
    (tmp_path / ".dagster").mkdir()
    (tmp_path / ".dagster/dagster.yaml").write_text("compute_logs:\n  module: not.there\n  class: Logs\n")
    result = cashpay("sync")
    assert result.exit_code == 1
    assert "Unexpected failure in Dagster: " in result.stderr and "import module not.there" in result.stderr
    assert not environment.warehouse_path.exists()


@pytest.mark.long
def test_status_says_that_the_schedules_are_paused(
    environment: Settings, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A5."""
    assert cashpay("sync").exit_code == 0
    monkeypatch.setenv("CASHPAY_PASSWORD", "canary-wrong-password")
    for _ in range(3):
        assert "Paused" not in cashpay("status").stdout
        simulator.advance(minutes=1)
        assert cashpay("sync").exit_code == 1
    assert "Paused: CashPay has refused the login 3 times in a row" in cashpay("status").stdout


def test_sync_of_a_single_request_counts_it_as_one(
    environment: Settings, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASHPAY_PASSWORD", "canary-wrong-password")
    assert "\n0 new bills, 0 changes to known ones (1 request, " in cashpay("sync").stdout


@pytest.mark.long
def test_sync_that_stops_says_nothing_of_the_one_before(
    environment: Settings, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cashpay("sync").exit_code == 0
    monkeypatch.setenv("CASHPAY_PASSWORD", "canary-wrong-password")
    result = cashpay("sync")
    assert result.exit_code == 1
    assert "Money received" not in result.stdout and len(re.findall("new bills", result.stdout)) == 1
    assert "\n0 new bills, 0 changes to known ones (" in result.stdout
    assert "Nothing of this run is published. The last sync that is: refresh, complete, ended " in result.stdout


def test_sync_that_stops_on_its_way_says_what_is_stored_and_not_published(
    environment: Settings, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASHPAY_MAX_IN_FLIGHT", "1")
    simulator.faults([{"path": "/orders", "page": 2, "kind": "reply", "status": 403, "times": None}])
    result = cashpay("sync")
    assert result.exit_code == 1
    assert "100 new bills, 0 changes to known ones (" in result.stdout and "Note: " in result.stdout
    assert "Nothing of this run is published, nor of any run before." in result.stdout
    assert "Money received" not in result.stdout and not environment.published_path.exists()


def test_sync_that_never_began_says_so(environment: Settings) -> None:
    read(environment)
    with open_warehouse(environment) as warehouse:
        warehouse.execute("update core.accounts set environment = 'elsewhere'")
    result = cashpay("sync")
    assert result.exit_code == 1 and "[guard]" in result.stderr
    assert "This run has read and stored nothing." in result.stdout and "new bills" not in result.stdout
    assert "The last sync that is: refresh, complete, ended " in result.stdout


def test_sync_with_a_wrong_password_exits_1_without_a_traceback_or_the_password(
    environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASHPAY_PASSWORD", "canary-wrong-password")
    result = cashpay("sync")
    assert result.exit_code == 1
    assert "[credentials_rejected]" in result.stderr and "Next: " in result.stderr
    assert "Traceback" not in result.output and "canary" not in result.output


def test_settings_that_do_not_fit_exit_2_naming_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASHPAY_BASE_URL", "https://example.invalid/api")
    monkeypatch.setenv("CASHPAY_LOGIN", "canary-login")
    for command in (["check"], ["sync"], ["status"], ["publish"], ["sql", "select 1"]):
        result = cashpay(*command)
        assert result.exit_code == 2, command
        assert "CASHPAY_API_KEY" in result.stderr and "canary" not in result.output


def test_an_env_file_in_another_encoding_exits_2_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("CASHPAY_ACCOUNT=main # numéro un".encode("cp1252"))
    for command in (["check"], ["sync"], ["status"], ["sql", "select 1"]):
        result = cashpay(*command)
        assert result.exit_code == 2, command
        assert "not saved as UTF-8" in result.stderr and "Next: Save it as UTF-8" in result.stderr


def test_folders_that_cannot_be_made_exit_2_and_say_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: Settings
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "file" / "home"))
    result = cashpay("sync")
    assert result.exit_code == 2 and "Next: Set DAGSTER_HOME" in result.stderr
    monkeypatch.delenv("DAGSTER_HOME")
    for name in ("BASE_URL", "USERNAME", "PASSWORD", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"CASHPAY_{name}")
    monkeypatch.setenv("CASHPAY_DATA_DIR", str(tmp_path / "file" / "data"))
    result = cashpay("check")
    assert result.exit_code == 2 and "Next: Set CASHPAY_DATA_DIR" in result.stderr


@pytest.mark.long
def test_without_credentials_everything_runs_on_made_up_data_of_its_own(tmp_path: Path) -> None:
    result = process("sync")
    assert result.returncode == 0, result.stderr
    assert "Everything in it is made up" in result.stdout
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"simulated"}
    assert "made-up data" in process("status").stdout
    again = process("sync")
    assert again.returncode == 0 and "3,0" not in again.stdout.partition("new bills")[0]
    assert not [line for line in again.stderr.splitlines() if "dagster" in line.lower()]


def test_check_finds_everything_in_order(environment: Settings, simulator: SimulatorProcess) -> None:
    simulator.reset(start=datetime.now(UTC))
    result = cashpay("check")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    said = ("Versions", "Disk", "Address", "Login", "Gateways", "Bill list", "Pages", "Clock")
    assert [line.split()[1] for line in lines] == [f"{word.split()[0]}{'' if ' ' in word else ':'}" for word in said]


def test_check_tells_that_pages_are_numbered_from_0(environment: Settings, simulator: SimulatorProcess) -> None:
    simulator.set(paging="zero_based")
    result = cashpay("check")
    assert result.exit_code == 1
    assert "PROBLEM  Pages: page 0 differs from page 1" in result.stdout and "CASHPAY_FIRST_PAGE=0" in result.stdout


def test_check_tells_that_pages_are_numbered_from_1(
    environment: Settings, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.reset(start=datetime.now(UTC))
    monkeypatch.setenv("CASHPAY_FIRST_PAGE", "0")
    result = cashpay("check")
    assert result.exit_code == 1
    assert "PROBLEM  Pages: numbered from 1: set CASHPAY_FIRST_PAGE=1." in result.stdout


def test_check_of_a_dead_address_tells_that_it_waits_and_says_once_what_is_wrong(
    environment: Settings, monkeypatch: pytest.MonkeyPatch, make_port: Callable[[], int]
) -> None:
    monkeypatch.setattr("cashpay_pipeline.client.SystemClock", FakeClock)
    monkeypatch.setenv("CASHPAY_BASE_URL", f"http://127.0.0.1:{make_port()}/api")
    result = cashpay("check")
    assert result.exit_code == 1
    assert result.stdout.count("PROBLEM") == result.stdout.count("[unavailable]") == 1
    (wait,) = result.stderr.splitlines()
    assert re.match(r"Waiting [1-4] s: 127.0.0.1:\d+ cannot be reached", wait), "seconds, not minutes"
    assert "Next: Check CASHPAY_BASE_URL and CASHPAY_PROXY, and whether this machine reaches" in result.stdout


def test_check_sends_a_trial_alert(environment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    result = cashpay("check", "--alert")
    assert result.exit_code == 1
    assert result.stdout.startswith("PROBLEM  Alerts: nobody is told; set CASHPAY_ALERT_WEBHOOK")
    with webhook() as hook:
        monkeypatch.setenv("CASHPAY_ALERT_WEBHOOK", hook.url)
        assert cashpay("check", "--alert").stdout.startswith("ok       Alerts: a trial was sent; look")
        assert hook.texts == ["*CashPay main: a trial*\nA trial by `cashpay check --alert`: nothing is wrong."]
        monkeypatch.setenv("CASHPAY_ALERT_COMMAND", "false")
        told = "PROBLEM  Alerts: a trial was not sent everywhere (CASHPAY_ALERT_COMMAND: CalledProcessError 1)."
        assert cashpay("check", "--alert").stdout.startswith(told)
        hook.status = 404
        assert cashpay("check", "--alert").stdout.startswith("PROBLEM  No alert could be sent (CASHPAY_ALERT_WEBHOOK")


def test_a_command_that_is_interrupted_says_so(environment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cashpay_pipeline.warehouse.backup.verify", interrupted)
    result = cashpay("verify")
    assert (result.exit_code, result.stderr) == (130, "Interrupted. Nothing that was stored is lost.\n")


@pytest.mark.parametrize("command", [["sql"], ["reconcile", "shop.duckdb", "--query"]])
def test_a_query_that_is_interrupted_ends_at_once(
    environment: Settings, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB makes an error of its own of Ctrl-C, and would go on until the query has ended."""
    with open_warehouse(environment):
        pass
    publish(environment)
    monkeypatch.chdir(tmp_path)
    duckdb.connect("shop.duckdb").close()
    with interrupting():
        result = cashpay(*command, ENDLESS.replace("?", "8"))
    assert (result.exit_code, result.stderr) == (130, "Interrupted. Nothing that was stored is lost.\n")


@pytest.mark.parametrize("scheme", ["oauth2", "cashpay"])
def test_check_of_a_wrong_path_says_once_what_is_wrong(make_settings: Callable[..., Settings], scheme: str) -> None:
    settings = make_settings(scheme=scheme)
    wrong = settings.model_copy(update={"base_url": f"{settings.base_url}/nowhere"})
    problems = [finding.text for finding in diagnose(wrong) if not finding.ok]
    assert len(problems) == 1 and "[wrong_address]" in problems[0]


def test_check_tells_that_gateways_are_lacking(settings: Settings, simulator: SimulatorProcess) -> None:
    shortened = {"items": simulator.truth()["gateways"][:2], "total": 6}
    simulator.faults([{"path": "/gateways", "kind": "reply", "status": 200, "times": None, "body": shortened}])
    problems = [finding.text for finding in diagnose(settings) if not finding.ok and "Clock" not in finding.text]
    assert problems == ["Gateways: 2, though CashPay says there are 6."]


@pytest.mark.parametrize(("status", "code"), [(405, "wrong_address"), (423, "request_refused")])
def test_check_does_not_repeat_a_login_that_is_refused_in_whatever_way(status: int, code: str) -> None:
    with serving([reply(200, [])], auth=[reply(status, b"<html>", content_type="text/html")]) as server:
        problems = [finding.text for finding in diagnose(settings_for(server.url)) if not finding.ok]
        assert len(server.to("/auth")) == len(problems) == 1
    assert f"[{code}]" in problems[0] and "a defect in this tool" not in problems[0]


def test_check_says_once_that_the_list_has_an_unknown_shape(settings: Settings, simulator: SimulatorProcess) -> None:
    rule = {"path": "/orders", "kind": "reply", "status": 200, "times": None, "body": {"odd": {"x": 1}}}
    simulator.faults([rule])
    problems = [finding.text for finding in diagnose(settings) if not finding.ok and "Clock" not in finding.text]
    assert len(problems) == 1 and "[unexpected_reply]" in problems[0]


def problems_with(settings: Settings, thing: str) -> list[str]:
    return [f.text for f in diagnose(settings) if not f.ok and f.text.startswith(f"{thing}:")]


@pytest.mark.parametrize("total", ["right", "missing"])
def test_check_tells_that_cashpay_does_not_know_the_page_parameter(
    make_settings: Callable[..., Settings], simulator: SimulatorProcess, total: str
) -> None:
    simulator.set(total=total)
    (problem,) = problems_with(make_settings(page_param="p"), "Pages")
    assert "the same 100 bills" in problem and "CASHPAY_PAGE_PARAM is not what CashPay calls it" in problem
    assert problems_with(make_settings(), "Pages") == []


@pytest.mark.parametrize("size", [10, 100])
def test_check_tells_that_cashpay_does_not_know_the_size_parameter(
    make_settings: Callable[..., Settings], simulator: SimulatorProcess, size: int
) -> None:
    (problem,) = problems_with(make_settings(size_param="rows", page_size=size), "Bill list")
    assert f"20 bills on the first page (asked for {size})" in problem
    assert "CASHPAY_SIZE_PARAM is not what CashPay calls it" in problem
    simulator.set(page_cap=20)
    assert problems_with(make_settings(), "Bill list") == [], "a server that caps the size is no mistake of theirs"


def test_check_has_no_fault_to_find_with_a_list_without_pages(settings: Settings, simulator: SimulatorProcess) -> None:
    simulator.set(paging="ignored")
    assert [finding.text for finding in diagnose(settings) if not finding.ok and "Clock" not in finding.text] == []


def test_check_tells_pages_apart_by_either_name_of_the_key() -> None:
    zero, one, two = (reply(200, {"items": [{"orderNum": f"{n}"}], "total": 3}) for n in range(3))
    with serving([reply(200, {}), reply(200, []), one, zero, one, two]) as server:
        problem = problems_with(settings_for(server.url, page_size=1), "Pages")
    assert problem == ["Pages: page 0 differs from page 1, so they are numbered from 0: set CASHPAY_FIRST_PAGE=0."]


def test_check_says_nothing_of_pages_that_it_could_not_read(settings: Settings, simulator: SimulatorProcess) -> None:
    simulator.faults([{"path": "/orders", "kind": "reply", "status": 405, "times": None, "body": {}}])
    assert [finding.text for finding in diagnose(settings) if finding.text.startswith("Pages")] == []


def test_check_looks_at_the_shops_orders_and_their_mapping(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """By name where they are set; a run would only stop at them at night."""
    orders, mapping = tmp_path / "orders.csv", tmp_path / "orders.toml"

    def findings(**names: Any) -> list[Any]:
        found = list(diagnose(make_settings(**names)))
        return [finding for finding in found if "orders" in finding.text.lower() or "mapping" in finding.text]

    assert findings() == []
    missing = findings(orders=str(orders), orders_mapping=Path("orders.toml"))
    assert [finding.ok for finding in missing] == [False, False]
    assert f"CASHPAY_ORDERS: No such file or directory. [settings]\nWhere: {orders}\n" in missing[0].text
    assert "CASHPAY_ORDERS_MAPPING: The mapping cannot be read: " in missing[1].text
    assert f"\nWhere: {mapping}\n" in missing[1].text

    orders.write_text("never read here")
    mapping.write_text('amuont = "Total"')
    (wrong,) = [finding.text for finding in findings(orders=str(orders), orders_mapping=mapping) if not finding.ok]
    assert wrong.startswith("CASHPAY_ORDERS_MAPPING: The mapping does not fit: amuont")

    mapping.write_text('amount = "Total"')
    assert [f.text for f in findings(orders=str(orders), orders_mapping=mapping)] == [
        f"Orders: {orders} is there.",
        f"Mapping of the orders: {mapping} can be read.",
    ]
    assert findings(orders="postgres:dbname=shop") == [], "to ask the shop's database is no small thing"


def test_check_tells_that_the_data_folder_is_a_file(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("")
    (problem,) = problems_with(make_settings(data_dir=Path("data")), "Disk")
    assert problem == f"Disk: {file} is a file: set CASHPAY_DATA_DIR to a folder."


def test_check_tells_a_wrong_clock_in_days_and_what_to_do(settings: Settings, simulator: SimulatorProcess) -> None:
    clock = FakeClock(simulator.now() + timedelta(days=28))
    problems = [finding.text for finding in diagnose(settings, clock=clock) if not finding.ok]
    assert problems == ["Clock: this machine's is 28 days ahead of CashPay's: set it right."]


def test_check_stops_at_a_refused_login(environment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASHPAY_PASSWORD", "canary-wrong-password")
    result = cashpay("check")
    assert result.exit_code == 1
    assert "PROBLEM" in result.stdout and "Gateways" not in result.stdout
    names = "CASHPAY_USERNAME, CASHPAY_PASSWORD, CASHPAY_CLIENT_ID, CASHPAY_CLIENT_SECRET"
    assert f"Next: Compare {names} and CASHPAY_BASE_URL with" in result.stdout
    assert "canary" not in result.output


def test_status_tells_freshness_and_counts(environment: Settings, simulator: SimulatorProcess) -> None:
    read(environment)
    result = cashpay("status")
    assert result.exit_code == 0
    assert "Last sync: refresh, complete" in result.stdout
    paid = sum(bill["state"] == "Paid" for bill in simulator.truth()["bills"])
    assert any(line.split()[:3] == ["Paid", "XOF", str(paid)] for line in result.stdout.splitlines())


def test_status_names_where_the_data_was_read_and_that_the_settings_name_another_address(
    environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(environment)
    assert cashpay("status").stdout.startswith("Account main, this-machine/api\n")
    monkeypatch.setenv("CASHPAY_BASE_URL", "https://cashpay.test/api")
    warning = "The settings name another address, cashpay.test/api: check CASHPAY_BASE_URL and CASHPAY_DATA_DIR."
    shown = cashpay("status").stdout
    assert shown.startswith(f"Account main, this-machine/api\n{warning}\n")
    with open_warehouse(environment):
        assert shown.splitlines()[:2] == cashpay("status").stdout.splitlines()[1:3], "from the published copy, too"
    monkeypatch.setenv("CASHPAY_ACCOUNT", "new")
    assert cashpay("status").stdout.startswith("Account new, nothing read yet\n")


def test_status_after_a_first_sync_that_failed_says_why_and_what_to_do(
    environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASHPAY_BASE_URL", (environment.base_url or "").replace("/api", "/apx"))
    with pytest.raises(WrongAddressError):
        run_sync(load_settings())
    result = cashpay("status")
    assert result.exit_code == 1 and "Last sync: refresh, failed, ended" in result.stdout
    assert "\nReason: " in result.stdout and "\nNext: Check CASHPAY_BASE_URL" in result.stdout


def test_status_after_a_sync_that_is_incomplete_exits_1(environment: Settings, simulator: SimulatorProcess) -> None:
    simulator.set(total="high")
    assert run_sync(environment, kind="full_refresh").status == "incomplete"
    result = cashpay("status")
    assert result.exit_code == 1
    assert "\nReason: " in result.stdout and "\nNext: Run `cashpay sync` again later" in result.stdout


def test_status_after_a_sync_that_was_killed_says_so(environment: Settings) -> None:
    """R9."""
    run_sync(environment)
    killed = """
import os
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.sync import run, run_sync
run.read_gateways = lambda session: os._exit(9)
run_sync(load_settings())
"""
    assert finished(killed, environment).returncode == 9
    result = cashpay("status")
    assert result.exit_code == 1 and "Last sync: refresh, dead, ended" in result.stdout
    assert "\nNext: Run `cashpay sync` again later" in result.stdout


def test_status_after_a_recheck_tells_of_the_list_that_it_does_not_make_up_for(
    environment: Settings, simulator: SimulatorProcess
) -> None:
    simulator.set(total="high")
    run_sync(environment, kind="full_refresh")
    simulator.advance(minutes=1)
    assert run_sync(environment, kind="recheck").status == "complete"
    result = cashpay("status")
    assert result.exit_code == 1
    assert "Last sync: recheck, complete, ended" in result.stdout
    assert "\nLast reading of the list: full_refresh, incomplete, ended" in result.stdout
    assert "\nReason: " in result.stdout and result.stdout.count("\nNext: ") == 1
    simulator.set(total="right")
    simulator.advance(minutes=1)
    assert run_sync(environment, kind="full_refresh").complete
    simulator.advance(minutes=1)
    run_sync(environment, kind="recheck")
    assert cashpay("status").exit_code == 0


def test_status_writes_amounts_in_the_currency_itself(environment: Settings) -> None:
    with open_warehouse(environment) as warehouse:
        bill(warehouse, "CP-1", "Paid", 1234505, currency="EUR")
        bill(warehouse, "CP-2", "Paid", 1234505)
    shown = [line.split() for line in cashpay("status").stdout.splitlines()]
    assert ["Paid", "EUR", "1", "12,345.05"] in shown and ["Paid", "XOF", "1", "1,234,505"] in shown


def test_status_counts_a_negative_amount_as_zero_as_bill_states_does(environment: Settings) -> None:
    with open_warehouse(environment) as warehouse:
        bill(warehouse, "CP-1", "Paid", 1000)
        bill(warehouse, "REFUND", "Paid", -300, amount=-300)
        build_mart(warehouse, next(mart for mart in all_marts() if mart.name == "bill_states"))
        assert warehouse.rows("select state, currency, bill_count, received_amount from marts.bill_states") == [
            {"state": "Paid", "currency": "XOF", "bill_count": 2, "received_amount": 1000}
        ]
    shown = [line.split() for line in cashpay("status").stdout.splitlines()]
    assert [line for line in shown if line[:1] == ["Paid"]] == [["Paid", "XOF", "2", "1,000"]]


def test_status_shows_a_time_that_is_to_come_as_it_is(environment: Settings) -> None:
    """Of a night under a `Date` of the future; it was told as 0 minutes ago, until that day had come."""
    ahead = datetime.now(UTC) + timedelta(days=400)
    with open_warehouse(environment) as warehouse:
        sync_row(warehouse, "ahead", "refresh", ahead, "complete")
    ended = f"{ahead + timedelta(minutes=1):%Y-%m-%d %H:%M} UTC"
    lines = cashpay("status").stdout.splitlines()
    assert f"Last sync: refresh, complete, ended {ended}" in lines
    assert f"Last complete reading of the list: {ended}" in lines


def test_status_waits_for_the_sensor_that_looks_each_minute(
    environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the file for a moment, and was told as another run that is writing."""
    read(environment)
    with environment.warehouse_path.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        monkeypatch.setattr(SystemClock, "sleep", lambda *_: fcntl.flock(held, fcntl.LOCK_UN))
        result = cashpay("status")
    assert result.exit_code == 0 and "Another run is writing" not in result.stdout


def test_status_reads_the_published_copy_while_a_sync_is_writing(
    environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "A_MOMENT", 0)
    read(environment)
    with open_warehouse(environment, owner="the nightly refresh"):
        result = cashpay("status")
    assert result.exit_code == 0
    assert "the nightly refresh" in result.stdout and "from the published copy" in result.stdout
    assert "Last sync: refresh, complete" in result.stdout


def test_status_tells_what_it_can_while_another_program_is_in_the_working_file(environment: Settings) -> None:
    read(environment)
    program = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('holding', flush=True); sys.stdin.read()"
    with started(program, environment, str(environment.warehouse_path)) as other:
        assert other.stdout and other.stdout.readline() == "holding\n"
        result = cashpay("status")
    assert result.exit_code == 1
    assert "from the published copy" in result.stdout and "Last sync: refresh, complete" in result.stdout
    assert f"open elsewhere (process {other.pid})" in result.stderr


def test_status_before_the_first_sync_says_what_to_do(environment: Settings) -> None:
    result = cashpay("status")
    assert result.exit_code == 1
    assert "cashpay sync" in result.stderr


def test_sql_prints_comma_separated_lines_when_not_on_a_terminal(environment: Settings) -> None:
    read(environment)
    result = cashpay("sql", "select 'a,b' as text, 7 as number, null as nothing")
    assert result.stdout == 'text,number,nothing\n"a,b",7,\n'


def test_sql_may_begin_with_a_comment_as_those_of_the_project_do(environment: Settings) -> None:
    read(environment)
    result = cashpay("sql", "-- en: How many?\n-- fr: n = combien ?\nselect 1 as one")
    assert (result.exit_code, result.stdout) == (0, "one\n1\n")


def test_sql_finds_tables_without_their_schema(environment: Settings) -> None:
    read(environment)
    assert cashpay("sql", "select count(*) > 0 as some from bills").stdout == "some\nTrue\n"
    assert "\nbills\n" in cashpay("sql", "show tables").stdout


def test_sql_that_is_wrong_is_told_with_the_names_that_duckdb_knows(environment: Settings) -> None:
    read(environment)
    for query, named in {
        "select * from bils": '\nDid you mean "bills"? [query]\nNext: ',
        "select nope from core.syncs": "\nCandidate bindings: ",
        "select sum(state) from core.bills": "\nCandidate functions:\nsum(DECIMAL) -> DECIMAL\n",
    }.items():
        told = cashpay("sql", query).stderr
        assert named in told and "Kept:" not in told and "LINE 1" not in told and query not in told, told


def test_what_a_wrong_query_recommends_works(environment: Settings) -> None:
    read(environment)
    recommended = re.findall(r'`cashpay sql "([^"]+)"`', cashpay("sql", "select nope").stderr)
    assert len(recommended) == 2
    for query in recommended:
        result = cashpay("sql", query)
        assert result.exit_code == 0 and "bills" in result.stdout + query


def test_sql_that_is_wrong_or_writes_exits_2(environment: Settings) -> None:
    read(environment)
    for query in ("select nope from core.bills", "delete from core.bills", "create table core.x as select 1 as a"):
        result = cashpay("sql", query)
        assert result.exit_code == 2, query
        assert "[query]" in result.stderr and "Traceback" not in result.output


def test_sql_of_two_queries_is_refused_and_one_in_two_steps_is_not(environment: Settings) -> None:
    read(environment)
    for query in ("select 1; select 2", "show tables; from core.bills", "-- one\nselect 1;\n-- two\nselect 2;\n"):
        result = cashpay("sql", query)
        assert result.exit_code == 2 and "This is more than one query. [query]" in result.stderr, query
        assert "Next: Ask one at a time." in result.stderr
    pivot = "pivot (select 1 as a, 'x' as b) on b using sum(a) group by a"  # DuckDB makes two statements of it
    for query in (pivot, "select 1; -- the end", "set variable n = 1; select getvariable('n')"):
        assert cashpay("sql", query).exit_code == 0, query


def test_sql_without_a_query_exits_2(environment: Settings) -> None:
    read(environment)
    for query in ("", " ;", "/* only a comment */"):
        result = cashpay("sql", query)
        assert result.exit_code == 2 and "There is no query in this. [query]" in result.stderr, query


def test_an_argument_that_is_not_utf_8_exits_2_and_says_so(environment: Settings) -> None:
    """As of a query or a name saved as Latin-1: Python hands out what it cannot decode as lone surrogates."""
    read(environment)
    for arguments in (["sql", "select '\udce9'"], ["backup", "--to", "r\udce9"], ["reconcile", "\udce9.csv"]):
        result = cashpay(*arguments)
        assert result.exit_code == 2 and "is not UTF-8" in result.stderr and "\\udce9" in result.stderr, arguments
    assert not Path("r\udce9").exists()


def test_made_up_data_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    """As in a folder that this user may not write."""
    (tmp_path / "data" / "simulated" / "simulator.json.new").mkdir(parents=True)
    done = process("check")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "simulator.json.new" in done.stderr and "Next: Correct what it says above" in done.stderr


def test_publish_makes_the_copy_anew(environment: Settings) -> None:
    read(environment)
    environment.published_path.unlink()
    assert cashpay("publish").exit_code == 0
    assert environment.published_path.exists()


@pytest.mark.parametrize(("command", "does"), [("backup", "back up"), ("publish", "publish"), ("rebuild", "rebuild")])
def test_a_mistyped_data_folder_is_told_and_not_made(
    environment: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, does: str
) -> None:
    read(environment)
    monkeypatch.setenv("CASHPAY_DATA_DIR", str(tmp_path / "dta"))
    result = cashpay(command)
    assert result.exit_code == 1 and f"There is nothing to {does} yet." in result.stderr
    assert f"Where: {tmp_path / 'dta' / 'warehouse.duckdb'}" in result.stderr
    assert "Next: Check CASHPAY_DATA_DIR, or run `cashpay sync` first." in result.stderr
    assert not (tmp_path / "dta").exists()


def test_a_terminal_escape_in_api_text_is_written_out(
    environment: Settings,
    simulator: SimulatorProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """X4."""
    simulator.put_bill("evil", merchant_reference="\x1b]0;owned\x07\u202etxt")
    read(environment)
    found = read_published(environment, "select merchant_reference from core.bills where order_reference = 'evil'")
    on_a_terminal(monkeypatch, 80)
    show_rows(*found)
    assert "│ \\x1b]0;owned\\x07\\u202etxt │" in without_styles(capsys.readouterr().out)
    on_a_terminal(monkeypatch, 10)
    show_rows(*found)
    assert capsys.readouterr().out == "merchant_reference: \\x1b]0;owned\\x07\\u202etxt\n"
    assert printable("é\n\x9b1m\u200b") == "é\n\\x9b1m\\u200b"


def test_a_blank_of_any_kind_is_shown_as_a_blank(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spaced = "Mixx\u00a0by\u202fYas\u3000(exemple)"
    assert printable(spaced) == spaced
    assert plain(spaced) == "Mixx by Yas (exemple)"
    on_a_terminal(monkeypatch, 80)
    show_rows(["name"], [(spaced,)])
    assert f"│ {spaced} │" in without_styles(capsys.readouterr().out)


def test_sql_into_a_file_writes_each_value_as_it_is(environment: Settings) -> None:
    read(environment)
    odd = "A\u00a01\u200d\t\x1b[31m\u202e\r"
    codes = " || ".join(f"chr({ord(character)})" for character in odd)
    result = cashpay("sql", f"select {codes} as reference, 7 as number")
    assert list(csv.reader(io.StringIO(result.stdout, newline=""))) == [["reference", "number"], [odd, "7"]]
    assert result.stdout.endswith("\n") and not result.stdout.endswith("\r\n")


def test_rows_on_a_terminal_are_a_table_without_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    show_rows(["name", "number"], [("[bold]a[/bold] \x1b[31m", 5)])
    shown = capsys.readouterr().out
    assert "[bold]a[/bold] \\x1b[31m" in shown and "│      5 │" in shown


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))


def without_styles(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


AMOUNTS = {
    "account": "main",
    "received_date": date(2026, 3, 9),
    "gateway_name": "A gateway with quite a long name, as some have",
    "received_amount": 44_123_456,
    "share": Decimal("0.123456789012"),
    "read_at": at(9),
}


def test_a_narrow_terminal_folds_texts_and_cuts_no_number_date_or_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch, 115)
    show_rows(list(AMOUNTS), [tuple(AMOUNTS.values())])
    shown = without_styles(capsys.readouterr().out)
    for name, value in AMOUNTS.items():
        assert name in shown and (str(value) in shown or name == "gateway_name")
    assert "…" not in shown and max(map(len, shown.splitlines())) <= 115
    assert "as some have" not in shown.splitlines()[3] and len(shown.splitlines()) > 5


def test_a_terminal_too_narrow_for_a_table_shows_each_row_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch, 80)
    show_rows(list(AMOUNTS), [tuple(AMOUNTS.values()), ("\x1b[31m", None, None, None, None, None)])
    shown = without_styles(capsys.readouterr().out)
    assert "received_amount: 44123456\n" in shown and "received_date:   2026-03-09\n" in shown
    assert f"read_at:         {at(9)}\n\naccount:         \\x1b[31m\nreceived_date:\n" in shown


def test_a_result_larger_than_the_memory_is_written_as_it_comes(environment: Settings) -> None:
    with open_warehouse(environment):
        pass
    publish(environment)
    command = [CASHPAY, "sql", "select range as n from range(1_000_000_000_000)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        resource.prlimit(running.pid, resource.RLIMIT_AS, (4 << 30, 4 << 30))
        assert running.stdout and [next(running.stdout, "") for _ in range(3)] == ["n\n", "0\n", "1\n"]
        running.stdout.close()
        assert running.wait(timeout=60) == 1  # as every command whose reader has gone


def test_an_error_in_the_middle_of_the_rows_is_no_shorter_result(environment: Settings) -> None:
    with open_warehouse(environment):
        pass
    publish(environment)
    result = cashpay("sql", "select case when n < 50000 then n else error('too late') end from range(60000) as t(n)")
    assert result.exit_code == 2 and "too late" in result.stderr


def test_what_a_sync_recommends_fits_a_terminal(
    environment: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    query = re.findall(r'cashpay sql "([^"]+)"', summary._EXAMPLE)[0]
    run_sync(environment)
    with open_warehouse(environment) as warehouse:
        for mart in all_marts():
            build_mart(warehouse, mart)
    publish(environment)
    columns, rows = read_published(environment, query)
    on_a_terminal(monkeypatch, 80)
    show_rows(columns, rows)
    shown = without_styles(capsys.readouterr().out)
    assert rows and all(f"│ {day} " in shown and f" {net} │\n" in shown for day, _, net in rows)


def test_help_names_every_command_and_a_wrong_one_exits_2() -> None:
    result = cashpay("--help")
    assert result.exit_code == 0
    for command in ("check", "sync", "status", "simulator", "publish", "sql"):
        assert command in result.stdout
        assert cashpay(command, "--help").exit_code == 0
    assert cashpay("nonsense").exit_code == 2
    assert cashpay("--version").stdout == f"cashpay_pipeline {version('cashpay_pipeline')}\n"


def test_days_in_the_wrong_order_are_refused() -> None:
    result = cashpay("reconcile", "orders.csv", "--from", "2026-12-31", "--to", "2026-01-01")
    assert result.exit_code == 2 and "--from is after" in result.stderr


def test_the_simulator_lists_its_switches(capsys: pytest.CaptureFixture[str]) -> None:
    result = cashpay("simulator", "--help")
    assert result.exit_code == 0 and result.stdout.startswith("usage: cashpay simulator ")
    for switch in describe_switches():
        assert f"  {switch['name']}={switch['default']}" in result.stdout


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--port", "80000", "a port is a number from 0 to 65535"),
        ("--port", "-1", "a port is a number from 0 to 65535"),
        ("--credential", "foo=bar", "unknown credential 'foo'; known are: api_key, "),
        ("--credential", "foo", "expected name=value, got 'foo'"),
        ("--start", "yesterday", "argument --start: 'yesterday' is not a time such as 2026-03-02T10:00:00Z"),
        ("--start", "0001-01-01T00:00+14:00", "is not a time such as"),
        ("--switch", "end", "expected name=value, got 'end'"),
    ],
)
def test_the_simulator_says_what_is_wrong_with_an_option(
    capsys: pytest.CaptureFixture[str], option: str, value: str, said: str
) -> None:
    result = cashpay("simulator", f"{option}={value}")
    assert result.exit_code == 2 and said in result.stderr and "Traceback" not in result.output


def test_the_simulator_runs_in_the_foreground_until_told_to_stop(make_port: Callable[[], int]) -> None:
    port = make_port()
    running = subprocess.Popen(
        [CASHPAY, "simulator", f"--port={port}", "--days=1", "--bills-per-day=5"], stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    with running, running.stdout:
        assert running.stdout.readline().strip() == f"ready http://127.0.0.1:{port}/api"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as help_page:
            assert help_page.status == 200 and b"the address with the next four" in help_page.read()
        running.terminate()
        assert running.wait(timeout=10) == 0


@pytest.fixture
def make_port() -> Callable[[], int]:
    def port() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return port
