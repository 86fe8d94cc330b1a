"""Table R of the failure cases, but for the kill points (tests/kill): damage, dead runs, lost and restored memory."""

import json
import os
import shutil
import signal

import dagster as dg
import duckdb
import pytest
from processes import finished
from test_dagster_run import metadata, run
from truth import assert_warehouse_equals_truth, query, versions

from cashpay_pipeline.errors import WarehouseError
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.sync import batch, run_sync
from cashpay_pipeline.sync.rebuild import rebuild
from cashpay_pipeline.warehouse import database, open_warehouse, publish, read_published
from cashpay_pipeline.warehouse.backup import backup
from cashpay_pipeline.warehouse.database import wal_path

DIE_IN_THE_WALK = """
import os, signal
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.simulator.clock import SimulatedClock
from cashpay_pipeline.sync import batch, run_sync
batch.BATCH_ROWS = 50
def die(progress):
    if progress.pages >= 3:
        os.kill(os.getpid(), signal.SIGKILL)
settings = load_settings()
run_sync(settings, clock=SimulatedClock(settings.base_url), progress=die, dagster_run_id="killed-run")
"""


def sync(settings, **options):
    return run_sync(settings, clock=SimulatedClock(settings.base_url), **options)


def killed_sync(settings):
    killed = finished(DIE_IN_THE_WALK, settings)
    assert killed.returncode == -signal.SIGKILL, killed.stderr


def overwrite(file, at, content=b"\xff" * 64):
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content)


def files(settings):
    return {f.name: f.read_bytes() for f in settings.data_folder.iterdir() if f.suffix in (".duckdb", ".wal")}


