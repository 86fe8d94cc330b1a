"""Table C of the failure cases: readers, overlapping runs, locks, and where the file lies. Real files and processes."""

import fcntl
import json
import logging
import os
import re
import shutil
import signal
from pathlib import Path

import dagster as dg
import pytest
from processes import HOLD, environment_of, finished, started
from truth import assert_warehouse_equals_truth, query
from typer.testing import CliRunner
from wire import FakeClock

from cashpay_pipeline.cli import app
from cashpay_pipeline.definitions import build_defs
from cashpay_pipeline.defs.sensors import QUIET_FOR
from cashpay_pipeline.errors import CredentialsRejectedError, WarehouseBusyError, WarehouseError
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.sync import run_sync
from cashpay_pipeline.warehouse import database, filesystem, open_warehouse, publish, read_published
from cashpay_pipeline.warehouse.database import wal_path

STATE = (
    "select (select count(*) from core.bills), (select sum(received_amount)::bigint from core.bills), "
    "(select count(*) from core.bill_versions), (select count(*) from core.payments), "
    "(select count(*) from core.syncs where status = 'running')"
)
READER = f"""
import json, sys, threading
import duckdb
path, sql = sys.argv[1], {STATE!r}
def state(connection):
    return list(connection.execute(sql).fetchone())
first = duckdb.connect(path, read_only=True)
kept, seen, reads = state(first), set(), 0
print("reading", flush=True)
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set())).start()
while not ended.is_set():
    # A fresh instance: within one process DuckDB shares a file by its path.
    with duckdb.connect() as connection:
        connection.execute(f"attach '{{path}}' as copy (read_only)")
        connection.execute("use copy")
        seen.add(tuple(state(connection)))
        reads += 1
    assert state(first) == kept
    ended.wait(0.2)
print(json.dumps({{"kept": kept, "seen": sorted(seen), "reads": reads}}), flush=True)
"""
OPEN = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
print("holding", flush=True)
sys.stdin.read()
"""
TRY = """
import sys, duckdb
try:
    duckdb.connect(sys.argv[1], read_only=True)
    print("opened")
except duckdb.IOException as error:
    print("refused")
"""
SPOIL = """
import os, sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("update core.bills set received_amount = 0")
print("written", flush=True)
how = sys.stdin.readline().strip()
if how == "writes again":
    connection.execute("update core.bills set received_amount = 1")
if how == "closes":
    connection.close()
