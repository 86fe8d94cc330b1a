"""Table F of the failure cases: full disks, folders that may not be written, files that grow. Real disks where root
can make a small one; a limit on the size of files everywhere."""

import os
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest
import yaml
from processes import finished
from truth import assert_warehouse_equals_truth, query

from cashpay_pipeline.diagnosis import diagnose
from cashpay_pipeline.errors import WarehouseError
from cashpay_pipeline.health import read_health
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.sqlfiles import shipped_folder
from cashpay_pipeline.sync import batch, run_sync
from cashpay_pipeline.warehouse import compact, database, open_warehouse, publish, read_published
from cashpay_pipeline.warehouse.publish import open_published_file
from cashpay_pipeline.warehouse.troubles import explained

NOBODY = 65534
SYNC = """
import os, resource, sys
limit, user = int(sys.argv[1]), int(sys.argv[2])
from cashpay_pipeline.errors import CashpayError
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.sync import batch, run_sync
from cashpay_pipeline.warehouse import publish
batch.BATCH_ROWS = 50
settings = load_settings()
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
if user:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
try:
    for do in sys.argv[3:]:
        publish(settings) if do == "publish" else run_sync(settings, kind=do, clock=SimulatedClock(settings.base_url))
    print("done")
except CashpayError as error:
    print(error)
"""