@pytest.mark.parametrize("where", ["head", "middle", "cut", "text"])
def test_R4_a_damaged_file_is_told_and_left_as_it_is_and_the_published_copy_is_the_way_back(
    where, settings, simulator, monkeypatch
):
    monkeypatch.setattr(batch, "BATCH_ROWS", 20)
    sync(settings)
    publish(settings)
    path = settings.warehouse_path
    size = path.stat().st_size
    if where == "head":
        overwrite(path, 0, b"\0" * 4096)
    elif where == "middle":
        for at in range(3 * 4096 + 8, size, 256 * 1024):
            overwrite(path, at, b"\xa5" * 4096)
    elif where == "cut":
        os.truncate(path, size // 2)
    else:
        path.write_text("not a database")
    before = files(settings)
    simulator.clear_log()
    with pytest.raises(WarehouseError, match="The working file is damaged") as caught:
        sync(settings)
    assert caught.value.next_step.startswith("If there is a backup, run `cashpay restore`")
    for words in ("aside", ".wal", "analytics.duckdb", "cashpay sync --full"):
        assert words in caught.value.next_step
    assert files(settings) == before, "nothing was changed or deleted"

    path.rename(path.with_suffix(".damaged"))
    shutil.copyfile(settings.published_path, path)
    assert sync(settings, kind="full_refresh").status == "complete"
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_R4_a_wal_that_cannot_be_replayed_is_never_deleted(settings, simulator):
    """DuckDB 1.5 refuses it; 2.0 reads what comes before the damage, and the next sync reads the rest again."""
    killed_sync(settings)
    wal = wal_path(settings.warehouse_path)
    overwrite(wal, wal.stat().st_size // 2)
    before = wal.read_bytes()
    try:
        sync(settings)
    except WarehouseError as error:
        assert "damaged" in error.message and ".wal" in error.next_step
        assert wal.read_bytes() == before
        settings.warehouse_path.rename(settings.data_folder / "aside.duckdb")
        wal.rename(settings.data_folder / "aside.wal")
        sync(settings)
    sync(settings, kind="full_refresh")
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_R4_a_wal_cut_in_its_last_entry_costs_nothing_that_was_acknowledged_before(settings, simulator):
    killed_sync(settings)
    wal = wal_path(settings.warehouse_path)
    os.truncate(wal, wal.stat().st_size - 7)
    assert sync(settings).status == "complete"
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_R4_a_wal_without_its_file_is_never_deleted(settings):
    """DuckDB would begin a new file and delete it."""
    killed_sync(settings)
    aside = settings.data_folder / "aside"
    settings.warehouse_path.rename(aside)
    before = wal_path(settings.warehouse_path).read_bytes()
    with pytest.raises(WarehouseError, match=r"is gone, but its \.wal is there"):
        sync(settings)
    assert wal_path(settings.warehouse_path).read_bytes() == before
    aside.rename(settings.warehouse_path)
    assert sync(settings).status == "complete"


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_R4_no_new_file_takes_the_place_of_the_published_copy_that_alone_holds_the_history(how, settings, simulator):
    """The list tells what bills are now: when those were paid that were read unpaid before, only the copy tells."""
    sync(settings)
    simulator.advance(hours=24)
    sync(settings)
    publish(settings)
    settings.warehouse_path.unlink()
    if how == "empty":
        settings.warehouse_path.touch()
    before = settings.published_path.read_bytes()
    simulator.clear_log()
    with pytest.raises(WarehouseError, match="the published copy alone holds the history") as caught:
        sync(settings)
    assert simulator.log() == [] and settings.published_path.read_bytes() == before
    assert "cashpay restore" in caught.value.next_step
    with pytest.raises(WarehouseError) as backed_up:
        backup(settings)
    assert str(backed_up.value) == str(caught.value), "not that there is nothing yet, and a sync to run"
    shutil.copy(settings.published_path, settings.warehouse_path)
    settings.warehouse_path.chmod(0o600)
    assert sync(settings, kind="full_refresh").status == "complete"
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())
    assert len(versions(settings.data_dir)) > len(simulator.truth())


def test_R3_a_new_file_that_was_killed_half_made_is_made_anew(settings):
    """DuckDB can open neither an empty file nor one without all of its head."""
    settings.data_folder.mkdir()
    settings.warehouse_path.touch()
    settings.warehouse_path.with_suffix(".fresh").write_bytes(b"half a head")
    wal_path(settings.warehouse_path.with_suffix(".fresh")).write_bytes(b"and its wal")
    assert sync(settings).status == "complete"
    assert not list(settings.data_folder.glob("*.fresh*"))


def test_R5_what_a_killed_publication_left_is_cleared_by_the_next_run(settings):
    sync(settings)
    publish(settings)
    old = settings.published_path.read_bytes()
    leftovers = [settings.data_folder / name for name in ("analytics.new", "warehouse.backup.new")]
    for leftover in leftovers:
        leftover.write_bytes(b"half")
    mine = settings.data_folder / "notes.new"
    mine.write_text("not ours")
    with open_warehouse(settings):
        assert [leftover.exists() for leftover in leftovers] == [False, False]
    assert settings.published_path.read_bytes() == old and mine.exists()


def test_R7_rows_are_stored_while_the_list_is_read_and_memory_has_a_limit(settings, simulator, monkeypatch):
    monkeypatch.setattr(batch, "BATCH_ROWS", 40)
    stored = []

    def look(progress):
        if progress.pages:
            stored.append(progress.bills)

    commits = []
    commit = batch.Batch.save
    monkeypatch.setattr(
        batch.Batch, "save", lambda self, *a: (commits.append(len(self._readings)), commit(self, *a))[1]
    )
    sync(settings.model_copy(update={"page_size": 20}), progress=look)
    assert max(commits) <= 40 + 20 and sum(commits) >= len(simulator.truth()["bills"])
    with open_warehouse(settings) as warehouse:
        (row,) = warehouse.rows("select current_setting('memory_limit') as memory")
    assert row["memory"] == "244.1 MiB"


def test_R9_a_killed_run_is_marked_dead_by_the_next_one(settings, simulator):
    killed_sync(settings)
    (record,) = query(settings.warehouse_path, "select status, finished_at, error_code from core.syncs")
    assert record == {"status": "running", "finished_at": None, "error_code": None}
    assert sync(settings).status == "complete"
    dead, done = query(
        settings.warehouse_path,
        "select status, error_code, complete, finished_at = heartbeat_at as ended_at_its_last_sign_of_life "
        "from core.syncs order by rowid",
    )
    assert dead == {
        "status": "dead",
        "error_code": "killed",
        "complete": False,
        "ended_at_its_last_sign_of_life": True,
    }
    assert done["status"] == "complete"
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


@pytest.fixture
def make_instance(tmp_path):
    def make(name):
        (tmp_path / name).mkdir(exist_ok=True)
        return dg.instance_for_test(temp_dir=str(tmp_path / name))

    return make


def test_R10_what_dagster_calls_failed_is_stored_once_all_the_same(settings, simulator, make_instance):
    with make_instance("home") as instance:
        settings.published_path.mkdir(parents=True)
        first = run(settings, instance)
        assert not first.success and "published/analytics" not in metadata(first)
    settings.published_path.rmdir()
    second = sync(settings)
    assert (second.status, second.bills_new, second.bills_changed) == ("complete", 0, 0)
    publish(settings)
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())
    assert {v["version"] for v in versions(settings.data_dir)} == {1}


