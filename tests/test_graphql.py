"""Dagster from outside: a real webserver and daemon on this machine, asked by GraphQL as any other program would.

Started once for all tests here. Nothing is waited for by luck: every wait asks the API until it is so, or fails.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from cashpay_pipeline.simulator.process import SimulatorProcess

PROJECT = Path(__file__).parents[1]
DEADLINE_SECONDS = 120
SELECTOR = {"repositoryLocationName": "cashpay_pipeline", "repositoryName": "__repository__"}


class Outside:
    """A client that knows the address and nothing else."""

    def __init__(self, address: str, processes: list[subprocess.Popen[bytes]], log: Path) -> None:
        self.address, self.processes, self.log = address, processes, log

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.address}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer = json.loads(reply.read())
        assert "errors" not in answer, answer
        found: dict[str, Any] = answer["data"]
        return found

    def has_sensor_daemon(self) -> bool:
        query = '{ instance { daemonHealth { daemonStatus(daemonType: "SENSOR") { healthy } } } }'
        return bool(self.ask(query)["instance"]["daemonHealth"]["daemonStatus"]["healthy"])

    def until(self, what: str, found: Callable[[], Any]) -> Any:
        """Ask until there is something, at most two minutes long."""
        pause, tries = Event(), 0
        while True:
            dead = [process.args for process in self.processes if process.poll() is not None]
            assert not dead and tries < DEADLINE_SECONDS * 4, f"{what}: {dead}\n{self.log.read_text()[-2000:]}"
            try:
                if answer := found():
                    return answer
            except OSError:
                pass
            tries += 1
            pause.wait(0.25)

    def launch(self, job: str, config: dict[str, Any] | None = None) -> str:
        answer = self.ask(
            """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
                __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
                ... on RunConfigValidationInvalid { errors { message } } } }""",
            params={
                "selector": {**SELECTOR, "jobName": job},
                "runConfigData": {"ops": {"sync": {"config": config}}} if config else {},
                "mode": "default",
            },
        )["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        run_id: str = answer["run"]["runId"]
        return run_id

    def ended(self, run_id: str) -> str:
        def look() -> str | None:
            query = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
            status: str = self.ask(query, id=run_id)["runOrError"]["status"]
            return status if status in ("SUCCESS", "FAILURE", "CANCELED") else None

        status: str = self.until(f"run {run_id} has ended", look)
        return status


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    folder = tmp_path_factory.mktemp("outside")
    (folder / "home").mkdir()
    shutil.copy(PROJECT / "deploy/dagster.yaml", folder / "home")
    with SimulatorProcess(seed=7, days=2, bills_per_day=20) as simulator, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS

        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CASHPAY_", "DAGSTER_"))},
            **{
                f"CASHPAY_{name.upper()}": DEMO_CREDENTIALS[name]
                for name in ("username", "password", "client_id", "client_secret")
            },
            "CASHPAY_BASE_URL": simulator.base_url,
            "CASHPAY_DATA_DIR": str(folder / "data"),
            "CASHPAY_REQUESTS_PER_SECOND": "5000",
            "CASHPAY_ALERT_COMMAND": f"tee {folder}/told",
            "DAGSTER_HOME": str(folder / "home"),
            "FRESHNESS_DAEMON_INTERVAL_SECONDS": "2",
        }
        programs = {
            "dagster-webserver": ["-h", "127.0.0.1", "-p", str(port), "-w", str(PROJECT / "workspace.yaml")],
            "dagster-daemon": ["run", "-w", str(PROJECT / "workspace.yaml")],
        }
        log = folder / "log"
        with log.open("wb") as output:
            processes = [
                subprocess.Popen(
                    [str(Path(sys.executable).parent / name), *options],
                    env=environment, cwd=folder, stdout=output, stderr=output, start_new_session=True,
                )
                for name, options in programs.items()
            ]  # fmt: skip
            client = Outside(f"http://127.0.0.1:{port}", processes, log)
            try:
                client.until("the interface answers", lambda: client.ask("{ version }"))
                client.until("the daemon runs", client.has_sensor_daemon)
                yield client
            finally:
                for process in processes:
                    process.send_signal(signal.SIGTERM)
                for process in processes:
                    try:
                        process.wait(20)
                    except subprocess.TimeoutExpired:
                        os.killpg(process.pid, signal.SIGKILL)
                        process.wait()


def test_every_job_can_be_launched_and_ends_well(outside: Outside) -> None:
    """They are launched at once: the pool lets one write after the other."""
    jobs = {"refresh": "refresh", "full_refresh": "full_refresh", "recheck_open_bills": "recheck"}
    runs = [outside.launch("refresh", {"kind": "refresh", "dry_run": True})]
    runs += [outside.launch(job, {"kind": kind}) for job, kind in jobs.items()]
    assert [outside.ended(run) for run in runs] == ["SUCCESS"] * 4


def test_a_check_tells_its_result_and_what_must_be_true(outside: Outside) -> None:
    def look() -> Any:
        found = outside.ask(
            """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
                assetChecksOrError { ... on AssetChecks { checks { name description blocking
                    executionForLatestMaterialization { status evaluation { success description } } } } } } } }""",
            key={"path": ["core", "bills"]},
        )
        checks = found["assetNodeOrError"]["assetChecksOrError"]["checks"]
        return checks if all(check["executionForLatestMaterialization"] for check in checks) else None

    checks = {check["name"]: check for check in outside.until("the checks have run", look)}
    unique = checks["bills_key_unique"]
    assert unique["blocking"] and unique["description"].startswith("No bill is stored twice")
    assert unique["executionForLatestMaterialization"]["evaluation"]["description"] == "Nothing is wrong."
    states = {check["executionForLatestMaterialization"]["status"] for check in checks.values()}
    assert states == {"SUCCEEDED"} and len(checks) > 10


def test_freshness_is_evaluated_by_the_daemon(outside: Outside) -> None:
    query = """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
        freshnessStatusInfo { freshnessStatus } } } }"""
    for key in (["core", "bills"], ["marts", "daily_collections"]):

        def look(key: list[str] = key) -> bool:
            found = outside.ask(query, key={"path": key})["assetNodeOrError"]["freshnessStatusInfo"]
            return bool(found) and found["freshnessStatus"] == "HEALTHY"

        assert outside.until(f"{key} is fresh", look)


def test_a_tick_of_the_schedule_would_start_the_job(outside: Outside) -> None:
    answer = outside.ask(
        """mutation ($selector: ScheduleSelector!, $at: Float!) {
            scheduleDryRun(selectorData: $selector, timestamp: $at) {
            __typename ... on DryRunInstigationTick { evaluationResult {
                runRequests { runConfigYaml jobName } skipReason error { message } } } } }""",
        selector={**SELECTOR, "scheduleName": "nightly_refresh"},
        at=datetime.now(UTC).timestamp(),
    )["scheduleDryRun"]
    assert answer["__typename"] == "DryRunInstigationTick", answer
    result = answer["evaluationResult"]
    assert result["error"] is None and result["skipReason"] is None and len(result["runRequests"]) == 1


@pytest.mark.parametrize(
    ("sensor", "said"), [("alerts", "0 new causes told"), ("dead_runs", "No run has been silent for long.")]
)
def test_a_sensor_ticks_in_the_daemon_and_says_what_it_did(outside: Outside, sensor: str, said: str) -> None:
    query = """query ($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) { ... on Sensor {
        sensorState { status ticks(limit: 5) { status skipReason error { message } } } } } }"""

    def look() -> Any:
        state = outside.ask(query, selector={**SELECTOR, "sensorName": sensor})["sensorOrError"]["sensorState"]
        assert state["status"] == "RUNNING" and not [tick for tick in state["ticks"] if tick["error"]], state
        return [tick["skipReason"] for tick in state["ticks"] if tick["status"] == "SKIPPED"]

    assert said in outside.until(f"{sensor} has ticked", look)[0]


def test_the_interface_can_show_no_secret(outside: Outside) -> None:
    """S5: what it knows of resources holds none."""
    answer = outside.ask(
        """query ($selector: RepositorySelector!) { repositoryOrError(repositorySelector: $selector) {
            ... on Repository { allTopLevelResourceDetails { name configFields { name } configuredValues { key value } }
            } } }""",
        selector=SELECTOR,
    )
    assert "cashpay_warehouse" in json.dumps(answer)
    assert "not-real" not in json.dumps(answer)