print("done", flush=True)
sys.stdin.read()
os._exit(0)
"""
"""Writes into the published copy, and ends without tidying up."""


def sync(settings, **options):
    return run_sync(settings, clock=SimulatedClock(settings.base_url), **options)


def test_C1_C3_readers_in_five_processes_never_stop_a_sync_and_see_whole_states_only(settings, simulator):
    sync(settings)
    publish(settings)
    states = {tuple(read_published(settings, STATE)[1][0])}
    readers = [started(READER, settings, str(settings.published_path)) for _ in range(5)]
    processes = [reader.__enter__() for reader in readers]
    assert {process.stdout.readline() for process in processes} == {"reading\n"}
    (first,) = states
    for _ in range(4):
        simulator.advance(hours=6)
        assert sync(settings).status == "complete"
        publish(settings)
        states.add(tuple(read_published(settings, STATE)[1][0]))
    assert len(states) == 5
    reports = []
    for process in processes:
        process.stdin.close()
        reports.append(json.loads(process.stdout.readline()))
    for reader in readers:
        reader.__exit__(None, None, None)
    assert [process.returncode for process in processes] == [0] * 5
    for report in reports:
        assert report["reads"] > 0
        assert tuple(report["kept"]) == first, "who keeps the old copy open keeps it whole"
        assert {tuple(seen) for seen in report["seen"]} <= states


@pytest.mark.parametrize("how", ["died before", "stays open", "writes again", "closes"])
def test_C1_what_somebody_wrote_into_the_copy_never_reaches_the_next_one(how, settings):
    """DuckDB lays a `.wal` over whatever file bears its name."""
    sync(settings)
    path = publish(settings).path
    truth = read_published(settings, STATE)[1]
    path.chmod(0o600)  # as a copy published by a former version; and root asks for no right
    with started(SPOIL, settings, str(path)) as analyst:
        assert analyst.stdout.readline() == "written\n" and wal_path(path).exists()
        if how == "died before":
            analyst.kill()
            analyst.wait(timeout=30)
        publish(settings)
        assert not wal_path(path).exists()
        if how != "died before":
            analyst.stdin.write(f"{how}\n")
            analyst.stdin.flush()
            assert analyst.stdout.readline() == "done\n"
        assert read_published(settings, STATE)[1] == truth
    assert read_published(settings, STATE)[1] == truth and not wal_path(path).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_C1_the_copy_can_be_opened_by_its_owner_for_reading_only(settings):
    sync(settings)
    path = publish(settings).path
    with started(SPOIL, settings, str(path)) as analyst:
        assert analyst.stdout.readline() == ""
    assert finished(TRY, settings, str(path)).stdout == "opened\n"
    assert not wal_path(path).exists()
    assert publish(settings).path == path


def test_C1_a_program_in_the_working_file_is_named_and_told_where_to_read(settings):
    sync(settings)
    with started(OPEN, settings, str(settings.warehouse_path)) as analyst:
        assert analyst.stdout.readline() == "holding\n"
        with pytest.raises(WarehouseError, match=f"process {analyst.pid}") as caught:
            sync(settings)
    assert "analytics.duckdb" in caught.value.next_step
    assert sync(settings).status == "complete"


def test_C1_a_program_that_writes_in_the_published_copy_is_named(settings):
    sync(settings)
    publish(settings)
    with started(OPEN.replace("True", "False"), settings, str(settings.published_path)) as analyst:
        assert analyst.stdout.readline() == "holding\n"
        for command in (["sql", "select 1"], ["report"], ["export", "core.bills"]):
            result = CliRunner().invoke(app, command, env=environment_of(settings))
            assert result.exit_code == 1
            assert f"The published copy is open elsewhere (process {analyst.pid})." in result.stderr
            assert "read-only" in result.stderr and "cashpay publish" not in result.stderr


def test_C3_nobody_gets_into_the_working_file_while_it_is_ours(settings, tmp_path, monkeypatch):
    """Also not after the copying that a migration does: closing a file drops the locks that a process has on it."""
    sync(settings)
    later = tmp_path / "sql"
    shutil.copytree(database.sql_folder(), later)
    (later / "core" / "9000_later.sql").write_text("-- Later.\ncreate table core.later (a bigint);\n")
    monkeypatch.setattr(database, "sql_folder", lambda: later)
    with open_warehouse(settings) as warehouse:
        assert warehouse.rows("select count(*) as n from core.later") == [{"n": 0}]
        assert list(settings.data_folder.glob("*.backup"))
        assert finished(TRY, settings, str(settings.warehouse_path)).stdout == "refused\n"
    assert finished(TRY, settings, str(settings.warehouse_path)).stdout == "opened\n"


def test_C2_a_second_run_waits_ten_minutes_then_steps_aside_and_names_the_owner(settings, simulator):
    clock = FakeClock()
    with started(HOLD, settings, "Dagster run 4711") as holder:
        assert holder.stdout.readline() == "holding\n"
        with pytest.raises(WarehouseBusyError) as caught:
            run_sync(settings, clock=clock)
    assert 600 <= clock.elapsed < 602
    assert "Dagster run 4711 on " in str(caught.value) and f"process {holder.pid}, since " in str(caught.value)
    assert simulator.log() == [], "it has asked CashPay for nothing"
    assert [row["owner"] for row in query(settings.warehouse_path, "select owner from core.syncs")] == []


def test_C2_a_second_run_goes_on_when_the_first_has_ended(settings):
    with started(HOLD, settings, "first") as holder:
        assert holder.stdout.readline() == "holding\n"

        class Clock(FakeClock):
            def sleep(self, seconds: float) -> None:
                super().sleep(seconds)
                if len(self.slept) == 3:
                    holder.stdin.close()
                    holder.wait(timeout=30)

        clock = Clock()
        with open_warehouse(settings, clock=clock) as warehouse:
            assert warehouse.rows("select 1 as one") == [{"one": 1}]
    assert len(clock.slept) == 3


def end_when_waited_for(holder):
    """End the run that holds the lock as soon as somebody says that they wait for it."""

    def emit(record):
        if record.levelno == logging.WARNING:
            holder.stdin.close()
            holder.wait(timeout=30)

    handler = logging.Handler()
    handler.emit = emit
    logging.getLogger("cashpay").addHandler(handler)


def test_C2_who_waits_says_for_whom(settings, caplog):
    caplog.set_level(logging.INFO, "cashpay")
    with started(HOLD, settings, "Dagster run 4711") as holder:
        assert holder.stdout.readline() == "holding\n"
        end_when_waited_for(holder)
        with open_warehouse(settings, clock=FakeClock()):
            pass
    said = [record.getMessage() for record in caplog.records if record.name == "cashpay.lock"]
    assert re.fullmatch(
        rf"Another run is writing: Dagster run 4711 on .+, process {holder.pid}, since .+ UTC\. "
        r"Waiting for it, up to 600 s\.",
        said[0],
    )
    assert said[1:] == ["Waited 1.0 s for the other run."]


def test_C2_nobody_who_waits_for_a_moment_only_says_so(settings, caplog):
    with started(HOLD, settings, "first") as holder:
        assert holder.stdout.readline() == "holding\n"
        with pytest.raises(WarehouseBusyError), open_warehouse(settings, wait_seconds=0, clock=FakeClock()):
            pass
    assert not [record for record in caplog.records if record.name == "cashpay.lock"]


def test_C2_who_waits_for_long_says_so_again_and_is_not_taken_for_dead(settings, caplog):
    settings.data_folder.mkdir(parents=True)
    with settings.warehouse_path.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(WarehouseBusyError), open_warehouse(settings, clock=FakeClock()):
            pass
    said = [record for record in caplog.records if record.name == "cashpay.lock"]
    assert len(said) > 600 / QUIET_FOR.total_seconds() + 1


def test_C2_a_command_that_waits_says_for_whom(settings):
    sync(settings)
    with started(HOLD, settings, "Dagster run 4711") as holder:
        assert holder.stdout.readline() == "holding\n"
        end_when_waited_for(holder)
        result = CliRunner().invoke(app, ["publish"], env=environment_of(settings))
    assert result.exit_code == 0
    assert re.search(
        r"^Another run is writing: Dagster run 4711 on .+ Waiting for it, up to 600 s\.$", result.stderr, re.M
    )


def test_C2_a_dagster_run_that_waits_says_so_in_its_log(settings, tmp_path):
    sync(settings)
    shutil.copy(Path(__file__).parents[1] / "deploy" / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance, started(HOLD, settings, "by hand") as holder:
        assert holder.stdout.readline() == "holding\n"
        end_when_waited_for(holder)
        result = (
            build_defs(settings=settings)
            .resolve_implicit_global_asset_job_def()
            .execute_in_process(instance=instance, asset_selection=[dg.AssetKey(["marts", "bill_states"])])
        )
        said = [entry.user_message for entry in instance.all_logs(result.run_id) if not entry.is_dagster_event]
    assert result.success
    assert said[0].startswith("Another run is writing: by hand on ") and said[1].startswith("Waited ")


def test_C2_the_owner_named_is_the_dagster_run(settings):
    said = []

    def try_to_get_in(_):
        if not said:
            with pytest.raises(WarehouseBusyError) as caught, open_warehouse(settings, wait_seconds=0):
                pass
            said.append(str(caught.value))

    sync(settings, dagster_run_id="0815-run", progress=try_to_get_in)
    assert "refresh 0815-run on " in said[0]


def test_C4_after_a_failure_the_file_can_be_opened_again_here_and_elsewhere(settings, make_settings):
    for _ in range(2):
        with pytest.raises(CredentialsRejectedError):
            sync(make_settings(password="wrong"))
        with pytest.raises(WarehouseError), open_warehouse(settings) as warehouse:
            warehouse.execute("select * from core.no_such_table")
        with pytest.raises(ZeroDivisionError), open_warehouse(settings) as warehouse, warehouse.transaction():
            warehouse.execute("delete from core.syncs")
            raise ZeroDivisionError
        assert finished(TRY, settings, str(settings.warehouse_path)).stdout == "opened\n"
        with open_warehouse(settings) as warehouse:
            assert {row["status"] for row in warehouse.rows("select status from core.syncs")} == {"failed"}
    assert sync(settings).status == "complete"


MOUNTED = [
    ("/", "ext4", None),
    ("{}/data", "nfs4", "nfs4"),
    ("{}", "cifs", "cifs"),
    ("{}/data/sub", "nfs", None),
    ("{}/dat", "nfs", None),
    ("{}/data", "fuse.sshfs", "fuse.sshfs"),
]


@pytest.mark.parametrize(("point", "kind", "refused"), MOUNTED, ids=lambda v: str(v))
def test_C5_a_data_folder_on_a_network_file_system_is_refused(
    point, kind, refused, make_settings, simulator, tmp_path, monkeypatch
):
    home = tmp_path / "a blank"
    home.mkdir()
    mounts = tmp_path / "mounts"
    lines = ["overlay / overlay rw 0 0", f"somewhere {point.format(home).replace(' ', chr(92) + '040')} {kind} rw 0 0"]
    mounts.write_text("\n".join(lines))
    monkeypatch.setattr(filesystem, "MOUNTS", mounts)
    settings = make_settings(data_dir=home / "data")
    if refused is None:
        assert sync(settings).status == "complete"
        return
    with pytest.raises(WarehouseError, match=f"network file system \\({refused}\\)") as caught:
        sync(settings)
    assert "CASHPAY_DATA_DIR" in caught.value.next_step
    assert simulator.log() == [] and not settings.warehouse_path.exists()


def test_C5_the_last_mount_at_a_place_is_what_holds(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"a {tmp_path} nfs4 rw 0 0\nb {tmp_path} ext4 rw 0 0\nshort line\n")
    monkeypatch.setattr(filesystem, "MOUNTS", mounts)
    assert filesystem.filesystem_of(tmp_path / "data") == "ext4"


def test_C5_where_the_system_does_not_tell_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(filesystem, "MOUNTS", tmp_path / "none")
    assert filesystem.filesystem_of(tmp_path) is None
    filesystem.refuse_shared_filesystem(tmp_path)


def test_C5_this_machine_tells_what_the_folder_of_the_tests_lies_on(tmp_path):
    assert filesystem.filesystem_of(tmp_path) if Path("/proc/mounts").exists() else True


def test_C7_the_lock_of_a_killed_run_is_free_at_once_whatever_its_file_says(settings, simulator):
    with started(HOLD, settings, "the killed run") as holder:
        assert holder.stdout.readline() == "holding\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=30)
    lock = settings.warehouse_path.with_suffix(".lock")
    assert "the killed run" in lock.read_text()
    clock = FakeClock()
    with open_warehouse(settings, owner="next", clock=clock):
        assert "the killed run" not in lock.read_text() and "next on " in lock.read_text()
    assert clock.slept == [] and lock.read_text() == ""
    assert sync(settings).status == "complete"
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


@pytest.mark.parametrize("content", ["", "{", "not json", '{"owner": 1}', "[]", "\0" * 50], ids=repr)
def test_C7_a_lock_file_that_cannot_be_read_stops_nobody(content, settings):
    sync(settings)
    lock = settings.warehouse_path.with_suffix(".lock")
    lock.write_text(content)
    with open_warehouse(settings, owner="ours"):
        lock.write_text(content)
        with pytest.raises(WarehouseBusyError, match="its name is not known"), open_warehouse(settings, wait_seconds=0):
            pass
    assert sync(settings).status == "complete"


def test_R14_the_owner_is_named_with_its_host(settings, monkeypatch):
    """Two hosts can only meet on a network disk, which is refused (C5)."""
    monkeypatch.setattr("socket.gethostname", lambda: "till-2")
    with (
        open_warehouse(settings, owner="refresh"),
        pytest.raises(WarehouseBusyError, match="refresh on till-2, process"),
        open_warehouse(settings, wait_seconds=0),
    ):
        pass
    sync(settings)
    ((owner,),) = [tuple(r.values()) for r in query(settings.warehouse_path, "select owner from core.syncs")]
    assert owner.startswith("refresh on till-2, process ")