def test_R11_losing_dagsters_memory_loses_no_data_and_repeats_none(settings, simulator, make_instance):
    """Its folder is a new one, while the warehouse is not."""
    sync(settings, dagster_run_id="a-run-that-nobody-remembers")
    before = versions(settings.data_dir)
    with make_instance("home") as instance:
        result = run(settings, instance)
    assert result.success and metadata(result)["core/bills"]["bills_new"] == 0
    assert versions(settings.data_dir) == before
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_R12_an_old_backup_is_healed_by_the_next_refreshes(settings, simulator):
    """How far the reading has come lies in the file itself, so that it cannot be ahead of the data."""
    sync(settings)
    publish(settings)
    watermark = "select watermark_at, full_walk_finished_at from core.accounts"
    before = query(settings.published_path, watermark)
    backup = settings.data_folder / "backup"
    shutil.copyfile(settings.warehouse_path, backup)
    for _ in range(3):
        simulator.advance(days=1)
        sync(settings)
    later = query(settings.warehouse_path, watermark)
    assert later != before
    shutil.copyfile(backup, settings.warehouse_path)
    assert query(settings.warehouse_path, watermark) == before
    assert sync(settings).status == "complete"
    assert query(settings.warehouse_path, watermark)[0]["watermark_at"] >= later[0]["watermark_at"]
    assert sync(settings, kind="full_refresh").status == "complete"
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_R13_a_damaged_block_never_replaces_a_good_copy(settings, simulator):
    sync(settings)
    publish(settings)
    good = settings.published_path.read_bytes()
    with open_warehouse(settings) as warehouse:
        warehouse.execute("create table core.bulk as select md5(range::varchar) as t from range(300000)")
    path = settings.warehouse_path
    with duckdb.connect(str(path), read_only=True) as connection:
        ((block,),) = connection.execute(
            "select block_id from pragma_storage_info('core.bulk') where persistent and column_name = 't' "
            "order by row_group_id desc limit 1"
        ).fetchall()
    overwrite(path, 3 * 4096 + block * 262144 + 100_000, b"\xa5" * 64)
    with pytest.raises(WarehouseError, match="damaged"):
        publish(settings)
    assert settings.published_path.read_bytes() == good
    assert not list(settings.data_folder.glob("*.new"))
    assert read_published(settings, "select count(*) from core.bills")[1] == [(len(simulator.truth()["bills"]),)]


def test_C8_a_backfill_is_one_run_that_goes_on_where_it_was_stopped(settings, simulator):
    """No partitions: the whole list is one walk, whose place is stored with its rows."""
    simulator.reset(days=10, bills_per_day=100)
    settings = settings.model_copy(update={"page_size": 50})
    killed_sync(settings)
    ((stored,),) = [tuple(r.values()) for r in query(settings.warehouse_path, "select count(*) from core.bills")]
    assert stored
    simulator.clear_log()
    assert sync(settings).bills_new == len(simulator.truth()["bills"]) - stored
    pages = [entry["page"] for entry in simulator.log() if entry["template"] == "/orders"]
    assert pages[0] > 1, "one page of overlap, not the list from its beginning"


def test_N10_after_a_line_that_broke_in_the_middle_the_walk_goes_on_before_the_last_page_stored(settings, simulator):
    simulator.reset(days=10, bills_per_day=100)
    settings = settings.model_copy(update={"page_size": 50})
    simulator.faults([{"path": "/orders", "kind": "close", "after": 10, "times": None}])
    with pytest.raises(Exception, match="cannot be reached") as caught:
        sync(settings)
    assert caught.value.code == "unavailable" and "page" in caught.value.where
    ((stored,),) = [tuple(r.values()) for r in query(settings.warehouse_path, "select count(*) from core.bills")]
    assert 400 <= stored <= 500
    simulator.faults([])
    simulator.clear_log()
    result = sync(settings)
    assert result.status == "complete" and result.bills_new == len(simulator.truth()["bills"]) - stored
    pages = [entry["page"] for entry in simulator.log() if entry["template"] == "/orders"]
    assert min(pages[:2]) >= stored // 50 - 1
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_R2_a_batch_is_stored_in_one_transaction(settings, simulator, monkeypatch):
    """Fail after each statement of a batch: nothing of it is there; tests/kill does the same with SIGKILL."""
    sync(settings)
    simulator.advance(days=1)
    before = [query(settings.warehouse_path, f"select * from core.{t} order by all") for t in ("bills", "payments")]
    execute = database.Warehouse.execute
    for failing in (
        *("insert into core.bill_versions", "merge into core.bills"),
        *("delete from core.payments", "insert into core.payments"),
    ):

        def breaking(self, sql, *rest, failing=failing, **frames):
            count = execute(self, sql, *rest, **frames)
            if failing in sql:
                raise duckdb.Error("simulated failure")
            return count

        monkeypatch.setattr(database.Warehouse, "execute", breaking)
        with pytest.raises(WarehouseError, match="simulated failure"):
            sync(settings)
        monkeypatch.setattr(database.Warehouse, "execute", execute)
        after = [query(settings.warehouse_path, f"select * from core.{t} order by all") for t in ("bills", "payments")]
        assert [[{**r, "verified_at": None} for r in rows] for rows in after] == [
            [{**r, "verified_at": None} for r in rows] for rows in before
        ]
    sync(settings, kind="full_refresh")
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())


def test_D10_R4_every_derived_table_can_be_made_again_from_the_payloads(settings, simulator):
    sync(settings)
    before = query(settings.warehouse_path, "select * from core.bills order by all")
    with open_warehouse(settings) as warehouse:
        warehouse.execute("delete from core.payments")
        warehouse.execute("update core.bills set amount = 0, state = 'Unknown', gateway_name = null")
    rebuild(settings)
    assert query(settings.warehouse_path, "select * from core.bills order by all") == before
    assert_warehouse_equals_truth(settings.data_dir, simulator.truth())
    assert json.loads(query(settings.warehouse_path, "select payload from core.bill_versions limit 1")[0]["payload"])