class SmallDisk:
    """A file system of its own, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, megabytes: float) -> None:
        self._mount("remount", f"size={int(megabytes * 1024)}k")

    def make_read_only(self) -> None:
        self._mount("remount", "ro")

    def _mount(self, *options: str) -> None:
        subprocess.run(["mount", "-o", ",".join(options), str(self.folder)], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    made = None
    if os.geteuid() == 0:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], check=False, capture_output=True
        )
    if made is None or made.returncode:
        pytest.skip("a small disk can only be made by root, where mounting is allowed")
    yield SmallDisk(folder)
    subprocess.run(["umount", str(folder)], check=True)


def sync(settings, **options):
    return run_sync(settings, clock=SimulatedClock(settings.base_url), **options)


def bills(settings):
    if not settings.warehouse_path.exists():
        return 0
    with open_warehouse(settings) as warehouse:
        (row,) = warehouse.rows(
            "select count(*) as n, (select count(distinct order_reference) from core.bill_versions) as v "
            "from core.bills"
        )
    assert row["n"] == row["v"], "bills and their history are stored together or not at all"
    return row["n"]


def test_F1_too_little_space_stops_before_anything_is_fetched(make_settings, simulator, small_disk):
    settings = make_settings(data_dir=small_disk.folder / "data")
    with pytest.raises(WarehouseError, match=r"The disk has \d+ MB free; a sync wants 500 MB") as caught:
        sync(settings)
    assert "CASHPAY_DATA_DIR" in caught.value.next_step
    assert simulator.log() == [] and not settings.warehouse_path.exists()


def test_F1_check_tells_a_folder_that_cannot_be_written_and_one_with_too_little_space(make_settings, small_disk):
    def disk():
        return next(
            f for f in diagnose(make_settings(data_dir=small_disk.folder / "data")) if f.text.startswith("Disk")
        )

    small = disk()
    assert not small.ok and small.text.endswith("1,000 MB are wanted: free some space.")
    small_disk.make_read_only()
    read_only = disk()
    assert not read_only.ok and "cannot be written by this user" in read_only.text
    assert "CASHPAY_DATA_DIR" in read_only.text


def test_F1_how_the_last_syncs_went_can_be_read_on_a_full_disk(make_settings, small_disk, monkeypatch):
    """Else nobody would be told that it is full."""
    monkeypatch.setattr(database, "SPARE_BYTES", 0)
    settings = make_settings(data_dir=small_disk.folder)
    sync(settings)
    before = settings.warehouse_path.read_bytes()
    with (small_disk.folder / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    health = read_health(settings)
    assert health.last_complete_at and health.list_error_code is None
    assert settings.warehouse_path.read_bytes() == before
    with pytest.raises(WarehouseError, match="The disk has 0 MB free"):
        sync(settings)


def test_F1_the_space_wanted_is_twice_the_file_and_a_reserve(settings, simulator, monkeypatch):
    sync(settings)
    size = settings.warehouse_path.stat().st_size
    simulator.clear_log()
    for free, enough in ((2 * size + database.SPARE_BYTES, True), (2 * size + database.SPARE_BYTES - 1, False)):
        monkeypatch.setattr(database.shutil, "disk_usage", lambda _, free=free: type("Usage", (), {"free": free}))
        if enough:
            assert sync(settings).status == "complete"
            continue
        simulator.clear_log()
        with pytest.raises(WarehouseError, match="MB free"):
            sync(settings)
        assert simulator.log() == []


@pytest.mark.parametrize("megabytes", [0.6, 1.6, *(pytest.param(n, marks=pytest.mark.long) for n in (0.1, 1.1, 2))])
def test_F1_F2_a_disk_that_fills_up_loses_nothing_that_was_stored(
    megabytes, make_settings, simulator, small_disk, monkeypatch
):
    """While the file is made, while a commit is appended, while a checkpoint is written: as the size has it."""
    monkeypatch.setattr(database, "SPARE_BYTES", 0)
    monkeypatch.setattr(batch, "BATCH_ROWS", 50)
    simulator.reset(days=10, bills_per_day=100)
    settings = make_settings(data_dir=small_disk.folder, page_size=50)
    small_disk.resize(megabytes)
    with pytest.raises(WarehouseError) as caught:
        sync(settings)
    assert "disk" in caught.value.message and "Free some space" in caught.value.next_step
    small_disk.resize(48)
    stored = bills(settings)
    assert stored % 50 == 0
    result = sync(settings)
    assert result.status == "complete"
    assert result.bills_new == len(simulator.truth()["bills"]) - stored
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())
    assert {row["status"] for row in query(settings.warehouse_path, "select status from core.syncs")} <= {
        "dead",
        "failed",
        "complete",
    }


@pytest.mark.parametrize("limit", [300_000, *(pytest.param(n, marks=pytest.mark.long) for n in (10_000, 900_000))])
def test_F2_a_file_that_cannot_grow_loses_nothing_that_was_stored(limit, make_settings, simulator):
    simulator.reset(days=10, bills_per_day=100)
    settings = make_settings(page_size=50)
    told = finished(SYNC, settings, str(limit), "0", "refresh")
    assert "The disk is full." in told.stdout and told.stderr == "" and told.returncode == 0
    stored = bills(settings)
    assert stored % 50 == 0
    assert sync(settings).bills_new == len(simulator.truth()["bills"]) - stored
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_F3_what_is_spilled_goes_to_a_folder_of_its_own_up_to_a_limit(settings):
    leftover = settings.data_folder / "warehouse.tmp" / "duckdb_temp_storage-0.tmp"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"left by a killed run")
    with open_warehouse(settings) as warehouse:
        assert not leftover.exists()
        ((folder, limit),) = [
            tuple(row.values())
            for row in warehouse.rows(
                "select current_setting('temp_directory'), current_setting('max_temp_directory_size')"
            )
        ]
    assert Path(folder) == leftover.parent and limit.split()[1] in ("GiB", "GB") and float(limit.split()[0]) < 5


SPILLS_AND_DIES = """
import os, signal, sys
from pathlib import Path
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.warehouse.publish import open_published_file
with open_published_file(load_settings()) as published:
    (row,) = published.rows("select current_setting('temp_directory') as folder")
    Path(row["folder"], "duckdb_temp_storage_DEFAULT-0.tmp").write_text("a customer's row")
    print(row["folder"], oct(Path(row["folder"]).stat().st_mode), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_F3_what_a_reader_spills_is_for_its_user_alone_and_swept_if_it_is_killed(settings):
    def spills_into(published):
        (row,) = published.rows("select current_setting('temp_directory') as folder")
        return Path(row["folder"])

    sync(settings)
    publish(settings)
    folder, mode = finished(SPILLS_AND_DIES, settings).stdout.split()
    assert mode == "0o40700" and Path(folder).parent == settings.data_folder and Path(folder).exists()
    with open_published_file(settings) as one:
        assert not Path(folder).exists()
        with open_published_file(settings) as other:
            assert spills_into(other) == spills_into(one), "DuckDB wants connections of a process configured alike"
        assert spills_into(one).is_dir()
    assert [f.name for f in settings.data_folder.iterdir() if f.is_dir()] == []


def test_F3_a_folder_that_cannot_be_written_is_read_without_spilling(settings, monkeypatch):
    """As an analyst's mount."""

    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    sync(settings)
    publish(settings)
    monkeypatch.setattr("cashpay_pipeline.atomic.tempfile.mkdtemp", refuse)
    assert read_published(settings, "select count(*) > 0 from core.bills")[1] == [(True,)]


def test_F3_work_that_outgrows_memory_and_spill_is_told_in_words(settings, monkeypatch):
    monkeypatch.setattr(database, "MEMORY_LIMIT", "24MB")
    monkeypatch.setattr(database, "SPILL_LIMIT", "1MB")
    with pytest.raises(WarehouseError, match="more memory or temporary space"), open_warehouse(settings) as warehouse:
        warehouse.execute("create temp table t as select md5(range::varchar) as a from range(3000000) order by a")
    assert sync(settings).status == "complete"


def test_F3_memory_that_is_used_up_is_no_full_disk(tmp_path):
    said = "Out of Memory Error: could not allocate block of size 256.0 KiB (244.0 MiB/244.1 MiB used)"
    error = explained(duckdb.OutOfMemoryException(said), tmp_path / "warehouse.duckdb")
    assert "more memory or temporary space" in error.message


def test_F4_a_disk_that_fills_up_while_publishing_leaves_the_old_copy(
    make_settings, small_disk, simulator, monkeypatch
):
    monkeypatch.setattr(database, "SPARE_BYTES", 0)
    monkeypatch.setattr(database, "_check_space", lambda path: None)
    settings = make_settings(data_dir=small_disk.folder)
    sync(settings)
    publish(settings)
    old = settings.published_path.read_bytes()
    simulator.advance(days=1)
    sync(settings)
    free = os.statvfs(small_disk.folder).f_bavail * os.statvfs(small_disk.folder).f_frsize
    filler = small_disk.folder / "filler"
    filler.write_bytes(bytes(free - 200_000))
    with pytest.raises(WarehouseError, match="cannot be written") as caught:
        publish(settings)
    assert "unchanged" in caught.value.kept and "cashpay publish" in caught.value.next_step
    assert settings.published_path.read_bytes() == old
    assert not list(settings.data_folder.glob("*.new"))
    filler.unlink()
    publish(settings)
    assert read_published(settings, "select count(*) from core.bills")[1] == [(len(simulator.truth()["bills"]),)]


def test_F4_a_copy_that_cannot_grow_leaves_the_old_one(settings, simulator):
    sync(settings)
    publish(settings)
    old = settings.published_path.read_bytes()
    simulator.advance(days=1)
    sync(settings)
    told = finished(SYNC, settings, "100000", "0", "publish")
    assert "published" in told.stdout and "unchanged" in told.stdout and told.returncode == 0
    assert settings.published_path.read_bytes() == old
    assert not list(settings.data_folder.glob("*.new"))


def test_F5_what_dagster_keeps_has_an_end():
    shipped = yaml.safe_load((shipped_folder("deploy") / "dagster.yaml").read_text())
    assert shipped["compute_logs"]["class"] == "NoOpComputeLogManager"
    assert shipped["retention"]["schedule"]["purge_after_days"] <= 90
    assert all(days <= 90 for days in shipped["retention"]["sensor"]["purge_after_days"].values())


def test_F6_a_read_only_disk_is_told_with_the_path_and_the_right_that_lacks(
    make_settings, small_disk, simulator, monkeypatch
):
    monkeypatch.setattr(database, "SPARE_BYTES", 0)
    settings = make_settings(data_dir=small_disk.folder / "data")
    small_disk.make_read_only()
    with pytest.raises(WarehouseError, match="data folder cannot be made") as caught:
        sync(settings)
    assert str(settings.data_folder) in caught.value.where and "right to write" in caught.value.next_step
    small_disk._mount("remount", "rw")
    sync(settings)
    small_disk.make_read_only()
    simulator.clear_log()
    with pytest.raises(WarehouseError, match="Read-only file system") as caught:
        sync(settings)
    assert str(settings.data_folder) in caught.value.where
    assert simulator.log() == []
    small_disk._mount("remount", "rw")
    assert sync(settings).status == "complete"


@pytest.fixture
def reachable_settings(make_settings):
    """Settings with a data folder that other users can get to."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield make_settings(data_dir=Path(folder) / "data")


def sync_as_nobody(settings):
    """For root no mode binds."""
    return finished(SYNC, settings, "0", str(NOBODY), "refresh")


def test_F6_a_folder_of_somebody_else_is_told_with_the_path_and_the_right_that_lacks(reachable_settings, simulator):
    settings = reachable_settings
    told = sync_as_nobody(settings)
    assert "The data folder cannot be made: Permission denied." in told.stdout and "right to write" in told.stdout
    settings.data_folder.mkdir(mode=0o755)
    told = sync_as_nobody(settings)
    assert "The data folder cannot be written: Permission denied." in told.stdout
    assert str(settings.data_folder) in told.stdout and told.stderr == ""
    assert simulator.log() == []


def test_F6_a_file_of_somebody_else_is_told_with_the_path_and_the_right_that_lacks(reachable_settings, simulator):
    settings = reachable_settings
    sync(settings)
    simulator.clear_log()
    settings.data_folder.chmod(0o777)
    told = sync_as_nobody(settings)
    assert "Another user has written in the data folder, and has its lock." in told.stdout and "chown" in told.stdout
    assert str(settings.warehouse_path.with_suffix(".lock")) in told.stdout and told.stderr == ""
    settings.warehouse_path.with_suffix(".lock").chmod(0o666)
    told = sync_as_nobody(settings)
    assert "may not be read and written by this user" in told.stdout
    assert str(settings.warehouse_path) in told.stdout and told.stderr == ""
    assert simulator.log() == []


def test_F7_a_file_that_is_mostly_free_space_is_written_anew(settings, simulator, monkeypatch):
    monkeypatch.setattr(compact, "WORTH_IT_BYTES", 5_000_000)
    sync(settings)
    with open_warehouse(settings) as warehouse:
        warehouse.execute("create table core.bulk as select range as n, md5(range::varchar) as t from range(1500000)")
        assert not compact.is_mostly_empty(warehouse)
    with open_warehouse(settings) as warehouse:
        warehouse.execute("delete from core.bulk where n >= 10")
        warehouse.execute("checkpoint")
    before = settings.warehouse_path.stat().st_size
    facts = (
        "select table_name, comment from duckdb_tables() order by all",
        "select table_name, column_name, data_type, comment, is_nullable from duckdb_columns() "
        "where not internal order by all",
        "select * from core.bills order by all",
        "select * from core.bill_versions order by rowid",
        "select * from core.bills_as_of(timestamptz '2027-01-01 00:00:00+00') order by all",
        "select count(*), sum(n) from core.bulk",
    )
    publish(settings)
    assert settings.warehouse_path.stat().st_size < before / 3
    assert not list(settings.data_folder.glob("*.fresh*"))
    for fact in facts:
        assert query(settings.warehouse_path, fact) == query(settings.published_path, fact)
    assert query(settings.warehouse_path, facts[-1]) == [{"count_star()": 10, "sum(n)": 45}]
    assert stat.S_IMODE(settings.warehouse_path.stat().st_mode) == 0o600
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())
    assert sync(settings).bills_changed == 0


@pytest.mark.long
def test_F7_a_file_does_not_grow_by_being_written_over(settings, simulator):
    sync(settings)
    sizes = []
    for _ in range(8):
        simulator.advance(minutes=30)
        sync(settings, kind="full_refresh")
        with open_warehouse(settings) as warehouse:
            warehouse.execute("create or replace table marts.again as select * from core.bills")
        publish(settings)
        sizes.append(settings.warehouse_path.stat().st_size)
    assert sizes[-1] < 2 * sizes[2]
