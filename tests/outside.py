"""A real webserver and daemon on this machine, started once for all tests that ask them as any other program would.

Nothing is waited for by luck: every wait asks the API until it is so, or fails.
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
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from dagster import AssetMaterialization, DagsterInstance
from dagster._core.test_utils import freeze_time

from cashpay_pipeline.definitions import build_defs
from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.simulator.process import SimulatorProcess

PROJECT = Path(__file__).parents[1]
DEADLINE_SECONDS = 120
SELECTOR = {"repositoryLocationName": "cashpay_pipeline", "repositoryName": "__repository__"}


class Outside:
    """A client that knows the address and nothing else."""

    def __init__(self, address: str, simulator: SimulatorProcess, folder: Path) -> None:
        self.address, self.simulator, self.log = address, simulator, folder / "log"
        self.told = folder / "told"
        """What the alerts told."""
        self.processes: list[subprocess.Popen[bytes]] = []

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
    with serving(tmp_path_factory.mktemp("outside")) as client:
        yield client


@contextmanager
def serving(folder: Path, made_at: datetime | None = None) -> Iterator[Outside]:
    """A simulator, a webserver and a daemon; with `made_at`, Dagster remembers that all tables were made then."""
    (folder / "home").mkdir()
    shutil.copy(PROJECT / "deploy/dagster.yaml", folder / "home")
    if made_at:
        with DagsterInstance.from_config(str(folder / "home")) as instance, freeze_time(made_at):
            for key in build_defs().resolve_asset_graph().get_all_asset_keys():
                instance.report_runless_asset_event(AssetMaterialization(key))
    with SimulatorProcess(seed=7, days=2, bills_per_day=20) as simulator, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        client = Outside(f"http://127.0.0.1:{port}", simulator, folder)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CASHPAY_", "DAGSTER_"))},
            **{
                f"CASHPAY_{name.upper()}": DEMO_CREDENTIALS[name]
                for name in ("username", "password", "client_id", "client_secret")
            },
            "CASHPAY_BASE_URL": simulator.base_url,
            "CASHPAY_DATA_DIR": str(folder / "data"),
            "CASHPAY_REQUESTS_PER_SECOND": "5000",
            "CASHPAY_ALERT_COMMAND": f"tee -a {client.told}",
            "DAGSTER_HOME": str(folder / "home"),
            "FRESHNESS_DAEMON_INTERVAL_SECONDS": "2",
        }
        programs = {
            "dagster-webserver": ["-h", "127.0.0.1", "-p", str(port), "-w", str(PROJECT / "workspace.yaml")],
            "dagster-daemon": ["run", "-w", str(PROJECT / "workspace.yaml")],
        }
        with client.log.open("wb") as output:

            def start(name: str) -> None:
                command = [str(Path(sys.executable).parent / name), *programs[name]]
                client.processes.append(
                    subprocess.Popen(
                        command, env=environment, cwd=folder, stdout=output, stderr=output, start_new_session=True
                    )
                )

            try:
                # One after the other: both make Dagster's databases where there are none, and would collide.
                start("dagster-webserver")
                client.until("the interface answers", lambda: client.ask("{ version }"))
                start("dagster-daemon")
                client.until("the daemon runs", client.has_sensor_daemon)
                yield client
            finally:
                for process in client.processes:
                    process.send_signal(signal.SIGTERM)
                for process in client.processes:
                    try:
                        process.wait(20)
                    except subprocess.TimeoutExpired:
                        os.killpg(process.pid, signal.SIGKILL)
                        process.wait()
