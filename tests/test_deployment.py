"""The files in deploy/: accepted by the programs they are for where these are there, and held to their promises."""

import configparser
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.test_utils import freeze_time

from cashpay_pipeline.cli import app

PROJECT = Path(__file__).parents[1]
DEPLOY = PROJECT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
BIN = Path(sys.executable).parent
DOCS = (PROJECT / "docs/deployment.md").read_text(encoding="utf-8")


def loaded(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """With programs that exist in place of those in /opt."""
    for unit in UNITS:
        text = re.sub(r"^(ExecStart|ExecStartPre)=\S+", r"\1=/bin/true", unit.read_text(), flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(text)
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / unit.name) for unit in UNITS)],
        capture_output=True, text=True, env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"}, check=False,
    )  # fmt: skip
    ours = [line for line in found.stderr.splitlines() if "cashpay" in line]
    assert not ours, found.stderr


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.stem)
def test_a_service_runs_as_nobody_special_and_writes_only_its_own(unit: Path) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit)
    service = dict(parser["Service"])
    assert (service["User"], service["UMask"], service["ProtectSystem"]) == ("cashpay", "0077", "strict")
    assert service["ReadWritePaths"] == "/var/lib/cashpay" and service["NoNewPrivileges"] == "true"
    assert "dagster dev" not in service["ExecStart"] and "0.0.0.0" not in service["ExecStart"]


def test_the_interface_and_the_daemon_never_make_dagsters_files_at_the_same_moment(tmp_path: Path) -> None:
    """Two processes that make an SQLite file of Dagster's can both stamp it, with two versions: no run starts then."""
    units = [(DEPLOY / "systemd" / f"cashpay-{name}.service").read_text() for name in ("webserver", "daemon")]
    before, other = (re.findall(r"^ExecStartPre=(.+)$", unit, re.MULTILINE) for unit in units)
    assert before == other and len(before) == 1
    program = before[0].replace("/var/lib/cashpay", str(tmp_path)).replace("/opt/cashpay/.venv/bin/", f"{BIN}/")
    assert program.startswith(f"/usr/bin/flock {tmp_path} ")
    shutil.copy(DEPLOY / "dagster.yaml", tmp_path)
    subprocess.run(program.split(), env={"DAGSTER_HOME": str(tmp_path)}, check=True, capture_output=True)
    assert {path.name for path in tmp_path.rglob("*.db")} == {"runs.db", "index.db", "schedules.db"}
    services = loaded("compose.yaml")["services"]
    assert " ".join(services["dagster-files"]["command"]) == "dagster instance info"
    for name in ("webserver", "daemon"):
        assert services[name]["depends_on"] == {"dagster-files": {"condition": "service_completed_successfully"}}


@pytest.mark.long
def test_F5_old_runs_are_deleted_as_documented_with_their_files(tmp_path: Path) -> None:
    program = "\n".join(re.findall(r"<<'PY'\n(.*?)\n    PY\n", DOCS, re.DOTALL)[0].split("\n    "))
    shutil.copy(DEPLOY / "dagster.yaml", tmp_path)

    @dg.job
    def nothing() -> None: ...

    def run(started_at: datetime) -> str:
        with freeze_time(started_at):
            return nothing.execute_in_process(instance=instance).run_id

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        old, new = run(datetime.now(UTC) - timedelta(days=91)), run(datetime.now(UTC) - timedelta(days=89))
        subprocess.run(
            [sys.executable, "-c", program.removeprefix("    ")], env={"DAGSTER_HOME": str(tmp_path)}, check=True
        )
        assert [record.run_id for record in instance.get_runs()] == [new]
    files = {path.stem for path in (tmp_path / "history" / "runs").glob("*.db")}
    assert new in files and old not in files


def test_compose_publishes_the_interface_on_this_machine_only() -> None:
    services = loaded("compose.yaml")["services"]
    assert set(services) == {"dagster-files", "webserver", "daemon"}
    assert services["webserver"]["ports"] == ["127.0.0.1:3000:3000"]
    assert not {"ports"} & {*services["daemon"], *services["dagster-files"]}
    for service in services.values():
        assert service["volumes"] == ["cashpay:/var/lib/cashpay"] and service["read_only"]


def test_the_image_takes_no_secret_and_no_data_along() -> None:
    """Everything is ignored but what is named, and what is named exists."""
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    named = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines and not named & {".env", "data", ".dagster", ".git"}
    copied = {
        part.removeprefix("./")
        for line in re.findall(r"^COPY (.+)$", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
        for part in line.split()[:-1]
    }
    assert copied == named and not [name for name in named if not (PROJECT / name).exists()]
    assert "USER cashpay" in (DEPLOY / "Dockerfile").read_text()


def test_the_kubernetes_example_writes_from_one_place() -> None:
    values = loaded("kubernetes/values.yaml")
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert deployment["replicaCount"] == 1
    assert deployment["dagsterApiGrpcArgs"][:2] == ["--module-name", "cashpay_pipeline.definitions"]
    assert values["runLauncher"]["config"]["customRunLauncher"]["class"] == "DefaultRunLauncher"


def test_dagster_accepts_its_own_settings(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled and instance.freshness_enabled
        assert instance.get_concurrency_config().pool_config.default_pool_limit == 1


def test_the_page_names_commands_and_files_that_exist() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert set(re.findall(r"(?:^|`|bin/)cashpay ([a-z]+)\b", DOCS, flags=re.MULTILINE)) - {"sync"} <= commands
    for path in re.findall(r"`(deploy/[\w./]+)`", DOCS):
        assert (PROJECT / path).exists(), path
